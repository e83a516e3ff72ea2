#!/usr/bin/env bash
# Records with named fields: keyval, csv and jsonl, beside what Python's csv and json modules find.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"

fields() { python3 "$root/tests/lib/fields.py" "$@"; }
job=$testjobs/fields_job.so

# format NAME: what we call it.
format() { case $1 in csv-lines) echo csv:lines ;; *) echo "$1" ;; esac; }

# However it is cut: each record once, whole, at its offset, with its fields.
records_and_fields() {
    local name options
    for name in csv csv-lines jsonl; do
        fields make "$name" 4000 6 >a
        fields make "$name" 2 7 >b
        fields make "$name" 700 11 | head -c -1 >c # no final newline ...
        [[ $name == jsonl ]] || truncate -s -1 c   # ... which is CRLF
        for options in '-r 1' '-r 3 --threads 3 --split-size 7777' '--workers 2 --split-size 20K'; do
            # shellcheck disable=SC2086 # several words
            run "$job" --input-format "$(format "$name")" -i a b c -o out $options --overwrite --json >json
            cat out/part-* | fields check "$name" a b c || die "$name with $options"
            expect_counter map_input_records "$(cat out/part-* | wc -l)"
            expect_counter map_input_bytes "$(cat a b c | wc -c)"
        done
    done
}
sums() {
    local name suffix pack
    for name in csv csv-lines jsonl; do
        fields make "$name" 5000 8 >a
        fields make "$name" 3000 9 >b
        fields sums "$name" a b >want
        for pack in cat gzip; do
            suffix=$([[ $pack == cat ]] || echo .gz)
            $pack <a >"in-a$suffix"
            $pack <b >"in-b$suffix"
            run groupsum --input-format "$(format "$name")" -p by=user -p sum=amount -p decimals=2 \
                -i "in-a$suffix" "in-b$suffix" -o out --overwrite -r 3 --threads 2
            sorted_output out >got
            expect_same got want
        done
    done
    fields make keyval 5000 8 >a
    fields sums keyval a >want
    run groupsum --input-format keyval -p by=key -p sum=value -p decimals=2 -i a -o out --overwrite --json >json
    sorted_output out >got
    expect_same got want
    expect_counter records_without_field "$(grep -vc "$(printf '\t')" a)"
    printf '1;5\n2;x\n' >bad
    expect_refusal 1 "2 is 'x'" "$marram" run groupsum --input-format 'csv:;:noheader' -p by=1 -p sum=2 -i bad -o out2
    grep -qF "'$PWD/bad' offset 4:" stderr
}

# refused WORDS ARGUMENTS...: before any work.
refused() {
    local words=$1
    shift
    expect_refusal 2 "$words" "$marram" run "$@" -i in -o out
    [[ ! -e out ]]
}
refused_at_submit() {
    echo a >in
    refused "'user' in the input format lines" "$job" --input-format lines
    refused "'user' in the input format keyval: it has key and value" "$job" --input-format keyval
    refused "columns are called 1, 2, 3" "$job" --input-format csv:noheader
    refused 'csv with :noheader, :lines' "$job" --input-format csv:header
    refused 'one byte is wanted' "$job" --input-format keyval:ab
    refused 'jsonl takes nothing' "$job" --input-format jsonl:x
    cat >wrong.c <<'END'
#include <mr/job.h>
static void map(struct mr_task *t, struct mr_bytes b) { (void)t; (void)b; }
const struct mr_job mr_job = {MR_HEADER, .name = "wrong", .map = map, .fields = (const char *const[]){"a", NULL}};
END
    gcc -w -shared -fPIC -I"$root/mrlib/include" -o wrong.so wrong.c
    refused 'sets .fields' ./wrong.so
    "$marram" describe "$job" >text
    grep -q 'takes    records (format csv)' text
    grep -q 'reads    user, amount, note' text
    "$marram" describe "$job" --json | tr -d ' \n' | grep -q '"fields":\["user","amount","note"\]'
}

