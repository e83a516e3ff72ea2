#!/usr/bin/env bash
# Row 11: a crash on one record, in each way there is. File, offset and signal are named, and no other record ever;
# fails after 4 attempts, or is skipped and counted when asked. tests/jobs/bad.c says how.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# 12,000 lines, one of them bad; $offset says where, and `reference` is what awk says of all others.
one_bad() {
    awk 'BEGIN { for (i = 0; i < 7000; i++) print "word" i % 1000, "filler of no interest" }' >in
    offset=$(wc -c <in)
    echo 'a BAD one' >>in
    awk 'BEGIN { for (i = 0; i < 5000; i++) print "word" i % 77, "more filler" }' >>in
    grep -v BAD in | awk '{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w "\t" n[w] }' | sort >expected
}

# signal_of WAY: as the kernel numbers it
signal_of() {
    case $1 in
    segv | overflow) echo 11 ;; fpe) echo 8 ;; bus) echo 7 ;; kill) echo 9 ;; abort) echo 6 ;;
    esac
}

# What any attempt said of a record was said of the bad one.
expect_no_false_blame() {
    "$marram" logs "$1" >said
    ! grep 'record at' said | grep -vF "record at '$PWD/in' offset $offset" || die 'a record is blamed for another'
    ! grep 'key ' said | grep -v "key 'BAD'" || die 'a key is blamed for another'
}

# fails JOB WAY WORDS PARAMETERS...
fails() {
    local job=$1 way=$2 words=$3 status=0 id
    shift 3
    rm -rf out marks
    timeout 120 "$marram" submit "$testjobs/$job.so" -i in -o out -r 3 --split-size 60K --json -p marks="$PWD/marks" \
        "$@" >json 2>stderr || status=$?
    ((status == 1)) || die "status $status, not 1: $(cat stderr)"
    [[ ! -e out ]] || die 'there is an output'
    grep -qF -- "$words" stderr || die "stderr does not say '$words': $(cat stderr)"
    instrumented || grep -q "signal $(signal_of "$way")" stderr || die "$job $way: no signal: $(cat stderr)"
    (($(wc -c <marks) >= 4)) || die "the fault fired $(wc -c <marks) times"
    expect_counter failed_attempts 4
    id=$(sed -n 's/^ *"job": "\(.*\)",$/\1/p' json)
    grep -q "marram replay $id" stderr || die 'no hint at replay'
    expect_no_false_blame "$id"
}

# skips JOB PARAMETERS...
skips() {
    local job=$1
    shift
    rm -rf out marks
    submit "$testjobs/$job.so" -i in -o out -r 3 --split-size 60K --skip-bad-records 1 -p marks="$PWD/marks" "$@"
    [[ -s marks ]] || die 'the fault did not fire'
    expect_counter skipped_records 1
    expect_counter failed_attempts 0
}

ways=(segv overflow fpe bus kill abort)
# The race detector may be about to write down a call when the stack ends, and waits for itself then.
[[ ${BUILD:-} != tsan ]] || ways=(segv fpe bus kill abort)
in_map() {
    local way job
    one_bad
    cluster_up 2 --threads 2
    for way in "${ways[@]}"; do
        for job in bad bad_blocks; do
            fails $job "$way" "record at '$PWD/in' offset $offset" -p map="$way"
            skips $job -p map="$way"
            sorted_output out >got
            expect_same expected got
            expect_counter map_input_records 12000
        done
    done
    cluster_down
}
# Of a key that is skipped nothing is left, of the record that it comes from the rest is.
in_reduce() {
    local way
    one_bad
    awk '{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) if (w != "BAD") print w "\t" n[w] }' in | sort >expected
    cluster_up 2 --threads 2
    for way in "${ways[@]}"; do
        for phase in combine reduce; do
            fails bad "$way" "in $phase, key 'BAD'" -p $phase="$way"
            skips bad -p $phase="$way"
            sorted_output out >got
            expect_same expected got
            expect_counter map_input_records 12001
        done
    done
    cluster_down
}
# A signal to the process reaches the main thread, whichever sent it: four are at work on records of their own.
sent_to_the_process() {
    local job
    awk 'BEGIN { for (i = 0; i < 200000; i++) print (i == 150000 ? "BAD" : "word" i % 1000), "filler of no interest" }' >in
    offset=$(grep -ab BAD in | cut -d: -f1)
    grep -v BAD in | awk '{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w "\t" n[w] }' | sort >expected
    cluster_up 1 --threads 4
    for job in bad bad_blocks bad; do
        rm -rf out marks
        submit "$testjobs/$job.so" -i in -o out -p map=bus --skip-bad-records 1 -p marks="$PWD/marks"
        [[ -s marks ]] || die 'the fault did not fire'
        expect_counter skipped_records 1
        grep -qF "\"offset\": $offset" out/_SUCCESS || die "another record is left out: $(cat out/_SUCCESS)"
        sorted_output out >got
        expect_same expected got
    done
    cluster_down
}

claim 'in map, of lines and of blocks: named and failed, or skipped and counted' in_map
claim 'in combine and in reduce the key is' in_reduce
claim 'a signal that one thread sends and another one takes names nobody falsely' sent_to_the_process
totals
