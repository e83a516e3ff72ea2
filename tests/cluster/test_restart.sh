#!/usr/bin/env bash
# The coordinator is killed at any moment and started anew on the same state: nothing that was acknowledged is lost,
# nothing that is done is done again, those who wait go on waiting.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

splits=20

# $splits splits of 2,000 bytes, each of which begins with a line of its own.
sample() {
    awk -v splits=$splits 'BEGIN {
        for (i = 0; i < splits; i++) {
            line = sprintf("MARK%02d", i); size = length(line) + 1; print line
            while (size < 2000) { word = sprintf("w%d", (i * 7 + size) % 97)
                if (size + length(word) + 1 > 2000) word = substr("xxxxxxxx", 1, 1999 - size)
                print word; size += length(word) + 1 }
        }
    }' >in
    (($(wc -c <in) == splits * 2000)) || die "the sample has $(wc -c <in) bytes"
    "$marram" run "$testjobs/throttled.so" -i in -o want -r 4 -p log=/dev/null 2>stderr || die "$(cat stderr)"
}
throttled=("-i" in -r 4 --split-size 2000)

# The coordinator of before is gone; another one on the same state and the same endpoint.
coordinator_dies() {
    LISTEN=$MARRAM_COORDINATOR
    kill -KILL "$coordinator_pid"
    wait "$coordinator_pid" 2>/dev/null || true
}
coordinator_returns() {
    rm -f state/endpoint
    coordinator_up
}

# waiting ARGUMENTS...: a client that waits, in the background; $client
waiting() {
    "$marram" submit "$testjobs/throttled.so" "${throttled[@]}" -o out -p log="$PWD/log" --json "$@" >json 2>stderr &
    client=$!
}
client_is_content() {
    local status=0
    wait "$client" || status=$?
    ((status == 0)) || die "the client ended with status $status: $(cat stderr)"
    expect_same_output
}
expect_same_output() {
    diff -r want out >difference || die "$(head -3 difference)"
    [[ -z $(ls -d out.marram-* 2>/dev/null) ]] || die 'there is a staging folder'
}
begun() { sort -u log 2>/dev/null | grep -c "^$1"; }
await_begun() { await_condition "((\$(begun $1) >= $2))" "$2 times $1 did not begin"; }
await_state() { await_condition "\"\$marram\" jobs 2>/dev/null | grep -q '$1'" "no job is $1"; }

# Finished maps are kept; of those that ran one may run again for each kill, worker and attempt in hand.
expect_executions() {
    local kills=$1 most
    most=$((splits + kills * 2 * 2))
    (($(grep -c ^map log) <= most)) || die "$(grep -c ^map log) maps ran, $most at most should have"
    expect_counter map_reruns 0
    expect_counter failed_attempts 0
}

killed_before_a_worker_came() {
    sample
    coordinator_up
    waiting
    await_state waiting
    coordinator_dies
    coordinator_returns
    worker_up w1
    client_is_content
    expect_executions 1
    cluster_down
}
killed_in_map() {
    sample
    cluster_up 2
    waiting -p map_ms=100
    await_begun map 8
    coordinator_dies
    coordinator_returns
    client_is_content
    expect_executions 1
    cluster_down
}
killed_in_reduce() {
    sample
    cluster_up 2 "$@"
    waiting -p reduce_ms=100
    await_begun reduce 3
    coordinator_dies
    coordinator_returns
    client_is_content
    expect_executions 1
    (($(grep -c ^map log) == splits)) || die "$(grep -c ^map log) maps ran"
    cluster_down
}
killed_in_reduce_over_the_wire() { killed_in_reduce --direct-reads off; }

# Workers that are gone as well have taken their runs with them.
killed_with_a_worker() {
    sample
    LEASE=2 cluster_up 2
    waiting -p map_ms=50 -p reduce_ms=50
    await_begun reduce 2
    kill_worker w1
    coordinator_dies
    LEASE=2 coordinator_returns
    client_is_content
    (($(counter map_reruns) > 0)) || die 'no map was made again'
    cluster_down
}
restarted_without_workers() {
    sample
    LEASE=2 cluster_up 2
    waiting -p map_ms=50
    await_begun map 8
    coordinator_dies
    kill_worker w1
    kill_worker w2
    LEASE=2 coordinator_returns
    await_state waiting
    worker_up w3
    client_is_content
    cluster_down
}

