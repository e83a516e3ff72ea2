#!/usr/bin/env bash
# Clusters of processes: the same bytes as `marram run`, whoever takes part. tests/cluster/chaos kills and cuts.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

text=/usr/share/common-licenses

sample() {
    mkdir in
    find -L "$text" -type f | sort | head -12 | while read -r file; do cp "$file" in/; done
    awk 'BEGIN { srand(5); for (i = 0; i < 30000; i++) print "k" int(rand() * 3000), rand(), i }' >in/numbers
    head -c 200000 /dev/zero | tr '\0' x >in/long
    : >in/nothing
}

# What `marram run` says, for the jobs that ship and for others.
references() {
    run wordcount -i in -r 3 -o want.wordcount
    run grep -p 'pattern=[0-9]5|free' -i in -r 3 -o want.grep
    run invertedindex -i in -r 3 -o want.invertedindex
    run linestats -p field=1 -i in -r 3 -o want.linestats
    run "$testjobs/combine_job.so" -i in -r 4 -o want.combine
}
compare_all() {
    submit wordcount -i in -r 3 -o got.wordcount "$@"
    submit grep -p 'pattern=[0-9]5|free' -i in -r 3 -o got.grep "$@"
    submit invertedindex -i in -r 3 -o got.invertedindex "$@"
    submit linestats -p field=1 -i in -r 3 -o got.linestats "$@"
    submit "$testjobs/combine_job.so" -i in -r 4 -o got.combine "$@"
    for job in wordcount grep invertedindex linestats combine; do
        diff -r "want.$job" "got.$job" >difference || die "$job differs: $(head -3 difference)"
        rm -rf "got.$job"
    done
}

same_bytes_on_clusters() {
    local workers
    sample
    references
    for workers in 1 2 3 5; do
        cluster_up "$workers"
        compare_all --split-size 50K
        cluster_down
        rm -rf state scratch
    done
}
same_bytes_over_the_wire() {
    local workers
    sample
    references
    for workers in 2 3; do
        cluster_up "$workers" --direct-reads off
        compare_all --split-size 50K
        compare_all --split-size 400K
        cluster_down
        rm -rf state scratch
    done
}
namespaces_up() {
    ((EUID == 0)) || skip 'needs root to make network namespaces'
    ip netns add "mrt$$-0" 2>/dev/null || skip 'network namespaces are not allowed here'
    ip netns del "mrt$$-0"
    ip link add "mrb$$" type bridge || skip 'bridges are not allowed here'
    ip addr add 10.213.7.254/24 dev "mrb$$"
    ip link set "mrb$$" up
    # Where a container engine closes the way between ports of a bridge.
    iptables -I FORWARD -i "mrb$$" -o "mrb$$" -j ACCEPT 2>/dev/null || true
    for i in 1 2 3; do
        ip netns add "mrt$$-$i"
        ip link add "mrv$$-$i" type veth peer name eth0 netns "mrt$$-$i"
        ip link set "mrv$$-$i" master "mrb$$" up
        ip -n "mrt$$-$i" addr add "10.213.7.$i/24" dev eth0
        ip -n "mrt$$-$i" link set eth0 up
        ip -n "mrt$$-$i" link set lo up
    done
}
namespaces_down() {
    for i in 1 2 3; do ip netns del "mrt$$-$i" 2>/dev/null || true; done
    iptables -D FORWARD -i "mrb$$" -o "mrb$$" -j ACCEPT 2>/dev/null || true
    ip link del "mrb$$" 2>/dev/null || true
}
same_bytes_in_namespaces() {
    sample
    references
    trap namespaces_down EXIT
    namespaces_up
    with_keys
    LISTEN=tcp://10.213.7.254:0 coordinator_up
    for i in 1 2 3; do
        PREFIX="ip netns exec mrt$$-$i" worker_up "w$i" --listen "tcp://10.213.7.$i:0" --direct-reads off
    done
    await_workers 3
    compare_all --split-size 50K
    cluster_down
}

