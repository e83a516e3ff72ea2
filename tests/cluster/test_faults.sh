#!/usr/bin/env bash
# Jobs that misbehave: named exactly, contained, nothing left behind. tests/jobs/misbehave.c says how. What loops,
# exits, leaks, forks or prints without end is in chaos/row12 to row16.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/faults.sh
source "$root/tests/lib/faults.sh"

crash_in_map() {
    sample
    crash misbehave "$(record)" -p map=segv
    instrumented || grep -q 'signal 11' stderr
    grep -q 'in map' stderr
}
crash_of_other_kinds() {
    sample
    crash misbehave "signal 8" -p map=divide
    grep -qF "$(record)" stderr
    crash misbehave "signal 6" -p map=abort
    grep -qF "$(record)" stderr
    crash misbehave "signal 9" -p map=kill
    grep -qF "$(record)" stderr
}
crash_in_a_block() {
    sample
    crash misbehave_blocks "$(record)" -p map=abort
    # With one failure alone the block is all that is known.
    expect_status 0 "$marram" run "$testjobs/misbehave_blocks.so" -i in -o out -p map=once
    [[ -f misbehaved ]]
}
crash_in_reduce() {
    sample
    crash misbehave "in reduce, key 'BAD'" -p reduce=segv
    crash misbehave "in reduce, key 'BAD'" -p reduce=abort
}
stack_overflow() {
    local -a patience=()
    # Now and then a sanitizer hangs in its own handling of it, and the task timeout ends that.
    instrumented && patience=(--task-timeout 10)
    sample
    crash misbehave "$(record)" -p map=overflow "${patience[@]}"
    crash misbehave "in reduce, key 'BAD'" -p reduce=overflow "${patience[@]}"
}
backtrace_names_the_object() {
    instrumented && skip 'the sanitizer takes the signal'
    sample
    crash misbehave 'signal 11' -p map=segv
    grep -q '^  #0 .*misbehave.c:[0-9]* (misbehave.so+0x' stderr || die "$(cat stderr)"
}
noise_on_the_channel() {
    sample
    crash misbehave "$(record)" -p map=babble
}
job_says_fail() {
    sample
    crash misbehave "'$PWD/in' offset $offset: I do not like this" -p map=fail
    crash misbehave "key 'BAD': I do not like this" -p reduce=fail
    attempts=any crash misbehave 'I do not like this' -p setup=fail
}
contradictions() {
    sample
    crash misbehave 'MR_F64' -p map=wrong_type
    grep -qF "offset $offset" stderr
    attempts=any crash combine_job 'combine' -p count=true
    attempts=any crash partition_job 'the job has parts 0 to 4' -p off=5
}
crash_in_partition() {
    sample
    crash partition_job "in partition, key 'BAD'" -p crash=true
}
exception_in_cxx() {
    sample
    echo 'a THROW b' >>in
    timeout 60 "$marram" run "$testjobs/cxx_job.so" -i in -o out >stdout 2>stderr && die 'no failure'
    grep -qF "record at '$PWD/in'" stderr
    grep -q 'thrown' stderr
}

