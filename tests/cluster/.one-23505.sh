#!/usr/bin/env bash
# --skip-bad-records: what is skipped is exactly what is bad, the same in every run, counted, listed, and kept in mind.
# MARRAM_FULL=1 looks for one bad record among 10 million, and does without 1,000.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

full=${MARRAM_FULL:-}

# spoiled LINES EVERY FIRST: so many lines, and in each EVERY-th of them, from the FIRST on, a bad word of its own.
spoiled() {
    awk -v n="$1" -v every="$2" -v first="$3" 'BEGIN {
        for (i = 0; i < n; i++) if (i % every == first) print "w" i % 7, "BAD" i; else print "w" i % 1000, "x" i % 13
    }'
}
# What awk counts in $1, without bad lines (map), or without bad words (combine, reduce).
reference() {
    if [[ $2 == map ]]; then grep -v BAD "$1"; else sed 's/BAD[0-9]*//' "$1"; fi |
        awk '{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w "\t" n[w] }' | sort
}

one_in_many() {
    local lines=$((full ? 10000000 : 200000)) where job offset failures read
    spoiled "$lines" "$lines" $((lines * 2 / 3)) >in
    offset=$(grep -ab BAD in | cut -d: -f1)
    for where in map combine reduce; do
        reference in $where >expected
        for job in bad bad_blocks; do
            rm -rf out
            expect_status 1 "$marram" run "$testjobs/$job.so" -i in -o out -r 4 -p $where=segv --json
            if [[ $where == map ]]; then grep -qF "record at '$PWD/in' offset $offset" stderr; else grep -q "in $where, key 'BAD" stderr; fi ||
                die "$job, $where: $(cat stderr)"
            run "$testjobs/$job.so" -i in -o out -r 4 -p $where=segv -p marks="$PWD/marks" --skip-bad-records 1 --json >json
            expect_counter skipped_records 1
            read=$lines
            [[ $where == map ]] && read=$((lines - 1))
            expect_counter map_input_records $read
            sorted_output out >got
            expect_same expected got
            # One failure is enough to find it; in blocks of records two.
            failures=1
            [[ $where == map && $job == bad_blocks ]] && failures=2
            instrumented || (($(wc -c <marks) == failures)) || die "$job, $where: $(wc -c <marks) failures"
            rm -f marks
        done
    done
}

# parts FOLDER: its bytes, and what the manifest says
parts() { cat "$1"/part-* "$1"/_SUCCESS; }
always_the_same() {
    local where job shape
    spoiled 30000 1500 700 >in
    for where in map combine reduce; do
        rm -f want
        reference in $where >expected
        for job in bad bad_blocks; do
            for shape in '--split-size 20K --workers 1 --threads 3' '--split-size 90K --workers 3 --threads 1' '--workers 2 --threads 2'; do
                rm -rf out
                # shellcheck disable=SC2086 # several options
                run "$testjobs/$job.so" -i in -o out -r 3 -p $where=abort --skip-bad-records 20 $shape --json >json
                expect_counter skipped_records 20
                parts out | sed '/"job"/d' >got
                [[ -f want ]] || cp got want
                expect_same want got
                sorted_output out >got
                expect_same expected got
            done
        done
        (($(grep -c '"offset"\|"key"' out/_SUCCESS) == 20)) || die "the manifest lists others: $(cat out/_SUCCESS)"
    done
}

# Each way to fail on a record or key will do, also mr_fail.
mr_fail_counts() {
    local where
    spoiled 3000 1000 700 >in
    for where in map combine reduce; do
        reference in $where >expected
        run "$testjobs/bad.so" -i in -o out --overwrite -p $where=fail --skip-bad-records 3 --json >json
        expect_counter skipped_records 3
        sorted_output out >got
        expect_same expected got
    done
}

# Offsets are those of the decompressed text, far behind the end of the file; in csv a row may have several lines, or be none.
other_formats() {
    spoiled 30000 1500 700 >in
    reference in map >expected
    gzip -k in
    for job in bad bad_blocks; do
        run "$testjobs/$job.so" -i in.gz -o out --overwrite -p map=segv --skip-bad-records 20 --json >json
        expect_counter skipped_records 20
        sorted_output out >got
        expect_same expected got
    done
    printf 'a,b\n1,"two\nlines BAD1"\n2,x\n3,un"quoted\n4,y\n' >in.csv
    run "$testjobs/bad.so" -i in.csv -o out --overwrite --input-format csv -p map=fail --skip-bad-records 2 --json >json
    expect_counter skipped_records 2
    expect_counter map_input_records 2
    printf '2,x\t1\n4,y\t1\n' >expected
    sorted_output out >got
    expect_same expected got
}