# Lines of words of which one, "BAD", stands in the middle.
bad_sample() {
    awk 'BEGIN { for (i = 0; i < 60000; i++) print "word" i % 1000, "filler of no interest" }' >in
    echo BAD >>in
    awk 'BEGIN { for (i = 0; i < 40000; i++) print "word" i % 77, "more filler" }' >>in
    run wordcount -i in -o want -r 5
}
ten_at_once() {
    local -a pids=()
    sample
    run wordcount -i in -r 2 -o want.wordcount
    run invertedindex -i in -r 2 -o want.invertedindex
    cluster_up 3
    for i in 0 1 2 3 4 5 6 7 8 9; do
        job=wordcount
        ((i % 2)) && job=invertedindex
        "$marram" submit $job -i in -o "out.$i" -r 2 --split-size 100K >"log.$i" 2>&1 &
        pids+=($!)
    done
    for i in "${!pids[@]}"; do
        wait "${pids[$i]}" || die "job $i: $(cat "log.$i")"
        job=wordcount
        ((i % 2)) && job=invertedindex
        diff -r "want.$job" "out.$i"
    done
    cluster_down
}
cancelled() {
    local status=0 waiter
    bad_sample
    cluster_up 2
    detach "$testjobs/misbehave.so" -i in -o out -p map=mark_and_loop
    await_condition 'test -e misbehaved' 'the job did not start'
    "$marram" wait "$job" >waited 2>&1 &
    waiter=$!
    await_condition 'test -s waited' 'nobody waits'
    "$marram" cancel "$job"
    DEADLINE=2 await_condition "[[ ! -e /proc/$(cat misbehaved) && -z \$(find scratch -name '*.run') && ! -e out.marram-$job ]]" \
        'not gone after 2 s'
    wait $waiter || status=$?
    ((status == 1)) || die "the waiter ended with status $status"
    grep -q cancelled waited || die "$(cat waited)"
    [[ ! -e out ]]
    cluster_down
}
# A worker in a mount namespace where the input is hidden.
blind_worker() {
    ((EUID == 0)) || skip 'needs root to hide a folder from a worker'
    unshare -m true 2>/dev/null || skip 'mount namespaces are not allowed here'
    mkdir data
    bad_sample
    mv in data/in
    run wordcount -i data -o want2 -r 5
    coordinator_up
    unshare -m bash -c 'mount -t tmpfs none data && exec "$@"' _ "$marram" worker --coordinator "$MARRAM_COORDINATOR" \
        --name blind --threads 1 --scratch "$PWD/scratch" 2>blind.log &
    worker_pid["blind"]=$!
    await_workers 1
    detach wordcount -i data -o out -r 5
    await_condition "\"\$marram\" jobs | grep -q 'no worker sees'" 'the reason is not told'
    "$marram" job "$job" | grep -q "$PWD/data/in" || die "$("$marram" job "$job")"
    worker_up seeing
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    diff -r want2 out
    cluster_down
}
no_worker() {
    sample
    coordinator_up
    detach wordcount -i in -o out
    await_condition "\"\$marram\" jobs | grep -q 'no worker'" 'the reason is not told'
    worker_up w1
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    cluster_down
}
input_changes() {
    local status=0
    bad_sample
    cluster_up 1
    detach "$testjobs/misbehave.so" -i in -o out -p map=mark_and_wait --split-size 100K
    await_condition 'test -e misbehaved' 'the job did not start'
    echo more >>in
    touch go
    "$marram" wait "$job" 2>stderr || status=$?
    ((status == 1)) || die "status $status"
    grep -qF "input '$PWD/in' changed while the job ran" stderr || die "$(cat stderr)"
    cluster_down
}

full_scratch() {
    local status=0
    ((EUID == 0)) || skip 'needs root to mount a small file system'
    mkdir -p scratch/small
    mount -t tmpfs -o size=1m tmpfs scratch/small || skip 'mounting is not allowed here'
    trap 'umount "$PWD/scratch/small"' EXIT
    awk 'BEGIN { for (i = 0; i < 400000; i++) print "word" i }' >in
    LEASE=2 coordinator_up
    worker_up small
    await_workers 1
    "$marram" submit wordcount -i in -o out >stdout 2>stderr || status=$?
    ((status == 1)) || die "status $status"
    grep -q "$PWD/scratch/small.*No space left" stderr || die "$(cat stderr)"
    (($(grep -cv '^ map \|^ waits: ' stderr) == 1)) || die "more than one line: $(cat stderr)"
    [[ ! -e out ]]
    cluster_down
}

