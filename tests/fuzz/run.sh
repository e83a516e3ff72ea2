#!/usr/bin/env bash
# Runs fuzzers, each for some seconds, from the seeds in tests/fuzz/corpus/NAME.
#
#     tests/fuzz/run.sh SECONDS FUZZER...
#
# What a fuzzer learns goes to a temporary folder, so that the seeds stay as they are; inputs that break something
# are kept in build/fuzz/. FUZZ_ARGS are passed on to each fuzzer.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

if (($# < 2)) || ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: tests/fuzz/run.sh SECONDS FUZZER..." >&2
    exit 2
fi
seconds=$1
shift
read -ra more <<<"${FUZZ_ARGS:-}"
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

for fuzzer in "$@"; do
    name=$(basename "$fuzzer")
    seeds=tests/fuzz/corpus/$name
    corpus=$work/$name
    log=$work/$name.log
    mkdir -p "$corpus" build/fuzz
    [[ -d $seeds ]] && cp -r "$seeds/." "$corpus"
    if "$fuzzer" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" ${more[0]+"${more[@]}"} "$corpus" >"$log" 2>&1; then
        passed=$((passed + 1))
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "$name: passed, ${runs:-?} runs, $(find "$corpus" -type f | wc -l) inputs"
    else
        failed=$((failed + 1))
        echo "$name: FAILED"
        tail -60 "$log"
        echo "---- what broke it is in build/fuzz/$name-*"
    fi
done

echo "$passed passed, $failed failed"
((failed == 0))
