#!/usr/bin/env bash
# Row 30: a map that is not deterministic, and a lost node. It is detected, never mixed.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# unsteady REDUCERS SALT: maps have emitted 1 for each word, the reducer of "hold" waits; from now on they emit SALT, and
# worker $victim is gone.
unsteady() {
    awk 'BEGIN { for (i = 0; i < 4000; i++) print "w" i; print "hold" }' >in
    echo 1 >salt
    LEASE=1 cluster_up 3 --direct-reads off
    detach "$testjobs/unsteady.so" -i in -o out -r "$1" --split-size 2K --speculation off -p salt="$PWD/salt" -p hold="$PWD/hold"
    await_condition 'test -e hold.reached' 'no reducer came to "hold"'
    await_condition "\"\$marram\" job $job --json >json; ((\$(counter reduces_done) == $1 - 1))" 'the other reducers did not end'
    echo "$2" >salt
    "$marram" job "$job" | grep -q 'reduce .* on w1' && victim=w2 || victim=w1
    kill_worker "$victim"
    await_condition "grep -q 'worker lost .*name=$victim' coordinator.log" 'the fault did not fire'
}

used() {
    local status=0
    unsteady 4 2
    timeout 60 "$marram" wait "$job" 2>stderr || status=$?
    ((status == 1)) || die "status $status: $(cat stderr)"
    grep -Eq 'map is not deterministic: task [0-9]+, part [0-9]+' stderr || die "$(cat stderr)"
    [[ ! -e out && -z $(ls -d out.marram-* 2>/dev/null) ]] || die "published: $(ls -d out*)"
    cluster_down
}

# The only reducer has read the old outputs, but nobody has used what it made of them: it reads the new ones.
not_used() {
    unsteady 1 2
    await_condition "\"\$marram\" job $job | grep -q 'maps *\([0-9]*\) of \1 done'" 'the maps were not made again'
    touch hold
    wait_job
    "$marram" job "$job" --json >json
    (($(counter map_reruns | tail -1) > 0)) || die 'no map ran again'
    # Each word stands once, with the number that its map emitted last.
    [[ $(cut -f 1 out/part-00000 | sort) == $(sort in) ]] || die 'not each word once'
    [[ $(cut -f 2 out/part-00000 | sort -u | tr '\n' ' ') == '1 2 ' ]] || die "$(cut -f 2 out/part-00000 | sort | uniq -c)"
    (($(grep -c $'\t2$' out/part-00000) * $(counter maps | tail -1) >= 2000 * $(counter map_reruns | tail -1))) || die 'old and new were mixed'
    cluster_down
}

# The same with a map that is what it should be: the job is done, though its outputs were used and made again.
steady() {
    unsteady 4 1
    touch hold
    wait_job
    "$marram" job "$job" --json >json
    (($(counter map_reruns | tail -1) > 0)) || die 'no map ran again'
    [[ $(cat out/part-* | sort) == $(awk '{ print $1 "\t1" }' in | sort) ]] || die 'wrong'
    cluster_down
}

claim 'other pairs than reducers have used fail the job by name' used
claim 'pairs that nobody has used are replaced' not_used
claim 'a deterministic map that runs again is no cause' steady
totals
