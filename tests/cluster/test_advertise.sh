#!/usr/bin/env bash
# A worker that listens on all its addresses tells others the one that --advertise names.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/chaos/lib.sh"

open=(--listen tcp://0.0.0.0:0 --direct-reads off)
# Who listens on all addresses needs keys.
with_keys() {
    "$marram" keys keys >stdout
    export MARRAM_KEYS=$PWD/keys
}
# The endpoints that the coordinator knows, by address.
endpoints() { "$marram" workers --json | sed -n 's|.*"endpoint": "tcp://\([0-9.]*\):[0-9]*".*|\1|p' | sort | tr '\n' ' '; }
counts_right() {
    rm -rf out
    submit wordcount -i in -o out -r 5 --split-size 100K
    expect_wanted out
}
an_address() {
    bad_sample
    with_keys
    coordinator_up
    worker_up w1 "${open[@]}" --advertise 127.0.0.2
    worker_up w2 "${open[@]}" --advertise 127.0.0.3
    await_workers 2
    [[ $(endpoints) == '127.0.0.2 127.0.0.3 ' ]] || die "told: $(endpoints)"
    counts_right
    (($(counter shuffle_bytes) > 0)) || die 'nothing was fetched'
    cluster_down
}
# What is told is what others use: where nobody listens they get nothing, and the job goes on without it.
another_address() {
    bad_sample
    coordinator_up
    worker_up w1 --listen tcp://127.0.0.2:0 --direct-reads off --advertise 127.0.0.9
    worker_up w2 --listen tcp://127.0.0.3:0 --direct-reads off
    await_workers 2
    detach "$testjobs/throttled.so" -i in -o out -r 5 --split-size 100K --speculation off -p "log=$PWD/marks"
    wait_job
    expect_wanted out
    grep -q '127\.0\.0\.9' ./*.log || die 'nobody used the address'
    cluster_down
}
by_environment() {
    with_keys
    coordinator_up
    MARRAM_ADVERTISE=127.0.0.4 worker_up w1 "${open[@]}"
    await_workers 1
    [[ $(endpoints) == '127.0.0.4 ' ]] || die "told: $(endpoints)"
    cluster_down
}
# A name means what it means when the worker joins, each time.
a_name() {
    hosts=/etc/netns/mrt$$-1
    bad_sample
    with_keys
    namespaces_up 2
    mkdir -p "$hosts"
    trap 'rm -rf "$hosts"; rmdir /etc/netns 2>/dev/null; namespaces_down' EXIT
    printf '127.0.0.1 node\n10.213.7.1 node\n' >"$hosts/hosts"
    LISTEN=tcp://10.213.7.254:0 LEASE=2 coordinator_up
    PREFIX="ip netns exec mrt$$-1" worker_up w1 "${open[@]}" --advertise node
    PREFIX="ip netns exec mrt$$-2" worker_up w2 "${open[@]}" --advertise 10.213.7.2
    await_workers 2
    [[ $(endpoints) == '10.213.7.1 10.213.7.2 ' ]] || die "told: $(endpoints)"
    counts_right
    # It moves: the old address leads nowhere any more.
    ip -n "mrt$$-1" addr flush dev eth0
    await_condition 'grep -q "worker lost .*name=w1" coordinator.log' 'w1 was not lost'
    printf '10.213.7.77 node\n' >"$hosts/hosts"
    ip -n "mrt$$-1" addr add 10.213.7.77/24 dev eth0
    await_workers 2
    [[ $(endpoints) == '10.213.7.2 10.213.7.77 ' ]] || die "told: $(endpoints)"
    counts_right
    (($(counter shuffle_bytes) > 0)) || die 'nothing was fetched'
    cluster_down
}
refusals() {
    local bad
    with_keys
    for bad in '' '*' 0.0.0.0 10.0.0 10.0.0.300 10.0.0.2:7077 tcp://10.0.0.2:0 '[::1]' 'two words' -x; do
        expect_refusal 2 "--advertise '$bad': a name or an IPv4 address is wanted" \
            "$marram" worker --listen tcp://127.0.0.1:0 "--advertise=$bad"
    done
    expect_refusal 2 'no-such-host.invalid: it has no address' \
        "$marram" worker "${open[@]}" --advertise no-such-host.invalid
    expect_refusal 2 'localhost: here it is 127.0.0.1, which leads nobody else' \
        "$marram" worker "${open[@]}" --advertise localhost
    expect_refusal 2 '--advertise needs a --listen tcp://' "$marram" worker --listen "ipc://$PWD/x" --advertise 127.0.0.1
    expect_refusal 2 'there or with --advertise' "$marram" worker --listen tcp://0.0.0.0:0
    # It opens no door of its own.
    expect_refusal 4 'tcp://0.0.0.0:0' env -u MARRAM_KEYS "$marram" worker --listen tcp://0.0.0.0:0 --advertise 127.0.0.2
}

claim 'others reach a worker by the address that it advertises' an_address
claim 'and by no other' another_address
claim 'the environment says it, too' by_environment
claim 'a name is looked up each time the worker joins' a_name
claim 'what is no host is refused, and so is one that leads nobody here' refusals
totals
