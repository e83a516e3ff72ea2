#!/usr/bin/env bash
# Row 14: memory leak. Ended at the limit, the agent alive, the error says the limit.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lib/faults.sh
source "$root/tests/lib/faults.sh"

# A budget of 64 MiB; what user code may have beyond it is 512 MiB.
limit='576 MiB that it may use'

# Whether executors have a control group that limits memory here.
has_group() {
    rm -rf probe.log
    cluster_up 1
    await_condition 'grep -q "executors are confined" w1.log' 'the worker does not say what confines its executors'
    cluster_down
    grep 'executors are confined' w1.log | grep -qE 'cgroup=v[12] |cgroup="v1, memory alone"'
}
leak() {
    instrumented && skip 'the sanitizer keeps memory of its own'
    sample
    crash greedy "$limit" -p way=leak --workers 1 --memory 64M
    grep -qF "$(record)" stderr || die "$(cat stderr)"
}
at_once() {
    instrumented && skip 'the sanitizer keeps memory of its own'
    sample
    crash greedy "$limit" -p way=map --workers 1 --memory 64M
    grep -qF "$(record)" stderr || die "$(cat stderr)"
    crash greedy "$limit" -p way=stacks --workers 1 --memory 64M
    grep -qF "$(record)" stderr || die "$(cat stderr)"
}
# No look at the process sees it; the kernel counts it.
hidden() {
    has_group || skip 'no control group for memory here'
    sample
    crash greedy "$limit: ended by the kernel" -p way=hide --workers 1 --memory 64M
    grep -qF "$(record)" stderr || die "$(cat stderr)"
}
on_a_cluster() {
    instrumented && skip 'the sanitizer keeps memory of its own'
    sample
    cluster_up 1 --memory 64M
    crash_on_cluster greedy "$limit" -p way=leak
    grep -qF "$(record)" failure || die "$(cat failure)"
    cluster_down
}

claim 'growth without end is ended at the limit, the record named' leak
claim 'so is much at once, and much in stacks' at_once
claim 'memory that is not mapped counts' hidden
claim 'the worker lives on and serves the next job' on_a_cluster
totals
