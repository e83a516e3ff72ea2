#!/usr/bin/env bash
# Row 19: garbage and spoiled messages at each port, while a job runs. Nobody crashes, memory stays bounded, the job is
# unharmed.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

# The most that a process ever had in memory, KiB.
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$1/status"; }
# What the coordinator has counted as damaged.
damaged() { "$marram" workers --json | sed -n 's/^ *"damaged": \([0-9]*\).*/\1/p' | tail -1; }
data_ports() { "$marram" workers --json | sed -n 's/.*"endpoint": "tcp:.*:\([0-9]*\)".*/\1/p'; }
# sent FIELD FILE: what garble says of itself.
sent() { awk -v field="$1" '{ for (i = 1; i < NF; i++) if ($i == field) n += $(i + 1) } END { print n + 0 }' "${@:2}"; }

# Real messages of a client and of a worker, as they pass a proxy.
record_traffic() {
    local recorder direct=$MARRAM_COORDINATOR
    mkfifo recording
    "$tools/garble" record "${direct##*:}" "$1" <recording >recorder &
    recorder=$!
    exec {hold}>recording
    await_condition 'test -s recorder' 'the recorder did not start'
    MARRAM_COORDINATOR=tcp://127.0.0.1:$(cat recorder)
    REACH=$MARRAM_COORDINATOR worker_up w3
    await_workers 3
    submit wordcount -i in -o recorded -r 2
    "$marram" jobs >/dev/null
    "$marram" job "$("$marram" jobs --json | sed -n 's/^ *"job": "\(.*\)",/\1/p' | head -1)" >/dev/null
    "$marram" logs 000000000001 >/dev/null 2>&1 || true
    kill "${worker_pid[w3]}"
    wait "${worker_pid[w3]}" || die 'w3 did not leave in order'
    unset 'worker_pid[w3]'
    exec {hold}>&-
    wait $recorder || die 'the recorder failed'
    MARRAM_COORDINATOR=$direct
    (($(stat -c %s "$1") > 10000)) || die "only $(stat -c %s "$1") bytes were recorded"
}

garbage() {
    local port before many=1500 connections=60
    [[ -z ${MARRAM_FULL:-} ]] || { many=30000 && connections=600; }
    awk 'BEGIN { for (i = 0; i < 40000; i++) print (i % 200 ? "word" : "MARK") i % 1000, "filler" }' >in
    run "$testjobs/throttled.so" -i in -o want -r 3 -p log="$PWD/log"
    HTTP=127.0.0.1:0 cluster_up 2 --direct-reads off
    record_traffic recorded.frames
    # A slow job: each of its 200 marked lines takes a while.
    : >log
    detach "$testjobs/throttled.so" -i in -o out -r 3 --split-size 20K --speculation off -p log="$PWD/log" -p map_ms=100
    await_condition 'test -s log' 'the job does not begin'
    before=$(damaged)
    for pid in "$coordinator_pid" "${worker_pid[@]}"; do echo "$pid $(peak "$pid")"; done >peaks
    for port in "${MARRAM_COORDINATOR##*:}" $(data_ports); do
        "$tools/garble" noise "$port" $connections "$port" >"noise.$port" &
        "$tools/garble" frames "$port" $many "$port" >"frames.$port" &
        "$tools/garble" mutate "$port" $many "$port" recorded.frames >"mutate.$port" &
    done
    port=$(sed 's/.*://' state/http)
    "$tools/garble" noise "$port" $connections 3 >noise.http &
    "$tools/garble" http "$port" $((many / 5)) 4 >http.http &
    for pid in $(jobs -p); do
        [[ " $coordinator_pid ${worker_pid[*]} " == *" $pid "* ]] || wait "$pid" || die 'garble failed'
    done
    # It came while the job ran, and arrived.
    "$marram" job "$job" --json >json
    grep -q '"state": "running"' json || die "the job was over too early: $(cat json)"
    (($(sent messages noise.* frames.* mutate.* http.*) >= 6 * many + 4 * connections)) || die "$(cat noise.* frames.* mutate.* http.*)"
    (($(sent bytes noise.*) > connections * 4000)) || die "$(cat noise.*)"
    (($(sent answers http.http) > 0)) || die "$(cat http.http)"
    await_condition "((\$(damaged) - $before > $many))" "only $(damaged) damaged frames, $before before"
    # Sessions were opened, and what was spoiled behind its checksum was answered or passed over.
    (($(sent answers "mutate.${MARRAM_COORDINATOR##*:}") > 0)) || die "$(cat mutate.*)"
    grep -q 'frames refused.* damaged=[1-9]' coordinator.log || die "$(tail -5 coordinator.log)"
    for name in w1 w2; do
        grep -q 'frames refused on the port for data.* damaged=[1-9]' $name.log || die "$(tail -5 $name.log)"
    done
    while read -r pid peak; do
        (($(peak "$pid") < peak + 200 * 1024)) || instrumented || die "process $pid grew from $peak to $(peak "$pid") KiB"
    done <peaks
    wait_job
    for part in want/part-*; do expect_same "$part" "out/${part#want/}"; done
    "$marram" job "$job" --json >json
    (($(counter failed_attempts | tail -1) == 0)) || die "$(cat json)"
    expect_nobody_lost
    await_workers 2
    curl -sf "http://127.0.0.1:$port/healthz" >healthz && [[ $(cat healthz) == ok ]]
    cluster_down
}

command -v curl >/dev/null || { echo 'skipped: no curl' && echo '0 passed, 0 failed, 1 skipped' && exit; }
claim 'noise, random frames and spoiled messages at each port, while a job runs' garbage
totals
