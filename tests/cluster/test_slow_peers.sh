#!/usr/bin/env bash
# Peers that are slow, or say nothing, or do not listen: they cost little, and nobody else waits for them.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"
tools=$MARRAM_BUILD/tests/tools

ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
peak() { awk '/^VmHWM/ { print $2 }' "/proc/$1/status"; }
open_files() { find "/proc/$coordinator_pid/fd" -mindepth 1 | wc -l; }

declare -A drip_fd=() drip_pid=()
# drip NAME ARGUMENTS...: such peers, until drip_ends NAME.
drip() {
    local name=$1 fd
    shift
    mkfifo "$name.pipe"
    (
        # Each ends with its own pipe.
        for fd in "${drip_fd[@]}"; do exec {fd}>&-; done
        exec "$tools/drip" "$@" <"$name.pipe" >"$name.said"
    ) &
    drip_pid[$name]=$!
    exec {fd}>"$name.pipe"
    drip_fd[$name]=$fd
    await_condition "test -s $name.said" 'the slow peers did not come'
}
drip_ends() {
    local fd=${drip_fd[$1]}
    exec {fd}>&-
    unset "drip_fd[$1]"
    wait "${drip_pid[$1]}" || die 'drip failed'
    tail -1 "$1.said"
}
# said FIELD NAME: what drip said of itself at the end.
said() { awk -v field="$1" 'END { for (i = 1; i < NF; i++) if ($i == field) print $(i + 1) }' "$2.said"; }
# Some seconds of nothing but slow peers cost less than a fifth of a processor.
expect_calm() {
    local pid=$1 before
    before=$(ticks "$pid")
    sleep 3 # in which it is looked at
    instrumented || (($(ticks "$pid") - before < 60)) || die "process $pid used $(($(ticks "$pid") - before)) ticks in 3 s"
}
data_port() { "$marram" workers --json | sed -n 's/.*"endpoint": "tcp:.*:\([0-9]*\)".*/\1/p' | head -1; }

sample() {
    awk 'BEGIN { for (i = 0; i < 30000; i++) print "word" i % 1000 }' >in
    run wordcount -i in -o want -r 3
}
a_job_is_done() {
    rm -rf out
    submit wordcount -i in -o out -r 3
    for part in want/part-*; do expect_same "$part" "out/${part#want/}"; done
}

at_the_ports_of_daemons() {
    local port where pid before
    sample
    cluster_up 1
    for where in coordinator worker; do
        port=${MARRAM_COORDINATOR##*:} pid=$coordinator_pid
        [[ $where == coordinator ]] || { port=$(data_port) && pid=${worker_pid[w1]}; }
        before=$(peak "$pid")
        drip $where-silent silent "$port" 200
        drip $where-greeting greeting "$port" 100 300
        expect_calm "$pid"
        a_job_is_done
        # Who does not come to the end of its greeting is cut off.
        await_condition "grep -q 'all cut' $where-greeting.said" 'they may drip for ever'
        drip_ends $where-silent
        drip_ends $where-greeting
        (($(said cut $where-greeting) == 100)) || die "$(cat $where-greeting.said)"
        (($(said connected $where-silent) == 200)) || die "$(cat $where-silent.said)"
        (($(peak "$pid") < before + 100 * 1024)) || instrumented || die "it grew from $before to $(peak "$pid") KiB"
    done
    cluster_down
}
# Each answer has some 100 KiB, and nobody reads them.
who_does_not_listen() {
    local i before name
    sample
    name=$(head -c 1000 /dev/zero | tr '\0' n)
    cluster_up 1
    echo a >small
    for i in {1..80}; do "$marram" submit wordcount -i small -o "out.$i" --name "$name" --detach >/dev/null; done
    before=$(peak "$coordinator_pid")
    drip deaf deaf "${MARRAM_COORDINATOR##*:}" 5 2000
    a_job_is_done
    expect_calm "$coordinator_pid"
    drip_ends deaf
    # They have asked for some 800 MiB.
    (($(said bytes deaf) > 100000)) || die "$(cat deaf.said)"
    (($(peak "$coordinator_pid") < before + 250 * 1024)) || instrumented || die "it grew from $before to $(peak "$coordinator_pid") KiB"
    a_job_is_done
    cluster_down
}
# Requests that never come to their end, a byte at a time, are cut off; idle connections make room.
by_http() {
    local port before i
    sample
    HTTP=127.0.0.1:0 cluster_up 1
    port=$(sed 's/.*://' state/http)
    before=$(open_files)
    drip http http "$port" 60 200
    await_condition "((\$(open_files) >= $before + 50))" 'they are not there'
    expect_calm "$coordinator_pid"
    curl -sf -m 10 "http://127.0.0.1:$port/healthz" >/dev/null || die 'others wait'
    await_condition "((\$(open_files) <= $before + 5))" "they are still there: $(open_files), $before before"
    await_condition "grep -q 'all cut' http.said" 'they were not cut off'
    drip_ends http
    (($(said cut http) == 60)) || die "$(cat http.said)"
    (($(said bytes http) > 60 * 70)) || die "$(cat http.said)"
    # More idle ones than there are places: whoever comes is served at once.
    drip idle silent "$port" 500
    for i in {1..20}; do curl -sf -m 10 "http://127.0.0.1:$port/healthz" >/dev/null || die "request $i is not answered"; done
    curl -sf -m 10 "http://127.0.0.1:$port/api/v1/cluster" >/dev/null || die 'no answer'
    (($(open_files) < before + 300)) || die "$(open_files) descriptors, $before before"
    expect_calm "$coordinator_pid"
    drip_ends idle
    (($(said cut idle) >= 300)) || die "$(cat idle.said)"
    a_job_is_done
    cluster_down
}

command -v curl >/dev/null || { echo 'skipped: no curl' && echo '0 passed, 0 failed, 3 skipped' && exit; }
claim 'at the ports of coordinator and worker: no spinning, little memory, others are served' at_the_ports_of_daemons
claim 'clients that do not listen to what they asked for' who_does_not_listen
claim 'by HTTP: what drips is cut off, what is idle makes room' by_http
totals
