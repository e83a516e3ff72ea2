# Sourced by the scenarios of this folder: see README.md beside it.
# shellcheck shell=bash disable=SC2034,SC2154 # names of the harness and of the scenarios
# shellcheck source=tests/lib/harness.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"
tools=$MARRAM_BUILD/tests/tools

# 100,000 lines, the word "BAD" in the middle, and what `marram run` says of them in want/.
bad_sample() {
    awk 'BEGIN { for (i = 0; i < 60000; i++) print "word" i % 1000, "filler of no interest" }' >in
    echo BAD >>in
    awk 'BEGIN { for (i = 0; i < 40000; i++) print "word" i % 77, "more filler" }' >>in
    run wordcount -i in -o want -r 5
}
expect_wanted() {
    local part
    for part in want/part-*; do expect_same "$part" "$1/${part#want/}"; done
    [[ -s $1/_SUCCESS ]] || die 'there is no _SUCCESS'
}
wait_job() { timeout "${DEADLINE:-120}" "$marram" wait "$job" 2>stderr || die "$(cat stderr) $(tail -n 5 ./*.log)"; }
# A job that waits for the file `go` in the map of the line BAD, with runs that travel over the wire.
start_and_hold() {
    rm -rf go misbehaved out
    detach "$testjobs/misbehave.so" -i in -o out -r 5 --split-size 200K --speculation off -p map=mark_and_wait
    await_condition 'test -e misbehaved' 'the map did not come to its mark'
}
# All maps are done but the marked one and, perhaps, one more in the same hands.
await_other_maps() {
    await_condition "\"\$marram\" job $job --json >json; ((\$(counter maps_done) >= \$(counter maps) - 2))" \
        'the other maps did not finish'
}
lost_workers() { grep -c 'worker lost' coordinator.log || true; }
expect_nobody_lost() { (($(lost_workers) == 0)) || die "$(grep 'worker lost' coordinator.log)"; }

# ---- Workers in network namespaces of their own, on one bridge: node I has the address 10.213.7.I. -----------------
namespaces=0
namespaces_up() {
    local i
    ((EUID == 0)) || skip 'needs root to make network namespaces'
    { command -v ip && command -v iptables; } >/dev/null || skip 'needs ip and iptables'
    ip netns add "mrt$$-0" 2>/dev/null || skip 'network namespaces are not allowed here'
    ip netns del "mrt$$-0"
    ip link add "mrb$$" type bridge || skip 'bridges are not allowed here'
    namespaces=$1
    trap namespaces_down EXIT
    ip addr add 10.213.7.254/24 dev "mrb$$"
    ip link set "mrb$$" up
    # Where a container engine closes the way between ports of a bridge.
    iptables -I FORWARD -i "mrb$$" -o "mrb$$" -j ACCEPT 2>/dev/null || true
    for ((i = 1; i <= namespaces; i++)); do
        ip netns add "mrt$$-$i"
        ip link add "mrv$$-$i" type veth peer name eth0 netns "mrt$$-$i"
        ip link set "mrv$$-$i" master "mrb$$" up
        ip -n "mrt$$-$i" addr add "10.213.7.$i/24" dev eth0
        ip -n "mrt$$-$i" link set eth0 up
        ip -n "mrt$$-$i" link set lo up
    done
}
namespaces_down() {
    local i
    for ((i = 1; i <= namespaces; i++)); do ip netns del "mrt$$-$i" 2>/dev/null || true; done
    iptables -D FORWARD -i "mrb$$" -o "mrb$$" -j ACCEPT 2>/dev/null || true
    ip link del "mrb$$" 2>/dev/null || true
}
within() {
    local node=$1
    shift
    ip netns exec "mrt$$-$node" "$@"
}
# Workers w1 ... wN, one a node, with the coordinator outside; runs travel over the wire.
cluster_of_nodes() {
    local i
    namespaces_up "$1"
    with_keys
    LISTEN=tcp://10.213.7.254:0 coordinator_up
    for ((i = 1; i <= $1; i++)); do
        PREFIX="ip netns exec mrt$$-$i" worker_up "w$i" --listen "tcp://10.213.7.$i:0" --direct-reads off
    done
    await_workers "$1"
}
# apart I J HOW: nodes I and J do not reach each other: packets vanish (DROP) or are refused (REJECT).
apart() {
    local -a how=(-j DROP)
    [[ $3 == DROP ]] || how=(-p tcp -j REJECT --reject-with tcp-reset)
    within "$1" iptables -I INPUT -s "10.213.7.$2" "${how[@]}" 2>/dev/null || skip 'iptables does not work in namespaces here'
    within "$2" iptables -I INPUT -s "10.213.7.$1" "${how[@]}"
}
# Packets that met the rules of `apart` on node I.
packets_stopped() { within "$1" iptables -nvxL INPUT | awk '/DROP|REJECT/ { n += $1 } END { print n + 0 }'; }
heal() { for node in "$@"; do within "$node" iptables -F INPUT; done; }

# ---- A proxy between workers and the coordinator -------------------------------------------------------------------
# proxy_up NAME: from then on REACH is the coordinator through it.
proxy_up() {
    mkfifo "$1.commands"
    "$tools/proxy" "${MARRAM_COORDINATOR##*:}" <"$1.commands" >"$1.answers" 2>"$1.proxy-errors" &
    proxy_pid[$1]=$!
    exec {fd}>"$1.commands"
    proxy_fd[$1]=$fd
    await_condition "test -s $1.answers" 'the proxy did not start'
    REACH=tcp://127.0.0.1:$(head -1 "$1.answers")
}
# tell_proxy NAME COMMAND: returns once it holds.
tell_proxy() {
    local had
    had=$(grep -c ok "$1.answers" || true)
    echo "$2" >&"${proxy_fd[$1]}"
    await_condition "((\$(grep -c ok $1.answers) > $had))" 'the proxy does not obey'
}
proxy_down() {
    local fd=${proxy_fd[$1]}
    exec {fd}>&-
    wait "${proxy_pid[$1]}" || die "the proxy failed: $(cat "$1.proxy-errors")"
}
declare -A proxy_pid=() proxy_fd=()
