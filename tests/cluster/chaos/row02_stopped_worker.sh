#!/usr/bin/env bash
# Row 2: SIGSTOP longer than the lease, then SIGCONT. Late results are refused, each task is committed once.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# Stopped for longer than its lease, then going on: what it says then is refused and changes nothing.
stopped_and_continued() {
    bad_sample
    LEASE=1 cluster_up 2
    start_and_hold
    victim=$(worker_of "$(cat misbehaved)")
    kill -STOP "${worker_pid[$victim]}"
    touch go
    await_condition "grep -q 'worker lost .*name=$victim' coordinator.log" 'it was not given up'
    wait_job
    kill -CONT "${worker_pid[$victim]}"
    await_workers 2
    await_condition "grep -q 'begins anew' $victim.log" 'it did not begin anew'
    "$marram" workers --json >json
    (($(counter refused) > 0)) || die "nothing was refused: $(cat json)"
    expect_wanted out
    submit wordcount -i in -o again -r 5
    diff -r want again
    cluster_down
}

claim 'a worker stopped for longer than its lease is refused' stopped_and_continued
totals