one_too_many() {
    spoiled 30000 10000 700 >in
    expect_status 1 "$marram" run "$testjobs/bad.so" -i in -o out -p map=fail --skip-bad-records 2
    grep -q 'more than 2 bad records (--skip-bad-records 2): .*offset.*it is bad; .*offset.*it is bad; and now .*offset.*it is bad' stderr ||
        die "$(cat stderr)"
    [[ ! -e out ]]
    run "$testjobs/bad.so" -i in -o out -p map=fail --skip-bad-records 3
    # What no record is the cause of fails as ever.
    expect_status 1 "$marram" run "$testjobs/misbehave.so" -i in -o out2 -p setup=fail --skip-bad-records 3 --json
    cp stdout json
    expect_counter failed_attempts 4
    expect_refusal 2 'skip-bad-records' "$marram" run "$testjobs/bad.so" -i in -o out2 --skip-bad-records 10001
}

many() {
    local n=$((full ? 1000 : 60)) every=$((full ? 1000 : 100)) where
    spoiled $((n * every)) "$every" 70 >in
    for where in map combine reduce; do
        reference in $where >expected
        run "$testjobs/bad.so" -i in -o out --overwrite -r 3 -p $where=segv --skip-bad-records "$n" --json >json
        expect_counter skipped_records "$n"
        sorted_output out >got
        expect_same expected got
        [[ -z $full ]] || echo "$n bad ones of $((n * every)) in $where: $(sed -n 's/^ *"seconds": //p' json) s"
    done
}

# searches FILE JOB WHERE N OPTIONS...: FIRST, at its beginning, is mapped a few times and not for each bad one: by the
# attempts that met the first two, by the search, and by the attempt that had met all.
searches() {
    local file=$1 job=$2 where=$3 n=$4
    shift 4
    rm -f marks passes
    run "$testjobs/$job.so" -i "$file" -o out --overwrite -r 2 -p "$where" -p marks="$PWD/marks" -p passes="$PWD/passes" \
        --skip-bad-records "$n" --split-size 100M --json "$@" >json
    expect_counter skipped_records "$n"
    sorted_output out >got
    expect_same expected got
    (($(wc -c <marks) >= n)) || die "$job, $where: $(wc -c <marks) failures"
    (($(wc -c <passes) <= 8)) || die "$job, $where: its beginning was mapped $(wc -c <passes) times"
}
not_a_pass_each() {
    local where n=40 job
    # The first bad one is some chunks behind: what a bad key came from is mapped again.
    { echo FIRST; spoiled 60000 60000 60000; spoiled 40000 1000 700; } >in
    gzip -k in
    for where in map combine; do
        reference in $where >expected
        for job in bad bad_blocks; do
            searches in $job $where=segv $n --workers 1 --threads 3
            searches in.gz $job $where=fail $n --workers 1 --threads 2
            searches in $job $where=kill $n --workers 1 --threads 1
        done
    done
    # Of files of which many lie in one chunk, and of csv with its header.
    mkdir -p files
    split -n l/50 -a 3 in files/
    reference in combine >expected
    searches files bad combine=abort $n --workers 1 --threads 2
    reference in map >expected
    searches files bad map=abort $n --workers 1 --threads 2
    sed 's/\(w.*\) \(BAD.*\)/\2 \1/; s/ /,/; 1s/.*/a,b\nFIRST,z/' in >in.csv
    grep -v 'BAD\|^a,b$' in.csv | awk '{ n[$1]++ } END { for (w in n) print w "\t" n[w] }' | sort >expected
    searches in.csv bad map=fail $n --workers 1 --input-format csv
}

# The list is known before the job has ended, and by the coordinator that comes after.
outlives_the_coordinator() {
    spoiled 4000 1000 700 >in
    cluster_up 1
    detach "$testjobs/bad.so" -i in -o out --split-size 4K -p map=kill -p marks="$PWD/marks" --skip-bad-records 4 -p hold="$PWD/go"
    # shellcheck disable=SC2016 # it is evaluated later
    await_condition '[[ -f marks ]] && "$marram" job $job --json >json && (($(counter skipped_count) == 4))' 'nothing is skipped'
    kill -KILL "$coordinator_pid"
    wait "$coordinator_pid" 2>/dev/null || true
    wc -c <marks >before
    rm -f state/endpoint
    LISTEN=$MARRAM_COORDINATOR coordinator_up
    touch go
    "$marram" wait "$job" --json >json 2>stderr || die "$(cat stderr)"
    expect_counter skipped_records 4
    (($(wc -c <marks) == $(cat before))) || die 'what was known had to be found again'
    reference in map >expected
    sorted_output out >got
    expect_same expected got
    "$marram" job "$job" --json >json
    expect_counter skipped_count 4
    cluster_down
}

claim 'many bad records are no trouble' many
totals
