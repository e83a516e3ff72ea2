#!/usr/bin/env bash
# Row 20: no key, wrong key, revoked key, a handler of keys that does not answer. Nothing goes out beyond the greeting
# of the transport, a log line has the address, the sessions of a revoked key are cut within a lease.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

GREETING=64 # bytes, RFC 23

data_ports() { "$marram" workers --json | sed -n 's/.*"endpoint": "tcp:.*:\([0-9]*\)".*/\1/p'; }
# knock PORT HOW: the bytes that came back; never more than a greeting.
knock() {
    local got
    got=$("$tools/knock" 127.0.0.1 "$1" "$2") || die "no connection to port $1"
    ((got <= GREETING)) || die "$2 at port $1 got $got bytes"
    echo "$got" >>knocked
}
# Whoever sends all at once and is gone may be gone before anybody has looked where he is: then he comes again.
knock_until_logged() {
    local i
    for ((i = 0; i < 20; i++)); do
        knock "$1" "$2"

        grep -q "peer refused address=127.0.0.1 why=\"$3\"" "$4" && return
    done
    die "no line '$3' in $4: $(tail -5 "$4")"
}

# At each socket: that of the coordinator, where clients submit and workers join, and those of workers, from which runs
# are fetched, by reducers and by who takes them over.
strangers_at_each_socket() {
    local port ports i
    local -a knockers=()
    bad_sample
    with_keys
    cluster_up 2 --direct-reads off
    start_and_hold
    ports="${MARRAM_COORDINATOR##*:} $(data_ports | tr '\n' ' ')"
    (($(wc -w <<<"$ports") == 3)) || die "ports: $ports"
    for port in $ports; do
        for how in silent garbage http old plain forged; do
            knock "$port" $how
        done
    done
    (($(grep -l 'peer refused' coordinator.log w1.log w2.log | wc -l) == 3)) || die 'one of them says nothing of it'
    # What listens with keys does greet; and the others are turned away in words.
    (($(sort -n knocked | tail -1) == GREETING)) || die "nothing was greeted: $(cat knocked)"
    for how in 'plain=it has no key' 'forged=its handshake is not for the key of this process' \
        'silent=it left in the middle of the handshake' 'http=what it sent is no handshake'; do
        knock_until_logged "${MARRAM_COORDINATOR##*:}" "${how%%=*}" "${how#*=}" coordinator.log
    done
    # The same stranger again and again does not fill the disk.
    for i in {1..40}; do
        "$tools/knock" 127.0.0.1 "${MARRAM_COORDINATOR##*:}" http >/dev/null &
        knockers+=($!)
    done
    wait "${knockers[@]}"
    (($(grep -c 'peer refused' coordinator.log) <= 60)) || die 'a line for each stranger'
    touch go
    wait_job
    expect_wanted out
    expect_nobody_lost
    cluster_down
}
# Messages of our own protocol, without keys: as if there were nobody.
messages_without_keys() {
    local flooder
    with_keys
    cluster_up 1
    "$tools/flood" "$MARRAM_COORDINATOR" >flood.out &
    flooder=$!
    await_condition 'grep -q "peer refused address=127.0.0.1" coordinator.log' 'the flood was not seen'
    "$marram" workers --json >json
    kill -KILL $flooder
    wait $flooder 2>/dev/null || true
    grep -q '"damaged": 0' json || die "messages came through: $(cat json)"
    cluster_down
}
# The answer about keys never comes: nobody is let in, and everything ends.
no_answer() {
    local how=$1 status=0
    instrumented && skip 'a sanitizer must be the first library'
    with_keys
    MARRAM_PORTER=$how LD_PRELOAD=$MARRAM_BUILD/tests/preload/silent_porter.so coordinator_up
    timeout 60 "$marram" jobs >stdout 2>stderr || status=$?
    [[ $status == 4 || $status == 3 ]] || die "status $status: $(cat stderr)"
    knock "${MARRAM_COORDINATOR##*:}" plain
    worker_up w1
    await_condition 'grep -q confined w1.log' 'the worker did not start'
    if [[ $how == absent ]]; then
        await_condition 'grep -q "peer refused .*nobody answers for keys here" coordinator.log' 'it is not told'
        await_condition 'grep -q "cannot join" w1.log' 'the worker does not tell'
    else
        # A handshake that is not answered ends after five seconds.
        await_condition 'grep -q "peer refused" coordinator.log' 'it is not told'
    fi
    ! grep -q 'worker joined' coordinator.log || die 'a worker was let in'
    cluster_down
}
absent_handler() { no_answer absent; }
mute_handler() { no_answer mute; }

