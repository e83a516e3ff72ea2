#!/usr/bin/env bash
# Row 32: fsync fails. The job fails by name, nothing is published, nothing unacknowledged was promised.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# failing WORDS PARTS: the path of what cannot be synced holds WORDS.
failing() {
    instrumented && skip 'a sanitizer must be the first library'
    bad_sample
    export FAILING_SYNC=$PWD/sync
    LD_PRELOAD=$MARRAM_BUILD/tests/preload/failing_sync.so cluster_up 2
    echo "$1" >sync
    expect_status 1 "$marram" submit wordcount -i in -o out -r "$2"
    [[ -s sync.fired ]] || die 'the fault did not fire'
    grep -q 'Input/output error' stderr || die "$(cat stderr)"
    [[ ! -e out && -z $(ls -d out.marram-* 2>/dev/null) ]] || die "published: $(ls -d out*)"
    # What was there before is there still.
    run wordcount -i in -o out -r 3
    mv out kept
    cp -r kept out
    expect_status 1 "$marram" submit wordcount -i in -o out -r "$2" --overwrite
    diff -r kept out
    [[ -z $(ls -d out.marram-* 2>/dev/null) ]] || die "left: $(ls -d out*)"
    rm sync
    submit wordcount -i in -o out2 -r 5
    expect_wanted out2
    cluster_down
}
of_the_manifest() { failing _SUCCESS 5; }
of_a_part() { failing 'part-00003' 5; }
of_a_part_by_its_worker() { failing 'part-00003' 20; }
of_the_staging_folder() { failing 'out.marram-/' 5; }

# The file that could not be synced is never used: the part is written anew by another attempt.
once() {
    instrumented && skip 'a sanitizer must be the first library'
    bad_sample
    export FAILING_SYNC=$PWD/sync
    LD_PRELOAD=$MARRAM_BUILD/tests/preload/failing_sync.so cluster_up 2
    run wordcount -i in -o want20 -r 20
    echo 'once part-00003' >sync
    submit wordcount -i in -o out -r 20 --speculation off
    [[ ! -e sync && $(wc -l <sync.fired) == 1 ]] || die "the fault did not fire once: $(cat sync.fired)"
    grep -q 'part-00003\.1$' sync.fired || die "$(cat sync.fired)"
    grep -q 'attempt failed .*task=reduce-3 attempt=1 .*Input/output error' coordinator.log || die "$(cat coordinator.log)"
    (($(counter failed_attempts | tail -1) == 1)) || die "$(cat json)"
    for part in want20/part-*; do expect_same "$part" "out/${part#want20/}"; done
    cluster_down
}
of_the_folder_above() { failing 'work$' 5; }

claim 'of the manifest' of_the_manifest
claim 'of a part, by the coordinator' of_a_part
claim 'of a part, by its worker' of_a_part_by_its_worker
claim 'of the staging folder' of_the_staging_folder
claim 'of a part, once: another attempt writes it from scratch' once
claim 'of the folder that names the output, when it was there already' of_the_folder_above
totals
