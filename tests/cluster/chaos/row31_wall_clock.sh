#!/usr/bin/env bash
# Row 31: the wall clock jumps an hour. No effect.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

jumps() {
    instrumented && skip 'a sanitizer must be the first library'
    bad_sample
    echo 0 >clock
    export WALL_CLOCK=$PWD/clock
    LD_PRELOAD=$MARRAM_BUILD/tests/preload/wall_clock.so LEASE=2 cluster_up 2 --direct-reads off
    for jump in 3600 -7200 0; do
        start_and_hold
        echo "$jump" >clock
        sleep 3 # longer than the lease
        touch go
        wait_job
        expect_wanted out
    done
    [[ -s clock.asked ]] || die 'the fault did not fire: nobody asked for the wall clock'
    expect_nobody_lost
    cluster_down
    rm -f clock clock.asked
}

claim 'the wall clock jumps an hour ahead and two hours back' jumps
totals
