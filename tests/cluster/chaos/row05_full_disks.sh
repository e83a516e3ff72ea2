#!/usr/bin/env bash
# Row 5: the scratch disk is full on one worker, then on all; or it fails. The attempt moves, at no cost; all full is a clear
# error that names the folders.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# small NAME SIZE: the scratch folder of worker NAME is a disk of its own.
mounted=()
small() {
    ((EUID == 0)) || skip 'needs root to mount small file systems'
    mkdir -p "scratch/$1"
    mount -t tmpfs -o "size=$2" tmpfs "scratch/$1" || skip 'mounting is not allowed here'
    mounted+=("$PWD/scratch/$1")
    trap 'umount -l "${mounted[@]}"' EXIT
}
# Some 8 MB of runs in all, and what is to come of them.
many_words() {
    awk 'BEGIN { for (i = 0; i < 400000; i++) print "word" i }' >in
    run wordcount -i in -o want -r 4
}
# The state of worker $1, and why.
state_of() { "$marram" workers --json | tr -d '\n' | grep -o "\"name\": \"$1\"[^}]*" | sed -n 's/.*"state": "\([a-z]*\)".*/\1/p'; }

one_full() {
    small w1 1m
    many_words
    cluster_up 3
    submit wordcount -i in -o out -r 4 --split-size 1M
    expect_wanted out
    (($(counter failed_attempts | tail -1) == 0)) || die "somebody was charged: $(cat json)"
    grep -q 'worker has no room .*name=w1 .*No space left' coordinator.log || die 'the fault did not fire'
    # Its runs are gone with the job: there is room again, and the next job has its work done there, too.
    await_condition 'grep -q "worker has room again .*name=w1" coordinator.log' 'w1 stays full'
    [[ $(state_of w1) == idle ]] || die "w1 is $(state_of w1)"
    cluster_down
}

all_full() {
    small w1 1m
    small w2 1m
    many_words
    LEASE=2 cluster_up 2
    expect_status 1 "$marram" submit wordcount -i in -o out -r 4
    grep -q 'no worker has room on its scratch disk' stderr || die "$(cat stderr)"
    for worker in w1 w2; do grep -qF "$worker '$PWD/scratch/$worker/" stderr || die "not named: $(cat stderr)"; done
    grep -q 'No space left' stderr || die "$(cat stderr)"
    (($(grep -cv '^ map \|^ waits: ' stderr) == 1)) || die "more than one line: $(cat stderr)"
    [[ ! -e out && -z $(ls -d out.marram-* 2>/dev/null) ]]
    echo small >in
    submit wordcount -i in -o out2
    [[ $(cat out2/part-*) == $'small\t1' ]]
    cluster_down
}

# What fills the disk is somebody else's; when that goes, the job goes on.
room_again() {
    small w1 16m
    many_words
    LEASE=60 cluster_up 1
    head -c 15M /dev/zero >scratch/w1/filler || true
    detach wordcount -i in -o out -r 4 --split-size 1M
    # shellcheck disable=SC2016 # for eval
    await_condition '"$marram" job "$job" | grep -q "reason .*no worker has room"' 'the job does not say what it waits for'
    [[ $(state_of w1) == full ]] || die "w1 is $(state_of w1)"
    "$marram" workers --json | grep -q 'reason.*scratch/w1/.*No space left' || die "$("$marram" workers --json)"
    rm scratch/w1/filler
    wait_job
    expect_wanted out
    cluster_down
}

# failing HOW: writes to the scratch folder of w1 go wrong.
failing() {
    instrumented && skip 'a sanitizer must be the first library'
    many_words
    export FAILING_WRITE=$PWD/writes
    LD_PRELOAD=$MARRAM_BUILD/tests/preload/failing_write.so cluster_up 2
    echo "$1 scratch/w1/" >writes
    submit wordcount -i in -o out -r 4 --split-size 1M
    [[ -s writes.fired ]] || die 'the fault did not fire'
    expect_wanted out
    (($(counter failed_attempts | tail -1) == 0)) || die "somebody was charged: $(cat json)"
    rm writes
}
failing_disk() {
    failing EIO
    [[ $(state_of w1) == full ]] || die "w1 is $(state_of w1)"
    "$marram" workers --json | grep -q "scratch/w1/.*Input/output error" || die "$("$marram" workers --json)"
    cluster_down
}
quota() {
    failing EDQUOT
    grep -q 'worker has no room .*name=w1 .*Disk quota exceeded' coordinator.log || die "$(cat coordinator.log)"
    cluster_down
}
short_writes() {
    awk 'BEGIN { for (i = 0; i < 3000; i++) print "word" i }' >small-in
    failing SHORT
    ! grep -q 'no room' coordinator.log || die "$(cat coordinator.log)"
    cluster_down
}

claim 'one full disk: its work is done elsewhere, at no cost, and there is room again after the job' one_full
claim 'all full: a clear error that names the folders' all_full
claim 'a job that waits for room goes on when there is some' room_again
claim 'a disk that fails is left alone' failing_disk
claim 'a quota is a full disk' quota
claim 'short writes are written on' short_writes
totals
