#!/usr/bin/env bash
# Row 7: two workers cannot reach each other, both reach the coordinator. The job completes; neither is declared dead.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# apart_in_a_cluster NODES HOW: nodes 1 and 2 are apart before anything of the job is fetched.
apart_in_a_cluster() {
    bad_sample
    cluster_of_nodes "$1"
    apart 1 2 "$2"
    submit wordcount -i in -o out -r 5 --split-size 200K
    expect_wanted out
    (($(packets_stopped 1) + $(packets_stopped 2) > 0)) || die 'the fault did not fire'
    expect_nobody_lost
    [[ $(joined) == "$1" ]]
    # It heals: the next job uses all, with nobody started anew.
    heal 1 2
    submit wordcount -i in -o again -r 5 --split-size 200K
    expect_wanted again
    expect_nobody_lost
    [[ $(grep -c 'worker joined' coordinator.log) == "$1" ]] || die "$(cat coordinator.log)"
    cluster_down
}
two_dropped() { apart_in_a_cluster 2 DROP; }
two_refused() { apart_in_a_cluster 2 REJECT; }
three_dropped() {
    apart_in_a_cluster 3 DROP
    # Someone reached both: nothing was made again for them.
    ! grep -q 'begins anew' w*.log
}
three_refused() { apart_in_a_cluster 3 REJECT; }

# One that reaches nobody but the coordinator.
isolated() {
    bad_sample
    cluster_of_nodes 4
    for node in 2 3 4; do apart 1 $node DROP; done
    submit wordcount -i in -o out -r 8 --split-size 100K
    run wordcount -i in -o want8 -r 8
    diff -r want8 out
    (($(packets_stopped 1) > 0)) || die 'the fault did not fire'
    expect_nobody_lost
    cluster_down
}

claim 'two of two workers, packets vanish' two_dropped
claim 'two of two workers, connections are refused' two_refused
claim 'two of three workers, packets vanish' three_dropped
claim 'two of three workers, connections are refused' three_refused
claim 'a worker that reaches none of three others' isolated
totals
