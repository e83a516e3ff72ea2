#!/usr/bin/env bash
# Row 18: descriptor limit. Refused with the reason, no spinning.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"

ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# 1,024 descriptors are enough for 768 members.
too_many_members() {
    local before
    instrumented && skip 'the sanitizer has descriptors of its own'
    (($(ulimit -Hn) >= 4096)) || skip 'the limit of open files is too low for the crowd'
    echo a >in
    run wordcount -i in -o want
    coordinator_limited 1024
    mkfifo pipe
    (ulimit -n 4096 && exec "$tools/crowd" "$MARRAM_COORDINATOR" 900 2) <pipe >crowd &
    crowd=$!
    exec {hold}>pipe
    await_condition 'test -s crowd' 'they were not answered'
    grep -q '^admitted 768 refused 132 .*the most that its limit of open files allows: raise it (ulimit -n)' crowd || die "$(cat crowd)"
    grep -q 'peer refused' coordinator.log
    # It works on for those that are in, and does not spin.
    before=$(ticks "$coordinator_pid")
    sleep 2 # of idleness, which is looked at
    (($(ticks "$coordinator_pid") - before < 100)) || die "it spins: $before, then $(ticks "$coordinator_pid") ticks"
    exec {hold}>&-
    wait $crowd || die 'the crowd failed'
    worker_up w1
    submit wordcount -i in -o out
    diff -r want out
    cluster_down
}
coordinator_limited() {
    "$marram" version >/dev/null
    (ulimit -n "$1" && exec "$marram" coordinator --listen tcp://127.0.0.1:0 --state "$PWD/state" --http none --lease 10 2>coordinator.log) &
    coordinator_pid=$!
    await_condition 'test -s state/endpoint' 'the coordinator did not start'
    MARRAM_COORDINATOR=$(cat state/endpoint)
    export MARRAM_COORDINATOR
}
too_few_to_start() {
    # shellcheck disable=SC2016 # for the inner shell
    expect_refusal 1 'RLIMIT_NOFILE' bash -c 'ulimit -n 512 && exec "$@"' _ "$marram" coordinator --listen tcp://127.0.0.1:0 --state state
}

claim 'more members than descriptors' too_many_members
claim 'too few descriptors to start' too_few_to_start
totals
