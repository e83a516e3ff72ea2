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
# The executor that stands ready is stopped; then it is to be told of more than fits on its way: 9,000 files.
stopped_executor() {
    local i used spare
    mkdir first many
    echo 'a b a' >first/in
    for i in {1..9000}; do echo "word$((i % 10))" >"many/a-file-whose-long-name-makes-a-long-message-of-the-task-$i"; done
    run wordcount -i many -o want -r 2
    LEASE=20 cluster_up 1
    await_spare w1
    used=$(spare_of w1)
    submit wordcount -i first -o out1 -r 2 # the object is known from here on: no task comes before the maps
    await_condition "! kill -0 $used 2>/dev/null" "executor $used was not used"
    await_spare w1
    spare=$(spare_of w1)
    kill -STOP "$spare"
    submit wordcount -i many -o out -r 2
    expect_wanted out
    grep -q 'the executor took no message for 4 s, as if it were stopped: ended' coordinator.log || die "$(tail -5 coordinator.log)"
    expect_nobody_lost
    cluster_down
}

claim 'an endless loop ends with the task timeout, the record named' endless_loop
claim 'an executor that is stopped, and takes nothing, holds nobody up' stopped_executor
claim 'the worker lives on and serves the next job' on_a_cluster
totals
