#!/usr/bin/env bash
# Row 25: nine of ten records have one key, and the input is many times the memory. Completes, memory bounded: 64 MiB
# for 192 in `make test`, 256 MiB for a gibibyte with MARRAM_FULL=1.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lib/memory.sh
source "$root/tests/lib/memory.sh"
no_marks=yes # of its jobs: they write their output and nothing else

memory=64
lines=1500000
[[ -n ${MARRAM_FULL:-} ]] && memory=256 lines=8000000

# Lines `key TAB number and filler`: nine of ten with the key "hot", the others with a hundred thousand.
hot_input() {
    local share
    [[ -s $base/in ]] || awk -v n=$lines 'BEGIN {
        filler = sprintf("%112s", "");
        gsub(" ", "f", filler)
        for (i = 0; i < n; i++) printf "%s\t%010d %s\n", (i % 10 ? "hot" : "key" i % 99991), i, filler }' >"$base/in"
    ln -s "$base/in" in
    share=$(($(grep -c '^hot' in) * 100 / lines))
    ((share == 90)) || die "the key has $share % of the records"
    (($(stat -Lc %s in) > 2 * memory << 20)) || die 'the input is not larger than the memory'
}
expect_spilled() { (($(counter spilled_bytes) > 0)) || die 'nothing was spilled: the memory was no limit'; }
expect_bounded() { (($(cat "$1") <= memory * 1280)) || die "held $(($(cat "$1") / 1024)) MiB, more than 5/4 of $memory"; }

# bounded ARGUMENTS...: runs the job in this memory.
bounded() {
    local pid
    instrumented && skip 'the sanitizer keeps memory of its own'
    hot_input
    "$marram" run "$@" -i in -o out -r 4 --memory ${memory}M --threads 2 --json >json 2>stderr &
    pid=$!
    watch_memory "$pid"
    wait "$pid" || die "marram run $* failed: $(tail -3 stderr)"
    expect_bounded peak
}
first_and_last() {
    awk -F'\t' '{ v = substr($2, 1, 23) } !($1 in first) { first[$1] = v } { last[$1] = v; n[$1]++ }
        END { for (k in n) print k "\t" first[k] " " last[k] " " n[k] }' in | sort
}

through_reduce() {
    bounded "$testjobs/first_last.so"
    expect_spilled
    first_and_last >expected
    sorted_output out >got
    expect_same expected got
}
through_combine() {
    bounded "$testjobs/combine_job.so"
    (($(counter combine_input_records) >= lines)) || die 'combine did not see them all'
    awk '{ n[$1]++; if (length($0) > most[$1]) most[$1] = length($0) } END { for (k in n) print k "\t" most[k] " " n[k] }' in |
        sort >expected
    sorted_output out >got
    expect_same expected got
}

# Workers that fetch from each other; none of them holds more.
on_workers() {
    local name
    declare -A watcher=()
    instrumented && skip 'the sanitizer keeps memory of its own'
    hot_input
    cluster_up 2 --threads 2 --memory ${memory}M --direct-reads off
    for name in w1 w2; do
        mkdir "watch-$name"
        (cd "watch-$name" && watch_memory "${worker_pid[$name]}") &
        watcher[$name]=$!
    done
    DEADLINE=1200 submit "$testjobs/first_last.so" -i in -o out -r 4
    (($(counter shuffle_bytes) > $(stat -Lc %s in) / 2)) || die 'the records did not travel'
    first_and_last >expected
    sorted_output out >got
    expect_same expected got
    cluster_down
    for name in w1 w2; do
        wait "${watcher[$name]}"
        expect_bounded "watch-$name/peak"
    done
}

claim 'all values through one reduce: completes, memory bounded' through_reduce
claim 'through combine: completes, memory bounded' through_combine
claim 'between workers: completes, the memory of each bounded' on_workers
totals
