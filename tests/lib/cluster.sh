# Sourced by suites that need a cluster of processes: a coordinator and workers in the claim's own folder, on a free
# port of loopback. `cluster_down` at the end of a claim checks that nothing stays behind.
# shellcheck shell=bash disable=SC2034,SC2154 # names of the harness and of the suites
declare -A worker_pid=()
coordinator_pid=

# cluster_up WORKERS [OPTIONS OF EACH WORKER]: threads default to 1. COORDINATOR_OPTIONS are the coordinator's.
cluster_up() {
    local workers=$1 i
    shift
    coordinator_up
    for ((i = 1; i <= workers; i++)); do
        worker_up "w$i" "$@"
    done
    await_workers "$workers"
}

# From here on all that this claim starts uses keys, which are in ./keys.
with_keys() {
    "$marram" keys keys >/dev/null
    export MARRAM_KEYS=$PWD/keys
}

coordinator_up() {
    local -a options
    read -ra options <<<"${COORDINATOR_OPTIONS:-}"
    "$marram" coordinator --listen "${LISTEN:-tcp://127.0.0.1:0}" --state "$PWD/state" --heartbeat 200 --lease "${LEASE:-10}" \
        --http "${HTTP:-none}" "${options[@]}" 2>coordinator.log &
    coordinator_pid=$!
    await_condition "test -s state/endpoint" 'the coordinator did not start'
    MARRAM_COORDINATOR=$(cat state/endpoint)
    export MARRAM_COORDINATOR
}

# worker_up NAME OPTIONS...: in the folder of the claim, through PREFIX (such as ip netns exec X) if set.
worker_up() {
    local name=$1
    local -a prefix
    shift
    read -ra prefix <<<"${PREFIX:-}"
    "${prefix[@]}" "$marram" worker --coordinator "${REACH:-$MARRAM_COORDINATOR}" --name "$name" --threads 1 --memory 512M \
        --scratch "$PWD/scratch/$name" "$@" 2>"$name.log" &
    worker_pid[$name]=$!
}

await_condition() {
    local condition=$1 what=$2 i
    for ((i = 0; i < ${DEADLINE:-60} * 20; i++)); do
        eval "$condition" && return
        sleep 0.05
    done
    die "$what: $(tail -n 5 ./*.log 2>/dev/null)"
}

# The number of workers that have joined.
joined() { "$marram" workers --json 2>/dev/null | grep -c '"name"'; }
await_workers() { await_condition "((\$(joined) == $1))" "$1 workers did not join"; }

# The only executor of a worker without work.
spare_of() { pgrep -P "${worker_pid[$1]}" -x marram-executor; }
await_spare() { await_condition "[[ \$(spare_of $1 | wc -l) == 1 ]]" "worker $1 has no spare executor"; }

# What stays in the folder of the state is what the next start needs.
left_in_folders() { find scratch state -type f 2>/dev/null | grep -Ev '/blobs/|^state/(journal/|history\.sqlite$)'; }

cluster_down() {
    local name
    for name in "${!worker_pid[@]}"; do
        kill "${worker_pid[$name]}" 2>/dev/null || true
    done
    for name in "${!worker_pid[@]}"; do
        wait "${worker_pid[$name]}" || die "worker $name ended with status $?: $(tail -3 "$name.log")"
    done
    kill "$coordinator_pid"
    wait "$coordinator_pid" || die "the coordinator ended with status $?: $(tail -3 coordinator.log)"
    ! left_in_folders | grep -q . || die "left behind: $(left_in_folders | head -5)"
    worker_pid=()
}

# submit ARGUMENTS...: waits for the job; its JSON in ./json
submit() {
    local status=0
    timeout "${DEADLINE:-120}" "$marram" submit "$@" --json >json 2>stderr || status=$?
    ((status == 0)) || die "marram submit $* ended with status $status: $(tail -3 stderr)"
}

# detach ARGUMENTS...: submits, and leaves the number of the job in $job
detach() {
    job=$("$marram" submit "$@" --detach 2>stderr) || die "marram submit $* failed: $(cat stderr)"
}

kill_worker() {
    kill -KILL "${worker_pid[$1]}"
    wait "${worker_pid[$1]}" 2>/dev/null || true
    unset "worker_pid[$1]"
    rm -rf "scratch/$1" # which it could not remove itself
}

# The name of the worker whose executor is process $1.
worker_of() {
    local parent name
    parent=$(awk '{ print $4 }' "/proc/$1/stat")
    for name in "${!worker_pid[@]}"; do
        if [[ ${worker_pid[$name]} == "$parent" ]]; then echo "$name"; fi
    done
}
