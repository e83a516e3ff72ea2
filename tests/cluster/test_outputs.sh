#!/usr/bin/env bash
# What the shipped jobs print equals what independent tools print, on every kind of input.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
no_marks=yes # of its jobs: they write their output and nothing else

text=/usr/share/common-licenses
[[ -z ${ON_CLUSTER:-} ]] || on_cluster "$ON_CLUSTER"

# words_equal INPUT FILE...: word count of INPUT against the reference over its files.
words_equal() {
    local input=$1
    shift
    run wordcount -i "$input" -o out --json >json
    sorted_output out >got
    reference_words "$@" >want
    expect_same got want
}

english_text() {
    mapfile -t files < <(find -L "$text" -type f | sort)
    words_equal "$text" "${files[@]}"
}
zipf_text() {
    local bytes=67108864 gentext=$base/gentext
    [[ -n ${MARRAM_BIG:-} ]] && bytes=1073741824
    gcc -O2 -o "$gentext" "$root/tests/bench/yardstick/gentext.c" -lm
    "$gentext" text $bytes 400000 42
    run wordcount -i text -o out --json >json
    sorted_output out >got
    # awk counts faster than sort | uniq, and is as independent.
    awk '{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w "\t" n[w] }' text | sort >want
    expect_same got want
    expect_counter map_input_bytes $bytes
}
empty_file() {
    : >empty
    run wordcount -i empty -o out --json >json
    [[ -f out/part-00000 && ! -s out/part-00000 && -f out/_SUCCESS ]]
    expect_counter map_input_records 0
}
empty_folder() {
    mkdir in
    run wordcount -i in -o out
    [[ -f out/part-00000 && ! -s out/part-00000 && -f out/_SUCCESS ]]
}
no_final_newline() {
    printf 'a b\nc a' >in
    words_equal in in
    expect_counter map_input_records 2
}
crlf() {
    printf 'a b\r\nc a\r\n\r\n' >in
    words_equal in in
}
odd_bytes() {
    head -c 3000000 /dev/urandom >in
    printf 'nul\0byte \xff\xfe x\0\0x\n' >>in
    words_equal in in
}
long_line() {
    awk 'BEGIN { for (i = 0; i < 8388608; i++) printf "w%06d ", i % 1000 }' >in
    (($(wc -c <in) == 67108864))
    awk 'BEGIN { for (i = 0; i < 1000; i++) printf "w%06d\t%d\n", i, 8388 + (i < 608) }' >want
    run wordcount -i in -o out --split-size 5M --json >json
    sorted_output out >got
    expect_same got want
    expect_counter map_input_records 1
}
short_lines() {
    yes '' | head -1000000 >in || true
    yes x | head -500000 >>in || true
    run wordcount -i in -o out --json >json
    expect_counter map_input_records 1500000
    printf 'x\t500000\n' >want
    expect_same out/part-00000 want
}
many_files() {
    mkdir in
    (cd in && awk 'BEGIN { for (i = 0; i < 10000; i++) { f = "f" i; print "word" i % 100, "x" >f; close(f) } }')
    run wordcount -i in -o out --json >json
    expect_counter map_input_records 10000
    awk 'BEGIN { print "x\t10000"; for (i = 0; i < 100; i++) print "word" i "\t100" }' | sort >want
    sorted_output out >got
    expect_same got want
    (($(sed -n 's/^ *"map_tasks": \([0-9]*\),/\1/p' json) <= 10))
}
subfolders() {
    mkdir -p in/a/b in/_skipped in/.hidden
    echo one >in/a/b/1
    echo two >in/a/2
    echo no >in/_skipped/x
    echo no >in/.hidden/x
    echo no >in/a/_x
    words_equal in in/a/b/1 in/a/2
}
same_file_twice() {
    echo 'a b a' >in
    run wordcount -i in -i in -o out
    printf 'a\t4\nb\t2\n' >want
    expect_same out/part-00000 want
}
globs() {
    echo one >x1.txt
    echo two >x2.txt
    echo no >y.log
    run wordcount -i 'x*.txt' -o out
    printf 'one\t1\ntwo\t1\n' >want
    expect_same out/part-00000 want
}

