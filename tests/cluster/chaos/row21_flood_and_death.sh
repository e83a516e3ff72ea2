#!/usr/bin/env bash
# Row 21: a peer floods and dies while we are busy. We survive.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

floods() {
    local i flood
    bad_sample
    cluster_up 2
    start_and_hold
    for i in 1 2 3 4 5; do
        "$tools/flood" "$MARRAM_COORDINATOR" >flood.$i &
        flood=$!
        await_condition "test -s flood.$i" 'the fault did not fire'
        kill -KILL $flood
        wait $flood 2>/dev/null || true
    done
    # Workers that die as a crowd.
    mkfifo pipe
    "$tools/crowd" "$MARRAM_COORDINATOR" 50 <pipe >crowd &
    flood=$!
    exec {hold}>pipe
    await_condition 'test -s crowd' 'the crowd did not come'
    kill -KILL $flood
    wait $flood 2>/dev/null || true
    exec {hold}>&-
    touch go
    wait_job
    expect_wanted out
    await_workers 2
    ! grep -q 'worker lost .*name=w' coordinator.log || die "$(grep 'worker lost' coordinator.log)"
    cluster_down
}

claim 'peers that flood and die while a job runs' floods
totals
