#!/usr/bin/env bash
# Workers that come and go while jobs run: the same bytes, and no finished map is made again.
# up and status are verbs here, and files.
# shellcheck disable=SC2094
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

slow=$testjobs/slow.so

# slow_sample LINES: that many lines, of a thousand words; and what `run` makes of them.
slow_sample() {
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) print "word" i % 1000, "and" i % 13 }' >in
    run "$slow" -i in -o want -r 8
}
same_as_wanted() {
    for part in want/part-*; do expect_same "$part" "out/${part#want/}"; done
}
# await_job: it is done, with the right bytes; its JSON in ./json.
await_job() {
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    same_as_wanted
    "$marram" job "$job" --json >json
}
nothing_was_made_again() {
    expect_counter map_reruns 0
    expect_counter drain_reruns 0
}
# progress PERCENT: so much of the tasks is done.
progress() {
    "$marram" job "$job" --json >json 2>/dev/null
    (($(counter maps) > 0 && ($(counter maps_done) + $(counter reduces_done)) * 100 >= ($(counter maps) + $(counter reduces)) * $1))
}
# field NAME WORKER: what `marram workers` says of it.
field() {
    "$marram" workers --json | awk -v name="\"$2\"" -v field="\"$1\":" '
        /^ *}/ { if (mine) print value; mine = 0 }
        $1 == "\"name\":" && $2 == name "," { mine = 1 }
        $1 == field { value = $0; sub(/^[^:]*: */, "", value); sub(/,$/, "", value); gsub(/"/, "", value) }'
}
# worker_ended NAME: with status 0, having left in order.
worker_ended() {
    wait "${worker_pid[$1]}" || die "worker $1 ended with status $?: $(tail -3 "$1.log")"
    unset "worker_pid[$1]"
    grep -q "worker drained .*name=$1 " coordinator.log || die "$1 left too early: $(tail -5 coordinator.log)"
    [[ ! -e scratch/$1 || -z $(find "scratch/$1" -type f) ]] || die "$1 left files"
}
# taken WAY: how many runs were taken over that way.
taken() { cat ./*.log | grep -c "run taken .*way=$1 "; }

# in_order PATTERN...: events of the coordinator's log, each after the one before.
in_order() {
    awk 'BEGIN { at = 1; for (i = 1; i < ARGC; i++) wanted[i] = ARGV[i]; wanted_count = ARGC - 1; ARGC = 1 }
        at <= wanted_count && $0 ~ wanted[at] { at++ }
        END { if (at <= wanted_count) { print "missing: " wanted[at]; exit 1 } }' "$@" <coordinator.log ||
        die "$(cat coordinator.log)"
}
one_four_two() {
    local lines=12000 us=1500 size=2K
    # Half a minute of nothing but sleep.
    [[ -z ${MARRAM_FULL:-} ]] || { lines=60000 && size=8K; }
    slow_sample $lines
    cluster_up 1 "$@"
    detach "$slow" -i in -o out -r 8 --split-size $size -p map_us=$us -p reduce_us=$((3 * us))
    await_condition 'progress 30' 'the job does not move'
    for i in 2 3 4; do worker_up "w$i" "$@"; done
    # Who comes late gets work at once, whatever was planned before.
    for i in 2 3 4; do
        await_condition "\"\$marram\" job $job | grep -q ' on w$i'" "w$i gets nothing"
    done
    await_condition 'progress 60' 'the job does not move'
    "$marram" drain w1 || die 'w1 was not drained'
    worker_ended w1
    await_condition 'progress 90' 'the job does not move'
    "$marram" job "$job" | grep -q 'state *running' || die 'the job was over too early'
    kill "${worker_pid[w3]}"
    worker_ended w3
    await_job
    ! grep 'worker lost' coordinator.log || die 'a worker was lost'
    nothing_was_made_again
    for i in 2 3 4; do
        in_order 'job planned' "worker joined .*name=w$i " 'worker drained .*name=w1 ' 'worker drained .*name=w3 ' 'job finished'
    done
    [[ -z ${MARRAM_FULL:-} ]] || awk '$1 == "\"seconds\":" { exit $2 < 30 }' json || die "too short: $(grep seconds json)"
    (($("$marram" workers --json | grep -c '"name"') == 2)) || die 'there are not two'
    cluster_down
}
by_path() {
    one_four_two
    (($(taken link) > 0 && $(taken fetch) == 0)) || die 'no run was linked'
}
over_the_wire() {
    one_four_two --direct-reads off
    (($(taken fetch) > 0 && $(taken link) == 0)) || die 'no run was fetched'
}

# Lines of words of which one, "BAD", stands in the middle.
bad_sample() {
    awk 'BEGIN { for (i = 0; i < 60000; i++) print "word" i % 1000, "filler of no interest" }' >in
    echo BAD >>in
    awk 'BEGIN { for (i = 0; i < 40000; i++) print "word" i % 77, "more filler" }' >>in
    run wordcount -i in -o want -r 5
}
# stand_in PHASE [OPTIONS OF WORKERS]: two workers, of which $marked stands in that phase, until the file `go` is
# there; $other has done what there was to do but that.
stand_in() {
    bad_sample
    LEASE=${LEASE:-2} cluster_up 2 "${@:2}"
    detach "$testjobs/misbehave.so" -i in -o out -r 5 --split-size 100K --speculation off -p "$1=mark_and_wait"
    await_condition 'test -e misbehaved' 'it did not come to its mark'
    marked=$(worker_of "$(cat misbehaved)")
    other=w1
    [[ $marked == w1 ]] && other=w2
    if [[ $1 == map ]]; then
        await_condition "\"\$marram\" job $job --json >json; ((\$(counter maps_done) >= \$(counter maps) - 2))" \
            'the other maps did not finish'
    fi
}
term_in_map() {
    stand_in map
    kill "${worker_pid[$marked]}"
    await_condition "[[ \$(field state $marked) == draining ]]" 'it is not draining'
    await_condition "field reason $marked | grep -q '^1 attempt runs'" 'it does not say what it waits for'
    touch go
    worker_ended "$marked"
    await_job
    nothing_was_made_again
    cluster_down
}
term_in_reduce() {
    stand_in reduce
    kill "${worker_pid[$marked]}"
    await_condition "[[ \$(field state $marked) == draining ]]" 'it is not draining'
    touch go
    worker_ended "$marked"
    await_job
    nothing_was_made_again
    cluster_down
}
# Reducers of the one are at work when the other leaves, from which they have everything.
term_in_shuffle() {
    slow_sample 3000
    LEASE=2 cluster_up 2 --direct-reads off
    detach "$slow" -i in -o out -r 16 --split-size 2K -p reduce_us=3000
    run "$slow" -i in -o want16 -r 16
    rm -r want && mv want16 want
    await_condition "\"\$marram\" job $job --json >json; ((\$(counter reduces_done) >= 2))" 'no reducer began'
    (($(counter reduces_done) < 14)) || die 'too late'
    kill "${worker_pid[w1]}"
    worker_ended w1
    await_job
    nothing_was_made_again
    (($(taken fetch) > 0)) || die 'nothing was moved'
    cluster_down
}
too_long() {
    stand_in map
    "$marram" drain "$marked" --timeout 1 || die 'it was not drained'
    worker_ended "$marked"
    touch go
    await_job
    nothing_was_made_again
    (($(counter drain_restarts) == 1)) || die "restarts: $(counter drain_restarts)"
    ! grep -q '"failed_attempts": [1-9]' json || die 'it cost an attempt'
    cluster_down
}
second_signal() {
    local status=0
    stand_in map
    kill "${worker_pid[$marked]}"
    await_condition "[[ \$(field state $marked) == draining ]]" 'it is not draining'
    kill "${worker_pid[$marked]}"
    wait "${worker_pid[$marked]}" || status=$?
    ((status == 0)) || die "status $status"
    unset "worker_pid[$marked]"
    grep -q "worker left too early .*name=$marked" coordinator.log || die "$(tail coordinator.log)"
    expect_refusal 1 'before it had handed over all' "$marram" drain "$marked"
    touch go
    await_job
    cluster_down
}
last_one_waits() {
    slow_sample 600
    LEASE=2 cluster_up 1
    detach "$slow" -i in -o out -r 8 --split-size 1K -p map_us=1000
    await_condition "\"\$marram\" job $job --json >json; ((\$(counter maps_done) >= 3))" 'no map is done'
    "$marram" drain w1 >drained 2>said &
    waiter=$!
    await_condition "field reason w1 | grep -q '^no worker to take over'" 'it does not say what it waits for'
    await_condition "\"\$marram\" jobs | grep -q 'no worker but those that are to leave'" 'the job does not say so'
    (($(field outputs w1) >= 3)) || die "outputs: $(field outputs w1)"
    [[ $("$marram" drain w1 --detach) == 'w1 is to leave, as it was already' ]] || die 'not told again'
    worker_up w2
    wait $waiter || die "$(cat said)"
    [[ $(cat drained) == 'w1 has left' ]] || die "$(cat drained)"
    grep -q 'no worker to take over' said || die "$(cat said)"
    worker_ended w1
    [[ $("$marram" drain w1) == 'w1 has left already' ]] || die 'not told again'
    await_job
    nothing_was_made_again
    cluster_down
}
# The one that is to take outputs over stands still, is given up, and somebody else takes them.
taker_is_lost() {
    stand_in map
    worker_up w3
    await_condition "[[ \$(field scratch_free w3) -gt 0 ]]" 'w3 has not joined'
    kill -STOP "${worker_pid[w3]}"
    "$marram" drain "$other" 2>said || die "$(cat said)"
    grep -q 'worker lost .*name=w3' coordinator.log || die 'w3 was asked for nothing'
    worker_ended "$other"
    kill -CONT "${worker_pid[w3]}"
    touch go
    await_job
    nothing_was_made_again
    cluster_down
}
leaver_is_killed() {
    stand_in map
    kill "${worker_pid[$marked]}"
    await_condition "[[ \$(field state $marked) == draining ]]" 'it is not draining'
    kill_worker "$marked"
    touch go
    await_job
    expect_counter drain_reruns "$(counter map_reruns)"
    cluster_down
}
broken_output() {
    local run
    stand_in map --direct-reads off
    run=$(find "scratch/$other" -name '*.run' | sort | head -1)
    printf 'XXXXXXXX' | dd of="$run" bs=1 seek=200 conv=notrunc 2>/dev/null
    "$marram" drain "$other" 2>said || die "$(cat said)"
    worker_ended "$other"
    touch go
    await_job
    expect_counter drain_reruns 1
    expect_counter map_reruns 1
    cluster_down
}
no_room() {
    ((EUID == 0)) || skip 'needs root to mount a small file system'
    mkdir -p scratch/w3
    mount -t tmpfs -o size=8m tmpfs scratch/w3 || skip 'mounting is not allowed here'
    trap 'umount -l "$PWD/scratch/w3"' EXIT
    slow_sample 3000
    LEASE=2 cluster_up 1
    detach "$slow" -i in -o out -r 8 --split-size 1K -p map_us=1500
    await_condition "\"\$marram\" job $job --json >json; ((\$(counter maps_done) >= 3))" 'no map is done'
    worker_up w3
    await_workers 2
    kill "${worker_pid[w1]}"
    await_condition "field reason w1 | grep -q '^no worker has room'" 'it does not say what it waits for'
    worker_up w2
    worker_ended w1
    await_job
    nothing_was_made_again
    cluster_down
}
misuse() {
    cluster_up 2
    expect_refusal 2 'no worker: give a name' "$marram" drain
    expect_refusal 1 "there is no worker 'nobody'" "$marram" drain nobody
    worker_up w2b --name w2
    await_workers 3
    expect_refusal 1 "several workers are called 'w2'" "$marram" drain w2
    id=$(field worker w1)
    "$marram" drain "$id" --json >json || die 'not by its number'
    grep -q '"state": "left"' json || die "$(cat json)"
    worker_ended w1
    cluster_down
}
# Without a coordinator there is nobody to whom anything could be handed over.
coordinator_is_gone() {
    local status=0
    slow_sample 4000
    LEASE=1 cluster_up 1 --drain-timeout 3
    detach "$slow" -i in -o out -r 8 --split-size 1K -p map_us=1000 -p reduce_us=1000
    await_condition 'progress 20' 'the job does not move'
    kill -KILL "$coordinator_pid"
    wait "$coordinator_pid" 2>/dev/null || true
    kill "${worker_pid[w1]}"
    wait "${worker_pid[w1]}" || status=$?
    ((status == 3)) || die "the worker ended with status $status: $(tail -3 w1.log)"
    grep -q 'left without the coordinator at tcp.*[1-9][0-9]* runs of 1 jobs are lost' w1.log || die "$(tail -3 w1.log)"
    [[ ! -e scratch/w1 || -z $(find scratch/w1 -type f) ]] || die 'it left files'
    # The next life of the coordinator, and another worker, make them again.
    rm state/endpoint
    LEASE=1 coordinator_up
    unset 'worker_pid[w1]'
    worker_up w2
    await_job
    cluster_down
}
no_coordinator() {
    coordinator_up
    kill "$coordinator_pid"
    wait "$coordinator_pid"
    worker_up w1
    await_condition "test -e scratch/w1" 'it did not start'
    kill "${worker_pid[w1]}"
    wait "${worker_pid[w1]}" || die "status $?"
    unset "worker_pid[w1]"
}

# A cluster in the background grows and shrinks while a job runs.
scaled() {
    local cluster=$PWD/cluster scaler
    slow_sample 3000
    "$marram" cluster up --workers 1 --threads 1 --memory 512M --dir "$cluster" --listen tcp://127.0.0.1:0 >up.out
    trap '"$marram" cluster down --dir "$cluster" >down.out' EXIT
    MARRAM_COORDINATOR=$(sed -n 's/.*"endpoint": "\([^"]*\)".*/\1/p' "$cluster/cluster.json" | head -1)
    export MARRAM_COORDINATOR MARRAM_KEYS=$cluster/keys
    detach "$slow" -i in -o out -r 8 --split-size 1K -p map_us=2000 -p reduce_us=1500
    await_condition 'progress 20' 'the job does not move'
    [[ $("$marram" cluster scale 4 --dir "$cluster") == '4 workers' ]] || die 'it did not grow'
    "$marram" cluster status --dir "$cluster" >status.out
    (($(grep -c '^worker-'  status.out) == 4)) || die "$(cat status.out)"
    await_condition 'progress 50' 'the job does not move'
    [[ $("$marram" cluster scale 2 --dir "$cluster") == '2 workers' ]] || die 'it did not shrink'
    "$marram" cluster status --dir "$cluster" >status.out
    [[ $(sed -n 's/^\(worker-[0-9]\) .*/\1/p' status.out | tr '\n' ' ') == 'worker-1 worker-2 ' ]] || die "$(cat status.out)"
    [[ $("$marram" cluster scale 2 --dir "$cluster") == '2 workers' ]] || die 'it did not stay'
    (($(grep -c 'worker drained' "$cluster/coordinator.log") == 2)) || die "$(cat "$cluster/coordinator.log")"
    await_job
    nothing_was_made_again
    # Interrupted while a worker cannot leave: the cluster is in order, and what is to leave does.
    detach "$testjobs/gate.so" -i in -o out.gate -r 2 --split-size 10K -p "gate=$PWD/gate"
    await_condition "(( \$(\"\$marram\" workers --json | grep -c '\"busy\"') == 2))" 'not both are busy'
    env --default-signal=INT "$marram" cluster scale 1 --dir "$cluster" >scaled.out 2>said &
    scaler=$!
    await_condition 'grep -q "worker-2: 1 attempt runs" said' 'it does not say what it waits for'
    "$marram" cluster status --dir "$cluster" >status.out
    grep -q 'worker-2 *draining' status.out || die "$(cat status.out)"
    kill -INT $scaler
    wait $scaler && die 'it was not interrupted'
    [[ $("$marram" cluster scale 2 --dir "$cluster" 2>said) == '2 workers' ]] || die "it did not grow again: $(cat said)"
    touch gate
    await_condition "\"\$marram\" cluster status --dir '$cluster' | grep -q 'worker-2 *left'" 'it does not leave'
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    expect_refusal 2 'how many workers?' "$marram" cluster scale
    expect_refusal 2 'how many workers?' "$marram" cluster scale many --dir "$cluster"
    "$marram" cluster down --dir "$cluster"
    trap - EXIT
    [[ ! -e $cluster ]] || die "left behind: $(ls "$cluster")"
    expect_refusal 1 'no cluster runs' "$marram" cluster scale 2 --dir "$cluster"
}

claim 'workers 1, 4, 2 while a job runs: the same bytes, nothing made again' by_path
claim 'so it is when runs move over the wire' over_the_wire
claim 'SIGTERM in map: what runs ends first' term_in_map
claim 'SIGTERM in reduce' term_in_reduce
claim 'SIGTERM while others fetch' term_in_shuffle
claim 'what runs for too long runs elsewhere, at no cost' too_long
claim 'a second signal ends a worker at once' second_signal
claim 'the last worker waits, says so, and goes when another joins' last_one_waits
claim 'a taker that is lost is replaced' taker_is_lost
claim 'who dies while it leaves is lost like any other' leaver_is_killed
claim 'an output that cannot be read is made again, and counted' broken_output
claim 'who has no room takes nothing, and that is said' no_room
claim 'workers by name and number, and those that are none' misuse
claim 'a cluster of processes is scaled from 1 to 4 to 2 while a job runs' scaled
claim 'a worker without coordinator leaves at once' no_coordinator
claim 'one that holds outputs and whose coordinator is gone leaves in time, and says what is lost' coordinator_is_gone
totals
