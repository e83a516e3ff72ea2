#!/usr/bin/env bash
# Row 9: 10 % packet loss on a 40 Mbit/s link. The job completes, nobody is declared dead by mistake.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

lossy_link() {
    local node
    awk 'BEGIN { srand(3); for (i = 0; i < 400000; i++) print "k" int(rand() * 300000), i }' >in
    run linestats -p field=1 -i in -r 4 -o want
    cluster_of_nodes 3
    for node in 1 2 3; do
        within "$node" tc qdisc add dev eth0 root tbf rate 40mbit burst 32k latency 100ms 2>/dev/null || skip 'tc tbf does not work here'
        within "$node" iptables -A INPUT -i eth0 -m statistic --mode random --probability 0.1 -j DROP 2>/dev/null || skip 'iptables -m statistic does not work here'
    done
    DEADLINE=400 submit linestats -p field=1 -i in -r 4 -o out --split-size 500K
    diff -r want out
    for node in 1 2 3; do (($(packets_stopped $node) > 20)) || die "node $node lost $(packets_stopped $node) packets only"; done
    expect_nobody_lost
    cluster_down
}

claim '10 % of the packets are lost on links of 40 Mbit/s' lossy_link
totals
