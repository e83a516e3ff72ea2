#!/usr/bin/env bash
# The read-only HTTP of a coordinator: what it says, to whom, and that nobody can disturb a job by it.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

http_up() {
    HTTP=127.0.0.1:0 cluster_up "$@"
    address=$(cat state/http)
}
# get PATH OPTIONS OF CURL...: its status in $status, its body in ./body, its headers in ./headers
get() {
    local path=$1
    shift
    status=$(curl -s -m 20 -o body -D headers -w '%{http_code}' "$@" "http://$address$path")
}
expect_get() {
    get "${@:2}"
    [[ $status == "$1" ]] || die "$2: status $status, not $1: $(head -5 body)"
}
# A job that runs until the file `go` is there.
hold_job() {
    echo BAD >in
    detach "$testjobs/misbehave.so" -i in -o out -p map=mark_and_wait
    await_condition 'test -e misbehaved' 'the map did not come to its mark'
}
let_go() {
    touch go
    "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
}
fields() { python3 -c 'import json, sys
def names(x, path=""):
    if isinstance(x, dict):
        for key, value in x.items():
            print(path + "." + key)
            names(value, path + "." + key)
    elif isinstance(x, list) and x:
        names(x[0], path + "[]")
names(json.load(open(sys.argv[1])))' "$1"; }

same_as_commands() {
    http_up 1
    hold_job
    for what in jobs workers; do
        expect_get 200 "/api/v1/$what"
        "$marram" "$what" --json >json
        expect_same <(fields body) <(fields json)
    done
    expect_get 200 "/api/v1/jobs/$job"
    "$marram" job "$job" --json >json
    expect_same <(fields body) <(fields json)
    expect_get 200 "/api/v1/jobs/$job/tasks"
    grep -q '"worker": "w1"' body
    expect_get 200 '/api/v1/jobs?state=running&limit=1'
    grep -q "\"job\": \"$job\"" body
    expect_get 200 '/api/v1/jobs?state=done'
    ! grep -q "$job" body || die 'a job that runs is done'
    expect_get 400 '/api/v1/jobs?limit=x'
    expect_get 404 /api/v1/jobs/00000000000f
    expect_get 404 /api/v1/jobs/nothing
    expect_get 404 /api/v2/jobs
    expect_get 405 /api/v1/jobs -X POST -d x
    expect_get 200 /healthz
    [[ $(cat body) == ok ]]
    grep -qi '^x-content-type-options: nosniff' headers
    let_go
    cluster_down
    [[ ! -e state/http ]]
}
# Each path of docs/openapi.yaml answers, and what it answers is what stands there.
as_documented() {
    /usr/bin/python3 -c 'import yaml, jsonschema' 2>/dev/null || skip 'no python3-yaml or python3-jsonschema'
    http_up 1
    echo 'a b a' >in
    submit wordcount -i in -o out
    # shellcheck disable=SC2154 # from the JSON
    job=$(sed -n 's/^ *"job": "\(.*\)",/\1/p' json | head -1)
    /usr/bin/python3 "$root/tests/lib/openapi.py" "$root/docs/openapi.yaml" "http://$address" "$job" >log 2>&1 || die "$(cat log)"
    (($(grep -c '^ok ' log) == $(grep -c '^  /' "$root/docs/openapi.yaml"))) || die "$(cat log)"
    cluster_down
}
metrics() {
    http_up 2
    echo 'a b a' >in
    submit wordcount -i in -o out
    expect_get 200 /metrics
    grep -qx 'marram_jobs_ended_total{state="done"} 1' body || die "$(cat body)"
    grep -qx 'marram_workers{state="working"} 2' body
    # Each metric has its help and its type once, before its values.
    awk '/^# HELP/ { if (help[$3]++) exit 1 } /^# TYPE/ { type[$3] = 1 }
        /^[a-z]/ { name = $1; sub(/\{.*/, "", name); if (name ~ /^marram_task_duration_seconds_/) sub(/_(bucket|sum|count)$/, "", name)
            if (!help[name] || !type[name]) { print name; exit 1 } }' body
    # One map and one reduce were timed, each in one of the ranges.
    for kind in map reduce; do
        grep -qx "marram_task_duration_seconds_count{kind=\"$kind\"} 1" body || die "$(grep duration body)"
        awk -F' ' -v kind="$kind" '$1 ~ "^marram_task_duration_seconds_bucket.kind=\"" kind { if ($2 < last) exit 1; last = $2; n++ }
            END { exit !(n == 13 && last == 1) }' body || die "$(grep duration body)"
    done
    grep -qx 'marram_late_heartbeats_total [0-9]*' body
    cluster_down
}
metrics_by_their_owner() {
    command -v promtool >/dev/null || skip 'promtool is absent'
    http_up 1
    echo 'a b a' >in
    submit wordcount -i in -o out
    expect_get 200 /metrics
    promtool check metrics <body >said 2>&1 || die "$(cat said)"
    cluster_down
}
# What happens when nothing can be written down any more: whoever looks is told why.
failed_journal() {
    instrumented && skip 'a sanitizer must be the first library'
    local coordinator client
    export FAILING_SYNC=$PWD/sync
    LD_PRELOAD=$MARRAM_BUILD/tests/preload/failing_sync.so http_up 0
    coordinator=$coordinator_pid
    echo 'a b a' >in
    expect_get 200 /healthz
    echo journal >sync
    "$marram" submit wordcount -i in -o out --detach >said 2>&1 &
    client=$!
    # shellcheck disable=SC2016 # it is evaluated there
    await_condition 'get /healthz; [[ $status == 503 ]]' 'it says that all is well'
    grep -q 'journal.*Input/output error' body || die "$(cat body)"
    expect_get 503 /api/v1/jobs
    [[ -s sync.fired ]] || die 'the fault did not fire'
    if wait "$coordinator"; then die 'it ended as if all were well'; fi
    grep -q 'Input/output error' coordinator.log
    kill $client
    wait $client || true
}
# What happens comes as events, and who was away gets what it missed.
events() {
    local stream
    http_up 1
    curl -sN -m 60 "http://$address/api/v1/events" >stream &
    stream=$!
    await_condition 'test -s stream' 'the stream does not begin'
    worker_up w2
    await_workers 2
    hold_job
    let_go
    await_condition 'grep -q job_finished stream' 'no event of the end'
    kill $stream
    for event in worker_joined job_submitted job_progress job_finished; do grep -qx "event: $event" stream; done
    sed -n 's/^data: //p' stream | python3 -c 'import json, sys; [json.loads(line) for line in sys.stdin]'
    last=$(sed -n 's/^id: //p' stream | head -1)
    curl -sN -m 3 -H "Last-Event-ID: $last" "http://$address/api/v1/events" >again || true
    [[ $(sed -n 's/^id: //p' again | head -1) == $((last + 1)) ]] || die "$(head -3 again)"
    cluster_down
}
strangers() {
    http_up 1
    expect_get 421 /healthz -H 'Host: rebound.example'
    expect_get 421 /healthz -H 'Host: 127.0.0.1.example:80'
    expect_get 200 /healthz -H 'Host: localhost:9'
    expect_get 421 /healthz -H 'Host:'
    cluster_down
    rm -rf state scratch
    COORDINATOR_OPTIONS='--http-host mine.example' http_up 1
    expect_get 200 /healthz -H 'Host: mine.example:80'
    cluster_down
}
tokens() {
    expect_refusal 4 'openssl rand -hex 32' "$marram" coordinator --listen tcp://127.0.0.1:0 --http 0.0.0.0:0
    expect_refusal 2 "--http '7080'" "$marram" coordinator --listen tcp://127.0.0.1:0 --http 7080
    echo 0123456789abcdef0123 >token
    chmod 644 token
    expect_refusal 4 'chmod 600' "$marram" coordinator --listen tcp://127.0.0.1:0 --http 127.0.0.1:0 --http-token token
    chmod 600 token
    COORDINATOR_OPTIONS="--http-token $PWD/token" http_up 1
    for header in '' 'Authorization: Bearer 0123456789abcdef0124' 'Authorization: Basic 0123456789abcdef0123' 'Authorization: Bearer'; do
        expect_get 401 /metrics ${header:+-H "$header"}
        grep -qi '^www-authenticate: Bearer' headers
    done
    expect_get 200 /metrics -H 'Authorization: Bearer 0123456789abcdef0123'
    cluster_down
    rm -rf state scratch
    HTTP=0.0.0.0:0 COORDINATOR_OPTIONS="--http-token $PWD/token" coordinator_up
    address=127.0.0.1:$(sed 's/.*://' state/http)
    expect_get 401 /healthz
    expect_get 200 /healthz -H 'Authorization: Bearer 0123456789abcdef0123'
    cluster_down
}
# A port that was asked for must be free; the usual one need not. Somebody has it, here or elsewhere.
taken_port() {
    local holder
    python3 -c 'import socket, time
try:
    listener = socket.create_server(("127.0.0.1", 7080))
except OSError:
    pass
open("held", "w").close()
time.sleep(1000)' &
    holder=$!
    await_condition 'test -e held' 'the port is not held'
    "$marram" coordinator --listen tcp://127.0.0.1:0 --state state 2>coordinator.log &
    coordinator_pid=$!
    await_condition 'test -s state/endpoint' 'the coordinator did not start'
    grep -q 'no HTTP.*127.0.0.1:7080' coordinator.log || die "$(cat coordinator.log)"
    [[ ! -e state/http ]]
    kill $holder
    cluster_down
    rm -rf state scratch
    http_up 0
    expect_refusal 1 "--http $address" "$marram" coordinator --listen tcp://127.0.0.1:0 --http "$address"
    cluster_down
}
open_files() { find "/proc/$coordinator_pid/fd" -mindepth 1 | wc -l; }
# Garbage, clients that say nothing or too much, and many of them.
hostile() {
    local i before port
    http_up 1
    port=${address##*:}
    hold_job
    expect_get 200 /healthz
    before=$(open_files)
    for i in {1..50}; do (exec 3<>"/dev/tcp/127.0.0.1/$port" && head -c 3000 /dev/urandom >&3) 2>/dev/null || true; done
    expect_get 431 /healthz -H "X: $(head -c 30000 /dev/zero | tr '\0' x)"
    expect_get 414 "/healthz?$(head -c 30000 /dev/zero | tr '\0' x)"
    # So many at once that some are turned away; each is slow.
    for i in {1..150}; do
        (exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET /healthz HTTP/1.1\r\nHo' >&3 && sleep 1) 2>/dev/null &
        holders[i]=$!
    done
    await_condition "((\$(open_files) >= $before + 40))" 'they are not there'
    (($(open_files) < before + 200)) || die "$(open_files) descriptors"
    for i in "${holders[@]}"; do wait "$i" || true; done
    for i in {1..300}; do curl -s -m 5 -o /dev/null "http://$address/api/v1/cluster" || true; done
    await_condition "((\$(open_files) <= $before + 2))" "descriptors: $(open_files), $before before"
    expect_get 200 /healthz
    let_go
    cluster_down
}

command -v curl >/dev/null || { echo 'skipped: no curl' && echo '0 passed, 0 failed, 10 skipped' && exit; }
claim 'the same fields as --json of the commands' same_as_commands
claim 'every path of the OpenAPI file answers as it says' as_documented
claim 'metrics in the format of Prometheus' metrics
claim 'metrics as promtool checks them' metrics_by_their_owner
claim 'a journal that failed makes /healthz say 503 and why' failed_journal
claim 'what happens comes as events' events
claim 'who knows us by another name gets nothing' strangers
claim 'beyond loopback only with a token, from a file of ours alone' tokens
claim 'a port that is taken is named' taken_port
claim 'hostile clients: bounded, and the job goes on' hostile
totals