grep_sample() {
    find -L "$text" -type f -print0 | sort -z | xargs -0 cat >in
    printf 'nul\0 free\n\r\n\nfree\r\nno newline free' >>in
}
grep_like() { # PATTERN GREP-OPTIONS...
    local pattern=$1
    shift
    run grep -p "pattern=$pattern" -i in -o out --overwrite --json >json
    grep -a "$@" -- "$pattern" in >want || true
    cat out/part-* >got
    expect_same got want
    expect_counter reduce_output_records "$(wc -l <want)"
}
grep_fixed() {
    grep_sample
    grep_like free -F
    grep_like 'no such text' -F
    run grep -p pattern=free -i in -o out --overwrite -r 7 --split-size 10K
    cat out/part-* >got
    grep -aF free in >want
    expect_same got want
}
grep_patterns() {
    grep_sample
    grep_like '^[A-Z]+ .*s$' -P
    grep_like 'the\s+\w{5}\b' -P
    grep_like '^$' -P
    grep_like 'a(?!\s)' -P
}
grep_options() {
    grep_sample
    run grep -p pattern=FREE -p ignore_case=true -i in -o out
    grep -ai FREE in >want
    cat out/part-* >got
    expect_same got want
    run grep -p pattern=e -p invert=true -i in -o out --overwrite
    grep -av e in >want
    cat out/part-* >got
    expect_same got want
}
grep_bad_pattern() {
    echo x >in
    expect_status 1 "$marram" $verb grep -p 'pattern=(' -i in -o out
    grep -q 'parenthes' stderr
    [[ ! -e out ]]
}
inverted_index() {
    mkdir in
    cp "$text"/GPL-2 in/b
    cp "$text"/BSD in/a
    cp "$text"/Artistic in/c
    run invertedindex -i in -o out -r 3
    sorted_output out >got
    for f in in/a in/b in/c; do
        tr -s '\000-\040' '\n' <"$f" | grep -a . | sort | uniq -c | awk -v f="$PWD/$f" '{ print $2 "\t" f ":" $1 }'
    done | sort -s -t "$(printf '\t')" -k1,1 |
        awk -F '\t' '($1 "") != (last "") { if (NR > 1) print line; line = $0; last = $1; next } { line = line " " $2 } END { print line }' |
        sort >want
    expect_same got want
}
line_stats() {
    find -L "$text" -type f -print0 | sort -z | xargs -0 cat >in
    run linestats -p field=1 -i in -o out -r 2 --split-size 20K --json >json
    sorted_output out >got
    # Every byte up to the space separates fields, and each counts in the length of its line.
    tr '\000-\011\013-\037' ' ' <in >blanked
    awk 'NF { k = $1; l = length($0); n[k]++; s[k] += l
              if (!(k in lo) || l < lo[k]) lo[k] = l
              if (l > hi[k]) hi[k] = l }
         END { for (k in n) printf "%s\tlines=%d bytes=%d min=%d max=%d mean=%.3f\n", k, n[k], s[k], lo[k], hi[k], s[k] / n[k] }' blanked |
        sort >want
    expect_same got want
    expect_counter lines_without_field "$(awk '!NF' blanked | wc -l)"
}

claim 'wordcount equals sort | uniq -c on English text' english_text
claim 'wordcount equals awk on generated Zipf text' zipf_text
claim 'an empty file gives an empty part' empty_file
claim 'an empty folder gives an empty part' empty_folder
claim 'a file without final newline ends its last word' no_final_newline
claim 'CRLF is white space' crlf
claim 'NUL and invalid UTF-8 bytes are bytes' odd_bytes
claim 'one line of 64 MiB is one record, however it is split' long_line
claim 'a million and a half of tiny lines' short_lines
claim 'ten thousand small files share map tasks' many_files
claim 'subfolders are read, hidden names are not' subfolders
claim 'a file given twice counts twice' same_file_twice
claim 'a quoted glob is expanded' globs
claim 'grep of fixed text equals GNU grep, in any number of parts' grep_fixed
claim 'grep of patterns equals GNU grep -P' grep_patterns
claim 'grep ignores case and inverts' grep_options
claim 'grep names a bad pattern' grep_bad_pattern
claim 'invertedindex equals awk' inverted_index
claim 'linestats equals awk' line_stats
totals
