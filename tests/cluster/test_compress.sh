#!/usr/bin/env bash
# Compressed runs: they change neither the output nor the exact counters, only what is written and sent.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

codecs=(lz4 zstd zlib auto)
lines=${MARRAM_FULL:+400000}
lines=${lines:-120000}

sample() { awk -v n="$lines" 'BEGIN { for (i = 1; i <= n; i++) print "k" i % 20021, "value of", i }' >in; }

# A fold, a reduce, a combiner, map alone, a sort in total order, and groups sorted by their whole keys.
each_job() {
    "$1" wordcount
    "$1" invertedindex
    "$1" "$testjobs/combine_job.so"
    "$1" grep -p 'pattern=[0-9]5'
    "$1" "$testjobs/order.so"
    "$1" "$testjobs/group_job.so"
}

# same JOB...: every codec against none, in little memory, on several workers.
same() {
    local codec none
    run "$@" -i in -o want -r 3 --overwrite --memory 8M --workers 2 --compress none --json >json
    none=$(counter shuffle_bytes)
    for codec in "${codecs[@]}"; do
        run "$@" -i in -o got -r 3 --overwrite --memory 8M --workers 2 --compress "$codec" --json >json
        diff -r want got >difference || die "$* differs with $codec: $(head -5 difference)"
        [[ $codec == auto ]] && continue # on one machine it is none
        (($(counter shuffle_bytes) < none * 9 / 10)) || die "$*: $codec left $(counter shuffle_bytes) of $none bytes"
        spilled=$((spilled + $(counter spilled_bytes)))
    done
}
every_codec_and_job() {
    sample
    spilled=0
    each_job same
    ((spilled > 0)) || die 'nothing was spilled: the memory was no limit'
}
fewer_bytes_are_spilled() {
    local none
    sample
    run invertedindex -i in -o want -r 1 --memory 8M --compress none --json >json
    none=$(counter spilled_bytes)
    for codec in lz4 zstd zlib; do
        run invertedindex -i in -o got --overwrite -r 1 --memory 8M --compress $codec --json >json
        expect_same got/part-00000 want/part-00000
        (($(counter spilled_bytes) > 0 && $(counter spilled_bytes) < none * 3 / 4)) ||
            die "$codec spilled $(counter spilled_bytes), none $none"
    done
}

sent() {
    local codec none
    run "$@" -i in -o want -r 3 --overwrite --compress none --split-size 300K
    submit "$@" -i in -o got -r 3 --overwrite --compress none --split-size 300K
    none=$(counter shuffle_bytes)
    for codec in "${codecs[@]}"; do
        submit "$@" -i in -o got -r 3 --overwrite --compress "$codec" --split-size 300K
        diff -r want got >difference || die "$* differs with $codec: $(head -5 difference)"
        [[ $codec == auto ]] && continue
        (($(counter shuffle_bytes) < none * 9 / 10)) || die "$*: $codec sent $(counter shuffle_bytes) of $none bytes"
    done
}
over_the_wire() {
    sample
    cluster_up 2 --direct-reads off
    each_job sent
    cluster_down
}

# In a network namespace of their own two workers have an address that is not loopback; the coordinator's socket is a file.
other_machines() {
    local none
    space=mrc$$
    ip netns add "$space" 2>/dev/null || skip 'network namespaces are not allowed here'
    trap 'ip netns del $space' EXIT
    ip -n "$space" link set lo up
    ip -n "$space" addr add 10.77.0.1/32 dev lo
    sample
    with_keys
    LISTEN=ipc://$PWD/socket cluster_up 0
    PREFIX="ip netns exec $space" worker_up w1 --direct-reads off --listen tcp://10.77.0.1:0
    PREFIX="ip netns exec $space" worker_up w2 --direct-reads off --listen tcp://10.77.0.1:0
    await_workers 2
    run invertedindex -i in -o want -r 3
    submit invertedindex -i in -o got -r 3 --split-size 300K --compress none
    none=$(counter shuffle_bytes)
    submit invertedindex -i in -o got -r 3 --split-size 300K --overwrite
    diff -r want got
    (($(counter shuffle_bytes) < none * 3 / 4)) || die "auto sent $(counter shuffle_bytes) of $none bytes"
    # What does not shrink is sent as it is.
    head -c 3000000 /dev/urandom >noise
    submit "$testjobs/fixed_blocks.so" -i noise -o got -r 3 --split-size 300K --overwrite --compress none --output-format raw
    none=$(counter shuffle_bytes)
    cp -r got want2
    submit "$testjobs/fixed_blocks.so" -i noise -o got -r 3 --split-size 300K --overwrite --output-format raw
    diff -r want2 got
    (($(counter shuffle_bytes) <= none)) || die "auto sent $(counter shuffle_bytes) of $none bytes"
    cluster_down
}

# A byte is changed in the middle of each run that is there while the last map waits; all blocks are compressed.
flipped() {
    local file
    sample
    echo BAD >>in
    run wordcount -i in -o want -r 3
    cluster_up 2 --direct-reads off
    detach "$testjobs/misbehave.so" -i in -o out -r 3 --split-size 300K -p map=mark_and_wait --compress "$1"
    await_condition 'test -e misbehaved' 'the map did not come to its mark'
    await_condition "\"\$marram\" job $job --json >json; ((\$(counter maps_done) >= \$(counter maps) - 2))" 'the other maps did not finish'
    file=$(find scratch -name 'map-*.run' | while read -r f; do [[ $(tail -c 8 "$f") == MRRUNEND ]] && echo "$f"; done | head -1)
    [[ -n $file ]]
    # Between two headers: in the payload of the first block.
    printf '\xa5' | cmp -s - <(tail -c +201 "$file" | head -c 1) && die 'the byte is that already'
    printf '\xa5' | dd of="$file" bs=1 seek=200 conv=notrunc status=none
    rm -f misbehaved
    find scratch -name 'ahead-*' -delete
    touch go
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    for part in want/part-*; do expect_same "$part" "out/${part#want/}"; done
    "$marram" job "$job" --json >json
    echo "$1: $(counter map_reruns | tail -1) maps ran again"
    reruns=$(counter map_reruns | tail -1)
    cluster_down
}
flipped_in_each_codec() {
    for codec in lz4 zstd; do
        (mkdir $codec && cd $codec && flipped $codec && ((reruns > 0)) || die 'the damage was not met') || exit 1
    done
}

unknown() {
    echo a >in
    expect_refusal 2 'auto, none, lz4, zstd or zlib' "$marram" run wordcount --compress gzip -i in -o out
    [[ ! -e out ]]
}

claim 'every codec and kind of job: the same output, fewer bytes' every_codec_and_job
claim 'what is spilled is compressed as well' fewer_bytes_are_spilled
claim 'the same over the wire, whose bytes are fewer' over_the_wire
claim 'auto compresses what goes to other machines, where it shrinks' other_machines
claim 'a changed byte in a compressed run is found, and its map runs again' flipped_in_each_codec
claim 'an unknown codec is refused by name' unknown
totals
