#!/usr/bin/env bash
# Row 24: the output folder exists; two jobs, one folder. Refused before any work; one wins.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

exists() {
    bad_sample
    cluster_up 1
    mkdir out
    echo mine >out/file
    expect_refusal 2 "$PWD/out" "$marram" submit wordcount -i in -o out
    [[ $(cat out/file) == mine ]]
    ! grep -q 'job planned' coordinator.log || die 'there was work'
    cluster_down
}
two_jobs() {
    local status=0
    bad_sample
    cluster_up 2
    start_and_hold
    # The same coordinator knows, and refuses at once.
    expect_refusal 2 "'$PWD/out' is being written by job $job" "$marram" submit wordcount -i in -o out
    # Another does not know. It is the first to end.
    run wordcount -i in -o out -r 5
    touch go
    "$marram" wait "$job" 2>stderr || status=$?
    ((status == 1)) || die "status $status: $(cat stderr)"
    grep -q "'$PWD/out' was filled by someone else meanwhile" stderr || die "$(cat stderr)"
    expect_wanted out
    [[ -z $(ls -d out.marram-* 2>/dev/null) ]] || die 'there is a staging folder'
    cluster_down
}

claim 'an output that exists is refused before any work' exists
claim 'of two jobs with one output one wins' two_jobs
totals
