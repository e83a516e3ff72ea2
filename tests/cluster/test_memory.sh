#!/usr/bin/env bash
# Memory: what the processes of a worker hold together stays near --memory, whatever the job; one worker's jobs share it.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"
# shellcheck source=tests/lib/memory.sh
source "$root/tests/lib/memory.sh"
no_marks=yes # of its jobs: they write their output and nothing else

# bounded MIB ARGUMENTS...: runs the job, which may hold so much.
bounded() {
    local most=$1 pid
    shift
    instrumented && skip 'the sanitizer keeps memory of its own'
    "$marram" run "$@" --json >json 2>stderr &
    pid=$!
    watch_memory "$pid"
    wait "$pid" || die "marram run $* failed: $(tail -3 stderr)"
    (($(counter spilled_bytes) > 0)) || die 'nothing was spilled: the memory was no limit'
    (($(cat peak) <= most * 1024)) || die "held $(($(cat peak) / 1024)) MiB, more than $most"
}

# Twelve million bytes of keys that all differ, in an order that is not theirs.
distinct() { seq "$1" | awk '{ printf "%08d%03d\n", ($1 * 7919) % 99999989, $1 % 1000 }'; }

tables_that_grow() {
    distinct 3000000 >in
    bounded 80 wordcount -i in -o out -r 8 --memory 64M --threads 2
    sed 's/$/\t1/' in | sort | cmp - <(sorted_output out) || die 'wrong counts'
}
claim 'words that all differ' tables_that_grow

pairs_that_are_sorted() {
    run teragen -i range:2500000 -o in
    bounded 80 terasort -i in -o out --memory 64M --threads 2
    run teravalidate -i out -o report
    grep -q '^records.2500000$' report/part-* || die "$(cat report/part-*)"
}
claim 'a tera sort of four times the memory' pairs_that_are_sorted

one_hot_key() {
    seq 4000000 | awk '{ print ($1 % 10 ? "hot" : $1 % 99991) "\t" $1 }' >in
    bounded 80 "$testjobs/first_last.so" -i in -o out -r 4 --memory 64M --threads 2
    awk -F'\t' '!($1 in first) { first[$1] = $2 } { last[$1] = $2; n[$1]++ }
        END { for (k in n) print k "\t" first[k] " " last[k] " " n[k] }' in | sort | cmp - <(sorted_output out) ||
        die 'wrong groups'
}
claim 'nine of ten records with one key' one_hot_key

# long_values MIB OPTIONS...: six of them, of three keys.
long_values() {
    local bytes=$(($1 << 20))
    shift
    printf 'a\nb\nc\na\nb\nc\n' >in
    run "$testjobs/long_values.so" -p bytes=$bytes -i in -o out --overwrite "$@"
    expect_same <(sorted_output out) <(printf '%s\n' a a b b c c | sed "s/\$/\t$bytes $bytes/")
}
values_of_many_megabytes() {
    long_values 40
    long_values 40 --memory 384M
    [[ -z ${MARRAM_BIG:-} ]] || long_values 400
}
claim 'values of many megabytes' values_of_many_megabytes

values_above_the_limit() {
    local bytes=$(((8 << 20) + 1))
    echo a >in
    long_values 8 --memory 64M
    echo a >in
    expect_refusal 1 "a value of $bytes bytes that was emitted is longer than 8 MiB, an eighth of a worker's memory: raise --memory" \
        "$marram" run "$testjobs/long_values.so" -p bytes=$bytes -i in -o refused --memory 64M
    [[ ! -e refused ]]
}
claim 'a value above an eighth of the memory is refused by name' values_above_the_limit

# sample PID: until ./stop is there or it has ended, what it and its children hold.
sample() {
    while [[ ! -e stop ]] && kill -0 "$1" 2>/dev/null; do
        held_by "$1"
    done
}

# Each one's executor is told to use half.
two_jobs() {
    local pid sampler first
    instrumented && skip 'the sanitizer keeps memory of its own'
    distinct 3000000 >in
    cluster_up 1 --threads 2 --memory 128M
    pid=${worker_pid[w1]}
    sample "$pid" >samples &
    sampler=$!
    detach wordcount -i in -o one -r 8 --split-size 64M
    first=$job
    detach wordcount -i in -o two -r 8 --split-size 64M
    "$marram" wait "$first" --json >json
    (($(counter spilled_bytes) > 0)) || die 'nothing was spilled: the memory was no limit'
    "$marram" wait "$job" >/dev/null
    touch stop
    wait "$sampler"
    awk '$2 > 1 { both = 1 } $1 > most { most = $1 }
        END { print most / 1024 " MiB", both ? "" : ", never two at once"; exit !both || most > 160 * 1024 }' samples || die 'see above'
    diff -r one two | grep -v _SUCCESS | grep . && die 'the outputs differ'
    cluster_down
}
claim 'two jobs on one worker' two_jobs

totals
