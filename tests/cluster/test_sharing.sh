#!/usr/bin/env bash
# Several jobs at once: shares, priorities, the queue, and what `marram jobs` says about those that wait.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

sample() {
    awk 'BEGIN { for (i = 0; i < 40000; i++) printf "word%02d and filler %05d\n", i % 97, i % 89 }' >in
    head -200 in >few
}
# reason ID WORDS: the job waits, and that is why.
waits_for() {
    await_condition "\"\$marram\" jobs | grep \"^$1 \" | grep -q 'waiting .*$2'" "job $1 does not wait for '$2'"
}
state_of() { "$marram" job "$1" --json | sed -n 's/^ *"state": "\(.*\)",$/\1/p' | head -1; }

small_behind_huge() {
    local huge
    sample
    cluster_up 2
    detach "$testjobs/burn.so" -i in -o out.huge -r 3 --split-size 6K -p map=500
    huge=$job
    await_condition "\"\$marram\" job $huge --json >json; ((\$(counter maps_done) > 2))" 'the huge job does not begin'
    submit wordcount -i few -o out.small -r 2
    "$marram" job "$huge" --json >json
    (($(counter maps_done) * 2 < $(counter maps))) || die "half of the huge job went first: $(counter maps_done) of $(counter maps)"
    [[ $(state_of "$huge") == running ]] || die 'the huge job does not run'
    run wordcount -i few -o want -r 2 --split-size 1G
    for part in want/part-*; do expect_same "$part" "out.small/${part#want/}"; done
    "$marram" cancel "$huge"
    cluster_down
}

the_cap_holds() {
    local first second third
    sample
    COORDINATOR_OPTIONS='--max-running 1' cluster_up 2
    detach "$testjobs/gate.so" -i few -o out.1 -p gate="$PWD/gate"
    first=$job
    detach wordcount -i few -o out.2
    second=$job
    detach wordcount -i few -o out.3 --priority 9
    third=$job
    waits_for "$third" '1 job runs, as many as may: 1st in the queue'
    waits_for "$second" '1 job runs, as many as may: 2nd in the queue'
    # A worker stands idle, and still they wait.
    await_condition 'test -e gate.reached' 'the first job does not run'
    [[ $(state_of "$second") == waiting ]] || die 'the second job runs'
    touch gate
    for job in "$first" "$second" "$third"; do "$marram" wait "$job" 2>stderr || die "$(cat stderr)"; done
    grep 'job finished' coordinator.log | sed 's/.*job=\([0-9a-f]*\).*/\1/' >order
    printf '%s\n' "$first" "$third" "$second" | diff - order || die 'not in the order of priority'
    cluster_down
}

a_cancelled_job_leaves_the_queue() {
    local second
    sample
    COORDINATOR_OPTIONS='--max-running 1' cluster_up 1
    detach "$testjobs/gate.so" -i few -o out.1 -p gate="$PWD/gate"
    first=$job
    detach wordcount -i few -o out.2
    second=$job
    detach wordcount -i few -o out.3
    waits_for "$job" '2nd in the queue'
    "$marram" cancel "$second"
    waits_for "$job" '1st in the queue'
    touch gate
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    "$marram" wait "$first" 2>stderr || die "$(cat stderr)"
    cluster_down
}

nobody_is_there() {
    sample
    coordinator_up
    detach wordcount -i few -o out
    waits_for "$job" 'no worker'
    worker_up w1
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    cluster_down
}

priorities_are_told_and_checked() {
    sample
    cluster_up 1
    submit wordcount -i few -o out --priority 7
    "$marram" jobs --json >json
    expect_counter priority 7
    expect_refusal 2 "--priority '10': a number from 0 to 9 is wanted" "$marram" submit wordcount -i few -o out2 --priority 10
    cluster_down
}

claim 'a small job behind a huge one is done before half of that' small_behind_huge
claim 'the cap holds, by priority, and the queue says its places' the_cap_holds
claim 'a cancelled job leaves the queue' a_cancelled_job_leaves_the_queue
claim 'without a worker a job says so, and goes on when one comes' nobody_is_there
claim 'priorities are told, and checked' priorities_are_told_and_checked
totals
