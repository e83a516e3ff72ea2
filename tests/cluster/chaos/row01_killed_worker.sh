#!/usr/bin/env bash
# Row 1: kill -9 a worker in map, shuffle, reduce. It is seen within the lease; only lost work runs again.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# killed_while PHASE: the worker whose executor stands in PHASE is killed; the others finish.
killed_while() {
    bad_sample
    LEASE=1 cluster_up 3 "${@:2}"
    detach "$testjobs/misbehave.so" -i in -o out -r 5 --split-size 200K --speculation off -p "$1=mark_and_wait"
    await_condition 'test -e misbehaved' 'the fault did not fire'
    victim=$(worker_of "$(cat misbehaved)")
    [[ -n $victim ]] || die 'no worker is the parent of that executor'
    kill_worker "$victim"
    touch go
    wait_job
    expect_wanted out
    grep -q "worker lost .*name=$victim" coordinator.log || die "$victim was not lost: $(cat coordinator.log)"
    cluster_down
}
killed_in_map() { killed_while map; }
killed_in_reduce() { killed_while reduce; }
killed_in_reduce_over_the_wire() { killed_while reduce --direct-reads off; }

# A worker that holds outputs stops; a reducer elsewhere begins to fetch from it; it is killed. The reducer waits no longer
# than the lease.
killed_in_shuffle() {
    bad_sample
    LEASE=3 cluster_up 2 --direct-reads off
    start_and_hold
    other=$(worker_of "$(cat misbehaved)")
    victim=w1
    [[ $other == w1 ]] && victim=w2
    await_other_maps
    kill -STOP "${worker_pid[$victim]}"
    touch go
    await_condition "\"\$marram\" job $job | grep -q 'reduce .* on $other'" 'no reducer began'
    kill_worker "$victim"
    wait_job
    expect_wanted out
    "$marram" job "$job" --json >json
    (($(counter map_reruns) > 0)) || die 'no map ran again'
    "$marram" logs "$job" >said
    grep -q 'the coordinator has given its worker up' said || die "nobody stopped waiting: $(cat said)"
    ! grep -q 'does not answer' said || die "somebody waited for the silence: $(cat said)"
    cluster_down
}

claim 'a worker killed in map' killed_in_map
claim 'a worker killed in reduce' killed_in_reduce
claim 'a worker killed in reduce, with runs over the wire' killed_in_reduce_over_the_wire
claim 'a worker killed while others fetch from it' killed_in_shuffle
totals
