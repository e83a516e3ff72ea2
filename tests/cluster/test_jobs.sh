#!/usr/bin/env bash
# What the job header offers does what it says, for objects of today and of the first header.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
no_marks=yes # of its jobs: they write their output and nothing else

golden=$MARRAM_BUILD/tests/golden/v1/golden.so

golden_object() {
    printf 'a b a\n\nc\n' >in
    run "$golden" -i in -o out -r 3 -p word=xyz -p times=3 -p scale=0.25 -p shout=true --json >json
    printf '#lines\tn=1 bytes=1 scaled=0.25!\n#end\n#path\tn=1 bytes=2 scaled=0.25!\n' >want
    expect_same out/part-00000 want
    [[ ! -s out/part-00001 ]]
    printf 'a\tn=6 bytes=18 scaled=1.50!\nb\tn=3 bytes=9 scaled=0.75!\nc\tn=3 bytes=9 scaled=0.75!\n' >want
    expect_same out/part-00002 want
    expect_counter lines_seen 3
    expect_counter groups_seen 5
    expect_refusal 2 "parameter 'word'" "$marram" run "$golden" -i in -o out2
    run "$golden" -i in -o out3 -p word=z
    grep -q $'^a\tn=4 bytes=4 scaled=2.00$' out3/part-00000
}
golden_description() {
    "$marram" describe "$golden" --json >json
    for words in '"name": "golden"' '"lines_seen"' '"default": "0.5"' '"type": "float"' '"required": true'; do
        grep -qF "$words" json || die "no $words in $(cat json)"
    done
    "$marram" describe "$golden" >text
    grep -q 'what the number of values is multiplied by' text
}
user_combiner() {
    awk 'BEGIN { for (i = 0; i < 50000; i++) { printf "k%d ", i % 37; for (j = i % 11; j; j--) printf "x"; print "" } }' >in
    run "$testjobs/combine_job.so" -i in -o out -r 2 --split-size 50K --json >json
    awk '{ l = length($0); if (l > m[$1]) m[$1] = l; n[$1]++ } END { for (k in m) print k "\t" m[k], n[k] }' in | sort >want
    sorted_output out >got
    expect_same got want
    (($(counter combine_input_records) == 50000))
    (($(counter combine_output_records) < 5000)) || die 'the combiner did not combine'
}
user_partition() {
    find -L /usr/share/common-licenses -type f -print0 | sort -z | xargs -0 cat >in
    run "$testjobs/partition_job.so" -i in -o out -r 7
    reference_words in >want
    sorted_output out >got
    expect_same got want
    for part in {0..6}; do
        cut -c1 "out/part-0000$part" | LC_ALL=C sort -u | tr -d '\n' | od -An -v -tu1 -w1 |
            awk -v p="$part" '$1 % 7 != p { exit 1 }' || die "part $part holds keys of another"
    done
}
states() {
    find -L /usr/share/common-licenses -type f -print0 | sort -z | xargs -0 cat >in
    run "$testjobs/state_job.so" -i in -o out --split-size 30K --threads 3
    od -An -v -tx1 -w1 in | awk '{ n[$1]++ } END { for (b in n) print b "\t" n[b] }' | sort >want
    expect_same out/part-00000 want
}
cxx() {
    printf 'one two three\ntwo three three\n' >in
    run "$testjobs/cxx_job.so" -i in -o out -p least=4 -p factor=2.5 -p upper=yes -p prefix='<'
    printf '<THREE\t7\n' >want
    expect_same out/part-00000 want
}
one_key_with_all_values() {
    seq 0 199999 >in
    run "$testjobs/many_values.so" -p repeat=10 -i in -o out --memory 16M --json >json
    printf 'all\t2000000\nwrong\t0\n' >want
    expect_same out/part-00000 want
    (($(counter spilled_bytes) > 0))
}
manifest() {
    echo 'a b a' >in
    run wordcount -i in -o out -r 2
    for part in out/part-*; do
        grep -q "\"name\": \"${part#out/}\"" out/_SUCCESS
        grep -q "\"bytes\": $(stat -c %s "$part")" out/_SUCCESS
    done
    grep -q '"map_output_records": 3' out/_SUCCESS
}
several_reducers_sort_each_part() {
    find -L /usr/share/common-licenses -type f -print0 | sort -z | xargs -0 cat >in
    run wordcount -i in -o out -r 5
    for part in out/part-*; do
        cut -f1 "$part" | LC_ALL=C sort -cu || die "$part is not in order"
        [[ -s $part ]]
    done
}
synced_output() {
    with_quiet_exit # it does not work for a traced process
    strace -o calls true 2>stderr || skip 'needs strace, and the right to trace'
    echo a >in
    strace -f -e trace=fsync,fdatasync -o calls "$marram" run wordcount -i in -o out --sync off 2>stderr
    ! grep -qE 'f(data)?sync\(' calls || die "synced without being asked: $(cat calls)"
    strace -f -y -e trace=fsync,fdatasync -o calls "$marram" run wordcount -i in -o out --overwrite --sync on 2>stderr
    for what in part-00000 _SUCCESS "$PWD>"; do
        grep -qE "f(data)?sync\\(.*$what" calls || die "$what was not synced: $(cat calls)"
    done
}

claim 'an object of the first header works' golden_object
claim 'and describes itself' golden_description
claim 'a user combiner runs, and changes nothing' user_combiner
claim 'a user partition decides where keys go' user_partition
claim 'setup, merge, finish and teardown' states
claim 'a job in C++' cxx
claim 'one key with more values than memory' one_key_with_all_values
claim 'the manifest tells the parts and the counts' manifest
claim 'each part is in bytewise order' several_reducers_sort_each_part
claim '--sync on reaches the disk' synced_output
totals
