#!/usr/bin/env bash
# Records of a fixed size, synthetic input, raw output; and groups by a prefix of the key.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
no_marks=yes # of its jobs: they write their output and nothing else

# records N FILE: records of 10 characters that tell the file.
records() { seq -f "$2%09.0f" 1 "$1" | tr -d '\n' >"$2"; }
reference_records() {
    local file n=0
    for file in "$@"; do
        fold -w 10 "$file" | awk -v file="$n" '{ print file " " (NR - 1) * 10 "\t" $0 }'
        n=$((n + 1))
    done
}
fixed_records() {
    mkdir in
    (cd in && records 30000 a && : >b && records 7 c && records 12345 d)
    reference_records in/? >want
    for job in fixed_job fixed_blocks; do
        for options in '-r 1' '-r 3 --split-size 7777 --threads 3' '--workers 2 --split-size 100K'; do
            # shellcheck disable=SC2086 # several words
            run "$testjobs/$job.so" -i in -o out $options --overwrite --json >json
            cat out/part-* >got
            expect_same got want
            expect_counter map_input_records "$(wc -l <want)"
            expect_counter map_input_bytes "$(cat in/* | wc -c)"
        done
    done
}
records_longer_than_splits() {
    records 20 a
    records 3 b
    reference_records a b >want
    run "$testjobs/fixed_blocks.so" -i a b -o out -r 7 --split-size 3
    cat out/part-* >got
    expect_same got want
}
any_bytes() {
    head -c 3000000 "$marram" >in
    truncate -s 3000000 in
    run "$testjobs/fixed_blocks.so" --output-format raw --input-format fixed:10 -i in -o out -r 2 --split-size 64K --json >json
    expect_counter map_input_records 300000
    # Offsets of 1 to 7 digits stand before each record.
    (($(cat out/part-* | wc -c) == 3000000 + $(seq 0 10 2999990 | awk '{ n += 2 + length($0) } END { print n }')))
}
crash_in_a_record() {
    with_quiet_exit
    records 500000 x
    for job in fixed_job fixed_blocks; do
        expect_status 1 "$marram" run "$testjobs/$job.so" -i x -o out -p crash=x000444444
        grep -q "record at '$PWD/x' offset 4444430" stderr || die "not blamed: $(cat stderr)"
    done
}
sizes_that_do_not_fit() {
    mkdir in
    printf 0123456789 >in/a
    printf 01234567890 >in/b
    expect_refusal 2 "'$PWD/in/b' of 11 bytes" "$marram" run "$testjobs/fixed_job.so" -i in -o out
    grep -q 'fixed:10.*--input-format' stderr
    [[ ! -e out ]]
    run "$testjobs/fixed_job.so" -i in/a -o out
}
names_of_formats() {
    echo a >in
    expect_refusal 2 "'fixed:0'" "$marram" run wordcount --input-format fixed:0 -i in -o out
    expect_refusal 2 'lines, fixed:N, keyval, csv and jsonl' "$marram" run wordcount --input-format tsv -i in -o out
    expect_refusal 2 'text and raw' "$marram" run wordcount --output-format csv -i in -o out
    "$marram" describe "$testjobs/fixed_job.so" >text
    grep -q 'format fixed:10' text
    "$marram" describe teragen --json >json
    grep -q '"input_format": "fixed:8"' json
    grep -q '"output_format": "raw"' json
}
raw_output() {
    printf 'b a b\n\na b' >in
    # A fold, a reduce, and map alone.
    run wordcount --output-format raw -i in -o out
    printf 'a\2\0\0\0\0\0\0\0b\3\0\0\0\0\0\0\0' >want
    expect_same out/part-00000 want
    run invertedindex --output-format raw -i in -o out2
    printf 'a%s:2b%s:3' "$PWD/in" "$PWD/in" >want
    expect_same out2/part-00000 want
    run grep -p pattern=a --output-format raw -i in -o out3
    printf 'b a ba b' >want
    expect_same out3/part-00000 want
}
ranges() {
    cat >count.c <<'END'
#include <mr/job.h>
#include <stdio.h>
static void map(struct mr_task *task, struct mr_bytes record)
{
    char key[32];
    uint64_t number;

    memcpy(&number, record.ptr, sizeof number);
    if (mr_source(task).offset != number * 8 || record.len != 8)
        mr_fail(task, "number %llu is in the wrong place", (unsigned long long)number);
    mr_emit_key(task, (struct mr_bytes){key, (size_t)sprintf(key, "%llu", (unsigned long long)number)});
}
const struct mr_job mr_job = {MR_HEADER, .name = "count", .input_format = "fixed:8", .map = map};
END
    gcc -O1 -fPIC -shared -I"$root/mrlib/include" -o count.so count.c
    seq 0 299999 >want
    for options in '-r 1' '-r 4 --threads 3 --split-size 100001' '--workers 2 --split-size 300K'; do
        # shellcheck disable=SC2086 # several words
        run ./count.so -i range:300000 -o out $options --overwrite --json >json
        cat out/part-* >got
        expect_same got want
        expect_counter map_input_records 300000
        expect_counter map_input_bytes 2400000
    done
    # Beside files, in the order given, several times, and empty.
    head -c 800 /dev/zero >zeros
    run ./count.so -i range:0 range:3 range:2 -o out2
    printf '0\n1\n2\n0\n1\n' >want
    expect_same out2/part-00000 want
    run ./count.so -i range:0 -o out3
    [[ -f out3/part-00000 && ! -s out3/part-00000 ]]
    expect_refusal 2 "'range:5'" "$marram" run wordcount -i range:5 -o out4
    expect_refusal 2 "'range:5M'" "$marram" run ./count.so -i range:5M -o out4
    printf '\0\0\0\0\0\0\0\0' >range:1
    run ./count.so -i ./range:1 -o out5
    [[ $(cat out5/part-00000) == 0 ]]
}
groups() {
    awk 'BEGIN { srand(3); for (i = 0; i < 40000; i++) print "u" int(rand() * 200) " " int(rand() * 300) }' >in
    sort in | awk '
        function out() { if (user) print user " \t" different " " all " " first "|" last }
        $1 != user { out(); user = $1; different = all = 0; first = $0; last = "" }
        { different += $0 != last; all++; last = $0 }
        END { out() }' | sort >want
    awk -F'[\t|]' '{ split($2, a, " "); print $1 "\t1 0 " a[3] " " a[4] "|" a[3] " " a[4] }' want >want_first
    for job in group_job group_combine; do
        for options in '-r 1' '-r 3 --threads 3 --split-size 20K' '--workers 2 -r 2 --split-size 50K'; do
            # shellcheck disable=SC2086 # several words
            run "$testjobs/$job.so" -i in -o out $options --overwrite --json >json
            sorted_output out >got
            expect_same got want
            expect_counter reduce_input_groups 200
        done
    done
    run "$testjobs/group_job.so" -i in -o out -r 2 --overwrite -p first=yes
    sorted_output out >got
    expect_same got want_first
}
groups_that_spill() {
    awk 'BEGIN { srand(4); for (i = 0; i < 400000; i++) printf "u%d %040d\n", i % 7, int(rand() * 100000) }' >in
    run "$testjobs/group_job.so" -i in -o small --memory 24M -r 1 --json >json
    (($(counter spilled_bytes) > 0))
    run "$testjobs/group_job.so" -i in -o large -r 1
    expect_same small/part-00000 large/part-00000
    [[ $(cut -d' ' -f2 large/part-00000 | awk '{ n++ } END { print n }') == 7 ]]
    [[ $(sort in | awk '{ n += $0 != last; last = $0 } END { print n }') == $(cut -f2 large/part-00000 | awk '{ n += $1 } END { print n }') ]]
}
wrong_groups() {
    echo a b >in
    expect_refusal 1 'group returned 4 for a key of 3 bytes' "$marram" run "$testjobs/group_job.so" -i in -o out -p too_long=yes
    cat >job.c <<'END'
#include <mr/job.h>
static void map(struct mr_task *t, struct mr_bytes b) { (void)t; (void)b; }
static size_t group(struct mr_task *t, struct mr_bytes b) { (void)t; return b.len; }
const struct mr_job mr_job = {MR_HEADER, .name = "wrong", .map = map, .group = group, EXTRA};
END
    for extra in .fold=MR_COUNT .reduce=NULL; do
        gcc -w -shared -fPIC -I"$root/mrlib/include" "-DEXTRA=$extra" -o job.so job.c
        expect_refusal 2 'sets .group' "$marram" run ./job.so -i in -o out
    done
}
sessions() {
    awk 'BEGIN { srand(5); for (i = 0; i < 30000; i++) printf "user%d\t%d\tevent %d\n", rand() * 300, rand() * 200000 - 100000, i
                 print "no time"; print "u\t12x\tbad"; print "u\t\tbad" }' >in
    grep -v -e 'no time' -e bad in | sort -s -t "$(printf '\t')" -k1,1 -k2,2n | awk -F'\t' -v OFS='\t' '
        $1 != user { user = $1; n = 1; last = $2 }
        $2 - last > 500 { n++ }
        { last = $2; print $1, n, $2, $3 }' >want
    for options in '-r 1' '-r 4 --threads 3 --split-size 30K' '--workers 2 -r 3'; do
        # shellcheck disable=SC2086 # several words
        run sessions -p gap=500 -i in -o out $options --overwrite --json >json
        sort -m -s -t "$(printf '\t')" -k1,1 out/part-* >got
        expect_same got want
        expect_counter bad_lines 3
        expect_counter reduce_input_groups 300
    done
}

claim 'fixed records: each once, whole, in order, however it is cut' fixed_records
claim 'the same with records longer than splits' records_longer_than_splits
claim 'records of any bytes' any_bytes
claim 'the record that crashes is named' crash_in_a_record
claim 'a file that does not consist of records is refused' sizes_that_do_not_fit
claim 'unknown formats are refused, known ones described' names_of_formats
claim 'raw output of folds, reduces and maps' raw_output
claim 'a range is the numbers of a file that nobody wrote' ranges
claim 'keys are grouped by their prefix, and come in whole order' groups
claim 'the same when they do not fit in memory' groups_that_spill
claim 'what makes no group is named' wrong_groups
claim 'sessions are what sort and awk find' sessions
totals
