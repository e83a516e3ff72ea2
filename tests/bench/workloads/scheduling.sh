# What the coordinator alone can do: tasks that do nothing, workers that answer at once. Each completion is recorded; the
# workers share the processors with it. The state folder lies with the other data, on a disk.
# shellcheck shell=bash disable=SC2154
make --no-print-directory -s BUILD=release build/release/tests/tools/crowd || missing scheduling 'the crowd is not built'
status_of() { awk -v name="$2:" '$1 == name { print $2 }' "/proc/$1/status"; }
# schedule WORKERS TASKS LIMIT-IN-US
schedule() {
    local state=$bench/crowd.state coordinator crowd endpoint hold before joined peak report
    rm -rf "$state" "$bench/out" && mkdir -p "$state"
    truncate -s "$(($2 * 1024))" "$bench/crowd.in"
    "$marram" coordinator --listen tcp://127.0.0.1:0 --state "$state" --retain 0 2>"$bench/log" &
    coordinator=$!
    until [[ -s $state/endpoint ]]; do sleep 0.05; done
    endpoint=$(cat "$state/endpoint")
    before=$(status_of $coordinator VmRSS)
    mkfifo "$state/pipe"
    "$build/tests/tools/crowd" "$endpoint" "$1" 2 <"$state/pipe" >"$state/crowd" &
    crowd=$!
    exec {hold}>"$state/pipe"
    until [[ -s $state/crowd ]]; do sleep 0.05; done
    joined=$(status_of $coordinator VmRSS)
    MARRAM_COORDINATOR=$endpoint "$marram" submit wordcount -i "$bench/crowd.in" -o "$bench/out" -r 1 --split-size 1K >"$bench/log" 2>&1 ||
        failed "scheduling, $1 workers" "$(tail -1 "$bench/log")"
    peak=$(status_of $coordinator VmHWM)
    exec {hold}>&-
    wait $crowd
    report=$(tail -1 "$state/crowd")
    number() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" <<<"$report"; }
    (($(number tasks) >= $2)) || failed "scheduling, $1 workers" "$report"
    once "a task, $1 workers" us "$3" "$(awk -v ms="$(number ms)" -v n="$2" 'BEGIN { print ms * 1000 / n }')"
    once "joining, $1 workers" ms 10000 "$(sed -n 's/^admitted .* in \([0-9]*\) ms.*/\1/p' "$state/crowd")"
    once "late heartbeats, $1 workers" beats 1 "$(number late)"
    once "memory by task, $1 workers" KiB 2 "$(awk -v a="$peak" -v b="$joined" -v n="$2" 'BEGIN { print (a - b) / n }')"
    (($1 < 1000)) || once "memory by worker, $1 workers" KiB 100 "$(((joined - before) / $1))"
    kill $coordinator && wait $coordinator
    rm -rf "$state" "$bench/crowd.in" "$bench/out"
}
schedule 64 200000 50
schedule 1000 200000 250
