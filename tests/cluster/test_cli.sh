#!/usr/bin/env bash
# The verbs that talk to a coordinator, and the daemons, as real processes.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
unset MARRAM_COORDINATOR

# await COMMAND...: until it succeeds.
await() {
    for _ in {1..600}; do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    die "in vain: $*"
}
is_json() {
    if command -v python3 >/dev/null; then
        python3 -m json.tool <"$1" >/dev/null || die "no JSON: $(cat "$1")"
    else
        grep -q '^{$' "$1" && grep -q '^}$' "$1"
    fi
}
field() { sed -n "s/^ *\"$1\": \"*\([^\",]*\)\"*,*\$/\1/p" "$2" | head -1; }

# up ARGUMENTS...: a cluster for this claim; commands find it by the environment.
up() {
    "$marram" cluster up --dir cluster --listen tcp://127.0.0.1:0 "$@" >up.out 2>up.err || die "$(cat up.err)"
    trap '"$marram" cluster down --dir cluster || true' EXIT
    MARRAM_COORDINATOR=$(field endpoint cluster/cluster.json)
    export MARRAM_COORDINATOR MARRAM_KEYS=$PWD/cluster/keys
}
# submit_gate ARGUMENTS...: a job that waits for the file ./gate, in the background, as from a terminal; $pid and $id
submit_gate() {
    echo 'a b a' >in
    # The first line of the last client is not that of the next.
    rm -f gate gate.reached submit.out
    env --default-signal=INT,TERM,HUP "$marram" submit "$testjobs/gate.so" -p gate="$PWD/gate" -i in -o out \
        "$@" >submit.out 2>submit.err &
    pid=$!
    await test -e gate.reached
    await test -s submit.out
    id=$(head -1 submit.out)
    [[ $id =~ ^[0-9a-f]{12}$ ]] || die "no id: $id"
}
state_of() { "$marram" job "$1" --json | sed -n 's/^  "state": "\(.*\)",$/\1/p'; }
has_state() { [[ $(state_of "$1") == "$2" ]]; }
counted() { [[ $(sorted_output out) == $'a\t2\nb\t1' ]]; }

