#!/usr/bin/env bash
# Row 17: 1,000 workers join at once. Admitted within 10 s, heartbeats on time.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

thousand() {
    local many=1000
    instrumented && many=100
    (($(ulimit -Hn) > 2 * many + 300)) || skip 'the limit of open files is too low'
    ulimit -n "$(ulimit -Hn)"
    coordinator_up
    mkfifo pipe
    "$tools/crowd" "$MARRAM_COORDINATOR" $many 4 <pipe >crowd &
    crowd=$!
    exec {hold}>pipe
    await_condition 'test -s crowd' 'they were not admitted'
    grep -q "^admitted $many refused 0 in " crowd || die "$(cat crowd)"
    # The clock counts where the machine is ours alone.
    [[ -z ${MARRAM_FULL:-} ]] || instrumented || grep -q ' in [0-9]\{1,4\} ms' crowd || die "$(cat crowd)"
    [[ $(joined) == "$many" ]] || die "$(joined) joined"
    # They work, and beat on time while they do.
    truncate -s 2000K in
    submit wordcount -i in -o out -r 1 --split-size 1K
    exec {hold}>&-
    wait $crowd || die 'the crowd failed'
    [[ -z ${MARRAM_FULL:-} ]] || instrumented || grep -q '"late": 0,' crowd || die "$(cat crowd)"
    (($(sed -n 's/.*"tasks": \([0-9]*\).*/\1/p' crowd) >= 2002)) || die "$(cat crowd)"
    expect_nobody_lost
    cluster_down
}

claim 'a thousand workers join at once' thousand
totals
