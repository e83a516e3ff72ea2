#!/usr/bin/env bash
# MR_TOTAL_ORDER: parts are consecutive ranges of keys, balanced, and the same bytes whatever the cluster.
# tests/jobs/order.c is the job; sort(1) says what is right.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

order=$testjobs/order.so

# uniform [N]: lines of uniform keys, 100,000 of them.
uniform() { awk -v n="${1:-100000}" 'BEGIN { srand(3); for (i = 0; i < n; i++) printf "%08d line %d\n", rand() * 1e8, i }'; }

# expect_sorted FOLDER INPUT...: the parts, one behind the other, are the sorted lines.
expect_sorted() {
    local folder=$1
    shift
    cat "$folder"/part-* >got
    sort "$@" >want
    expect_same got want
}

# The largest part has less than twice the bytes of the mean.
expect_balance() {
    wc -c "$1"/part-* | awk '$2 != "total" { n++; sum += $1; if ($1 > most) most = $1 }
        END { exit !(n > 1 && most < 2 * sum / n) }' || die "not balanced: $(wc -c "$1"/part-*)"
}

# identical FOLDER ARGUMENTS...: other workers, threads, splits and memory give the same files.
identical() {
    local folder=$1 how
    shift
    for how in '--workers 1 --threads 4 --split-size 37K' '--workers 2 --threads 1 --split-size 300K --memory 8M' \
        '--workers 3 --threads 4 --memory 64M'; do
        # shellcheck disable=SC2086 # several words
        run "$@" -o again $how
        diff -r "$folder" again >/dev/null || die "$* differs with $how"
        rm -rf again
    done
}