# One job and one client through many lives, which end at moments that chance chooses. The long form is a minute's work
# for the two workers, and fifty lives.
seed=${RESTART_SEED:-$(($(date +%s) % 32768))}
killed_again_and_again() {
    local i kills=8
    splits=120
    [[ -z ${MARRAM_FULL:-} ]] || { kills=50 && splits=1300; }
    RANDOM=$seed
    sample
    cluster_up 2
    waiting -p map_ms=100 -p reduce_ms=1
    await_begun map 1
    for ((i = 0; i < kills; i++)); do
        sleep "0.$((RANDOM % 9))"
        kill -0 "$client" || die "the job was over after $i kills: $(cat stderr)"
        coordinator_dies
        coordinator_returns
    done
    client_is_content
    expect_executions $kills
    cluster_down
}

# A submission that was acknowledged is there, one that was not is sent again: there is one job each time.
killed_around_submission() {
    local i accepted=0 status
    sample
    cluster_up 1
    for i in {1..12}; do
        rm -rf out log
        status=0
        waiting
        # A client with a sanitizer takes longer to get there.
        if instrumented; then sleep "0.$((RANDOM % 5))"; else sleep "0.0$((RANDOM % 5))"; fi
        coordinator_dies
        coordinator_returns
        wait "$client" || status=$?
        # Who found nobody there has nothing to wait for.
        if ((status == 3)) && grep -q 'no coordinator answers' stderr; then continue; fi
        ((status == 0)) || die "status $status: $(cat stderr)"
        expect_same_output
        accepted=$((accepted + 1))
    done
    ((accepted >= 2)) || die "only $accepted submissions reached a coordinator"
    (($("$marram" jobs --json | grep -c '"output"') == accepted)) || die "$accepted accepted: $("$marram" jobs)"
    cluster_down
}

# `wait` on a job that ended in a former life; what is known of it is the same.
finished_jobs_are_remembered() {
    sample
    cluster_up 1
    waiting
    client_is_content
    job=$(sed -n 's/.*"job": "\([0-9a-f]*\)".*/\1/p' json | head -1)
    coordinator_dies
    coordinator_returns
    "$marram" wait "$job" --json >json.again || die 'the job is not known as done'
    expect_same json json.again
    ! "$marram" submit "$testjobs/throttled.so" -i absent -o none -p log=log 2>/dev/null || die 'accepted'
    cluster_down
}
failures_are_remembered() {
    local status=0
    sample
    echo BAD >>in
    cluster_up 1
    # Each attempt fails at the end of a slow map.
    "$marram" submit "$testjobs/misbehave.so" -i in -o out -p map=segv --json >json 2>stderr &
    client=$!
    await_condition 'grep -q "attempt failed" coordinator.log' 'nothing failed'
    coordinator_dies
    mv coordinator.log before.log
    coordinator_returns
    wait $client || status=$?
    ((status == 1)) || die "status $status: $(cat stderr)"
    (($(counter failed_attempts) == 4)) || die "$(counter failed_attempts) attempts failed"
    [[ ! -e out && -z $(ls -d out.marram-* 2>/dev/null) ]] || die 'something is left of the output'
    cluster_down
}

# left_through_a_restart COMMAND...: tells w1 to leave; the coordinator dies while w1 still works. The worker itself remembers:
# it joins the next one to hand over what it has, and leaves.
left_through_a_restart() {
    splits=16
    sample
    cluster_up 2
    waiting -p map_ms=400
    await_begun map 6
    "$@" >/dev/null
    await_condition "\"\$marram\" workers | grep -q 'w1 .*draining'" 'it is not draining'
    coordinator_dies
    ! grep -q 'worker drained' coordinator.log || die 'it had left already'
    mv coordinator.log before.log
    coordinator_returns
    wait "${worker_pid[w1]}" || die "w1 ended with status $?: $(tail -3 w1.log)"
    unset "worker_pid[w1]"
    grep -q 'worker drained .*name=w1' coordinator.log || die "it left too early: $(cat coordinator.log w1.log)"
    grep -q 'run taken' w2.log || die "nothing was handed over: $(cat w2.log)"
    client_is_content
    expect_executions 1
    expect_counter drain_reruns 0
    cluster_down
}
drained_through_a_restart() { left_through_a_restart "$marram" drain w1 --detach; }
ended_through_a_restart() { left_through_a_restart terminate w1; }
terminate() { kill "${worker_pid[$1]}"; }

