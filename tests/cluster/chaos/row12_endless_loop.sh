#!/usr/bin/env bash
# Row 12: infinite loop. Ended at the task timeout, the record named; the worker lives on.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lib/faults.sh
source "$root/tests/lib/faults.sh"

endless_loop() {
    sample
    crash misbehave "task timeout of 1 s" -p map=mark_and_loop --task-timeout 1
    grep -qF "$(record)" stderr || die "$(cat stderr)"
    [[ -e misbehaved ]] || die 'the fault did not fire'
    crash misbehave "key 'BAD'" -p reduce=loop --task-timeout 1
}
on_a_cluster() {
    sample
    cluster_up 1
    crash_on_cluster misbehave "$(record)" -p map=mark_and_loop --task-timeout 1
    grep -q 'task timeout of 1 s' failure || die "$(cat failure)"
    [[ -e misbehaved ]] || die 'the fault did not fire'
    cluster_down
}

claim 'an endless loop ends with the task timeout, the record named' endless_loop
claim 'the worker lives on and serves the next job' on_a_cluster
totals