# A worker that stands still while its key is revoked, and goes on later, gets nothing and gives nothing.
revoked_while_stopped() {
    bad_sample
    with_keys
    "$marram" keys keys --issue rack1 >stdout
    LEASE=3 coordinator_up
    worker_up w1 --keys keys/issued/rack1 --direct-reads off
    worker_up w2 --direct-reads off
    await_workers 2
    start_and_hold
    kill -STOP "${worker_pid[w1]}"
    "$marram" keys keys --revoke rack1
    await_condition 'grep -q "member cut off" coordinator.log' 'it was not cut off'
    kill -CONT "${worker_pid[w1]}"
    local status=0
    wait "${worker_pid[w1]}" || status=$?
    ((status == 4)) || die "status $status: $(tail -3 w1.log)"
    unset 'worker_pid[w1]'
    await_workers 1
    touch go
    wait_job
    expect_wanted out
    grep -q "role=worker why=\"the key .* was revoked\"" coordinator.log || die "$(cat coordinator.log)"
    rm -rf scratch/w1
    cluster_down
}
# It cannot hear that it is revoked, and goes on asking other workers: these know.
revoked_and_cut_off() {
    bad_sample
    with_keys
    "$marram" keys keys --issue rack1 >stdout
    LEASE=3 coordinator_up
    proxy_up cut
    worker_up w1 --keys keys/issued/rack1 --direct-reads off
    unset REACH
    worker_up w2 --direct-reads off
    worker_up w3 --direct-reads off
    await_workers 3
    start_and_hold
    tell_proxy cut stall
    "$marram" keys keys --revoke rack1
    await_condition 'grep -q "member cut off" coordinator.log' 'it was not cut off'
    await_workers 2
    touch go
    wait_job
    expect_wanted out
    tell_proxy cut pass
    local status=0
    wait "${worker_pid[w1]}" || status=$?
    ((status == 4)) || die "status $status: $(tail -3 w1.log)"
    unset 'worker_pid[w1]'
    rm -rf scratch/w1
    cluster_down
    proxy_down cut
}

# Up and down, killed and started again: nothing hangs.
rounds=${KEYS_ROUNDS:-5}
up_and_down() {
    local i
    export XDG_STATE_HOME=$PWD/xdg
    for ((i = 0; i < rounds; i++)); do
        timeout 60 "$marram" cluster up --listen tcp://127.0.0.1:0 --workers 2 --threads 1 --memory 256M >up.out || die "round $i: $(cat up.out)"
        # Somebody who knocks while it ends.
        timeout 20 "$tools/flood" "$(cat xdg/marram/cluster/state/endpoint)" >/dev/null &
        timeout 60 "$marram" cluster down || die "round $i: down"
        kill $! 2>/dev/null || true
        wait $! 2>/dev/null || true
    done
}
killed_and_started() {
    local i
    echo 'a b a' >in
    run wordcount -i in -o want
    with_keys
    LEASE=3 cluster_up 2
    for ((i = 0; i < rounds; i++)); do
        kill -KILL "$coordinator_pid"
        wait "$coordinator_pid" 2>/dev/null || true
        rm state/endpoint
        LEASE=3 LISTEN=$MARRAM_COORDINATOR coordinator_up
        await_workers 2
        DEADLINE=60 submit wordcount -i in -o out --overwrite
        diff -r want out >difference || die "round $i: $(cat difference)"
    done
    cluster_down
}

claim 'a stranger at any socket gets a greeting and nothing else' strangers_at_each_socket
claim 'messages without keys are as if they were not' messages_without_keys
claim 'while nobody answers for keys, nobody is let in' absent_handler
claim 'while answers about keys do not come, nobody is let in' mute_handler
claim 'a key that is revoked while its worker stands still' revoked_while_stopped
claim 'a key that is revoked while its worker cannot hear of it' revoked_and_cut_off
claim 'clusters come and go, and nothing hangs' up_and_down
claim 'a coordinator is killed and started again, and nothing hangs' killed_and_started
totals