# bad FORMAT WORDS TEXT: the attempt fails with the words, whatever `map` is given.
bad() {
    local taker
    printf '%b' "$3" >in
    for taker in "$job" grep "$testjobs/misbehave_blocks.so"; do
        [[ $taker == grep ]] && set -- "$1" "$2" "$3" -p pattern=.
        expect_status 1 "$marram" run "$taker" "${@:4}" --input-format "$1" -i in -o out
        set -- "${@:1:3}"
        grep -qF "'$PWD/in' $2" stderr || die "$taker: $(cat stderr)"
        [[ ! -e out ]]
    done
}
records_that_are_none() {
    local head='user,amount,note\n'
    bad csv 'offset 23: this row has 2 fields, the first one of the file has 3' "${head}1,2,3\n4,5\n"
    bad csv 'offset 17: this row has 4 fields' "${head}1,2,3,4\n5,6,7\n"
    bad csv 'offset 17: this record is no row of csv: it has a quote within a field' "${head}1,2,3\"\n5,6,7\n"
    bad csv 'offset 23: this record is no row of csv: it has text behind a closing quote' "${head}1,2,3\n5,\"6\"x,7\n"
    bad csv 'offset 23: this record is no row of csv: it has a quote that is not closed (byte 2 of it)' "${head}1,2,3\n4,\"5,6\n7,8,9\n"
    bad csv:lines 'offset 17: this record is no row of csv: it has a quote that is not closed' "${head}1,2,\"a\nb\"\n"
    bad jsonl 'offset 3: this record is no JSON: it has' '{}\n{"a":}\n{}\n'
    bad jsonl 'offset 3: this record is no JSON: it has no value' '{}\n\n{}\n'
}
columns_that_are_not_there() {
    mkdir in
    printf 'user,amount,note\n1,2,3\n' >in/a
    printf 'user,amount,notes\n1,2,3\n' >in/b
    expect_refusal 1 "input '$PWD/in/b' has no column 'note': its header names user, amount, notes" \
        "$marram" run "$job" -i in -o out
    printf 'user,note,note,amount\n1,2,3,4\n' >in/b
    expect_refusal 1 "input '$PWD/in/b' has two columns 'note'" "$marram" run "$job" -i in -o out
    expect_refusal 1 "has no column 'usr'" "$marram" run groupsum -p by=usr -p sum=amount -i in/a -o out
}

# Files of nothing, of a header, of a mark; any bytes.
odd_files() {
    local name
    mkdir in
    : >in/a
    printf 'user,amount,note\n' >in/b
    printf 'user,amount,note' >in/c
    printf '\357\273\277' >in/d
    printf '\357\273\277note,user,amount\r\n' >in/e
    printf 'note,user,amount\na\0b,\377,"\0"' >in/f
    for name in csv csv:lines; do
        run "$job" -i in -o out --overwrite --input-format $name --json >json
        printf '17\t6100622cff2c220022 ff 00 610062\n' >want
        expect_same out/part-00000 want
        expect_counter map_input_records 1
        expect_counter map_input_bytes "$(cat in/* | wc -c)"
    done
    : >h
    for name in csv jsonl keyval csv:lines; do
        run wordcount --input-format $name -i h -o out --overwrite
        [[ ! -s out/part-00000 ]]
    done
}

# A job for lines is given rows, one for blocks whole ones; both see no header.
rows_for_other_jobs() {
    fields make csv 3000 4 >in
    cat >rows.c <<'END'
#include <mr/job.h>
static void map(struct mr_task *t, struct mr_bytes b) { mr_emit_key(t, b); }
const struct mr_job mr_job = {MR_HEADER, .name = "rows", .input = INPUT, .map = map, .output_format = "raw"};
END
    for input in MR_LINES MR_BLOCKS; do
        gcc -w -shared -fPIC -DINPUT=$input -I"$root/mrlib/include" -o $input.so rows.c
        run ./$input.so --input-format csv -i in -o $input --threads 3 --json >json
        expect_counter map_input_records 3000
    done
    tail -n +2 in | cmp - MR_BLOCKS/part-00000
    run "$job" -i in -o out
    cut -f 2 out/part-00000 | cut -d ' ' -f 1 | tr -d '\n' | cmp - <(od -An -v -tx1 MR_LINES/part-00000 | tr -d ' \n')
}
the_record_that_crashes_is_named() {
    local name
    with_quiet_exit
    printf 'user,amount,note\n1,2,"3\n3"\n4,5,BAD\n6,7,8\n' >in.csv
    gzip -k in.csv
    expect_status 1 "$marram" run "$job" -p crash=BAD -i in.csv -o out
    grep -q "record at '$PWD/in.csv' offset 27" stderr || die "$(cat stderr)"
    expect_status 1 "$marram" run "$job" -p crash=BAD -i in.csv.gz -o out
    grep -q "record at '$PWD/in.csv.gz' offset 27 of its decompressed text" stderr || die "$(cat stderr)"
}

claim 'records and fields are those of Python, however files are cut' records_and_fields
claim 'groupsum adds up what Python does' sums
claim 'fields, formats and options that cannot be are refused at once' refused_at_submit
claim 'what is no record is named, for every kind of job' records_that_are_none
claim 'columns that a file lacks are named' columns_that_are_not_there
claim 'empty files, headers alone, byte order marks, any bytes' odd_files
claim 'jobs for lines and blocks are given whole rows' rows_for_other_jobs
claim 'the record that crashes is named, in compressed files too' the_record_that_crashes_is_named
totals
