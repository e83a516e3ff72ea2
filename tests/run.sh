#!/usr/bin/env bash
# Runs test programs and suites, one more at a time than there are processors, and adds up their totals.
#
#     tests/run.sh BUILD PROGRAM-OR-SUITE...
#
# Each may take SUITE_SECONDS (900), so that one that hangs is found and ended.
# A program prints the lines of cmocka, a suite ends with "N passed, N failed, N skipped". The output of what
# failed is shown whole; then it runs once more, alone. What passes then failed for want of a machine, not of sense: it
# is named at the end, so that nobody overlooks a test that cannot bear company.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

export MARRAM_BUILD=$PWD/build/$1
export BUILD=$1
shift
export SUITE_SECONDS=${SUITE_SECONDS:-900}
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
# An executor that finds a race must die of it, or nobody would know. libzmq and the runtime of OpenMP are not
# instrumented; what they synchronise is told by the suppressions.
export TSAN_OPTIONS=ignore_noninstrumented_modules=1:suppressions=$PWD/tests/lib/tsan.supp:history_size=4:halt_on_error=1
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

run_one() {
    local test=$1 log=$2/${1//\//_}.log status began=$SECONDS
    timeout -k 10 "$SUITE_SECONDS" "$test" >"$log" 2>&1
    status=$?
    ((status != 124)) || echo "ended: it took longer than $SUITE_SECONDS s (SUITE_SECONDS)" >>"$log"
    # cmocka counts in lines of its own; a suite in its last one.
    if grep -q '^\[==========\]' "$log"; then
        local ok bad skip
        ok=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test(s)\..*/\1/p' "$log" | tail -1)
        bad=$(sed -n 's/^\[  FAILED  \] \([0-9]*\) test(s).*/\1/p' "$log" | tail -1)
        skip=$(sed -n 's/^\[  SKIPPED \] \([0-9]*\) test(s).*/\1/p' "$log" | tail -1)
        ((status && !${bad:-0})) && bad=1
        echo "${ok:-0} ${bad:-0} ${skip:-0}" >"$log.count"
    elif line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$log" | tail -1) && [[ -n $line ]]; then
        read -r ok _ bad _ skip _ <<<"$line"
        bad=${bad%,}
        ((status && !bad)) && bad=1
        echo "$ok $bad ${skip%,}" >"$log.count"
    else
        echo "0 1 0" >"$log.count"
    fi
    read -r ok bad skip <"$log.count"
    printf '%-48s %4s passed %3s failed %3s skipped %5s s\n' "${test#build/*/}" "$ok" "$bad" "$skip" $((SECONDS - began))
    grep -h '^skipped:' "$log"
    if ((bad)); then
        echo "---- $test"
        tail -120 "$log"
        echo "----"
    fi
    return 0
}
export -f run_one

# shellcheck disable=SC2016 # the words are the inner shell's
printf '%s\0' "$@" | xargs -0 -P "$(($(nproc) + 1))" -I{} bash -c 'run_one "$1" "$2"' _ {} "$results"
unsteady=()
for test in "$@"; do
    read -r _ bad _ <"$results/${test//\//_}.log.count"
    ((bad)) || continue
    echo "again, alone: $test"
    run_one "$test" "$results"
    read -r _ bad _ <"$results/${test//\//_}.log.count"
    ((bad)) || unsteady+=("${test#build/*/}")
done
((${#unsteady[@]} == 0)) || echo "failed beside others, passed alone: ${unsteady[*]}"
cat "$results"/*.count | awk '
    { passed += $1; failed += $2; skipped += $3 }
    END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 || passed == 0 }'