dead_coordinator() {
    local verb
    # Nothing listens on port 1.
    export MARRAM_COORDINATOR=tcp://127.0.0.1:1
    for verb in jobs workers 'job 123456789abc' 'wait 123456789abc' 'cancel 123456789abc' 'logs 123456789abc'; do
        # shellcheck disable=SC2086 # a verb with its argument
        "$marram" $verb >"${verb%% *}.out" 2>"${verb%% *}.err" &
        echo "$verb" >"$!.pid"
    done
    echo a >in
    expect_refusal 3 'no coordinator answers at tcp://127.0.0.1:1' "$marram" submit wordcount -i in -o out
    for file in *.pid; do
        local status=0
        wait "${file%.pid}" || status=$?
        verb=$(cut -d' ' -f1 "$file")
        ((status == 3)) || die "status $status of $verb"
        [[ $(cat "$verb.err") == "marram $verb: no coordinator answers at tcp://127.0.0.1:1" ]]
    done
    [[ ! -e out ]]
}
wrong_endpoint() {
    expect_refusal 2 nonsense "$marram" jobs --coordinator nonsense
    MARRAM_COORDINATOR=nowhere expect_refusal 2 nowhere "$marram" jobs
    expect_refusal 2 nonsense "$marram" coordinator --listen nonsense
    expect_refusal 2 nonsense "$marram" worker --listen nonsense
}
wrong_usage() {
    local verb
    for verb in job wait cancel logs; do
        expect_refusal 2 'no job' "$marram" $verb
        expect_refusal 2 "'12'" "$marram" $verb 12
        expect_refusal 2 "'12345678901G'" "$marram" $verb 12345678901G
        expect_refusal 2 "'more'" "$marram" $verb 123456789abc more
    done
    expect_refusal 2 "'more'" "$marram" jobs more
    expect_refusal 2 "'more'" "$marram" workers more
    expect_refusal 2 "'shuffle-3'" "$marram" logs 123456789abc --task shuffle-3
    expect_refusal 2 "'map-'" "$marram" logs 123456789abc --task map-
    expect_refusal 2 "'loud'" "$marram" coordinator --log-level loud
    expect_refusal 2 'heartbeats' "$marram" coordinator --heartbeat 3000 --lease 2
    expect_refusal 2 "--name ''" "$marram" worker --name ''
    expect_refusal 2 "'sideways'" "$marram" cluster sideways
    expect_refusal 2 'up, scale, status or down' "$marram" cluster
    expect_refusal 2 "'more'" "$marram" cluster status more
}
beyond_loopback() {
    expect_refusal 4 'tcp://0.0.0.0:7077 would let anyone in' "$marram" coordinator --listen tcp://0.0.0.0:7077
    expect_refusal 4 "'marram keys DIR'" "$marram" coordinator --listen 'tcp://*:0'
    expect_refusal 4 "'marram keys DIR'" "$marram" worker --listen tcp://127.0.0.1.example:0
    expect_refusal 4 '--keys DIR' "$marram" worker --coordinator tcp://10.1.1.1:7077
    expect_refusal 4 '--keys DIR' "$marram" jobs --coordinator tcp://10.1.1.1:7077
    expect_refusal 2 "'marram keys DIR'" "$marram" worker --listen tcp://10.1.1.1:0 --insecure
    expect_refusal 2 'tcp://[::]:0' "$marram" worker --listen 'tcp://[::]:0'
    expect_refusal 4 'loopback' "$marram" cluster up --dir cluster --listen tcp://0.0.0.0:0
    expect_refusal 2 'tcp://0.0.0.0:0' "$marram" worker --listen tcp://0.0.0.0:0
    [[ ! -e cluster ]]
}
few_files() {
    (
        ulimit -n 900
        expect_refusal 1 RLIMIT_NOFILE "$marram" coordinator --listen tcp://127.0.0.1:0
    )
}
unknown_job() {
    local verb
    up --workers 1
    for verb in job wait cancel logs; do
        expect_refusal 1 'no job 123456789abc' "$marram" $verb 123456789abc
        [[ ! -s stdout ]]
    done
}
whole_life() {
    up --workers 2
    echo 'a b a' >in
    expect_status 0 "$marram" submit wordcount -i in -o out --name 'my words'
    counted
    id=$(cat stdout)
    grep -q '^done: ' stderr
    grep -q ' map 100% reduce 100%' stderr
    "$marram" jobs >stdout
    grep -q "^$id  my words  *done  *100%" stdout || die "$(cat stdout)"
    "$marram" job "$id" >stdout
    grep -q 'map_input_records *1$' stdout
    expect_status 0 "$marram" wait "$id"
    grep -q '^done: ' stderr
    "$marram" workers >stdout
    grep -q '^worker-1 ' stdout && grep -q '^worker-2 ' stdout
    # Once more into the same folder: refused, and the first output stays.
    expect_status 2 "$marram" submit wordcount -i in -o out
    grep -q "$PWD/out" stderr
    counted
}
json_shapes() {
    up --workers 1
    echo 'a b a' >in
    "$marram" submit wordcount -i in -o out --json >json 2>stderr
    is_json json
    [[ $(field state json) == 'done' && $(counter map_output_records) == 3 ]]
    id=$(field job json)
    for verb in jobs workers "job $id" "wait $id" "logs $id" 'cluster status --dir cluster'; do
        # shellcheck disable=SC2086 # a verb with its arguments
        "$marram" $verb --json >json 2>stderr
        is_json json
    done
    [[ $(field endpoint json) == "$MARRAM_COORDINATOR" ]]
    "$marram" submit wordcount -i in -o out2 --json --detach >json 2>stderr
    is_json json
    [[ $(field state json) == submitted ]]
    "$marram" wait "$(field job json)" 2>stderr
    expect_status 1 "$marram" job 123456789abc --json
    is_json stdout
    grep -q '"text": "there is no job 123456789abc"' stdout
}
detach_and_wait() {
    up --workers 1
    submit_gate --detach
    wait $pid
    grep -q "marram wait $id" submit.err
    has_state "$id" running
    "$marram" jobs | grep -q "^$id "
    "$marram" wait "$id" >stdout 2>stderr &
    pid=$!
    await grep -q 'map 0%' stderr
    touch gate
    wait $pid
    counted
}
interrupt_once() {
    local status=0
    up --workers 1
    submit_gate
    kill -INT $pid
    await grep -q "marram wait $id" submit.err
    wait $pid || status=$?
    ((status == 130)) || die "status $status: $(cat submit.err)"
    has_state "$id" running
    touch gate
    "$marram" wait "$id" 2>stderr
    counted
}
interrupt_twice() {
    local status=0
    up --workers 1
    submit_gate
    kill -INT $pid
    await grep -q "Ctrl-C again" submit.err
    kill -INT $pid
    wait $pid || status=$?
    ((status == 130)) || die "status $status: $(cat submit.err)"
    grep -q cancelled submit.err
    has_state "$id" cancelled
    [[ ! -e out && -z $(ls -d out.marram-* 2>/dev/null) ]]
    expect_status 1 "$marram" wait "$id"
}
told_to_end() {
    local signal status
    up --workers 1
    for signal in TERM HUP; do
        status=0
        submit_gate --overwrite
        kill -"$signal" $pid
        wait $pid || status=$?
        ((status == 130)) || die "status $status after SIG$signal"
        grep -q "marram wait $id" submit.err
        touch gate
        "$marram" wait "$id" 2>stderr
        counted
    done
}
ignored_signals() {
    up --workers 1
    echo 'a b a' >in
    (trap '' HUP && exec "$marram" submit "$testjobs/gate.so" -p gate="$PWD/gate" -i in -o out 2>submit.err >submit.out) &
    pid=$!
    await test -e gate.reached
    kill -HUP $pid
    touch gate
    wait $pid || die "status $?: $(cat submit.err)"
    counted
}
interrupted_wait() {
    local status=0
    up --workers 1
    submit_gate --detach
    wait $pid
    env --default-signal=INT "$marram" wait "$id" --json >json 2>stderr &
    pid=$!
    await grep -q 'map 0%' stderr
    kill -INT $pid
    wait $pid || status=$?
    ((status == 130)) || die "status $status: $(cat stderr)"
    [[ $(field state json) == detached ]]
    has_state "$id" running
    "$marram" cancel "$id"
}
# A coordinator that ends takes its jobs along; who waits is told once another one answers in its place.
started_anew() {
    local status=0
    up --workers 1
    submit_gate
    kill -KILL "$(sed -n 's/.*"pid": \([0-9]*\),/\1/p' cluster/cluster.json | head -1)"
    "$marram" coordinator --listen "$MARRAM_COORDINATOR" --http none --state anew --keys cluster/keys 2>anew.log &
    # shellcheck disable=SC2064 # this process, not a later one
    trap "kill $!; wait $!; '$marram' cluster down --dir cluster" EXIT
    wait $pid || status=$?
    ((status == 1)) || die "status $status: $(cat submit.err)"
    grep -q "there is no job $id" submit.err
    expect_refusal 1 "no job $id" "$marram" wait "$id"
    # The worker finds it, too, and has given its old work up.
    await workers_say '^worker-1 .*idle'
    touch gate
    "$marram" submit wordcount -i in -o out2 >stdout 2>stderr || die "$(cat stderr)"
    [[ ! -e out && -f out2/_SUCCESS ]]
}
killed_client() {
    up --workers 1
    submit_gate
    kill -KILL $pid
    wait $pid 2>/dev/null || true
    touch gate
    "$marram" wait "$id" 2>stderr || die "$(cat stderr)"
    counted
}
cancelled() {
    local status=0
    up --workers 1
    submit_gate
    expect_status 0 "$marram" cancel "$id"
    [[ ! -s stdout && ! -s stderr ]] || die "it says $(cat stdout stderr)"
    wait $pid || status=$?
    ((status == 1)) || die "status $status of a cancelled job"
    has_state "$id" cancelled
    expect_refusal 1 'ended already' "$marram" cancel "$id"
    [[ ! -e out ]]
}
logs_of_a_failed_job() {
    local status=0
    up --workers 1
    submit_gate -p fail=true
    touch gate
    wait $pid || status=$?
    ((status == 1)) || die "status $status"
    grep -q 'as it was told to' submit.err
    "$marram" logs "$id" >stdout
    grep -q 'map 0, attempt 1 on worker-1: .*as it was told to' stdout || die "$(cat stdout)"
    grep -q "^waiting for $PWD/gate" stdout || die "$(cat stdout)"
    "$marram" logs "$id" --task map-0 >stdout
    grep -q 'attempt 4' stdout
    "$marram" logs "$id" --task reduce-7 >stdout
    [[ ! -s stdout ]]
    "$marram" job "$id" | grep -q 'as it was told to'
    expect_status 1 "$marram" wait "$id"
}
needs_nobody() {
    # The object is gone before the job runs: the coordinator has its own.
    up --workers 1
    cp "$testjobs/gate.so" mine.so
    echo 'a b a' >in
    id=$("$marram" submit ./mine.so -p gate="$PWD/gate" -i in -o out --detach 2>stderr)
    rm mine.so
    touch gate
    "$marram" wait "$id" 2>stderr || die "$(cat stderr)"
    counted
}
large_object() {
    up --workers 2
    cat >large.c <<'END'
#include <mr/job.h>
static const char ballast[9 << 20] = {BYTE};
static void map(struct mr_task *task, struct mr_bytes line)
{
    mr_emit(task, line, (int64_t)ballast[line.len]);
}
const struct mr_job mr_job = {MR_HEADER, .name = "large", .map = map, .fold = MR_SUM_I64};
END
    echo >in
    local byte
    # Two objects of the same name and size: each job runs with its own.
    for byte in 5 7; do
        gcc -O0 -shared -fPIC -DBYTE=$byte -I"$root/mrlib/include" -o large.so large.c
        (($(stat -c %s large.so) > 9 << 20))
        "$marram" submit ./large.so -i in -o out --overwrite >stdout 2>stderr || die "$(cat stderr)"
        [[ $(sorted_output out) == $'\t'$byte ]] || die "$(sorted_output out)"
    done
}
blocks_int() {
    local mask
    # A shell that is about to become it blocks signals too.
    [[ $(cat "/proc/$1/comm") == marram ]] || return
    mask=$(sed -n 's/^SigBlk:[[:space:]]*//p' "/proc/$1/status")
    ((16#$mask & 2))
}
unanswered() {
    local status=0 silent
    echo a >in
    # One that was stopped takes connections and says nothing.
    "$marram" coordinator --http none --listen tcp://127.0.0.1:0 --state "$PWD/silent" 2>/dev/null &
    silent=$!
    await test -s silent/endpoint
    kill -STOP $silent
    env --default-signal=INT "$marram" submit wordcount --coordinator "$(cat silent/endpoint)" -i in -o out 2>stderr &
    pid=$!
    await blocks_int $pid
    kill -INT $pid
    wait $pid || status=$?
    kill -CONT $silent
    kill $silent
    wait $silent
    ((status == 130)) || die "status $status: $(cat stderr)"
    grep -q 'before there was an answer' stderr
}
waits_for_a_worker() {
    worker=
    env --default-signal=INT,TERM "$marram-coordinator" --http none --listen tcp://127.0.0.1:0 --state state 2>coordinator.log &
    coordinator=$!
    # shellcheck disable=SC2086 # none, or one
    trap 'kill $coordinator $worker 2>/dev/null || true; wait' EXIT
    await test -s state/endpoint
    MARRAM_COORDINATOR=$(cat state/endpoint)
    export MARRAM_COORDINATOR
    echo 'a b a' >in
    "$marram" submit wordcount -i in -o out >stdout 2>stderr &
    pid=$!
    await grep -q 'waits: .*worker' stderr
    "$marram" jobs | grep -q waiting
    env --default-signal=INT,TERM "$marram-worker" --log-json 2>worker.log &
    worker=$!
    wait $pid
    counted
    expect_refusal 1 'another coordinator' "$marram" coordinator --listen tcp://127.0.0.1:0 --state state
    kill -TERM $worker
    wait $worker || die "status $? of the worker: $(cat worker.log)"
    kill -INT $coordinator
    wait $coordinator || die "status $? of the coordinator: $(cat coordinator.log)"
    [[ ! -e state/endpoint ]]
    grep -q '"event": "joined"' worker.log
    if grep -v '^20.* info ' coordinator.log; then die 'these are no log lines'; fi
}
workers_say() { "$marram" workers | grep -q "$1"; }
status_says() { { "$marram" cluster status --dir cluster || true; } | grep -q "$1"; }
cluster_of_processes() {
    local status address
    up --workers 3
    "$marram" cluster status --dir cluster >stdout
    (($(grep -c '^worker-[123]  *idle' stdout) == 3)) || die "$(cat stdout)"
    # Whether or not the usual port is free, there is HTTP, where `cluster status` says.
    address=$(sed -n 's|^HTTP at http://||p' stdout)
    "$marram" cluster status --dir cluster --json >json
    grep -qx "  \"http\": \"$address\"," json || die "$(cat json)"
    [[ $(curl -s -m 20 "http://$address/healthz") == ok ]] || die "nothing at '$address'"
    expect_refusal 1 'a cluster runs already: marram cluster status' "$marram" cluster up --dir cluster
    kill -KILL "$(sed -n 's/.*"pid": \([0-9]*\),/\1/p' cluster/cluster.json | tail -1)"
    await status_says '^worker-3  *dead'
    echo 'a b a' >in
    "$marram" submit wordcount -i in -o out >stdout 2>stderr || die "$(cat stderr)"
    counted
    expect_status 0 "$marram" cluster down --dir cluster
    [[ ! -e cluster ]]
    up --workers 1 --http none
    "$marram" cluster status --dir cluster --json >json
    grep -qx '  "http": null,' json || die "$(cat json)"
    "$marram" cluster status --dir cluster >stdout
    ! grep HTTP stdout || die 'it has HTTP'
    expect_status 0 "$marram" cluster down --dir cluster
    expect_refusal 1 'no cluster' "$marram" cluster down --dir cluster
    expect_refusal 1 'no cluster' "$marram" cluster status --dir cluster
    # Its scratch folder is removed by the next worker.
    up --workers 1
}
reused_pid() {
    up --workers 1
    sleep 1000 &
    pid=$!
    sed "s/\"pid\": [0-9]*/\"pid\": $pid/" cluster/cluster.json >changed
    cp cluster/cluster.json kept
    cp changed cluster/cluster.json
    expect_status 3 "$marram" cluster status --dir cluster
    grep -q 'coordinator  *dead' stdout
    expect_status 0 "$marram" cluster down --dir cluster
    kill -0 $pid || die 'a process that is none of ours was ended'
    kill $pid
    mkdir -p cluster
    cp kept cluster/cluster.json
}
killed_cluster() {
    up --workers 1
    sed -n 's/.*"pid": \([0-9]*\),/\1/p' cluster/cluster.json | xargs kill -KILL
    await status_says '^coordinator  *dead'
    expect_status 3 "$marram" cluster status --dir cluster
    up --workers 1
}
# The thread sanitizer leaves a file when its process is ended before it is set up.
remove_rodata() { rm -f "$PWD"/tmp/tsan.rodata.*; }
interrupted_up() {
    local status=0
    # So many that it takes its time.
    env --default-signal=INT "$marram" cluster up --dir cluster --listen tcp://127.0.0.1:0 --workers 64 >stdout 2>stderr &
    pid=$!
    await test -s cluster/cluster.json
    kill -INT $pid
    wait $pid || status=$?
    ((status == 130)) || die "status $status: $(cat stderr)"
    grep -q 'interrupted' stderr
    [[ ! -e cluster ]]
    remove_rodata
}
killed_up() {
    env --default-signal=INT "$marram" cluster up --dir cluster --listen tcp://127.0.0.1:0 --workers 64 >stdout 2>stderr &
    pid=$!
    await grep -q worker-3 cluster/cluster.json
    kill -KILL $pid
    wait $pid || true
    expect_status 0 "$marram" cluster down --dir cluster
    [[ ! -e cluster ]]
    remove_rodata
}
help_of_every_verb() {
    local verb
    "$marram" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p' >verbs
    (($(wc -l <verbs) >= 16))
    while read -r verb; do
        expect_status 0 "$marram" "$verb" --help
        grep -q "^Usage: marram $verb" stdout && [[ ! -s stderr ]]
    done <verbs
    for verb in up scale status down; do
        expect_status 0 "$marram" cluster $verb --help
        grep -q "^Usage: marram cluster $verb" stdout
    done
    expect_status 0 "$marram-worker" --help
    grep -q '^Usage: marram worker' stdout
}
port_taken() {
    up --workers 1
    expect_refusal 1 "$MARRAM_COORDINATOR" "$marram" cluster up --dir other --listen "$MARRAM_COORDINATOR"
    grep -q 'in use' stderr
    [[ ! -e other ]]
    expect_refusal 1 "$MARRAM_COORDINATOR" "$marram" coordinator --listen "$MARRAM_COORDINATOR"
}
foreign_folder() {
    mkdir -p mine/state
    echo precious >mine/state/file
    expect_refusal 2 "$PWD/mine" "$marram" cluster up --dir mine --listen tcp://127.0.0.1:0
    expect_refusal 1 "$PWD/mine" "$marram" cluster down --dir mine
    echo '{' >mine/cluster.json
    expect_refusal 1 "$PWD/mine/cluster.json" "$marram" cluster down --dir mine
    [[ $(cat mine/state/file) == precious ]]
}

claim 'without a coordinator: status 3 and one line' dead_coordinator
claim 'an endpoint that is none is named' wrong_endpoint
claim 'wrong words are named' wrong_usage
claim 'what listens beyond loopback is refused' beyond_loopback
claim 'a coordinator that may open few files does not start' few_files
claim 'an unknown job: status 1 and one line' unknown_job
claim 'submit, jobs, job, wait, workers tell of one job' whole_life
claim 'every JSON is JSON' json_shapes
claim 'a detached job is waited for later' detach_and_wait
claim 'Ctrl-C leaves the job alone' interrupt_once
claim 'Ctrl-C twice cancels' interrupt_twice
claim 'SIGTERM and SIGHUP detach' told_to_end
claim 'a signal that is ignored stays so' ignored_signals
claim 'Ctrl-C leaves the job of wait alone' interrupted_wait
claim 'a coordinator that starts anew without the state of before says so to clients and workers' started_anew
claim 'a killed client loses nothing' killed_client
claim 'cancel ends a job, once' cancelled
claim 'logs show what a failed job printed' logs_of_a_failed_job
claim 'a job needs neither its client nor its file' needs_nobody
claim 'a large job object arrives whole, each job with its own' large_object
claim 'Ctrl-C before there is an answer' unanswered
claim 'daemons by hand: a job waits for a worker and says so' waits_for_a_worker
claim 'cluster up, status, down' cluster_of_processes
claim 'a number that another process got is left alone' reused_pid
claim 'up after everything was killed' killed_cluster
claim 'an interrupted up leaves nothing' interrupted_up
claim 'what a killed up leaves, down ends' killed_up
claim 'every verb has its help' help_of_every_verb
claim 'a port that is taken is named' port_taken
claim 'a folder that holds other things is left alone' foreign_folder
totals
