#!/usr/bin/env bash
# Copies of slow attempts: a worker that hardly gets a processor does not hold a job up, and what lost is stopped.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

now_ms() { date +%s%3N; }

# 24 splits of 1,000 lines; 97 words.
sample() {
    awk 'BEGIN { for (i = 0; i < 24000; i++) printf "word%02d and filler %05d\n", i % 97, i % 89 }' >in
    run wordcount -i in -o want -r 12
}
compare() { for part in want/part-*; do expect_same "$part" "$1/${part#want/}"; done; }

# throttle PID: that process and all its children to come get 5 % of a processor; `unthrottle` undoes it. In a
# control group of version 2 or 1, else by stopping and continuing them.
group=
throttler=
throttle() {
    local pid=$1 v1=/sys/fs/cgroup/cpu v2=/sys/fs/cgroup
    if grep -qw cpu "$v2/cgroup.subtree_control" 2>/dev/null && mkdir "$v2/marram-$$" 2>/dev/null; then
        group=$v2/marram-$$
        echo '5000 100000' >"$group/cpu.max"
    elif mkdir "$v1/marram-$$" 2>/dev/null && [[ -w $v1/marram-$$/cpu.cfs_quota_us ]]; then
        group=$v1/marram-$$
        echo 100000 >"$group/cpu.cfs_period_us"
        echo 5000 >"$group/cpu.cfs_quota_us"
    fi
    if [[ -n $group ]]; then
        echo "throttled by $group"
        for pid in $pid $(pgrep -P "$pid"); do echo "$pid" >"$group/cgroup.procs"; done
        return
    fi
    echo 'throttled by stopping and continuing'
    (
        while kill -0 "$pid" 2>/dev/null; do
            # shellcheck disable=SC2046 # several numbers
            kill -STOP $(pgrep -P "$pid") "$pid" 2>/dev/null
            sleep 0.19
            # shellcheck disable=SC2046
            kill -CONT $(pgrep -P "$pid") "$pid" 2>/dev/null
            sleep 0.01
        done
    ) &
    throttler=$!
}
unthrottle() {
    [[ -z $throttler ]] || { kill "$throttler" && wait "$throttler" 2>/dev/null; }
    if [[ -n $group ]]; then
        if [[ -e $group/cpu.max ]]; then echo max >"$group/cpu.max"; else echo -1 >"$group/cpu.cfs_quota_us"; fi
    fi
    kill -CONT "$1" 2>/dev/null || true
}
leave_group() { [[ -z $group ]] || rmdir "$group" 2>/dev/null || true; }

# slow_worker OPTIONS...: the job on three workers, all healthy, then one of them with 5 % of a processor.
slow_worker() {
    local began healthy
    sample
    trap leave_group EXIT
    LEASE=5 cluster_up 3
    began=$(now_ms)
    submit "$testjobs/burn.so" -i in -o healthy -r 12 --split-size 24K "$@"
    healthy=$(($(now_ms) - began))
    compare healthy
    throttle "${worker_pid[w2]}"
    began=$(now_ms)
    submit "$testjobs/burn.so" -i in -o slow -r 12 --split-size 24K "$@"
    echo "$healthy ms healthy, $(($(now_ms) - began)) ms with one worker at 5 %" >>"$base/times"
    compare slow
    (($(counter speculative_attempts) > 0)) || die "no copy was made: $(cat json)"
    expect_counter failed_attempts 0
    grep -q 'copy of a slow attempt' coordinator.log || die 'the log does not tell of a copy'
    unthrottle "${worker_pid[w2]}"
    cluster_down
}
slow_worker_in_map() { slow_worker -p map=100; }
slow_worker_in_reduce() { slow_worker -p reduce=10000; }

# A map that never comes back, where it runs first.
bad_sample() {
    awk 'BEGIN { for (i = 0; i < 60000; i++) print "word" i % 1000, "filler of no interest" }' >in
    echo BAD >>in
    awk 'BEGIN { for (i = 0; i < 40000; i++) print "word" i % 77, "more filler" }' >>in
    run wordcount -i in -o want -r 5
}
a_loser_that_does_not_stop_is_ended_and_nobody_blamed() {
    local executor
    bad_sample
    LEASE=3 cluster_up 2
    detach "$testjobs/misbehave.so" -i in -o out -r 5 --split-size 200K -p map=loop_once -p reduce=wait
    await_condition 'test -e misbehaved' 'no map looped'
    executor=$(cat misbehaved)
    await_condition "\"\$marram\" job $job --json >json; ((\$(counter maps_done) == \$(counter maps)))" 'no copy finished the maps'
    kill -0 "$executor" || die 'the loser was ended at once'
    await_condition "! kill -0 $executor 2>/dev/null" 'the loser was not ended'
    [[ $("$marram" job "$job" --json | grep -c '"state": "running"') == 1 ]] || die 'the job does not run any more'
    touch go
    "$marram" wait "$job" --json >json 2>stderr || die "$(cat stderr)"
    compare out
    (($(counter speculative_attempts) > 0)) || die 'no copy'
    expect_counter failed_attempts 0
    cluster_down
}
without_speculation_there_is_no_copy() {
    bad_sample
    LEASE=3 cluster_up 2
    detach "$testjobs/misbehave.so" -i in -o out -r 5 --split-size 200K -p map=mark_and_wait --speculation off
    await_condition 'test -e misbehaved' 'no map waited'
    await_condition "\"\$marram\" job $job --json >json; ((\$(counter maps_done) >= \$(counter maps) - 2))" 'the other maps did not finish'
    # The other worker beats on with nothing to do: time passes in which a copy would have been made.
    await_condition "\"\$marram\" job $job --json >json; awk -F: '/\"age\"/ { exit !(\$2 + 0 > 3) }' json" 'time stands still'
    touch go
    "$marram" wait "$job" --json >json 2>stderr || die "$(cat stderr)"
    compare out
    expect_counter speculative_attempts 0
    cluster_down
}

claim 'a worker at 5 % of a processor does not hold up the maps: copies win' slow_worker_in_map
claim 'nor the reduces' slow_worker_in_reduce
claim 'a loser that does not stop is ended, and nobody blamed' a_loser_that_does_not_stop_is_ended_and_nobody_blamed
claim '--speculation off: no copies' without_speculation_there_is_no_copy
cat "$base/times" 2>/dev/null
totals
