#!/usr/bin/env bash
# Row 23: an input vanishes or changes while a job reads it. A named error, a status, no output.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# Two files: the map of the first waits at its record BAD until `go` is there, the second is not begun by then.
two_files() {
    mkdir -p in
    { awk 'BEGIN { for (i = 0; i < 30000; i++) print "word" i % 100, "filler" }' && echo BAD; } >in/1
    awk 'BEGIN { for (i = 0; i < 30000; i++) print "other" i % 100, "filler" }' >in/2
    cp in/2 kept # of the same time, when it is put back
    touch -r in/2 kept
}
# hold SPLIT: a job in the middle of the map of in/1; of in/2 nothing was read yet.
hold() {
    rm -rf go misbehaved out
    detach "$testjobs/misbehave.so" -i in -o out -r 3 --split-size "$1" --speculation off -p map=mark_and_wait
    await_condition 'test -e misbehaved' 'the map did not come to its mark'
}
# It runs, and has maps that are not done: the fault comes in the middle of it.
in_the_middle() {
    "$marram" job "$job" --json >json
    grep -q '"state": "running"' json || die "it is over already: $(cat json)"
    (($(counter maps) > $(counter maps_done))) || die "all was read already: $(cat json)"
}
# expect_failure WORDS: the job fails with them, on one line, and publishes nothing.
expect_failure() {
    local status=0
    in_the_middle
    touch go
    timeout 60 "$marram" wait "$job" 2>stderr || status=$?
    ((status == 1)) || die "status $status: $(cat stderr)"
    grep -qF -- "$1" stderr || die "stderr does not say '$1': $(cat stderr)"
    [[ ! -e out && -z $(ls -d out.marram-* 2>/dev/null) ]] || die "published: $(ls -d out*)"
}
# spoil NAME COMMAND WORDS: the fault, and what is said of it, with small splits and with one for all.
spoil() {
    local split
    for split in 50K 100M; do
        hold $split
        eval "$2"
        expect_failure "$3"
        rm -rf in/2
        cp -p kept in/2
    done
}
changes() {
    two_files
    cluster_up 1
    spoil removed 'rm in/2' "input '$PWD/in/2'"
    spoil truncated 'truncate -s 1000 in/2' "input '$PWD/in/2' changed while the job ran"
    spoil emptied ': >in/2' "input '$PWD/in/2' changed while the job ran"
    spoil grown 'echo more >>in/2' "input '$PWD/in/2' changed while the job ran"
    spoil replaced 'sed s/other/OTHER/ kept >new && mv new in/2' "input '$PWD/in/2' changed while the job ran"
    spoil touched 'touch in/2' "input '$PWD/in/2' changed while the job ran"
    spoil rewritten 'sed s/other/OTHER/ kept >new && cat new >in/2' "input '$PWD/in/2' changed while the job ran"
    spoil 'a folder in its place' 'rm in/2 && mkdir in/2' "input '$PWD/in/2'"
    cp -p kept in/2
    # As it was again, it is an input like any other.
    run wordcount -i in -o want -r 3
    submit wordcount -i in -o out -r 3
    for part in want/part-*; do expect_same "$part" "out/${part#want/}"; done
    cluster_down
}
# The file that is open, in the middle of being read: what was read before and what is read then do not belong together.
while_it_is_read() {
    local change
    { awk 'BEGIN { for (i = 0; i < 2000; i++) print "word" i % 100, "filler" }' && echo BAD &&
        awk 'BEGIN { for (i = 0; i < 400000; i++) print "word" i % 100, "filler" }'; } >kept
    cluster_up 1
    for change in 'truncate -s 1000000 in' 'echo more >>in' 'printf X | dd of=in bs=1 seek=5000000 conv=notrunc status=none' 'touch in'; do
        cp -p kept in
        hold 100M
        (($(sed -n 's/^ *"maps": \([0-9]*\),.*/\1/p' <("$marram" job "$job" --json)) == 1)) || die 'more than one map'
        eval "$change"
        expect_failure "input '$PWD/in' changed while the job ran"
    done
    cluster_down
}
# With `marram run` it is the same.
without_a_cluster() {
    local status=0 pid
    two_files
    "$marram" run "$testjobs/misbehave.so" -i in -o out -r 3 --split-size 50K --threads 1 -p map=mark_and_wait 2>stderr &
    pid=$!
    await_condition 'test -e misbehaved' 'the map did not come to its mark'
    rm in/2
    touch go
    wait $pid || status=$?
    ((status == 1)) || die "status $status: $(cat stderr)"
    grep -qF "input '$PWD/in/2'" stderr || die "$(cat stderr)"
    [[ ! -e out ]]
}

claim 'removed, truncated, grown, replaced, touched: named, and nothing is published' changes
claim 'so it is of a file that is being read' while_it_is_read
claim 'and with marram run' without_a_cluster
totals
