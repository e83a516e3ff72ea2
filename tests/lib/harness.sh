# Sourced by the suites in tests/cluster: claims, comparisons, and a look at what was left behind.
#
# A suite calls `claim NAME FUNCTION` for each of its claims and `totals` at the end. Each claim runs in a folder
# of its own, in a subshell: the first command that fails ends it. MARRAM_BUILD is the folder of the programs.
# shellcheck shell=bash
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
: "${MARRAM_BUILD:=$root/build/release}"
marram=$MARRAM_BUILD/marram
jobs=$MARRAM_BUILD/jobs
testjobs=$MARRAM_BUILD/tests/jobs
base=$(mktemp -d "${TMPDIR:-/tmp}/marram-suite-XXXXXX")
chmod 755 "$base"
# What this machine or its user set is none of the claims.
MARRAM_CONFIG=/dev/null
unset MARRAM_KEYS
export LC_ALL=C MARRAM_CONFIG root marram jobs testjobs
harness_passed=0
races=
[[ ${BUILD:-} != tsan ]] || races=yes
harness_failed=0
harness_skipped=0
trap 'rm -rf "$base"' EXIT

die() {
    echo "    $*" >&2
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

# What a finished command may not leave: files in its scratch folder, processes of its own. A process of the build for
# races that is killed while it starts leaves a file of the detector's.
left_behind() {
    find "$1" -mindepth 1 ${races:+! -name 'tsan.rodata.*'} 2>/dev/null | head -5
    grep -lz "^TMPDIR=$1\$" /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
        local pid=${file#/proc/}
        pid=${pid%/environ}
        [[ $(cat "/proc/$pid/comm" 2>/dev/null) == marram* ]] && echo "process $pid"
    done
}

claim() {
    local name=$1 body=$2 status work=$base/work left wait
    rm -rf "$work"
    mkdir -p "$work/tmp"
    (
        set -e
        cd "$work"
        export TMPDIR=$work/tmp
        # Jobs of tests leave marks in the folder of the claim, unless the suite says that its jobs leave none.
        # The OpenMP of the build for races enters each process that forks into /dev/shm, or ends it.
        [[ -n ${no_marks:-} ]] || export MARRAM_JOB_WRITES=$work${races:+:/dev/shm}
        "$body"
    ) >"$base/log" 2>&1
    status=$?
    # What guards a worker outlives one that was killed by a moment: a process may take 2 s.
    for ((wait = 0; wait < 40; wait++)); do
        left=$(left_behind "$work/tmp")
        [[ -n $left ]] || break
        sleep 0.05
    done
    sed -n 's/^process //p' <<<"$left" | xargs -r kill -KILL # so that the next claim begins alone
    if ((status == 77)); then
        harness_skipped=$((harness_skipped + 1))
        echo "skip    $name"
        grep '^skipped:' "$base/log"
    elif ((status == 0)) && [[ -z $left ]]; then
        harness_passed=$((harness_passed + 1))
        echo "ok      $name"
    else
        harness_failed=$((harness_failed + 1))
        echo "FAILED  $name"
        [[ -n $left ]] && echo "    left behind: $(head -5 <<<"$left")"
        sed 's/^/    /' "$base/log" | tail -25
    fi
}

totals() {
    echo "$harness_passed passed, $harness_failed failed, $harness_skipped skipped"
    ((harness_failed == 0))
}

# A sanitizer reports a wrong access in its own way, with its own status.
instrumented() { [[ ${BUILD:-release} == asan || ${BUILD:-release} == tsan ]]; }
with_quiet_exit() {
    export ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 TSAN_OPTIONS=${TSAN_OPTIONS:-}:exitcode=0
}

# expect_status N COMMAND...: runs it with stdout in ./stdout and stderr in ./stderr.
expect_status() {
    local wanted=$1 status=0
    shift
    "$@" >stdout 2>stderr || status=$?
    ((status == wanted)) || die "status $status, not $wanted: $* $(echo && tail -5 stderr)"
}

# expect_refusal STATUS WORDS COMMAND...: the status, and one line on stderr that holds the words.
expect_refusal() {
    local wanted=$1 words=$2
    shift 2
    expect_status "$wanted" "$@"
    grep -qF -- "$words" stderr || die "stderr does not say '$words': $(cat stderr)"
    (($(grep -cv '^ map ' stderr) == 1)) || die "more than one line: $(cat stderr)"
}

expect_same() {
    cmp "$1" "$2" || die "$1 and $2 differ: $(diff "$1" "$2" | head -5)"
}

verb=run
run() {
    "$marram" $verb "$@" 2>stderr || die "marram $verb $* failed: $(cat stderr)"
}

# on_cluster N: from now on `run` submits to a cluster of N workers, which lasts as long as the suite.
on_cluster() {
    verb=submit
    "$marram" cluster up --workers "$1" --threads 1 --memory 2G --dir "$base/cluster" --listen tcp://127.0.0.1:0 >/dev/null || exit 1
    trap '"$marram" cluster down --dir "$base/cluster" >/dev/null; rm -rf "$base"' EXIT
    MARRAM_COORDINATOR=$(sed -n 's/.*"endpoint": "\([^"]*\)".*/\1/p' "$base/cluster/cluster.json" | head -1)
    export MARRAM_COORDINATOR MARRAM_KEYS=$base/cluster/keys
}

# counter NAME: from the JSON in ./json
counter() { sed -n "s/^ *\"$1\": \(-\{0,1\}[0-9]*\),*\$/\1/p" json; }

expect_counter() {
    [[ $(counter "$1") == "$2" ]] || die "counter $1 is $(counter "$1"), not $2"
}

# The whole output in one order, whatever the parts.
sorted_output() { cat "$1"/part-* | sort; }

# The words of files, each followed by a newline, counted by tools that know nothing of us.
reference_words() {
    local file
    for file in "$@"; do
        cat -- "$file"
        echo
    done | tr -s '\000-\040' '\n' | grep -a . | sort | uniq -c | awk '{ print substr($0, 9) "\t" $1 }' | sort
}
