# Sourced by the suites of this folder: clusters of containers, made by the compose file of a clean clone.
# shellcheck shell=bash disable=SC2034,SC2154 # names of the harness and of the suites
# shellcheck source=tests/lib/harness.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

tree=$base/tree
# What is built here is called by our number, so that nobody's images are touched.
export MARRAM_IMAGE=marram-test:$$ MARRAM_TOOLBOX=marram-test-toolbox:$$
MARRAM_USER=1000:1000
# Seconds: containers take their time where others work, too.
DEADLINE=300
export COMPOSE_HTTP_TIMEOUT=400
if docker compose version >/dev/null 2>&1; then compose_words=(docker compose); else compose_words=(docker-compose); fi
trap 'docker image rm "$MARRAM_IMAGE" "$MARRAM_TOOLBOX" >/dev/null 2>&1; rm -rf "$base"' EXIT

compose() { "${compose_words[@]}" -p "$project" -f "$tree/docker/compose.yaml" "$@"; }

# build TARGET NAME: an image, from the clean clone
build() {
    DOCKER_BUILDKIT=0 docker build -f "$tree/docker/Dockerfile" --target "$1" -t "$2" "$tree" >build.log 2>&1 ||
        die "$(tail -25 build.log)"
}

# project_up WORKERS: a cluster of the claim's own, on free ports, with the folder ./data as /data; the claim's end takes it
# away. Commands of the host reach it.
project_up() {
    project=marramtest$$x$RANDOM
    trap project_down EXIT
    mkdir -p data keys
    : >scratch-volumes
    chmod 1777 data
    export MARRAM_PORT=0 MARRAM_HTTP_PORT=0 MARRAM_DATA=$PWD/data MARRAM_HOST_KEYS=$PWD/keys
    # Outputs are to be ours to remove.
    ((EUID == 0)) || MARRAM_USER=$EUID:$(id -g)
    export MARRAM_USER
    scale "$1"
    find_coordinator
    await_workers "$1"
}
scale() {
    compose up -d --no-recreate --scale "worker=$1" >compose.log 2>&1 || die "$(tail -15 compose.log; compose logs --no-color 2>&1 | tail -15)"
    containers worker | xargs -r docker inspect -f '{{range .Mounts}}{{if eq .Destination "/scratch"}}{{.Name}}{{end}}{{end}}' \
        >>scratch-volumes
}
# Where the coordinator's port is published; each start takes another one.
find_coordinator() {
    MARRAM_COORDINATOR=tcp://$(docker port "$(container coordinator)" 7077/tcp | head -1)
    MARRAM_KEYS=$PWD/keys
    export MARRAM_COORDINATOR MARRAM_KEYS
}
project_down() {
    local left
    compose kill >/dev/null 2>&1 || true
    compose --profile tools down -v --remove-orphans >down.log 2>&1 || true
    # Older ones leave those of workers that were scaled away.
    sort -u scratch-volumes | xargs -r docker volume rm >/dev/null 2>&1 || true
    left=$(docker ps -aq --filter "label=com.docker.compose.project=$project"
        docker network ls -q --filter "label=com.docker.compose.project=$project"
        docker volume ls -q --filter "label=com.docker.compose.project=$project")
    [[ -z $left ]] || die "left behind: $left $(tail -5 down.log)"
}

# Ids of the containers of a service that run, one a line; of `container SERVICE [N]` the Nth.
containers() { docker ps -q --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1"; }
container() { containers "$1" | sed -n "${2:-1}p"; }
coordinator_log() { docker logs "$(container coordinator)" >coordinator.log 2>&1; }
# said PATTERN [TIMES]: the coordinator's log has it, so often at least.
said() { coordinator_log && (($(grep -c -- "$1" coordinator.log) >= ${2:-1})); }

# The size of what all claims count, and what a run without any cluster makes of it.
slow=$testjobs/slow.so
# slow_sample LINES
slow_sample() {
    mkdir -p data
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) print "word" i % 1000, "and" i % 13 }' >data/in
    MARRAM_KEYS='' MARRAM_COORDINATOR='' "$marram" run "$slow" -i data/in -o want -r 8 2>stderr || die "$(cat stderr)"
    reference_words data/in >words
    sorted_output want >got
    expect_same got words
}
# start_slowly: the job of the sample, which rests at each line, so that something can be done meanwhile.
start_slowly() {
    detach "$slow" -i /data/in -o /data/out -r 8 --split-size 4K -p map_us=3000 -p reduce_us=2000
}
# progress PERCENT: so much of the tasks is done.
progress() {
    "$marram" job "$job" --json >json 2>/dev/null
    (($(counter maps) > 0 && ($(counter maps_done) + $(counter reduces_done)) * 100 >= ($(counter maps) + $(counter reduces)) * $1))
}
await_progress() { await_condition "progress $1" 'the job does not move'; }
expect_running() {
    "$marram" job "$job" --json >json
    grep -q '"state": "running"' json || die "the job did not run any more: $(grep '"state"' json)"
}
# The job ends well, with the bytes of a run without any cluster; its JSON in ./json.
expect_result() {
    local part
    timeout 300 "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    for part in want/part-*; do expect_same "$part" "data/out/${part#want/}"; done
    "$marram" job "$job" --json >json
}
# in_order PATTERN...: events of the coordinator's log, each after the one before.
in_order() {
    coordinator_log
    awk 'BEGIN { at = 1; for (i = 1; i < ARGC; i++) wanted[i] = ARGV[i]; wanted_count = ARGC - 1; ARGC = 1 }
        at <= wanted_count && $0 ~ wanted[at] { at++ }
        END { if (at <= wanted_count) { print "missing: " wanted[at]; exit 1 } }' "$@" <coordinator.log ||
        die "$(cat coordinator.log)"
}
# What `marram workers` says of the worker in a container.
field() {
    "$marram" workers --json | awk -v name="\"$2\"" -v field="\"$1\":" '
        /^ *}/ { if (mine) print value; mine = 0 }
        $1 == "\"name\":" && $2 == name "," { mine = 1 }
        $1 == field { value = $0; sub(/^[^:]*: */, "", value); sub(/,$/, "", value); gsub(/"/, "", value) }'
}
