#!/usr/bin/env bash
# Row 8: full cut for 3 s and for 30 s, then heal. Back within 10 s of healing, without a restart.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# cut_for SECONDS HOW LEASE: the way of one of two workers to the coordinator; HOW is the proxy's word.
cut_for() {
    local seconds=$1 fault=$2
    bad_sample
    LEASE=$3 coordinator_up
    proxy_up cable
    worker_up w1
    unset REACH
    worker_up w2
    await_workers 2
    start_and_hold
    tell_proxy cable "$fault"
    sleep "$seconds" # the fault is as long as it is
    if (($3 < seconds)); then
        grep -q 'worker lost .*name=w1' coordinator.log || die 'the fault did not fire'
    else
        "$marram" workers --json | grep -q '"heard": [2-9]' || die 'the fault did not fire: heartbeats came'
    fi
    tell_proxy cable pass
    DEADLINE=10 await_workers 2
    touch go
    wait_job
    expect_wanted out
    # Both still work, and are the processes that they were.
    submit wordcount -i in -o again -r 5 --split-size 200K
    expect_wanted again
    kill -0 "${worker_pid[w1]}" "${worker_pid[w2]}"
    if (($3 > seconds)); then expect_nobody_lost; fi
    cluster_down
    proxy_down cable
}
shorter_than_the_lease() { cut_for 3 stall 10; }
reset_shorter_than_the_lease() { cut_for 3 cut 10; }
longer_than_the_lease() { cut_for 3 stall 1; }
half_a_minute() {
    [[ -n ${MARRAM_FULL:-} ]] || skip 'half a minute each: make chaos'
    cut_for 30 stall 10
}
half_a_minute_reset() {
    [[ -n ${MARRAM_FULL:-} ]] || skip 'half a minute each: make chaos'
    cut_for 30 cut 10
}

claim 'a dead cable for 3 s, shorter than the lease: nobody is lost' shorter_than_the_lease
claim 'resets for 3 s, shorter than the lease: nobody is lost' reset_shorter_than_the_lease
claim 'a dead cable for 3 s, longer than the lease' longer_than_the_lease
claim 'a dead cable for 30 s' half_a_minute
claim 'resets for 30 s' half_a_minute_reset
totals
