#!/usr/bin/env bash
# Measures Marram beside hand-tuned programs for the same work, in alternating rounds of one run, and checks every
# output. Ratios are what counts: a machine's clock drifts, two programs that take turns drift together.
#
#     BENCH_ROUNDS=5 BENCH_BYTES=1073741824 tests/bench/run.sh
#
# Prints medians, minima and ratios; writes build/bench/results.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${BENCH_ROUNDS:-5}
bytes=${BENCH_BYTES:-1073741824}
bench=$PWD/build/bench
marram=$PWD/build/release/marram
export LC_ALL=C TMPDIR=$bench/tmp
mkdir -p "$bench" "$TMPDIR"
cluster_down() { "$marram" cluster down --dir "$bench/cluster" >/dev/null 2>&1 || true; }
trap 'cluster_down; rm -rf "$bench/out" "$TMPDIR" "$bench/yardstick.out"' EXIT

yardsticks=$bench/yardsticks
make --no-print-directory -s -C tests/bench/yardstick OUT="$yardsticks"

failed=0
passed=0
results=()

# ms COMMAND...: runs it and prints the milliseconds that it took; its output goes to $bench/log.
ms() {
    local start=$EPOCHREALTIME
    "$@" >"$bench/log" 2>&1 || { cat "$bench/log" >&2; return 1; }
    local end=$EPOCHREALTIME
    echo $(((${end/./} - ${start/./}) / 100)) | sed -E 's/(.)$/.\1/; s/^\./0./'
}

# stats FILE: "median minimum maximum" of a column of numbers.
stats() { sort -n "$1" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2, v[1], v[NR] }'; }

check() {
    local what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED  $what"
    fi
}
below() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }

# text BYTES: a file of Zipf text, made once.
text() {
    local file=$bench/text.$1
    [[ -f $file && $(stat -c %s "$file") == "$1" ]] ||
        { "$yardsticks/gentext" "$file.new" "$1" 400000 42 && mv "$file.new" "$file"; }
    echo "$file"
}

# small NAME LIMIT VERB: how long the word count of 1 KiB takes, 20 times.
small() {
    local name=$1 limit=$2 verb=$3 input median minimum maximum i
    input=$(text 1024)
    : >"$bench/small"
    for ((i = 0; i < 21; i++)); do
        rm -rf "$bench/out"
        ms "$marram" "$verb" wordcount -i "$input" -o "$bench/out" >"$bench/one"
        ((i == 0)) || cat "$bench/one" >>"$bench/small"
    done
    tr -s '\000-\040' '\n' <"$input" | sort | uniq -c | awk '{ print $2 "\t" $1 }' | sort >"$bench/want"
    check "$name: the output is wrong" cmp -s "$bench/out/part-00000" "$bench/want"
    read -r median minimum maximum < <(stats "$bench/small")
    printf '%-34s median %8.1f ms   min %8.1f   max %8.1f   (20 runs; below %s)\n' "$name" "$median" "$minimum" "$maximum" "$limit"
    check "$name takes $limit ms or more" below "$median" "$limit"
    results+=("$(printf '{"name": "%s", "runs": 20, "median_ms": %s, "min_ms": %s, "max_ms": %s}' "$name" "$median" "$minimum" "$maximum")")
}

# pair NAME LIMIT OURS THEIRS COMPARE: functions that run ours and theirs in turn and compare what they made.
pair() {
    local name=$1 limit=$2 ours=$3 theirs=$4 compare=$5 i median minimum their_median their_minimum ratio min_ratio
    : >"$bench/ours"
    : >"$bench/theirs"
    for ((i = 0; i <= rounds; i++)); do
        rm -rf "$bench/out"
        ms "$theirs" >"$bench/one.theirs"
        ms "$ours" >"$bench/one.ours"
        ((i == 0)) && continue # warm-up
        cat "$bench/one.theirs" >>"$bench/theirs"
        cat "$bench/one.ours" >>"$bench/ours"
    done
    check "$name: the outputs differ" "$compare"
    read -r median minimum _ < <(stats "$bench/ours")
    read -r their_median their_minimum _ < <(stats "$bench/theirs")
    ratio=$(awk -v a="$median" -v b="$their_median" 'BEGIN { printf "%.2f", a / b }')
    min_ratio=$(awk -v a="$minimum" -v b="$their_minimum" 'BEGIN { printf "%.2f", a / b }')
    printf '%-34s median %8.1f ms   yardstick %8.1f   ratio %s   of minima %s   (%d rounds; below %s)\n' "$name" \
        "$median" "$their_median" "$ratio" "$min_ratio" "$rounds" "$limit"
    check "$name: the ratio is $limit or more" below "$ratio" "$limit"
    results+=("$(printf '{"name": "%s", "bytes": %s, "rounds": %s, "median_ms": %s, "min_ms": %s, "yardstick_median_ms": %s, "yardstick_min_ms": %s, "ratio": %s, "ratio_of_minima": %s}' \
        "$name" "$bytes" "$rounds" "$median" "$minimum" "$their_median" "$their_minimum" "$ratio" "$min_ratio")")
}

threads=$(nproc)
wordcount() { "$marram" run wordcount -i "$input" -o "$bench/out"; }
wordcount_on_cluster() { "$marram" submit wordcount -i "$input" -o "$bench/out" --sync off; }
wordcount_yardstick() { "$yardsticks/wc_pread" "$input" "$threads" "$bench/yardstick.out"; }
wordcounts_agree() { cat "$bench"/out/part-* | sort | cmp -s - "$bench/yardstick.out"; }
grep_lines() { "$marram" run grep -p pattern=northern -i "$input" -o "$bench/out"; }
grep_yardstick() { "$yardsticks/grep_omp" "$input" northern "$threads"; cp "$bench/log" "$bench/hits"; }
greps_agree() {
    local hits
    hits=$(sed -n 's/^hits \([0-9]*\) .*/\1/p' <<<"$("$yardsticks/grep_omp" "$input" northern "$threads")")
    cat "$bench"/out/part-* | cmp -s - <(grep -aF northern "$input") && (($(cat "$bench"/out/part-* | wc -l) == hits))
}

echo "$(grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //'), $threads processors, $(date +%F)"
small 'run on 1 KiB' 60 run
input=$(text "$bytes")
pair wordcount 4 wordcount wordcount_yardstick wordcounts_agree
pair grep 20 grep_lines grep_yardstick greps_agree

"$marram" cluster up --workers 2 --threads 1 --dir "$bench/cluster" --listen tcp://127.0.0.1:0 >/dev/null
MARRAM_COORDINATOR=$(sed -n 's/.*"endpoint": "\([^"]*\)".*/\1/p' "$bench/cluster/cluster.json" | head -1)
export MARRAM_COORDINATOR
small 'submit of 1 KiB' 50 submit
pair 'wordcount on a cluster' 4 wordcount_on_cluster wordcount_yardstick wordcounts_agree
cluster_down

{
    printf '{\n  "date": "%s",\n  "processors": %s,\n  "results": [\n' "$(date -u +%FT%TZ)" "$threads"
    printf '    %s' "${results[0]}"
    printf ',\n    %s' "${results[@]:1}"
    printf '\n  ]\n}\n'
} >"$bench/results.json"
echo "$passed passed, $failed failed, 0 skipped"
((failed == 0))