# A coordinator that is stopped in order is started again in the same way.
stopped_in_order() {
    sample
    cluster_up 2
    waiting -p map_ms=60
    await_begun map 6
    LISTEN=$MARRAM_COORDINATOR
    kill "$coordinator_pid"
    wait "$coordinator_pid"
    coordinator_returns
    client_is_content
    expect_executions 1
    cluster_down
}
client_gives_up() {
    local status=0
    sample
    cluster_up 1
    waiting -p map_ms=100 --patience 5
    await_begun map 2
    coordinator_dies
    wait "$client" || status=$?
    ((status == 3)) || die "status $status: $(cat stderr)"
    grep -q 'does not answer' stderr || die "$(cat stderr)"
    coordinator_returns
    job=$("$marram" jobs | awk 'NR == 2 { print $1 }')
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    expect_same_output
    cluster_down
}
damaged_journal() {
    sample
    cluster_up 1
    waiting
    client_is_content
    coordinator_dies
    dd if=/dev/zero of="$(ls state/journal/*.log)" bs=1 seek=60 count=20 conv=notrunc 2>/dev/null
    expect_status 1 "$marram" coordinator --listen "$LISTEN" --state "$PWD/state"
    grep -q journal stderr || die "$(cat stderr)"
    rm -rf state
    coordinator_returns
    cluster_down
}

# The state folder is full: what cannot be written down is not promised, and the coordinator ends.
journal_cannot_be_written() {
    local status=0
    ((EUID == 0)) || skip 'needs root to mount a small file system'
    mkdir -p state
    mount -t tmpfs -o size=2m tmpfs state || skip 'mounting is not allowed here'
    trap 'umount "$PWD/state"' EXIT
    sample
    cluster_up 1
    waiting
    client_is_content
    rm -rf out log
    dd if=/dev/zero of=state/filler bs=4k 2>/dev/null || true
    LISTEN=$MARRAM_COORDINATOR
    # The last page of the log may have room for a few records.
    waiting -p map_ms=20
    wait "$coordinator_pid" || status=$?
    ((status == 1)) || die "the coordinator ended with status $status"
    grep -q 'cannot be written down any more.*No space left' coordinator.log || die "$(cat coordinator.log)"
    [[ ! -e out ]] || die 'there is an output'
    rm state/filler
    coordinator_returns
    client_is_content
    (($("$marram" jobs --json | grep -c '"output"') == 2)) || die "$("$marram" jobs)"
    cluster_down
}

claim 'killed before a worker came' killed_before_a_worker_came
claim 'killed in map: finished maps are kept' killed_in_map
claim 'killed in reduce: no map runs again' killed_in_reduce
claim 'so it is when runs travel over the wire' killed_in_reduce_over_the_wire
claim 'killed with a worker: its maps are made again' killed_with_a_worker
claim 'killed with all workers: the job waits for others' restarted_without_workers
claim "one submission outlives many kills, seed $seed" killed_again_and_again
claim 'killed between a submission and its acknowledgement: one job' killed_around_submission
claim 'finished jobs are remembered' finished_jobs_are_remembered
claim 'failed attempts are remembered' failures_are_remembered
claim 'killed while a worker drains: it leaves all the same, and nothing is made again' drained_through_a_restart
claim 'so it is when the worker was told by a signal' ended_through_a_restart
claim 'stopped in order, it goes on as well' stopped_in_order
claim 'a client says once that it waits, and gives up in the end' client_gives_up
claim 'a journal that cannot be written ends the coordinator, and nothing that was promised is lost' journal_cannot_be_written
claim 'a damaged journal is refused by name' damaged_journal
totals
