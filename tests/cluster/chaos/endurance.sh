#!/usr/bin/env bash
# A thousand jobs on one cluster, in fours: word counts, jobs that crash, jobs that are cancelled; while they run, workers are
# killed or drained, and replaced. What was right stays right, and nothing grows: neither memory nor descriptors of the
# coordinator and of the worker that nothing befell, nor the files in their folders.
#
#     ENDURANCE_JOBS=1000 ENDURANCE_SEED=7 tests/cluster/chaos/endurance.sh
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
seed=${ENDURANCE_SEED:-$(($(date +%s) % 32768))}
jobs_wanted=${ENDURANCE_JOBS:-60}
echo "ENDURANCE_SEED=$seed ENDURANCE_JOBS=$jobs_wanted"

# look DONE: one line of what there is while nothing runs: jobs, KiB and descriptors of the coordinator and of w1, children
# of w1, files in scratch/w1 and in state/.
look() {
    local pid
    await_condition "nothing_runs" 'something runs still'
    {
        echo -n "$1"
        for pid in "$coordinator_pid" "${worker_pid[w1]}"; do
            echo -n " $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status") $(descriptors "$pid")"
        done
        echo " $(pgrep -cxP "${worker_pid[w1]}" marram-executor || true) $(find scratch/w1 -type f | wc -l) $(find state -type f | wc -l)"
    } >>looks
}
# Executors of jobs that are over have ended; the spare one of w1 stands ready; links to those that left are closed.
nothing_runs() {
    [[ $("$marram" workers --json | grep -c '"idle"') == 4 ]] &&
        ! find scratch -type d | grep -qE '/[0-9a-f]{12}$' &&
        (($(pgrep -cxP "${worker_pid[w1]}" marram-executor || true) == 1))
}
descriptors() { find "/proc/$1/fd" -mindepth 1 | wc -l; }
# Links that nobody uses are closed half a minute later, those to workers that are gone as well.
links_are_closed() {
    (($(descriptors "$coordinator_pid") <= coordinator_had + 8 && $(descriptors "${worker_pid[w1]}") <= worker_had + 16))
}
next_worker() {
    worker_number=$((worker_number + 1))
    worker_up "x$worker_number" --direct-reads off
}
victim() {
    local -a names=()
    mapfile -t names < <(printf '%s\n' "${!worker_pid[@]}" | grep ^x | sort)
    echo "${names[$((RANDOM % ${#names[@]}))]}"
}
strike() {
    local name
    name=$(victim)
    case $((RANDOM % 4)) in
    0)
        counts[killed]=$((counts[killed] + 1))
        kill_worker "$name"
        next_worker
        ;;
    1)
        counts[drained]=$((counts[drained] + 1))
        next_worker
        # A job that waits to be cancelled would hold it up for ever.
        "$marram" drain "$name" --timeout 1 >said 2>&1 || die "$(cat said)"
        wait "${worker_pid[$name]}" || die "$name ended with status $?: $(tail -3 "$name.log")"
        unset "worker_pid[$name]"
        ;;
    esac
}
# begin I: job I of four, of a kind that chance chooses.
begin() {
    local kind=$((RANDOM % 8)) i=$1
    rm -rf "out.$i" "id.$i"
    case $kind in
    0) kinds[i]=crashed ;;
    1) kinds[i]=cancelled ;;
    *) kinds[i]=right ;;
    esac
    case $kind in
    0) "$marram" submit "$testjobs/misbehave.so" -i crash -o "out.$i" -p map=segv >/dev/null 2>"said.$i" & ;;
    1) "$marram" submit "$testjobs/gate.so" -i in -o "out.$i" -p "gate=$PWD/never" >"id.$i" 2>"said.$i" & ;;
    *) "$marram" submit wordcount -i in -o "out.$i" -r 5 --split-size $((50 + RANDOM % 400))K >/dev/null 2>"said.$i" & ;;
    esac
    clients[i]=$!
}
# cancel I: if it is to be. Until then it holds all workers, so that none of the others may be waited for before.
cancel() {
    local id
    [[ ${kinds[$1]} == cancelled ]] || return 0
    await_condition "test -s id.$1" 'it was not accepted'
    id=$(cat "id.$1")
    "$marram" cancel "$id" || die "$id was not cancelled"
}
# end I: as it deserves.
end() {
    local i=$1 status=0 wanted=1
    [[ ${kinds[i]} == right ]] && wanted=0
    wait "${clients[i]}" || status=$?
    ((status == wanted)) || die "job of kind ${kinds[i]}: status $status: $(cat "said.$i")"
    if ((status == 0)); then
        expect_wanted "out.$i"
    else
        [[ ! -e out.$i ]] || die "a job that was ${kinds[i]} has an output"
    fi
    [[ ${kinds[i]} != crashed ]] || grep -q 'Segmentation fault' "said.$i" || die "$(cat "said.$i")"
    counts[${kinds[i]}]=$((counts[${kinds[i]}] + 1))
}
# Memory grows by less than 4 MiB in all after the first fifth, by the slope through all looks; in a short run, which is
# warming up all the time, by less than 16. Each of the three objects is a file more when it is used first.
nothing_grew() {
    awk -v few=$((jobs_wanted < 500)) '
        NR == 1 { split($0, first) }
        { split($0, last); n++
          for (c = 2; c <= 4; c += 2) { sx[c] += $1; sy[c] += $c; sxx[c] += $1 * $1; sxy[c] += $1 * $c } }
        END {
            for (c = 2; c <= 4; c += 2) {
                slope = n > 1 ? (n * sxy[c] - sx[c] * sy[c]) / (n * sxx[c] - sx[c] * sx[c]) : 0
                printf "%s: %d KiB after %d jobs, %d after %d, %.2f KiB a job; %d descriptors at last\n",
                    c == 2 ? "coordinator" : "worker", first[c], first[1], last[c], last[1], slope, last[c + 1]
                if (slope * (last[1] - first[1]) > (few ? 16384 : 4096)) bad = 1
            }
            printf "executors %d, then %d; files in scratch %d, then %d, in state %d, then %d\n", first[6], last[6], first[7],
                last[7], first[8], last[8]
            exit bad || last[6] > first[6] || last[7] > 4 || last[8] > first[8] + 4
        }' looks
}
thousand_jobs() {
    local i done=0 step=$((jobs_wanted / 50 > 4 ? jobs_wanted / 50 : 4))
    declare -gA counts=([right]=0 [crashed]=0 [cancelled]=0 [killed]=0 [drained]=0)
    declare -ga kinds=() clients=()
    RANDOM=$seed
    bad_sample
    { head -1000 in && echo BAD; } >crash
    LEASE=1 COORDINATOR_OPTIONS='--retain 20 --history 50' coordinator_up
    worker_up w1 --direct-reads off
    worker_number=0
    for i in 1 2 3; do next_worker; done
    await_workers 4
    await_condition nothing_runs 'there is no spare executor'
    coordinator_had=$(descriptors "$coordinator_pid") worker_had=$(descriptors "${worker_pid[w1]}")
    while ((done < jobs_wanted)); do
        for i in 0 1 2 3; do begin $i; done
        strike
        for i in 0 1 2 3; do cancel $i; done
        for i in 0 1 2 3; do end $i; done
        done=$((done + 4))
        ((done % step || done * 5 < jobs_wanted)) || look $done
    done
    await_workers 4
    await_condition links_are_closed 'there are too many descriptors'
    look $done
    {
        echo "$((counts[right] + counts[crashed] + counts[cancelled])) jobs: ${counts[right]} done, ${counts[crashed]} crashed," \
            "${counts[cancelled]} cancelled; workers: ${counts[killed]} killed, ${counts[drained]} drained"
        instrumented || nothing_grew || echo GREW
    } >"$base/report"
    ((counts[crashed] && counts[cancelled] && counts[killed] && counts[drained])) || die "no fault of some kind: $(cat "$base/report")"
    ! grep -q GREW "$base/report" || die "$(cat "$base/report" looks)"
    [[ -z $(ls -d out.*.marram-* 2>/dev/null) ]] || die "left: $(ls -d out.*.marram-*)"
    cluster_down
}

claim "nothing grows in $jobs_wanted jobs with faults, seed $seed" thousand_jobs
[[ ! -f $base/report ]] || cat "$base/report"
totals
