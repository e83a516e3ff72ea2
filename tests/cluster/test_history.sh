#!/usr/bin/env bash
# shellcheck disable=SC2119
# Jobs that ended, asked about when the coordinator's memory no longer has them: the answers are those that it gave
# while it had.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$(dirname "$0")/../lib/cluster.sh"

# ask WORD: what the coordinator says of each job in ids; the time that has passed since is left out.
ask() {
    local id status
    mkdir -p "$1"
    for id in "${ids[@]}"; do
        "$marram" job "$id" --json | grep -v '"age"' >"$1/job.$id"
        status=0
        "$marram" wait "$id" --json >"$1/wait.$id" 2>"$1/wait.err.$id" || status=$?
        echo "$status" >>"$1/wait.$id"
        "$marram" logs "$id" --json | grep -v '"text"' >"$1/logs.$id"
    done
}
# shellcheck disable=SC2120 # most want the list as it is by default
listed() { "$marram" jobs "$@" --json | sed -n 's/^ *"job": "\(.*\)",$/\1/p'; }
newest_first() { printf '%s\n' "${ids[@]}" | tac; }

# Ends the coordinator, with this signal, and starts it again.
again() {
    kill "-$1" "$coordinator_pid"
    wait "$coordinator_pid" 2>/dev/null || true
    rm -f state/endpoint
    coordinator_up
}

# Two jobs at a time are in memory; each was asked about as soon as it had ended.
after_memory_and_restarts() {
    local i id
    local -a all=()
    echo 'a b a' >in
    COORDINATOR_OPTIONS='--retain 2' cluster_up 1
    for i in 1 2 3 4 5; do
        detach wordcount -i in -o "out.$i" --name "the ${i}th"
        "$marram" wait "$job" 2>/dev/null
        all+=("$job") ids=("$job")
        ask fresh
    done
    printf 'a b\nBAD\n' >bad.in
    detach "$testjobs/misbehave.so" -i bad.in -o bad -p map=fail
    "$marram" wait "$job" 2>/dev/null && die 'it did not fail'
    all+=("$job") ids=("$job")
    ask fresh
    ids=("${all[@]}")
    ask later
    diff -r fresh later || die 'the history knows something else'
    [[ $(listed) == "$(newest_first)" ]] || die "the list: $(listed)"
    grep -q '"the 2th"' "later/job.${ids[1]}"
    [[ $(tail -1 "later/wait.${ids[5]}") == 1 && $(tail -1 "later/wait.${ids[0]}") == 0 ]]
    grep -q '"attempt": 1' "later/logs.${ids[5]}"
    kill "${worker_pid[w1]}"
    wait "${worker_pid[w1]}"
    unset 'worker_pid[w1]'
    for signal in TERM KILL; do
        again $signal
        rm -rf later
        ask later
        diff -r fresh later || die "after SIG$signal the history knows something else"
        [[ $(listed) == "$(newest_first)" ]] || die "the list: $(listed)"
    done
    ! "$marram" job 000000000001 2>stderr || die 'there is a job 1'
    grep -q 'there is no job 000000000001' stderr
    cluster_down
}

# Of what was kept only the newest stay.
pruned() {
    local i
    ids=()
    echo 'a b a' >in
    COORDINATOR_OPTIONS='--retain 0 --history 3' cluster_up 0
    for i in 1 2 3 4 5; do
        detach wordcount -i in -o "out.$i"
        "$marram" cancel "$job"
        ids+=("$job")
    done
    await_condition "((\$(listed | wc -l) == 3))" 'the history does not have three jobs'
    [[ $(listed) == "$(newest_first | head -3)" ]] || die "$(listed) of ${ids[*]}"
    cluster_down
}

# A list of a hundred, and of all.
long_list() {
    local i first
    echo 'a b a' >in
    COORDINATOR_OPTIONS='--retain 30' cluster_up 0
    detach wordcount -i in -o out.first
    first=$job
    for ((i = 0; i < 104; i++)); do
        detach wordcount -i in -o "out.$i"
        "$marram" cancel "$job"
    done
    await_condition "((\$(listed --all | wc -l) == 105))" "not 105 jobs"
    (($(listed | wc -l) == 100)) || die "$(listed | wc -l) jobs"
    listed | grep -q "$first" || die 'the job that waits is not listed'
    "$marram" jobs --json | grep -q '"left_out": 5'
    "$marram" jobs --all --json | grep -q '"left_out": 0'
    "$marram" jobs | grep -qF '(5 older ones are left out; --all lists them)'
    "$marram" cancel "$first"
    cluster_down
}

# Whatever is wrong with the history, jobs run.
broken_history() {
    echo 'a b a' >in
    mkdir state
    head -c 9000 /dev/zero | tr '\000' x >state/history.sqlite
    cp state/history.sqlite before
    COORDINATOR_OPTIONS='--retain 0' cluster_up 1
    grep -q 'no history of jobs is kept until the next start.*not a database' coordinator.log || die "$(cat coordinator.log)"
    submit wordcount -i in -o out
    [[ $(sorted_output out) == $'a\t2\nb\t1' ]]
    expect_refusal 1 'there is no job' "$marram" job "$(sed -n 's/^ *"job": "\(.*\)",$/\1/p' json)"
    expect_same before state/history.sqlite
    cluster_down
}

# `run` keeps nothing, and so has nothing to wait for.
run_keeps_none() {
    command -v strace >/dev/null || skip 'no strace'
    instrumented && skip 'strace and the sanitizers do not go together'
    echo 'a b a' >in
    strace -f -e trace=openat -o trace "$marram" run wordcount -i in -o out
    grep -q openat trace
    ! grep -E 'history\.sqlite|/journal/(lock|0)' trace || die 'it opens a history'
}

# A journal is looked at without a coordinator: what it holds, that its end is torn, that it is damaged.
looked_at() {
    local log=state/journal/0000000000000001.log size
    mkdir state
    expect_refusal 2 "there is no journal in 'state'" "$marram" coordinator --check-journal state
    "$MARRAM_BUILD/tests/bench/journal_rate" journal state 10 1
    expect_status 0 "$marram" coordinator --check-journal state
    grep -q "the journal in 'state' is good: generation 1, 0 records in its snapshot, 10 in its log" stdout
    size=$(stat -c %s $log)
    cp $log whole
    truncate -s $((size - 25)) $log # the last mark, and a byte of the last record
    expect_status 0 "$marram" coordinator --check-journal state
    grep -q '9 in its log' stdout
    grep -q 'its last 223 bytes are of a record that was not finished' stdout
    cp whole $log
    printf X | dd of=$log bs=1 seek=100 conv=notrunc status=none
    expect_refusal 1 "journal '$log' is damaged at offset 48" "$marram" coordinator --check-journal state
}

claim 'memory, history, and history after restarts say the same of a job' after_memory_and_restarts
claim 'the history keeps as many jobs as it is told' pruned
claim 'a long list ends after a hundred jobs, unless all are asked for' long_list
claim 'a damaged history is named, left alone, and harms no job' broken_history
claim 'run has no history' run_keeps_none
claim 'a journal can be looked at' looked_at
totals
