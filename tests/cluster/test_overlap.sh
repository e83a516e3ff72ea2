#!/usr/bin/env bash
# What is fetched while maps still run: that it is, that it is used, and that nothing depends on it.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

# A job of some sixty maps, of which one waits for the file `go`; and what it will say.
sample() {
    awk 'BEGIN { for (i = 0; i < 60000; i++) print "word" i % 1000, "filler of no interest" }' >in
    echo BAD >>in
    awk 'BEGIN { for (i = 0; i < 40000; i++) print "word" i % 77, "more filler" }' >>in
    run wordcount -i in -o want -r 5
}
start_and_hold() {
    detach "$testjobs/misbehave.so" -i in -o out -r 5 --split-size 50K -p map=mark_and_wait
    await_condition 'test -e misbehaved' 'the map did not come to its mark'
    # All but the marked one and, perhaps, one more in the same hands.
    await_condition "\"\$marram\" job $job --json >json; ((\$(counter maps_done) >= \$(counter maps) - 2))" \
        'the other maps did not finish'
}
finish() {
    touch go
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    for part in want/part-*; do expect_same "$part" "out/${part#want/}"; done
    "$marram" job "$job" --json >json
}
# The bundles that were fetched ahead and are whole.
bundles() {
    find scratch -name 'ahead-*' | while read -r file; do
        [[ $(tail -c 8 "$file" 2>/dev/null) == MRBNDEND ]] && echo "$file"
    done
    true
}

await_bundles() { await_condition "((\$(bundles | wc -l) >= $1))" 'too little was fetched ahead'; }
count() { counter "$1" | tail -1; }

fetched_before_the_last_map() {
    sample
    cluster_up 3 --direct-reads off
    start_and_hold
    # Three batches of sixteen outputs, five parts; a batch may be all of a home's own.
    await_bundles 10
    finish
    (($(count prefetched_bytes) > 0)) || die "none of it was used: $(cat json)"
    (($(count prefetched_bytes) < $(count shuffle_bytes))) || die "too much was used: $(cat json)"
    (($(count failed_attempts) == 0 && $(count map_reruns) == 0)) || die "$(cat json)"
    cluster_down
}

# Its outputs are made again, with other names: what was fetched of the old ones is not used.
killed_after_it_was_fetched_from() {
    local other name
    sample
    LEASE=1 cluster_up 3 --direct-reads off
    start_and_hold
    await_bundles 10
    other=$(worker_of "$(cat misbehaved)")
    for name in w1 w2 w3; do [[ $name == "$other" ]] || victim=$name; done
    kill_worker "$victim"
    await_condition "grep -q 'worker lost .*name=$victim' coordinator.log" 'it was not given up'
    finish
    (($(count map_reruns) > 0)) || die 'no map ran again'
    cluster_down
}

damaged_bundles() {
    local file size
    sample
    cluster_up 3 --direct-reads off
    start_and_hold
    await_bundles 10
    for file in $(bundles); do
        size=$(stat -c %s "$file")
        printf 'DAMAGE' | dd of="$file" bs=1 seek=$((size / 3)) conv=notrunc status=none
    done
    finish
    (($(count failed_attempts) == 0)) || die "an attempt failed: $(cat json)"
    cluster_down
}

# Bundles that are gone, too.
lost_bundles() {
    sample
    cluster_up 2 --direct-reads off
    start_and_hold
    await_bundles 8
    bundles | xargs rm -f
    finish
    (($(count failed_attempts) == 0)) || die "an attempt failed: $(cat json)"
    cluster_down
}

# Where the paths of others' runs open there is nothing to fetch.
paths_that_open() {
    sample
    cluster_up 3
    start_and_hold
    [[ -z $(bundles) ]] || die 'fetched what can be read'
    finish
    (($(count prefetched_bytes) == 0)) || die "$(cat json)"
    cluster_down
}

# Workers that try paths, each with a scratch folder that the others do not see.
paths_that_do_not_open() {
    ((EUID == 0)) || skip 'needs root to hide folders from workers'
    unshare -m true 2>/dev/null || skip 'mount namespaces are not allowed here'
    sample
    coordinator_up
    for i in 1 2 3; do
        mkdir -p "scratch/w$i"
        # shellcheck disable=SC2016 # for the inner shell
        unshare -m bash -c 'mount -t tmpfs none "$1" && shift && exec "$@"' _ "scratch/w$i" "$marram" worker \
            --coordinator "$MARRAM_COORDINATOR" --name "w$i" --threads 1 --memory 512M \
            --scratch "$PWD/scratch/w$i/inside" 2>"w$i.log" &
        worker_pid["w$i"]=$!
    done
    await_workers 3
    start_and_hold
    # find itself fails when processes end meanwhile.
    await_condition "[[ -n \$(find /proc/[0-9]*/root\"\$PWD\"/scratch -name 'ahead-*' 2>/dev/null) ]]" \
        'nothing was fetched ahead'
    finish
    (($(count prefetched_bytes) > 0)) || die "none of it was used: $(cat json)"
    cluster_down
}

cancelled() {
    sample
    cluster_up 3 --direct-reads off
    start_and_hold
    await_bundles 10
    "$marram" cancel "$job"
    await_condition "[[ -z \$(find scratch -name 'ahead-*') ]]" 'bundles stay behind a cancelled job'
    cluster_down
}

claim 'reducers find what was fetched before the last map ended' fetched_before_the_last_map
claim 'a worker killed after others fetched its outputs ahead' killed_after_it_was_fetched_from
claim 'damaged bundles are fetched anew, and cost no attempt' damaged_bundles
claim 'so are bundles that are gone' lost_bundles
claim 'what can be read by its path is not fetched ahead' paths_that_open
claim 'what cannot be read by its path is' paths_that_do_not_open
claim 'a cancelled job leaves no bundle' cancelled
totals
