#!/usr/bin/env bash
# One job after the other on a cluster, and faults drawn from a generator with a seed: workers are killed and replaced,
# stopped and continued, cut off and healed. Each output is that of `marram run`; at the end nothing is left, and neither
# memory nor descriptors of the coordinator and of the worker that nothing befell have grown.
#
#     CHAOS_SEED=7 SOAK_SECONDS=600 tests/cluster/chaos/random.sh
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
seed=${CHAOS_SEED:-$(($(date +%s) % 100000))}
seconds=${SOAK_SECONDS:-60}
echo "CHAOS_SEED=$seed SOAK_SECONDS=$seconds"
RANDOM=$seed

usage() { echo "$(awk '/^VmRSS/ { print $2 }' "/proc/$1/status") $(find "/proc/$1/fd" -mindepth 1 | wc -l)"; }
next_worker() {
    worker_number=$((worker_number + 1))
    worker_up "x$worker_number" --direct-reads off
}
# Of the workers that faults may befall: x..., but not the one behind the proxy.
victim() {
    local -a names=()
    local name
    for name in "${!worker_pid[@]}"; do [[ $name == x* ]] && names+=("$name"); done
    mapfile -t names < <(printf '%s\n' "${names[@]}" | sort)
    echo "${names[$((RANDOM % ${#names[@]}))]}"
}
strike() {
    local fault=$((RANDOM % 5)) name
    name=$(victim)
    # An interval of less than the lease, or of more.
    local pause=0.$((RANDOM % 10))
    ((RANDOM % 3)) || pause=$((1 + RANDOM % 3))
    case $fault in
    0 | 1)
        faults[kill]=$((faults[kill] + 1))
        kill_worker "$name"
        next_worker
        ;;
    2)
        faults[stop]=$((faults[stop] + 1))
        kill -STOP "${worker_pid[$name]}"
        sleep "$pause"
        kill -CONT "${worker_pid[$name]}"
        ;;
    3)
        faults[stall]=$((faults[stall] + 1))
        tell_proxy cable stall
        sleep "$pause"
        tell_proxy cable pass
        ;;
    4)
        faults[cut]=$((faults[cut] + 1))
        tell_proxy cable cut
        sleep "$pause"
        tell_proxy cable pass
        ;;
    esac
}
random_faults() {
    local end=$((SECONDS + seconds)) done=0 before after submitted status
    declare -gA faults=([kill]=0 [stop]=0 [stall]=0 [cut]=0)
    bad_sample
    LEASE=1 COORDINATOR_OPTIONS='--retain 10' coordinator_up
    proxy_up cable
    worker_up w1 --direct-reads off
    unset REACH
    worker_up w2 --direct-reads off
    worker_number=0
    next_worker
    next_worker
    await_workers 4
    while ((SECONDS < end || done < 3)); do
        rm -rf out
        DEADLINE=300 "$marram" submit wordcount -i in -o out -r 5 --split-size $((50 + RANDOM % 400))K >submitted 2>&1 &
        submitted=$!
        for ((i = RANDOM % 4; i > 0; i--)); do strike; done
        status=0
        wait $submitted || status=$?
        ((status == 0)) || die "job $done: status $status: $(tail -3 submitted) $(tail -n 5 ./*.log)"
        expect_wanted out
        done=$((done + 1))
        # What the first jobs took is what it takes.
        ((done != 20)) || before="$(usage "$coordinator_pid") $(usage "${worker_pid[w2]}")"
    done
    await_workers 4
    echo "$done jobs; kills ${faults[kill]}, stops ${faults[stop]}, stalls ${faults[stall]}, cuts ${faults[cut]}" | tee "$root/build/chaos.txt"
    ((faults[kill] + faults[stop] + faults[stall] + faults[cut] > 0)) || die 'no fault fired'
    if ((done > 40)) && ! instrumented; then
        sleep 2 # links of workers that are gone are closed meanwhile
        after="$(usage "$coordinator_pid") $(usage "${worker_pid[w2]}")"
        awk -v before="$before" -v after="$after" 'BEGIN {
            split(before, b); split(after, a)
            for (i = 1; i <= 4; i += 2) if (a[i] > b[i] + 10240 || a[i + 1] > b[i + 1] + 20) exit 1 }' ||
            die "KiB and descriptors of coordinator and worker: $before, then $after"
    fi
    [[ -z $(ls -d out.marram-* 2>/dev/null) ]] || die "left: $(ls -d out.marram-*)"
    cluster_down
    proxy_down cable
    ((${#worker_pid[@]} == 0))
}

claim "random faults, seed $seed" random_faults
[[ ! -f $root/build/chaos.txt ]] || cat "$root/build/chaos.txt"
rm -f "$root/build/chaos.txt"
totals
