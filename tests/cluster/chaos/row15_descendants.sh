#!/usr/bin/env bash
# Row 15: fork bomb, daemonised child. No descendant 2 s after the job, be it a success or not.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lib/faults.sh
source "$root/tests/lib/faults.sh"

# Processes that began in this claim and are executors, or what those forked.
descendants() {
    # shellcheck disable=SC2031 # each claim has a TMPDIR of its own
    grep -lz "^TMPDIR=$TMPDIR\$" /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
        [[ $(cat "${file%environ}comm" 2>/dev/null) == marram-executo* ]] && echo "$file"
    done || true
}
# A bomb that nothing holds would be this machine's end.
can_hold_a_bomb() {
    cluster_up 1
    await_condition 'grep -q "executors are confined" w1.log' 'the worker does not say what confines its executors'
    cluster_down
    grep 'executors are confined' w1.log | grep -qE 'cgroup=v[12] |cgroup="v1, pids' || ((EUID))
}
bomb() {
    can_hold_a_bomb || skip 'root without control groups: nothing holds a bomb here'
    sample
    run "$testjobs/greedy.so" -i in -o out -p way=breed --threads 2
    [[ $(cat marked) == EAGAIN ]] || die "the bomb did not meet its bound: $(cat marked)"
    [[ -z $(descendants) ]] || die "still there: $(descendants | head -3)"
    sorted_output out >got
    reference_words in >wanted
    expect_same got wanted
}
daemon() {
    sample
    run "$testjobs/greedy.so" -i in -o out -p way=daemon
    [[ -s marked ]] || die 'the fault did not fire'
    [[ ! -e /proc/$(cat marked) ]] || die "process $(cat marked) is still there"
}
# A success and a failure; the spare executor for the next job is there before and after.
on_a_cluster() {
    sample
    cluster_up 1
    await_condition "((\$(descendants | wc -l) == 1))" 'there is no spare executor'
    rm -rf marked out
    submit "$testjobs/greedy.so" -i in -o out -p way=daemon
    [[ -s marked ]] || die 'the fault did not fire'
    DEADLINE=2 await_condition "[[ ! -e /proc/\$(cat marked) ]]" 'the daemon is still there'
    rm -rf marked
    rm -rf misbehaved out
    crash_on_cluster misbehave 'signal 6' -p map=daemon -p reduce=abort
    [[ -s misbehaved ]] || die 'the fault did not fire'
    DEADLINE=2 await_condition "[[ ! -e /proc/\$(cat misbehaved) ]]" 'the daemon is still there'
    cluster_down
}
bomb_on_a_cluster() {
    can_hold_a_bomb || skip 'root without control groups: nothing holds a bomb here'
    sample
    cluster_up 1 --memory 4G # hundreds of processes, each with what a sanitizer takes
    rm -rf marked out
    submit "$testjobs/greedy.so" -i in -o out -p way=breed
    [[ $(cat marked) == EAGAIN ]] || die "the bomb did not meet its bound: $(cat marked)"
    DEADLINE=2 await_condition "((\$(descendants | wc -l) <= 1))" 'the bomb is still there'
    worker_lives_on
    cluster_down
}
# What the job has forked when kill -9 ends its worker: in the executor's process group, and, where control groups hold
# it, in a session of its own.
with_a_killed_worker() {
    local way pid worker
    sample
    for way in fork daemon; do
        [[ $way == fork ]] || can_hold_a_bomb || continue
        rm -rf misbehaved
        cluster_up 1
        worker=${worker_pid[w1]}
        detach "$testjobs/misbehave.so" -i in -o out-$way -p map=$way -p reduce=wait
        await_condition 'test -s misbehaved' 'nothing was forked'
        pid=$(cat misbehaved)
        [[ -e /proc/$pid ]] || die 'the fault did not fire'
        kill_worker w1
        DEADLINE=2 await_condition "[[ ! -e /proc/$pid ]]" "what a $way left is still there"
        await_condition "[[ -z \$(find /sys/fs/cgroup -name 'marram-$worker-*' 2>/dev/null) ]]" 'its control groups are left'
        "$marram" cancel "$job" >/dev/null
        cluster_down
    done
}

claim 'a fork bomb is bounded, and gone when the job has succeeded' bomb
claim 'a daemon ends with the job' daemon
claim 'on a cluster daemons are gone within 2 s of a success and of a failure' on_a_cluster
claim 'so is a bomb, and the worker lives on' bomb_on_a_cluster
claim 'what a job forked is gone within 2 s of kill -9 of its worker' with_a_killed_worker
totals
