#!/usr/bin/env bash
# Row 6: a byte is flipped: in a run between map and fetch, in what was fetched, on the wire. It is found and never used; the
# map whose run it is runs again, once, and what was only fetched is fetched again.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# flip FILE OFFSET
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    # shellcheck disable=SC2059 # the byte as an octal escape
    printf "\\$(printf %03o $((byte ^ 16)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# in_a_run OPTIONS OF WORKERS: the first block of a run that is done is damaged while another map runs still.
in_a_run() {
    local file
    bad_sample
    cluster_up 2 "$@"
    start_and_hold
    await_other_maps
    file=$(find scratch -name 'map-*.run' -size +1k | sort | head -1)
    cp "$file" before
    flip "$file" 120 # behind the headers of file and block
    ! cmp -s "$file" before || die 'the fault did not fire'
    touch go
    wait_job
    expect_wanted out
    "$marram" job "$job" --json >json
    (($(counter map_reruns | tail -1) == 1)) || die "maps ran again: $(cat json)"
    (($(counter failed_attempts | tail -1) == 0)) || die "somebody was charged: $(cat json)"
    # The disk is named: whose, which file, where in it.
    "$marram" job "$job" >text
    for place in coordinator.log text; do
        grep -q "from worker w[12]: .*output of map task .*read from disk, run '.*${file#scratch/}'.*offset 40 .*checksum differs" \
            "$place" || die "$(cat "$place")"
    done
    cluster_down
}
# In what a reducer spilled, of which no name is left: it begins anew, and nobody is charged.
spills() { find /proc/[0-9]*/fd -lname "$PWD/scratch/*.spill*" 2>/dev/null || true; }
in_a_spill() {
    local fd
    awk 'BEGIN { for (i = 0; i < 300000; i++) print "word" (i * 7919) % 99991, "x" i % 77 }' >in
    awk '{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w "\t" n[w] }' in | sort >expected
    cluster_up 1 --memory 8M
    detach "$testjobs/bad.so" -i in -o out -r 1 -p hold="$PWD/go"
    await_condition 'test -e go.waits' 'nothing is reduced'
    for fd in $(spills); do
        flip "$fd" $(($(stat -Lc %s "$fd") - 300))
        echo "$fd" >>flipped
    done
    touch go
    wait_job
    [[ -s flipped ]] || die 'the fault did not fire'
    grep -q 'attempt failed.*what was spilled here: .*reduce-.*spill' coordinator.log || die "$(cat coordinator.log)"
    "$marram" job "$job" --json >json
    (($(counter failed_attempts | tail -1) == 0)) || die "somebody was charged: $(cat json)"
    (($(counter map_reruns | tail -1) == 0)) || die "maps ran again: $(cat json)"
    sorted_output out >got
    expect_same expected got
    cluster_down
}

read_by_path() { in_a_run; }
over_the_wire() { in_a_run --direct-reads off; }

# Of the run's index, which is read when it is opened.
in_an_index() {
    local file
    bad_sample
    cluster_up 2
    start_and_hold
    await_other_maps
    file=$(find scratch -name 'map-*.run' -size +1k | sort | head -1)
    flip "$file" $(($(stat -c %s "$file") - 60))
    touch go
    wait_job
    expect_wanted out
    "$marram" job "$job" --json >json
    (($(counter map_reruns | tail -1) == 1)) || die "maps ran again: $(cat json)"
    grep -q "${file#scratch/}'.*index is damaged" coordinator.log || die "$(cat coordinator.log)"
    cluster_down
}

# Frames carry checksums: what is damaged is dropped, and the session sends it again.
damaged_frames() { "$marram" workers --json | sed -n 's/.*"damaged": \([0-9]*\).*/\1/p'; }
on_the_wire() {
    bad_sample
    LEASE=3 coordinator_up
    proxy_up spoiled
    worker_up w1
    unset REACH
    worker_up w2
    await_workers 2
    start_and_hold
    tell_proxy spoiled 'flip 900'
    # shellcheck disable=SC2016 # for eval
    await_condition '(($(damaged_frames) > 0))' 'the fault did not fire'
    tell_proxy spoiled 'flip 0'
    touch go
    wait_job
    expect_wanted out
    cluster_down
    proxy_down spoiled
}

claim 'a byte of a run, which is read by its path' read_by_path
claim 'a byte of a run, which travels over the wire' over_the_wire
claim 'a byte of the index of a run' in_an_index
claim 'a byte of what a reducer spilled' in_a_spill
claim 'bytes on the wire' on_the_wire
totals
