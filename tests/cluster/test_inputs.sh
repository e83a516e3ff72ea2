#!/usr/bin/env bash
# Inputs of odd shapes: very many files, very small ones, very long lines. ON_CLUSTER=N: on a cluster of N workers.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
no_marks=yes # of its jobs: they write their output and nothing else

# small_files N: N files in ./in of about a KiB each, with whole lines; what they hold, in order, in ./all
small_files() {
    awk -v n="$1" 'BEGIN { srand(9); for (i = 0; i < n * 32; i++) print "w" int(rand() * 5000), "x" int(rand() * 50), i }' >all
    mkdir in
    split -l 32 -a 5 -d all in/f
}

many_files() {
    local n=20000
    instrumented && n=5000
    [[ -z ${MARRAM_BIG:-} ]] || n=100000
    small_files $n
    run wordcount -i in -o out -r 3 --json >json
    expect_counter map_input_bytes "$(wc -c <all)"
    expect_counter map_input_records $((n * 32))
    tr -s '\000-\040' '\n' <all | sort | uniq -c | awk '{ print $2 "\t" $1 }' | sort >want
    sorted_output out >got
    expect_same got want
    # In input order, which is that of the names.
    run grep -p pattern='x7 ' -i in -o hits
    grep -aF 'x7 ' all >want
    cat hits/part-* >got
    expect_same got want
}

# Files that share a chunk keep their names apart: the index says where each word is.
files_of_words() {
    small_files 3000
    : >in/f00007
    printf 'x' >in/f00008
    printf '\n' >in/f00009
    printf 'w1' >in/f00010
    run invertedindex -i in -o out -r 1
    awk '{ for (i = 1; i <= NF; i++) n[$i, FILENAME]++ }
         END { for (k in n) { split(k, p, SUBSEP); print p[1] " " p[2] ":" n[k] } }' in/* | sort >want
    tr '\t' ' ' <out/part-00000 | awk -v d="$PWD/" '{ for (i = 2; i <= NF; i++) { sub(d, "", $i); print $1 " " $i } }' |
        sort >got
    expect_same got want
}

# A bad record in one of many files that a thread takes at once.
blame_among_small_files() {
    local job offset status=0
    small_files 500
    offset=$(wc -c <in/f00321)
    echo BAD >>in/f00321
    echo 'and more' >>in/f00321
    for job in misbehave misbehave_blocks; do
        "$marram" $verb "$testjobs/$job.so" -p map=abort -i in -o out >json 2>stderr || status=$?
        ((status == 1)) || die "status $status, not 1: $(cat stderr)"
        grep -qF "record at '$PWD/in/f00321' offset $offset" stderr || die "$job: $(cat stderr)"
        "$marram" $verb "$testjobs/$job.so" -p map=fail -i in -o out >json 2>stderr || status=$?
        ((status == 1)) || die "status $status, not 1: $(cat stderr)"
        grep -qF "'$PWD/in/f00321' offset $offset: " stderr || die "$job: $(cat stderr)"
    done
}

# Inputs of no, one and two bytes, alone and beside each other.
tiny_files() {
    local text i=0
    mkdir in
    for text in '' a ' ' '\n' ab 'a\n' '\na' '\n\n'; do
        printf '%b' "$text" >in/$i
        run linestats -i in/$i -o out --overwrite --json >json
        expect_counter map_input_bytes "$(wc -c <in/$i)"
        expect_counter map_input_records "$(awk 'END { print NR }' in/$i)"
        awk 'END { if (NR) print NR }' in/$i >want
        sed -n 's/^all\tlines=\([0-9]*\) .*/\1/p' out/part-* >got
        expect_same got want
        i=$((i + 1))
    done
    run linestats -i in -o out --overwrite --json >json
    expect_counter map_input_records 9
    grep -q '^all.lines=9 bytes=6 min=0 max=2 ' out/part-00000 || die "$(cat out/part-00000)"
}

# Lines of nothing or of a digit. MARRAM_BIG: a hundred million.
tiny_lines() {
    local n=1000000
    [[ -z ${MARRAM_BIG:-} ]] || n=100000000
    awk -v n=$n 'BEGIN { for (i = 0; i < n; i++) print i % 7 ? "" : i % 10 }' >in
    run linestats -i in -o out --json >json
    expect_counter map_input_records $n
    expect_counter empty_lines $((n - (n + 6) / 7))
    # So much input has several parts.
    cat out/part-* >all
    grep -q "^all.lines=$n bytes=$(((n + 6) / 7)) min=0 max=1 " all || die "$(cat all)"
}

# Each run has 8 MiB: a line may have one.
long_lines() {
    [[ $verb == run ]] || skip 'the cluster has more memory'
    { echo first; head -c 1048576 /dev/zero | tr '\0' L; echo; echo last; } >in
    run linestats -i in -o out --memory 8M --threads 2 --json >json
    expect_counter map_input_records 3
    grep -q 'max=1048576' out/part-00000
    { echo first; head -c 1048577 /dev/zero | tr '\0' L; echo; echo last; } >in
    expect_status 1 timeout 60 "$marram" run linestats -i in -o out2 --memory 8M
    grep -qF "a line of '$PWD/in' that begins at offset 6 is longer than 1 MiB, an eighth of a worker's memory: raise --memory" stderr ||
        die "$(cat stderr)"
    [[ ! -e out2 ]]
    run linestats -i in -o out2 --memory 9M
}

[[ -z ${ON_CLUSTER:-} ]] || on_cluster "$ON_CLUSTER"
claim 'very many small files' many_files
claim 'words of small files stay with their files' files_of_words
claim 'a bad record among small files is found' blame_among_small_files
claim 'inputs of no, one and two bytes' tiny_files
claim 'very many tiny lines' tiny_lines
claim 'a line above an eighth of the memory is refused by name' long_lines
totals