sorts_and_balances() {
    uniform >in
    run "$order" -i in -o out -r 8 --workers 1 --threads 1 --json >json
    expect_sorted out in
    expect_balance out
    (($(find out -name 'part-*' -size +0 | wc -l) == 8))
    expect_counter map_input_records 100000
    expect_counter map_output_records 100000
    expect_counter reduce_output_records 100000
    identical out "$order" -i in -r 8
}
small_files() {
    mkdir in
    uniform | (cd in && split -l 100 -a 3 -)
    (($(find in -type f | wc -l) == 1000))
    run "$order" -i in -o out -r 8 --workers 2
    expect_sorted out in/*
    expect_balance out
    identical out "$order" -i in -r 8
}
# Too large to be looked at as a whole.
a_piece_of_each_part() {
    uniform | awk '{ for (i = 0; i < 6; i++) print $1 * 7919 * (i + 1) % 99999989, $0 }' >in
    (($(wc -c <in) > 4 * 2 ** 20))
    run "$order" -i in -o out -r 8 --workers 1 --threads 1
    expect_sorted out in
    expect_balance out
    identical out "$order" -i in -r 8
}
skewed() {
    awk 'BEGIN { srand(4); for (i = 0; i < 30000; i++) if (rand() < 0.9) print "the one"; else printf "%07d\n", rand() * 1e7 }' >in
    printf 'zebra\nzoo\n' >>in
    run "$order" -i in -o out -r 8 --workers 1
    expect_sorted out in
    (($(grep -l 'the one' out/part-* | wc -l) == 1))
    identical out "$order" -i in -r 8
}
all_equal() {
    yes same | head -20000 >in || true
    run "$order" -i in -o out -r 5 --workers 1
    expect_sorted out in
    (($(find out -name 'part-*' | wc -l) == 5))
    (($(find out -name 'part-*' -size +0 | wc -l) == 1))
    identical out "$order" -i in -r 5
}
long_prefixes() {
    uniform 20000 | awk 'BEGIN { p = sprintf("%300s", ""); gsub(" ", "p", p) } { print p $1; print p "/" p $3 }' >in
    run "$order" -i in -o out -r 8 --workers 1
    expect_sorted out in
    expect_balance out
    identical out "$order" -i in -r 8
}
# No record begins in most of the pieces.
long_lines() {
    uniform 60 | awk 'BEGIN { for (x = "x"; length(x) < 200000;) x = x x } { print $1 x }' >in
    run "$order" -i in -o out -r 4 --workers 1
    expect_sorted out in
    expect_balance out
    identical out "$order" -i in -r 4
}
# Values of equal keys stay in the order of the input; empty keys are keys.
by_a_field() {
    awk 'BEGIN { srand(6); for (i = 0; i < 50000; i++) print i, "k" int(rand() * 500) }' >in
    echo lonely >>in
    run "$order" -i in -o out -r 6 -p field=2 --workers 1
    sort -s -k2,2 in | awk '{ print $2 "\t" $0 }' >want
    cat out/part-* >got
    expect_same got want
    identical out "$order" -i in -r 6 -p field=2
}
with_fold_and_reduce() {
    local job
    awk 'BEGIN { srand(8); for (i = 0; i < 50000; i++) print "w" int(exp(rand() * 9)) }' >in
    sort in | uniq -c | awk '{ print $2 "\t" $1 }' >want
    for job in order_fold order_reduce; do
        run "$testjobs/$job.so" -i in -o out -r 7 --workers 1
        cat out/part-* >got
        expect_same got want
        (($(find out -name 'part-*' -size +0 | wc -l) > 3))
        identical out "$testjobs/$job.so" -i in -r 7
        rm -rf out
    done
}
# What such a job emits while it is sampled depends on the piece, not on the thread.
with_state() {
    uniform >in
    run "$testjobs/order_state.so" -i in -o out -r 8 --workers 1 --threads 1
    sort in | uniq -c | awk '{ n = $1; sub(/^ *[0-9]+ /, ""); print $0 "\t" n }' >want
    cat out/part-* >got
    expect_same got want
    expect_balance out
    identical out "$testjobs/order_state.so" -i in -r 8
}
# Every record waits for the file "go": maps cannot have begun.
input_changes() {
    local status=0
    mkdir in
    uniform 1000 >in/a
    uniform 1000 >in/b
    "$marram" run "$order" -i in -o out -r 4 --threads 1 -p wait="$PWD" 2>stderr &
    pid=$!
    await_condition "test -e sampling" 'no sample began'
    echo more >>in/b
    touch go
    wait $pid || status=$?
    ((status == 1)) || die "status $status: $(cat stderr)"
    grep -qF "input '$PWD/in/b' changed while the job ran" stderr || die "$(cat stderr)"
    [[ ! -e out ]]
}
one_part_or_nothing() {
    uniform 1000 >in
    run "$order" -i in -o out
    (($(find out -name 'part-*' | wc -l) == 1))
    expect_sorted out in
    : >empty
    run "$order" -i empty -o none -r 4
    (($(find none -name 'part-*' -size 0 | wc -l) == 4))
    # The most parts; a sanitizer would take many minutes.
    run "$order" -i empty in -o both -r "$(if instrumented; then echo 500; else echo 16384; fi)" --workers 2
    expect_sorted both in
}
bad_record() {
    uniform >in
    local offset
    offset=$(head -5000 in | wc -c)
    sed -i '5000a BAD' in
    expect_status 1 "$marram" run "$order" -p bad=true -i in -o out -r 4 --threads 2 --workers 2 --json
    grep -qF "in map, record at '$PWD/in' offset $offset" stderr || die "$(cat stderr)"
    cp stdout json
    expect_counter failed_attempts 4
    expect_counter map_input_records 0
    [[ ! -e out ]]
    # The same without the fault, and its output is the sort of all lines.
    run "$order" -i in -o out -r 4
    expect_sorted out in
}
on_a_cluster() {
    uniform >in
    run "$order" -i in -o want -r 8 --workers 1
    cluster_up 3
    # Each worker hears of the ranges, and the maps of those that come later follow them.
    submit "$order" -i in -o out -r 8 --split-size 64K
    diff -r want out
    submit "$testjobs/order_fold.so" -p field=1 -i in -o counts -r 3 --split-size 500K
    cut -d' ' -f1 in | sort | uniq -c | awk '{ print $2 "\t" $1 }' >wanted
    cat counts/part-* >got
    expect_same got wanted
    mv in elsewhere
    echo BAD >in
    cat elsewhere >>in
    expect_status 1 "$marram" submit "$order" -p bad=true -i in -o none -r 4
    grep -qF "record at '$PWD/in' offset 0" stderr || die "$(cat stderr)"
    job=$("$marram" jobs | awk 'NR == 2 { print $1 }')
    "$marram" logs "$job" | grep -q -- '^--- sample, attempt 1 ' || die "$("$marram" logs "$job")"
    cluster_down
}
# A process that dies while it samples costs the others nothing.
lost_worker() {
    uniform >in
    LEASE=2 cluster_up 1
    head -c 300000 in >some && mv some in
    run "$order" -i in -o want -r 8
    detach "$order" -i in -o out -r 8 -p wait="$PWD"
    await_condition "test -e sampling" 'no sample began'
    await_condition "\"\$marram\" job $job | grep -q sample" 'the sample is not shown'
    worker_up w2
    await_workers 2
    kill_worker w1
    touch go
    timeout 60 "$marram" wait "$job" >stdout 2>stderr || die "$(cat stderr)"
    diff -r want out
    cluster_down
}
refused() {
    cat >job.c <<'END'
#include <mr/job.h>
static void map(struct mr_task *t, struct mr_bytes b) { mr_emit(t, b, 1); }
static void all(struct mr_task *t, struct mr_bytes b, struct mr_values *v) { (void)v; mr_emit(t, b, 1); }
static uint32_t partition(struct mr_task *t, struct mr_bytes b, uint32_t n) { (void)t; (void)b; return n - 1; }
const struct mr_job mr_job = {MR_HEADER, .flags = MR_TOTAL_ORDER, .name = "refused", .value = MR_I64, .map = map, EXTRA};
void *use[] = {(void *)all, (void *)partition};
END
    echo a >in
    for extra in '.reduce=all,.partition=partition' '.fold=MR_COUNT,.partition=partition' '.partition=partition'; do
        gcc -w -shared -fPIC -I"$root/mrlib/include" "-DEXTRA=$extra" -o job.so job.c
        expect_refusal 2 'the job sets .partition and MR_TOTAL_ORDER' "$marram" run ./job.so -i in -o out
    done
    gcc -w -shared -fPIC -I"$root/mrlib/include" "-DEXTRA=.combine=all" -o job.so job.c
    expect_refusal 2 'sets .combine, but has no .reduce' "$marram" run ./job.so -i in -o out
}

claim 'parts are the sorted input, balanced' sorts_and_balances
claim 'of 1,000 small files as well' small_files
claim 'and of an input that is looked at in pieces' a_piece_of_each_part
claim 'one key with nine records of ten' skewed
claim 'all keys equal' all_equal
claim 'keys with long prefixes in common' long_prefixes
claim 'lines longer than a piece of the sample' long_lines
claim 'by a field, in input order' by_a_field
claim 'with a fold, with a reduce' with_fold_and_reduce
claim 'with states that emit in finish' with_state
claim 'an input that changes while it is sampled' input_changes
claim 'one part, no input, the most parts' one_part_or_nothing
claim 'a crash is blamed to its record while it is sampled' bad_record
claim 'on a cluster' on_a_cluster
claim 'a worker is lost while it samples' lost_worker
claim 'what contradicts it is refused' refused
totals
