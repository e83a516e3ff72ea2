#!/usr/bin/env bash
# Compressed inputs: what jobs make of them is what they make of the same text, in the same order; damage is named.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/memory.sh
source "$root/tests/lib/memory.sh"

# pack CODEC <text >file; its files end in ending CODEC.
pack() {
    case $1 in
    gzip) gzip -c -1 ;;
    zstd) zstd -q -c ;;
    lz4) lz4 -q -c ;;
    esac
}
ending() { case $1 in gzip) echo gz ;; zstd) echo zst ;; lz4) echo lz4 ;; esac; }

# Text in several files, and the same in packed ones: some of several members, some empty, one without a newline.
sample() {
    local codec i=0 file
    mkdir plain packed
    seq 1 9 | while read -r i; do
        awk -v seed="$i" 'BEGIN { srand(seed); for (i = 0; i < 8000 * (seed % 4); i++) print "k" int(rand() * 900), rand(), i }'
    done >all
    split -n 9 all plain/
    : >plain/empty
    printf 'no newline at the end' >plain/last
    for file in plain/*; do
        codec=$(printf '%s\n' gzip zstd lz4 | sed -n $((i % 3 + 1))p)
        {
            head -c 40000 "$file" | pack "$codec"
            tail -c +40001 "$file" | pack "$codec"
        } >"packed/${file#plain/}.$(ending "$codec")"
        i=$((i + 1))
    done
}

# Order, offsets, counts: the offsets are those of the text.
equals_plain() {
    local codec options
    sample
    cat >lines.c <<'END'
#include <mr/job.h>
#include <stdio.h>
static void map(struct mr_task *t, struct mr_bytes line)
{
    char place[40];

    snprintf(place, sizeof place, "%u %llu", mr_source(t).file, (unsigned long long)mr_source(t).offset);
    mr_emit(t, line, mr_text(place));
}
static void reduce(struct mr_task *t, struct mr_bytes key, struct mr_values *values)
{
    for (struct mr_bytes v; mr_next(t, values, &v);)
        mr_emit(t, key, v);
}
const struct mr_job mr_job = {MR_HEADER, .name = "lines", .map = map, .reduce = REDUCE, .partition = NULL};
END
    for reduce in reduce NULL; do
        gcc -w -O1 -fPIC -shared -DREDUCE=$reduce -I"$root/mrlib/include" -o $reduce.so lines.c
        run ./$reduce.so -i plain -o want --overwrite -r 1 --json >json
        records=$(counter map_input_records)
        for options in '-r 1' '-r 1 --threads 4 --split-size 30K' '-r 1 --workers 3 --memory 24M'; do
            # shellcheck disable=SC2086 # several words
            run ./$reduce.so -i packed -o got --overwrite $options --json >json
            expect_same got/part-00000 want/part-00000
            expect_counter map_input_records "$records"
            expect_counter map_input_bytes "$(cat packed/* | wc -c)"
        done
    done
    run wordcount -i packed -o words -r 3
    reference_words plain/* | cmp - <(sorted_output words)
}
total_order() {
    local codec
    awk 'BEGIN { srand(8); for (i = 0; i < 300000; i++) printf "%08d %d\n", rand() * 100000000, i }' >in
    sort in >want
    for codec in gzip zstd lz4; do
        pack $codec <in >"in.$(ending $codec)"
        run sort -i "in.$(ending $codec)" -o out --overwrite -r 5 --threads 2
        cat out/part-* | cmp - want
        # The beginning is a fair sample here.
        (($(find out -name 'part-*' -size -100k | wc -l) == 0)) || die "$(ls -l out)"
    done
}

# Each file is in the part in which its first byte lies.
parts_of_map_only() {
    local i at=0 all part
    mkdir in
    for i in 1 2 3 4 5 6 7; do
        seq $((i * 1000)) $((i * 1000 + i * 100)) >text
        pack zstd <text >in/$i.zst
    done
    all=$(cat in/* | wc -c)
    for i in 1 2 3 4 5 6 7; do
        part=$((at * 4 / all))
        while ((all * part / 4 > at)); do part=$((part - 1)); done
        while ((all * (part + 1) / 4 <= at)); do part=$((part + 1)); done
        zstd -q -d -c in/$i.zst >>want-$part
        at=$((at + $(wc -c <in/$i.zst)))
    done
    run grep -p pattern=. -i in -o out -r 4 --split-size 200
    for part in 0 1 2 3; do
        touch want-$part
        expect_same out/part-0000$part want-$part
    done
}

# wrong WORDS: the file ./in.EXT fails by name and place, in one attempt.
wrong() {
    local file=$1 words=$2
    expect_status 1 "$marram" run wordcount -i "$file" -o out --json
    cp stdout json
    grep -qF "'$PWD/$file'" json || die "not named: $(cat json)"
    grep -qF "$words" json || die "does not say '$words': $(cat json)"
    expect_counter failed_attempts 0 # a blamed one would have three more
    [[ ! -e out ]]
}
damage() {
    local codec end size
    seq 100000 >text
    for codec in gzip zstd lz4; do
        end=$(ending $codec)
        pack $codec <text >whole
        size=$(wc -c <whole)
        head -c $((size / 2)) whole >"in.$end"
        wrong "in.$end" "behind byte $((size / 2)), where the file ends"
        { cat whole && echo more; } >"in.$end"
        wrong "in.$end" "from byte $size of the file on it is something else"
        cp text "in.$end"
        wrong "in.$end" 'plain:FORMAT'
        { head -c $((size / 2)) whole && printf '\1\2\3\4\5\6\7\10' && tail -c +$((size / 2 + 9)) whole; } >"in.$end"
        wrong "in.$end" "damaged $codec data near byte"
        : >"in.$end"
        expect_refusal 2 "'$PWD/in.$end' is empty" "$marram" run wordcount -i "in.$end" -o out
    done
}
read_plain() {
    seq 1000 | pack gzip >in.gz
    run wordcount --input-format plain:lines -i in.gz -o out --json >json
    reference_words in.gz | cmp - <(sorted_output out)
    seq 5 >text.zst
    run wordcount --input-format plain:lines -i text.zst -o out2
    [[ $(wc -l <out2/part-00000) == 5 ]]
}
default_parts() {
    head -c 70000000 /dev/zero | pack gzip >in.gz
    run wordcount --input-format fixed:1000 -i in.gz -o out --json >json
    expect_counter map_input_records 70000
    [[ $(find out -name 'part-*' | wc -l) == 1 ]]
    head -c 100 /dev/zero | pack gzip >odd.gz
    expect_status 1 "$marram" run wordcount --input-format fixed:7 -i odd.gz -o out2
    grep -q 'decompressed text of 100 bytes does not consist of records of 7' stderr
}
the_blamed_record() {
    with_quiet_exit
    {
        seq 100000
        echo BAD
        seq 100000
    } >text
    offset=$(grep -b BAD text | cut -d: -f1)
    for codec in gzip zstd lz4; do
        pack $codec <text >"in.$(ending $codec)"
        for job in misbehave misbehave_blocks; do
            expect_status 1 "$marram" run "$testjobs/$job.so" -p map=segv -i "in.$(ending $codec)" -o out
            grep -q "record at '$PWD/in.$(ending $codec)' offset $offset of its decompressed text" stderr || die "$(cat stderr)"
        done
    done
}
long_window() {
    local codec options
    seq 2500000 >text
    zstd -q -1 --long=24 <text >in.zst
    expect_status 1 "$marram" run wordcount -i in.zst -o out --memory 64M
    grep -q 'window of more than 8 MiB.*--memory' stderr || die "$(cat stderr)"
    run wordcount -i in.zst -o out --memory 512M --json >json
    expect_counter map_output_records "$(wc -w <text)"
}

# Decompressing what has few records takes many times the task timeout: what makes progress is not ended, what stands
# still in the same stream is.
longer_than_the_timeout() {
    local members=8 i
    for ((i = 0; i < 32; i++)); do head -c 1000000 /dev/zero | tr '\0' x && echo; done | gzip >member.gz
    echo BAD | gzip >bad-line.gz
    # As large as it has to be on this machine: the timeout passes several times.
    while :; do
        for ((i = 0; i < members; i++)); do cat member.gz; done >in.gz
        run linestats -i in.gz -o out --overwrite --workers 1 --threads 2 --task-timeout 1 --json >json
        expect_counter map_input_records $((32 * members))
        expect_counter failed_attempts 0
        (($(sed -n 's/^ *"seconds": \([0-9]*\).*/\1/p' json) < 3)) || break
        ((members < 10000)) || die 'no file takes long enough'
        members=$((members * 2))
    done
    cat in.gz bad-line.gz member.gz >bad.gz
    expect_status 1 "$marram" run "$testjobs/misbehave.so" -p map=loop -i bad.gz -o bad --workers 1 --threads 2 --task-timeout 1
    grep -qF "task timeout of 1 s: ended in map, record at '$PWD/bad.gz' offset $((members * 32 * 1000001)) of its decompressed text" stderr ||
        die "$(cat stderr)"
}