# One attempt fails, its task is tried again, those that shared the executor are not charged.
innocents_lose_nothing() {
    sample
    run wordcount -i in -o want -r 8
    for where in map reduce; do
        for job in misbehave misbehave_blocks; do
            rm -rf misbehaved out
            run "$testjobs/$job.so" -i in -o out -r 8 -p $where=once --split-size 100K --threads 4 --json >json
            [[ -f misbehaved ]] || die 'the fault did not fire'
            expect_counter failed_attempts 1
            sorted_output out >got
            sorted_output want >wanted
            expect_same got wanted
        done
    done
}
# start ARGUMENTS...: runs in the background with signals as from a terminal; pid in $pid
start() {
    env --default-signal=INT,TERM,HUP "$marram" run "$@" 2>stderr >stdout &
    pid=$!
}
await_file() {
    for _ in {1..600}; do
        [[ -e $1 ]] && return
        sleep 0.05
    done
    die "no $1"
}
interrupted() {
    local signal status
    sample
    for signal in INT TERM HUP; do
        rm -f misbehaved
        start "$testjobs/misbehave.so" -i in -o out -p map=mark_and_loop
        await_file misbehaved
        kill -"$signal" $pid
        status=0
        wait $pid || status=$?
        ((status == 130)) || die "status $status after SIG$signal"
        [[ ! -e out && -z $(ls -d out.marram-* 2>/dev/null) ]]
    done
}
nohup_is_respected() {
    local status=0
    sample
    (trap '' HUP && exec "$marram" run "$testjobs/misbehave.so" -i in -o out -p map=mark_and_wait 2>stderr) &
    pid=$!
    await_file misbehaved
    kill -HUP $pid
    touch go
    wait $pid || status=$?
    ((status == 0)) || die "status $status: $(cat stderr)"
}
killed() {
    local left=1
    sample
    start "$testjobs/misbehave.so" -i in -o out -p map=mark_and_loop
    await_file misbehaved
    kill -KILL $pid
    wait $pid 2>/dev/null || true
    for _ in {1..100}; do
        # shellcheck disable=SC2031 # each claim has a TMPDIR of its own
        left=$(grep -lz "^TMPDIR=$TMPDIR\$" /proc/[0-9]*/environ 2>/dev/null | while read -r file; do
            [[ $(cat "${file%environ}comm" 2>/dev/null) == marram* ]] && echo "$file"
        done || true)
        [[ -z $left ]] && break
        sleep 0.05
    done
    [[ -z $left ]] || die "still there: $left"
    # What a killed process cannot remove, the next one does; but what a living one has staged stays.
    [[ -d $(echo out.marram-*) ]] || die 'no staging folder is left'
    rm misbehaved
    start "$testjobs/misbehave.so" -i in -o out -p map=mark_and_wait --split-size 100K --threads 1
    await_file misbehaved
    staged=$(echo out.marram-*)
    [[ -d $staged ]] || die "staging folders: $staged"
    expect_status 0 "$marram" run wordcount -i in -o out
    [[ $(echo out.marram-*) == "$staged" ]] || die "staging folders: $(echo out.marram-*), not $staged"
    touch go
    wait $pid && die 'two jobs filled one output'
    [[ $(echo out.marram-*) == 'out.marram-*' ]] || die "left: $(echo out.marram-*)"
    [[ -z $(find out -name '.*') ]] || die "the output is marked: $(ls -A out)"
}
input_changes() {
    local status=0
    sample
    start "$testjobs/misbehave.so" -i in -o out -p map=mark_and_wait --split-size 100K --threads 1
    await_file misbehaved
    echo more >>in
    touch go
    wait $pid || status=$?
    ((status == 1)) || die "status $status"
    grep -qF "input '$PWD/in' changed while the job ran" stderr || die "$(cat stderr)"
    [[ ! -e out ]]
}

# A suite that is clean under a sanitizer says something only if executors are watched as well.
sanitizers_see_into_executors() {
    local way
    case ${BUILD:-release} in
    asan) way=overrun ;;
    tsan) way=race ;;
    *) skip 'this build has no sanitizer' ;;
    esac
    yes BAD | head -2000000 >in || true # several chunks, for several threads
    expect_status 1 "$marram" run "$testjobs/misbehave.so" -i in -o out -p map=$way --threads 2
    grep -qE 'Sanitizer|runtime error' stderr || die "$(cat stderr)"
}

claim 'sanitizers see into executors' sanitizers_see_into_executors
claim 'a crash in map names file and offset' crash_in_map
claim 'so does each other way to crash' crash_of_other_kinds
claim 'a crash in a block names the record, found by feeding one at a time' crash_in_a_block
claim 'a crash in reduce names the key' crash_in_reduce
claim 'a stack overflow in a thread of OpenMP names the record' stack_overflow
claim 'the backtrace names object, file and line' backtrace_names_the_object
claim 'noise on the channel of the executor is a crash' noise_on_the_channel
claim 'mr_fail fails the job with its words' job_says_fail
claim 'what contradicts the declaration fails the job' contradictions
claim 'a crash in partition is the fault of the job, and the key is named' crash_in_partition
claim 'an exception of C++ is shown' exception_in_cxx
claim 'innocent tasks lose no attempt, and the output is right' innocents_lose_nothing
claim 'SIGINT, SIGTERM and SIGHUP cancel with status 130' interrupted
claim 'nohup is respected' nohup_is_respected
claim 'SIGKILL leaves no process' killed
claim 'an input that changes fails the job by name' input_changes
totals