# Random bytes, HTTP and mutated frames at both ports while a job runs.
garbage() {
    local ports
    bad_sample
    cluster_up 2 --direct-reads off
    ports="${MARRAM_COORDINATOR##*:} $("$marram" workers --json | sed -n 's/.*"endpoint": "tcp:.*:\([0-9]*\)".*/\1/p' | tr '\n' ' ')"
    (($(wc -w <<<"$ports") == 3)) || die "ports: $ports"
    detach "$testjobs/misbehave.so" -i in -o out -r 5 -p map=mark_and_wait
    await_condition 'test -e misbehaved' 'the job did not start'
    for port in $ports; do
        for i in 1 2 3 4 5; do
            (exec 3<>"/dev/tcp/127.0.0.1/$port" && { head -c 100000 /dev/urandom >&3 || true; }) 2>/dev/null || true
            (exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET / HTTP/1.1\r\n\r\n' >&3) 2>/dev/null || true
            # A greeting of ZMTP, then nonsense.
            (exec 3<>"/dev/tcp/127.0.0.1/$port" && { printf '\xff\0\0\0\0\0\0\0\x01\x7f\x03\0NULL' && head -c 5000 /dev/urandom; } >&3) 2>/dev/null || true
        done
    done
    touch go
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    for part in want/part-*; do expect_same "$part" "out/${part#want/}"; done
    (($(joined) == 2))
    cluster_down
}

# A thousand small jobs leave no memory and no descriptor behind.
thousand_jobs() {
    local n=${MARRAM_BIG:+1000} i before after
    n=${n:-200}
    instrumented && n=30
    echo 'a b a' >in
    COORDINATOR_OPTIONS='--retain 10' cluster_up 1
    for ((i = 0; i < 20; i++)); do submit wordcount -i in -o "out.$i"; done
    await_spare w1
    before="$(usage "$coordinator_pid") $(usage "${worker_pid[w1]}")"
    for ((i = 20; i < n; i++)); do submit wordcount -i in -o "out.$i"; done
    await_spare w1
    after="$(usage "$coordinator_pid") $(usage "${worker_pid[w1]}")"
    awk -v before="$before" -v after="$after" 'BEGIN {
        split(before, b); split(after, a)
        for (i = 1; i <= 4; i += 2) if (a[i] > b[i] + 10240 || a[i + 1] > b[i + 1]) exit 1 }' ||
        die "KiB and descriptors of coordinator and worker: $before, then $after"
    cluster_down
}
usage() { echo "$(awk '/^VmRSS/ { print $2 }' "/proc/$1/status") $(find "/proc/$1/fd" -mindepth 1 | wc -l)"; }

# The next job runs in the executor that stood ready; without one it starts its own.
spare_executor() {
    local spare
    echo 'a b a' >in
    cluster_up 1
    for i in 1 2 3; do
        await_spare w1
        spare=$(spare_of w1)
        submit "$testjobs/state_job.so" -i in -o "out.$i"
        await_condition "! kill -0 $spare 2>/dev/null" "executor $spare was not used"
    done
    await_spare w1
    kill -KILL "$(spare_of w1)"
    await_condition "! spare_of w1" 'the spare lives'
    submit wordcount -i in -o out.4
    [[ $(sorted_output out.4) == $'a\t2\nb\t1' ]]
    await_spare w1
    cluster_down
}

claim 'clusters of 1, 2, 3 and 5 workers give the bytes of run' same_bytes_on_clusters
claim 'so they do when all runs travel over the wire' same_bytes_over_the_wire
claim 'so they do with workers in network namespaces of their own' same_bytes_in_namespaces
claim 'ten jobs at once from ten clients' ten_at_once
claim 'a cancelled job is gone within 2 s' cancelled
claim 'a worker that does not see the input is named and left out' blind_worker
claim 'a job without workers waits, says why, and goes on' no_worker
claim 'an input that changes fails the job by name' input_changes
claim 'a full disk of a worker is named' full_scratch
claim 'garbage at every port harms nothing' garbage
claim 'an executor stands ready for the next job' spare_executor
claim 'small jobs leave nothing in memory' thousand_jobs
totals
