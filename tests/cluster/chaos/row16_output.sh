#!/usr/bin/env bash
# Row 16: prints 5 GB. Capped, counted, no stall; the last lines are shown.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lib/faults.sh
source "$root/tests/lib/faults.sh"

# What is kept of it: LIMIT_LOG_TAIL.
kept=8192
mebibytes=256
[[ -n ${MARRAM_FULL:-} ]] && mebibytes=5120

# The size is that of each of four attempts; the tail is that of one.
much_output() {
    local bytes=$((mebibytes << 20)) last=$'\nthe last line\n'
    sample
    # Four attempts, whose output goes through a pipe: as fast as the machine has time for.
    DEADLINE=$((120 + mebibytes / 4)) crash greedy "status 3 in map, $(record)" -p way=print -p "bytes=$bytes"
    [[ $(cat marked) == printed ]] || die 'the fault did not fire'
    grep -qF "[$((bytes + ${#last} - kept)) bytes dropped]" stderr || die "$(grep dropped stderr)"
    grep -q '^the last line$' stderr || die 'the last line is not shown'
    (($(wc -c <stderr) < 4 * kept)) || die "$(wc -c <stderr) bytes on stderr"
}
endless_output() {
    sample
    crash misbehave "task timeout of 1 s" -p map=print --task-timeout 1
    grep -q '^\[[0-9]* bytes dropped\]' stderr
    (($(wc -c <stderr) < 100000)) || die "$(wc -c <stderr) bytes on stderr"
}
not_ours() {
    sample
    "$marram" run "$testjobs/misbehave.so" -i in -o out -p map=print_much >stdout 2>stderr
    [[ ! -s stdout ]] || die 'the job printed into our standard output'
}
# While one job prints without end the next one runs, and the worker's lease goes on.
nobody_waits() {
    sample
    LEASE=2 cluster_up 1 --threads 2
    detach "$testjobs/misbehave.so" -i in -o out -p map=print --task-timeout 3
    worker_lives_on
    "$marram" wait "$job" 2>stderr && die 'it did not fail'
    grep -q 'task timeout of 3 s' stderr || die "$(cat stderr)"
    worker_lives_on
    cluster_down
}

claim 'output is capped and counted to the byte, its last line shown' much_output
claim 'endless output is capped' endless_output
claim 'what a job prints is not in our standard output' not_ours
claim 'beside a job that prints without end others run' nobody_waits
totals
