# A worker with 1 GiB of map output leaves, and another one on the same host takes it over: by hard links; by copies, where
# its scratch folder is on another file system; over a socket, where it does not see the files. The job stands still
# meanwhile: the one map that is missing has been stopped. Then it goes on, and nothing is made again.
# shellcheck shell=bash disable=SC2154
drain_folder=$bench/drain
other_system=/dev/shm/marram-bench-$$
drain_worker() {
    local name=$1 scratch=$2
    shift 2
    "$marram" worker --coordinator "$MARRAM_COORDINATOR" --name "$name" --threads 1 --memory 1G --scratch "$scratch" "$@" 2>"$drain_folder/$name.log" &
    pids+=($!)
}
drain_counter() { sed -n "s/^ *\"$1\": \([0-9]*\),*\$/\1/p" "$drain_folder/json"; }
drain_job() { "$marram" job "$job" --json >"$drain_folder/json"; }
drain_until() {
    local i
    for ((i = 0; i < 3000; i++)); do
        "$@" && return
        sleep 0.01
    done
    return 1
}
is_mapping() { drain_job && (($(drain_counter maps_done) > 0)); }
has_executor() { pgrep -P "${pids[2]}" >/dev/null; }
# All but what the stopped one has: one that runs, one in hand.
others_are_mapped() {
    drain_job && (($(drain_counter maps_done) >= $(drain_counter maps) - 2 && $(drain_counter reduces_done) == 0)) &&
        "$marram" job "$job" | grep -q 'map .* on stays' && ! "$marram" job "$job" | grep -q ' on leaves'
}
drain_job_is_right() { "$marram" wait "$job" 2>/dev/null && drain_job && tera_is_sorted && (($(drain_counter map_reruns) == 0)); }
drain_bench_down() {
    kill -KILL "${pids[@]}" 2>/dev/null
    wait "${pids[@]}" 2>/dev/null
    rm -rf "$drain_folder" "$other_system"
    unset MARRAM_COORDINATOR
}

# drained NAME SCRATCH-OF-THE-TAKER WAY OPTIONS-OF-WORKERS...
drained() {
    local name=$1 scratch=$2 way=$3 job moved left=
    local -a pids=() stopped=()
    shift 3
    rm -rf "$drain_folder" "$bench/out"
    mkdir -p "$drain_folder" "$scratch"
    "$marram" coordinator --listen tcp://127.0.0.1:0 --state "$drain_folder/state" 2>"$drain_folder/log" &
    pids+=($!)
    until [[ -s $drain_folder/state/endpoint ]]; do sleep 0.01; done
    MARRAM_COORDINATOR=$(cat "$drain_folder/state/endpoint")
    export MARRAM_COORDINATOR
    job=$("$marram" submit terasort -i "$input" -o "$bench/out" --sync off --speculation off --split-size "$((bytes / 16))" --detach 2>/dev/null)
    drain_worker leaves "$drain_folder/leaves" "$@"
    drain_until is_mapping || { failed "$name" 'no map is done'; drain_bench_down; return; }
    drain_worker stays "$scratch" "$@"
    # As soon as it has an executor, that stops, whatever it has begun.
    drain_until has_executor
    mapfile -t stopped < <(pgrep -P "${pids[2]}")
    kill -STOP "${stopped[@]}"
    drain_until others_are_mapped || { missing "$name" 'the job ends before a map can be stopped: more BENCH_BYTES are wanted'; kill -CONT "${stopped[@]}"; drain_bench_down; return; }
    ms "$marram" drain leaves || left=no
    kill -CONT "${stopped[@]}"
    moved=$(sed -n "s/.* run taken .* way=$way .*bytes=\([0-9]*\).*/\1/p" "$drain_folder/stays.log" | awk '{ n += $1 } END { print n + 0 }')
    if [[ -n $left ]] || ! drain_job_is_right; then
        failed "$name" 'it did not leave in order, or the output is wrong'
    elif ((moved < bytes)); then
        failed "$name" "$moved bytes moved that way, not $bytes"
    else
        once "$name ($((moved >> 20)) MiB)" ms 3000 "$took"
    fi
    drain_bench_down
}

# Some of it is the other worker's from the beginning.
tera "$((bytes * 5 / 4))"
drained 'draining a worker, by link' "$drain_folder/stays" link
if (($(df --output=avail -B1 /dev/shm 2>/dev/null | tail -1) > bytes * 3 / 2)); then
    drained 'draining a worker, by copy' "$other_system" copy
else
    missing 'draining a worker, by copy' 'no room in /dev/shm'
fi
drained 'draining a worker, over a socket' "$drain_folder/stays" fetch --direct-reads off
rm -f "$bench/tera.$((bytes * 5 / 4))"{,.sum}
