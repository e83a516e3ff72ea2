#!/usr/bin/env bash
# Compressed output: gzip and zstd read what plain output holds, and its bytes are always the same.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

suffix_of() { case $1 in *:gzip) echo gz ;; *:zstd) echo zst ;; esac }
# unpacked FILE: what it holds, by a tool that knows nothing of us.
unpacked() { case $1 in *.gz) gzip -dc "$1" ;; *.zst) zstd -dcq "$1" ;; esac }

sample() { awk 'BEGIN { for (i = 1; i <= 60000; i++) print "k" i % 20021, "value of", i }' >in; }

# A fold, a reduce, map alone, and a sort in total order.
each_job() {
    "$1" wordcount
    "$1" invertedindex
    "$1" grep -p 'pattern=[0-9]5'
    "$1" "$testjobs/order.so"
}

# A part is named part-NNNNN.SUFFIX; the manifest tells its size and that of what it holds.
reads_alike() {
    local format part name
    for format in text:gzip text:zstd raw:gzip raw:zstd; do
        run "$@" -i in -o plain -r 3 --overwrite --output-format "${format%:*}"
        run "$@" -i in -o out -r 3 --overwrite --output-format "$format"
        for part in plain/part-*; do
            name=${part#plain/}.$(suffix_of "$format")
            unpacked "out/$name" >got || die "$* $format: $name does not unpack"
            expect_same got "$part"
            tr -d ' \n' <out/_SUCCESS | grep -q "\"name\":\"$name\",\"bytes\":$(stat -c %s "out/$name"),\"raw_bytes\":$(stat -c %s "$part")," ||
                die "the manifest tells of $name: $(cat out/_SUCCESS)"
        done
        (($(find out -type f | wc -l) == 4)) || die "more than three parts and _SUCCESS: $(ls out)"
        grep -q "\"codec\": \"${format#*:}\"" out/_SUCCESS
        (($(cat out/part-* | wc -c) < $(cat plain/part-* | wc -c))) || die "$format made it no smaller"
    done
}
all_read_alike() { sample && each_job reads_alike; }

always_the_same() {
    local format options
    for format in text:gzip raw:zstd; do
        run "$@" -i in -o want -r 3 --overwrite --output-format "$format" --workers 1 --threads 1 --split-size 1G
        for options in '--workers 2 --threads 3 --split-size 40K' '--workers 3 --split-size 333333 --memory 8M' \
            '--threads 4 --split-size 100K --memory 20M --compress zstd'; do
            # shellcheck disable=SC2086 # several words
            run "$@" -i in -o got -r 3 --overwrite --output-format "$format" $options
            diff -r want got || die "$* $format differs with $options"
        done
    done
}
all_always_the_same() { sample && each_job always_the_same; }

empty_parts() {
    printf 'one\n' >in
    run wordcount -i in -o out -r 3 --output-format text:gzip
    run wordcount -i in -o out2 -r 3 --output-format text:zstd
    for part in out/part-0000[012].gz out2/part-0000[012].zst; do
        [[ -s $part ]] || die "$part has no bytes at all"
        unpacked "$part" >>got || die "$part does not unpack"
    done
    printf 'one\t1\none\t1\n' | cmp - got
    : >nothing
    run grep -p pattern=x -i nothing -o out3 --output-format text:gzip
    [[ $(gzip -dc out3/part-00000.gz | wc -c) == 0 ]]
}

# What lay in the folder before goes, whatever its parts were called.
overwritten() {
    local format
    echo a >in
    for format in text text:gzip text:zstd text; do
        run wordcount -i in -o out -r 2 --overwrite --output-format $format
        (($(find out -type f | wc -l) == 3)) || die "left in the folder: $(ls out)"
    done
    [[ $(cat out/part-* | tr '\t' ' ') == 'a 1' ]]
}

own_format() {
    cat >job.c <<'END'
#include <mr/job.h>
static void map(struct mr_task *task, struct mr_bytes line) { mr_emit_key(task, line); }
const struct mr_job mr_job = {MR_HEADER, .name = "job", .map = map, .output_format = "text:zstd"};
END
    gcc -O1 -fPIC -shared -I"$root/mrlib/include" -o job.so job.c
    seq 1000 >in
    run ./job.so -i in -o out -r 2
    for part in out/part-0000[01].zst; do unpacked "$part"; done | cmp - in
    "$marram" describe ./job.so | grep -q 'text:zstd'
    run ./job.so -i in -o out2 -r 1 --output-format text
    expect_same out2/part-00000 in
    expect_refusal 2 "'text:lz4'" "$marram" run ./job.so -i in -o out3 --output-format text:lz4
    grep -q ':gzip or :zstd' stderr
    [[ ! -e out3 ]]
}

# The next life of the coordinator knows what its parts are called.
after_a_restart() {
    sample
    echo BAD >>in
    run wordcount -i in -o want -r 3 --output-format text:gzip
    cluster_up 2
    detach "$testjobs/misbehave.so" -i in -o out -r 3 --split-size 300K -p map=mark_and_wait --output-format text:gzip
    await_condition 'test -e misbehaved' 'the map did not come to its mark'
    LISTEN=$MARRAM_COORDINATOR
    kill -KILL "$coordinator_pid"
    wait "$coordinator_pid" 2>/dev/null || true
    rm -f state/endpoint
    coordinator_up
    touch go
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    for part in want/part-*.gz; do expect_same "$part" "out/${part#want/}"; done
    (($(find out -type f | wc -l) == 4)) || die "more than three parts and _SUCCESS: $(ls out)"
    cluster_down
}

claim 'gzip and zstd read what plain output holds' all_read_alike
claim 'the same bytes for any workers, threads, splits and memory' all_always_the_same
claim 'empty parts are files that hold nothing' empty_parts
claim 'what was there before goes, by whatever name' overwritten
claim 'a job may have it as its own format; what is unknown is refused' own_format
claim 'a coordinator that is started anew commits them by their names' after_a_restart
totals