# A large file: the plain one's output, in bounded memory. MARRAM_BIG=1: 1 GiB.
large() {
    local codec size=$((32 << 20)) pid
    [[ -z ${MARRAM_BIG:-} ]] || size=$((1 << 30))
    awk -v size="$size" 'BEGIN { for (i = 0; n < size; i++) { line = i % 70001 " " i; print line; n += length(line) + 1 } }' >text
    run invertedindex -i text -o want -r 2 --memory 256M
    sed "s,$PWD/text:,FILE:,g" want/part-00000 | cksum >want-sum
    for codec in gzip zstd lz4; do
        pack $codec <text >"in.$(ending $codec)"
        "$marram" run invertedindex -i "in.$(ending $codec)" -o got -r 2 --memory 256M --overwrite --json >json 2>stderr &
        pid=$!
        watch_memory $pid
        wait $pid || die "$(cat stderr)"
        sed "s,$PWD/in.$(ending $codec):,FILE:,g" got/part-00000 | cksum | cmp - want-sum
        echo "$codec: $(($(cat peak) / 1024)) MiB"
        instrumented || (($(cat peak) < 320 * 1024)) || die "$codec held $(($(cat peak) / 1024)) MiB"
        rm "in.$(ending $codec)"
    done
}

claim 'lines, offsets and order are those of the text' equals_plain
claim 'a sort of a compressed file is in total order' total_order
claim 'map-only: a file belongs to the part in which it begins' parts_of_map_only
claim 'cut off, damaged, followed by garbage: named with the place, tried once' damage
claim 'plain: reads a file as it is' read_plain
claim 'the default number of parts goes by bytes of files' default_parts
claim 'the record that crashes is named by its offset in the text' the_blamed_record
claim 'a long window needs the memory for it' long_window
claim 'a stream that takes longer than the task timeout is ended only where it stands still' longer_than_the_timeout
claim 'large files, in bounded memory' large
totals
