#!/usr/bin/env bash
# The same job on the same input gives the same bytes, whatever the workers, threads, splits and memory.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
no_marks=yes # of its jobs: they write their output and nothing else

text=/usr/share/common-licenses

# Workers, threads and split size. Every pair of values occurs; MARRAM_FULL=1 takes every triple.
matrix() {
    local workers threads splits=(40K 333333 16M) i=0
    for workers in 1 2 3 5; do
        for threads in 1 2 4; do
            if [[ -n ${MARRAM_FULL:-} ]]; then
                for split in "${splits[@]}"; do echo "$workers $threads $split"; done
            else
                echo "$workers $threads ${splits[$(((workers + i) % 3))]}"
            fi
            i=$((i + 1))
        done
    done
}

# What `finish` emits is counted once a split: such jobs have the same parts, but not the same counters.
same_folders() {
    if [[ -n ${parts_alone:-} ]]; then diff -r -x _SUCCESS want got; else diff -r want got; fi
}

# identical JOB ARGUMENTS...: the matrix against one worker with one thread and one split.
identical() {
    local workers threads split
    run "$@" -o want --workers 1 --threads 1 --split-size 1G
    while read -r workers threads split; do
        run "$@" -o got --workers "$workers" --threads "$threads" --split-size "$split"
        same_folders >difference || die "$* differs with $workers workers, $threads threads, splits of $split:
$(head -5 difference)"
        rm -rf got
    done < <(matrix)
    rm -rf want
}

# English text and lines of every kind, in several files.
sample() {
    mkdir in
    find -L "$text" -type f | sort | head -12 | while read -r file; do cp "$file" in/; done
    awk 'BEGIN { srand(5); for (i = 0; i < 30000; i++) print "k" int(rand() * 3000), rand(), i }' >in/numbers
    head -c 200000 /dev/zero | tr '\0' x >in/long
    : >in/nothing
    printf 'no newline at the end' >in/last
}

wordcount() { sample && identical wordcount -i in -r 3; }
grep_lines() { sample && identical grep -p 'pattern=[0-9]5|free' -i in -r 3; }
inverted_index() { sample && identical invertedindex -i in -r 3; }
line_stats() { sample && identical linestats -p field=1 -i in -r 3; }
# Files of one reader beside files that are torn; folds, pairs, and parts of a map-only job.
compressed() {
    local file i=0
    sample
    for file in in/*; do
        case $((i++ % 3)) in
        0) gzip "$file" ;;
        1) zstd -q --rm "$file" ;;
        esac
    done
    identical wordcount -i in -r 3
    identical invertedindex -i in -r 3
    identical grep -p 'pattern=[0-9]5|free' -i in -r 3
}
records_with_fields() {
    local format
    for format in csv csv-lines jsonl; do
        python3 "$root/tests/lib/fields.py" make $format 6000 1 >one
        python3 "$root/tests/lib/fields.py" make $format 6000 2 | lz4 -q -c >two.lz4
        identical groupsum --input-format ${format/-/:} -p by=user -p sum=amount -p decimals=2 -i one two.lz4 -r 3
        identical "$testjobs/fields_job.so" --input-format ${format/-/:} -i one two.lz4 -r 3
    done
}
general() {
    sample
    identical "$testjobs/combine_job.so" -i in -r 4
    parts_alone=1 identical "$testjobs/state_job.so" -i in -r 2
    identical "$testjobs/partition_job.so" -i in -r 7
    parts_alone=1 identical "$testjobs/cxx_job.so" -i in -r 2 -p least=4
}
parts_depend_on_nothing() {
    sample
    run wordcount -i in -o one --workers 1 --threads 1
    run wordcount -i in -o two --workers 3 --threads 2 --memory 64M
    diff -r one two
}

# Less memory than the pairs need: rounds, spills, the same bytes.
memory_budgets() {
    local memory
    seq 1 400000 | awk '{ print $1 % 50021, "value of", $1 }' >in
    mkdir packed
    split -n l/3 --additional-suffix=.txt in packed/
    gzip packed/aa.txt packed/ab.txt
    for job in 'invertedindex -i in' 'wordcount -i in' 'invertedindex -i packed' 'wordcount --input-format keyval -i packed' \
        "$testjobs/combine_job.so -i in"; do
        # shellcheck disable=SC2086 # several words
        run $job -o want -r 3 --memory 1G
        for memory in 8M 20M 100M; do
            # shellcheck disable=SC2086 # several words
            run $job -o got -r 3 --memory $memory --workers 2 --json >json
            [[ $memory != 8M ]] || (($(counter spilled_bytes) > 0)) || die "$job spilled nothing"
            diff -r want got >/dev/null || die "$job differs with $memory"
            rm -rf got
        done
        rm -rf want
    done
}
values_come_in_input_order() {
    local memory
    seq 0 49999 >in
    printf 'all\t500000\nwrong\t0\n' >want
    for memory in 8M 1G; do
        run "$testjobs/many_values.so" -p repeat=10 -i in -o out --overwrite --split-size 20K --workers 3 \
            --threads 2 --memory $memory
        expect_same out/part-00000 want
    done
}

# Sums of floating-point numbers may differ in their last digits, and in no more.
float_sums() {
    local workers threads split
    awk 'BEGIN { srand(7); for (i = 0; i < 60000; i++) printf "k%d %.17g\n", i % 50, (rand() - 0.3) * 10 ^ (i % 9) }' >in
    awk '{ s[$1] += $2; if (!($1 in lo) || $2 + 0 < lo[$1]) lo[$1] = $2 + 0; if (!($1 in hi) || $2 + 0 > hi[$1]) hi[$1] = $2 + 0 }
         END { for (k in s) printf "%s %.17g %.17g %.17g\n", k, s[k], lo[k], hi[k] }' in | sort >want
    while read -r workers threads split; do
        run "$testjobs/float_sum.so" -i in -o out --overwrite --workers "$workers" --threads "$threads" --split-size "$split"
        sorted_output out | tr '\t' ' ' >got
        paste -d ' ' want got | awk '
            { d = $2 - $6; m = $2 < 0 ? -$2 : $2; if (d < 0) d = -d }
            $1 != $5 || d > 1e-12 * m || $3 != $7 || $4 != $8 { print; bad = 1 }
            END { exit bad || NR != 50 }' || die "differs with $workers workers, $threads threads, splits of $split"
    done < <(matrix)
}

claim 'wordcount' wordcount
claim 'grep' grep_lines
claim 'invertedindex' inverted_index
claim 'linestats' line_stats
claim 'compressed files beside others' compressed
claim 'records with fields' records_with_fields
claim 'user combiners, states, partitions and C++' general
claim 'the number of parts depends on the input alone' parts_depend_on_nothing
claim 'whatever the memory' memory_budgets
claim 'values come in input order' values_come_in_input_order
claim 'MR_SUM_F64 within 1e-12' float_sums
totals
