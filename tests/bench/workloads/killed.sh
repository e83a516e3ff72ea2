# Word count and tera sort on four workers of one thread, one of which is killed half-way: beside an undisturbed run. The
# limit is its time, a quarter more for what the killed one had done, and the lease after which it is given up.
# shellcheck shell=bash disable=SC2154
lease=1
killed_up() {
    local i
    rm -rf "$bench/killed"
    mkdir -p "$bench/killed"
    "$marram" coordinator --listen tcp://127.0.0.1:0 --state "$bench/killed/state" --heartbeat 100 --lease $lease 2>"$bench/killed/log" &
    pids=($!)
    until [[ -s $bench/killed/state/endpoint ]]; do sleep 0.01; done
    endpoint=$(cat "$bench/killed/state/endpoint")
    for i in 1 2 3 4; do
        "$marram" worker --coordinator "$endpoint" --threads 1 --memory 1G --scratch "$bench/killed/w$i" 2>"$bench/killed/w$i.log" &
        pids+=($!)
    done
    until (($("$marram" workers --coordinator "$endpoint" --json 2>/dev/null | grep -c '"name"') == 4)); do sleep 0.01; done
}
# One that was told to leave when its coordinator goes as well waits for another to hand its outputs to.
killed_down() {
    kill -KILL "${pids[@]}" 2>/dev/null
    wait "${pids[@]}" 2>/dev/null
    rm -rf "$bench/killed"
}
killed_submit() { "$marram" submit "$1" -i "$input" -o "$bench/out" --sync off --overwrite --coordinator "$endpoint"; }
# with_one_killed JOB AFTER: the fault counts only if the job was still at work.
with_one_killed() {
    local job=$1 client
    killed_submit "$job" &
    client=$!
    sleep "$2"
    kill -0 $client 2>/dev/null || echo 'too late' >"$bench/killed/late"
    kill -9 "${pids[4]}"
    wait $client
}

# killed NAME JOB CHECK
killed() {
    local name=$1 job=$2 check=$3 i n=$((long_rounds)) whole half
    local -a a b
    : >"$bench/ours"
    : >"$bench/theirs"
    for ((i = 0; i <= n; i++)); do
        killed_up
        ms killed_submit "$job" || { failed "$name" 'the undisturbed run failed'; killed_down; return; }
        whole=$took
        half=$(awk -v ms="$whole" 'BEGIN { printf "%.3f", ms / 2000 }')
        ms with_one_killed "$job" "$half" || { failed "$name" 'the disturbed run failed'; killed_down; return; }
        [[ ! -e $bench/killed/late ]] || { missing "$name" 'the job ends before a worker can be killed: more BENCH_BYTES are wanted'; killed_down; return; }
        killed_down
        "$check" || { failed "$name" 'the output is wrong'; return; }
        ((i == 0)) || { echo "$whole" >>"$bench/theirs"; echo "$took" >>"$bench/ours"; }
    done
    rm -rf "$bench/out"
    read -ra a < <(stats "$bench/ours" 1)
    read -ra b < <(stats "$bench/theirs" 1)
    once "$name (undisturbed ${b[0]} ms)" ms "$(awk -v t="${b[0]}" -v l=$lease 'BEGIN { print t * 1.25 + l * 1000 }')" "${a[0]}"
}

text "$bytes"
wordcount_yardstick >/dev/null
killed 'word count, a worker killed' wordcount wordcounts_agree
tera "$bytes"
killed 'tera sort, a worker killed' terasort tera_is_sorted
