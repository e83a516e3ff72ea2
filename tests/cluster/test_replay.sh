#!/usr/bin/env bash
# marram replay: one task of a job once more, by hand, also in a debugger.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

# Three splits, the second of which has the bad line; what failed is in $job.
failed_job() {
    awk 'BEGIN { for (i = 0; i < 3000; i++) print "word" i % 100, "x" }' >in
    offset=$(wc -c <in)
    echo 'a BAD one' >>in
    [[ -z ${second:-} ]] || echo 'another BAD one' >>in
    awk 'BEGIN { for (i = 0; i < 5000; i++) print "word" i % 100, "x" }' >>in
    cluster_up 1
    detach "$testjobs/bad.so" -i in -o out -r 2 --split-size 25000 "$@"
    expect_status 1 "$marram" wait "$job"
    task=$(sed -n "s/.*marram replay $job //p" stderr)
    [[ -n $task ]] || die "no hint at replay: $(cat stderr)"
}
# Folders of what died in replays are removed by the next one; the last one of a claim must not die.
replay() { expect_status "$1" "$marram" replay "$job" "$2"; }

map_again() {
    local status=0
    failed_job -p map=fail
    replay 1 "$task"
    grep -qF "'$PWD/in' offset $offset: it is bad" stderr || die "$(cat stderr)"
    replay 0 map-0
    grep -q '^  map_input_records .* [1-9]' stderr || die "$(cat stderr)"
    cluster_down
}
crash_is_a_crash() {
    local status=0
    failed_job -p map=segv
    "$marram" replay "$job" "$task" >stdout 2>stderr || status=$?
    ((status > 0)) || die 'no failure'
    if ! instrumented; then
        ((status == 139)) || die "status $status"
        grep -qF "signal 11 (Segmentation fault) in map, record at '$PWD/in' offset $offset" stderr || die "$(cat stderr)"
    fi
    replay 0 map-0
    cluster_down
}
reduce_again() {
    failed_job -p reduce=fail
    [[ $task == reduce-* ]] || die "it failed in $task"
    replay 1 "$task"
    grep -q "key 'BAD': it is bad" stderr || die "$(cat stderr)"
    replay 0 "reduce-$((1 - ${task#reduce-}))"
    grep -q '^  reduce_input_groups .* [1-9]' stderr || die "$(cat stderr)"
    cluster_down
}
skips_as_the_job_did() {
    second=yes failed_job -p map=fail --skip-bad-records 1
    replay 1 "$task"
    # Its first bad record is skipped, so that the second one is met.
    grep -qF "failed: '$PWD/in' offset $((offset + 10)): it is bad" stderr || die "$(cat stderr)"
    cluster_down
}
after_a_restart() {
    failed_job -p map=fail
    kill -KILL "$coordinator_pid"
    wait "$coordinator_pid" 2>/dev/null || true
    rm -f state/endpoint
    LISTEN=$MARRAM_COORDINATOR coordinator_up
    replay 1 "$task"
    grep -qF "'$PWD/in' offset $offset: it is bad" stderr || die "$(cat stderr)"
    # And after another one: a snapshot has it, too.
    kill -KILL "$coordinator_pid"
    wait "$coordinator_pid" 2>/dev/null || true
    rm -f state/endpoint
    LISTEN=$MARRAM_COORDINATOR coordinator_up
    replay 1 "$task"
    cluster_down
}
wrong_words() {
    failed_job -p map=fail
    expect_refusal 2 'map-N or reduce-N' "$marram" replay "$job"
    expect_refusal 2 "'map-x': map-N or reduce-N is wanted" "$marram" replay "$job" map-x
    expect_refusal 2 'no job id' "$marram" replay nonsense map-0
    expect_refusal 1 'it has no such task' "$marram" replay "$job" map-1000
    expect_refusal 1 'there is no job' "$marram" replay 0123456789ab map-0
    rm -rf out
    submit "$testjobs/bad.so" -i in -o out
    job=$(sed -n 's/^ *"job": "\(.*\)",$/\1/p' json)
    expect_refusal 1 'its plan is no longer kept' "$marram" replay "$job" map-0
    cluster_down
}
in_gdb() {
    instrumented && skip 'the sanitizer takes the signal'
    command -v gdb >/dev/null || skip 'there is no gdb'
    gdb -batch -ex run --args /bin/true >probe 2>&1
    grep -q 'exited normally' probe || skip "gdb may not trace here: $(tail -1 probe)"
    failed_job -p map=segv
    timeout 120 gdb -batch -iex 'set debuginfod enabled off' -ex run -ex 'backtrace 2' -ex kill \
        --args "$marram" replay "$job" "$task" >gdb.log 2>&1 </dev/null || true
    grep -q 'SIGSEGV' gdb.log || die "$(tail -20 gdb.log)"
    grep -q '^#0 .*write_to_nowhere.*bad.c:[0-9]' gdb.log || die "$(tail -20 gdb.log)"
    # It stands in the line that crashes.
    grep -q '\*null = 1;' gdb.log || die "$(tail -20 gdb.log)"
    replay 0 map-0
    cluster_down
}
in_valgrind() {
    instrumented && skip 'a sanitizer and valgrind do not go together'
    command -v valgrind >/dev/null || skip 'there is no valgrind'
    failed_job -p map=segv
    timeout 300 valgrind -q --trace-children=yes "$marram" replay "$job" "$task" >valgrind.log 2>&1 || true
    grep -q 'Invalid write of size 4' valgrind.log || die "$(tail -20 valgrind.log)"
    grep -q 'write_to_nowhere (bad.c:' valgrind.log || die "$(tail -20 valgrind.log)"
    replay 0 map-0
    cluster_down
}

claim 'a map that failed fails again, by hand; another one does not' map_again
claim 'a crash is a crash, and says where' crash_is_a_crash
claim 'a reduce gets its part of all maps' reduce_again
claim 'what the job skipped is skipped' skips_as_the_job_did
claim 'the plan of a failed job outlives coordinators' after_a_restart
claim 'wrong words are refused' wrong_words
claim 'gdb stops at the line that crashes' in_gdb
claim 'valgrind sees the wrong write' in_valgrind
totals
