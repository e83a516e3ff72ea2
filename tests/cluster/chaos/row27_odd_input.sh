#!/usr/bin/env bash
# Row 27: empty files, no files, NUL bytes, no final newline. The output equals what awk, tr and sort make of the same
# bytes, and is the same whatever splits, threads and workers. MARRAM_FULL=1 has more and larger files.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
no_marks=yes # of its jobs: they write their output and nothing else

shapes=('--workers 1 --threads 1' '--workers 1 --threads 3 --split-size 4K' '--workers 3 --threads 1 --split-size 1K')
files=12
[[ -n ${MARRAM_FULL:-} ]] && files=400

# Files of words with NULs in and between them, of which every other one ends without a newline and each third is empty.
odd_files() {
    local i
    mkdir in
    for ((i = 0; i < files; i++)); do
        ((i % 3)) || {
            : >in/f$i
            continue
        }
        awk -v seed=$i 'BEGIN { srand(seed); for (i = 0; i < 300; i++) printf "w%d@x%d@@%d\n", rand() * 50, rand() * 9, i % 7 }' |
            tr '@' '\0' >in/f$i
        ((i % 2)) || printf 'last%dwords\0without' $i >>in/f$i
    done
    # The faults are there.
    (($(find in -empty | wc -l) == (files + 2) / 3)) || die 'no file is empty'
    (($(cat in/* | tr -cd '\0' | wc -c) > files)) || die 'there are no NUL bytes'
    [[ $(tail -c 1 in/f2) == t ]] || die 'the last line is whole'
}
# Lines of all files in order, each with its newline.
all_lines() {
    local file
    for file in in/*; do
        cat "$file"
        [[ ! -s $file || -z $(tail -c 1 "$file") ]] || echo
    done
}

# as_expected JOB OPTIONS...: in each shape on this machine, and on a cluster, `got` is `expected`, byte for byte.
as_expected() {
    local shape
    rm -rf out
    for shape in "${shapes[@]}"; do
        # shellcheck disable=SC2086 # several options
        run "$@" -i in -o out --overwrite $shape --json >json
        cat out/part-* >got
        expect_same expected got
    done
    submit "$@" -i in -o out --overwrite
    cat out/part-* >got
    expect_same expected got
}

odd_bytes() {
    local lines
    odd_files
    cluster_up 2
    all_lines >lines
    lines=$(wc -l <lines)
    tr -s '\000-\040' '\n' <lines | grep -a . | sort | uniq -c | awk '{ print $2 "\t" $1 }' >expected
    as_expected wordcount -r 1
    expect_counter map_input_records "$lines"
    expect_counter map_input_bytes "$(cat in/* | wc -c)"
    # Lines with a NUL in them come out as they went in.
    grep -a 'w7' lines >expected
    as_expected grep -p pattern=w7
    sort lines >expected
    as_expected sort -r 1
    cluster_down
}

empty_files_alone() {
    mkdir in
    : >in/a
    : >in/b
    : >expected
    cluster_up 1
    as_expected wordcount -r 3
    expect_counter map_input_records 0
    (($(find out -name 'part-*' -empty | wc -l) == 3)) || die "not three empty parts: $(ls -l out)"
    [[ -s out/_SUCCESS ]] || die 'there is no _SUCCESS'
    as_expected grep -p pattern=x
    cluster_down
}

# Folders in which there is nothing that counts.
no_files() {
    mkdir -p in/below in/_private
    echo word >in/_private/file
    echo word >in/.hidden
    : >expected
    cluster_up 1
    as_expected wordcount -r 2
    expect_counter map_input_records 0
    [[ -s out/_SUCCESS ]] || die 'there is no _SUCCESS'
    # Where a file was asked for, that there is none is an error.
    expect_refusal 2 "$PWD/in/*.txt" "$marram" submit wordcount -i 'in/*.txt' -o out2
    expect_refusal 2 "$PWD/nothing" "$marram" submit wordcount -i nothing -o out2
    [[ ! -e out2 ]]
    cluster_down
}

# Each way that a text can end, cut into splits at each place.
without_a_final_newline() {
    local text n size
    mkdir in
    cluster_up 1
    for text in 'a b' 'a\nb' 'a\n\n' '\n' '\0' 'a\0' '\0\na' 'a b\nc d\n\0e'; do
        printf '%b' "$text" >in/file
        n=$(awk 'END { print NR }' in/file)
        tr -s '\000-\040' '\n' <in/file | sed '/^$/d' | sort | uniq -c | awk '{ print $2 "\t" $1 }' >expected
        for size in 1 2 3; do
            run wordcount -i in -o out --overwrite -r 1 --split-size $size --json >json
            expect_counter map_input_records "$n"
            cat out/part-* >got
            expect_same expected got
        done
        submit wordcount -i in -o out --overwrite -r 1
        cat out/part-* >got
        expect_same expected got
    done
    cluster_down
}

claim 'NUL bytes, empty files and last lines without a newline, among others' odd_bytes
claim 'empty files alone make empty parts' empty_files_alone
claim 'no files make empty parts, unless they were asked for by name' no_files
claim 'a text without a final newline, or with nothing else, in splits of a few bytes' without_a_final_newline
totals
