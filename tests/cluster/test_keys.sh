#!/usr/bin/env bash
# Keys: made, handed over, revoked; who has none gets nothing, and is told why.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"
tools=$MARRAM_BUILD/tests/tools
unset MARRAM_COORDINATOR

sample() { awk 'BEGIN { srand(7); for (i = 0; i < 60000; i++) print "word" int(rand() * 3000), "more" i % 17 }' >in; }
mode() { stat -c %a "$1"; }

# ---- The folder ----------------------------------------------------------------------------------------------------

folder_of_keys() {
    local file
    (umask 000 && "$marram" keys made >stdout)
    for file in coordinator worker client; do
        [[ $(mode made/$file.secret) == 600 ]] || die "$file.secret: mode $(mode made/$file.secret)"
        [[ $(mode made/$file.cert) == 644 ]] || die "$file.cert: mode $(mode made/$file.cert)"
        ! grep -q secret-key "made/$file.cert" || die "$file.cert holds a secret"
    done
    [[ $(mode made) == 700 && $(mode made/allowed) == 700 && $(mode made/issued) == 700 ]]
    [[ $(find made/allowed -type f | sort | tr '\n' ' ') == 'made/allowed/client.cert made/allowed/worker.cert ' ]]
    # An empty folder, such as a mount point, will do.
    mkdir empty
    "$marram" keys empty >stdout
    [[ $(mode empty) == 700 && -e empty/coordinator.secret ]]
    # No two are the same.
    (($(cat made/*.cert empty/*.cert | grep public-key | sort -u | wc -l) == 6))
}
never_replaced() {
    "$marram" keys made >stdout
    tar cf before made
    expect_refusal 2 '--issue NAME' "$marram" keys made
    "$marram" keys made --issue one >stdout
    tar cf with_one made
    expect_refusal 2 'choose another name' "$marram" keys made --issue one
    expect_refusal 2 'choose another name' "$marram" keys made --issue worker
    "$marram" keys made --revoke one
    # A name that was revoked is not given to somebody else.
    expect_refusal 2 'choose another name' "$marram" keys made --issue one
    tar df before >differs || die "changed: $(cat differs)"
}
interrupted() {
    "$marram" keys made >stdout
    cp made/worker.secret before
    # As if it had been killed on its way.
    rm made/coordinator.cert made/worker.cert made/client.secret made/client.cert made/allowed/client.cert
    "$marram" keys made >stdout
    cmp before made/worker.secret
    "$marram" keys made --list >list
    (($(wc -l <list) == 3))
    for role in worker client; do
        grep -qF "$(sed -n 's/.*public-key = "\(.*\)"/\1/p' made/$role.cert)" list || die "$role is another: $(cat list)"
    done
    [[ -z $(find made -name '*.cert.*' -o -name '*.secret.*') ]]
}
names_and_words() {
    "$marram" keys made >stdout
    for name in '' . .. a/b -x '../../etc' 'a b' "$(printf 'x%.0s' {1..65})"; do
        expect_status 2 "$marram" keys made "--issue=$name"
        expect_status 2 "$marram" keys made "--revoke=$name"
    done
    expect_refusal 2 "'more' is one word too many" "$marram" keys made more
    expect_refusal 2 'which folder' "$marram" keys
    expect_refusal 2 'one of --issue' "$marram" keys made --list --revoke worker
    expect_refusal 2 "worker or client" "$marram" keys made --issue x --role coordinator
    expect_refusal 2 '--list' "$marram" keys made --revoke nobody
    expect_refusal 2 "'marram keys nowhere'" "$marram" keys nowhere --list
    [[ $(find made/issued -mindepth 1) == '' ]]
}
listed() {
    "$marram" keys made >stdout
    "$marram" keys made --issue rack1 >stdout
    "$marram" keys made --issue desk --role client >stdout
    [[ -e made/issued/desk/client.secret && ! -e made/issued/desk/worker.secret ]]
    [[ $(mode made/issued/desk) == 700 && $(mode made/issued/desk/client.secret) == 600 ]]
    cmp made/issued/rack1/coordinator.cert made/coordinator.cert || grep -v '^#' made/coordinator.cert |
        cmp - <(grep -v '^#' made/issued/rack1/coordinator.cert)
    "$marram" keys made --list --json | python3 -c '
import json, re, sys
keys = {k["name"]: k for k in json.load(sys.stdin)["keys"]}
assert {n: k["role"] for n, k in keys.items()} == {"client": "client", "worker": "worker", "rack1": "worker", "desk": "client"}, keys
text = open("made/issued/rack1/worker.cert").read()
assert keys["rack1"]["public_key"] == re.search("public-key = \"(.*)\"", text).group(1)
'
}

# ---- What is loaded ------------------------------------------------------------------------------------------------

open_secrets() {
    "$marram" keys keys >stdout
    chmod 640 keys/coordinator.secret
    expect_refusal 4 "chmod 600 '$PWD/keys/coordinator.secret'" "$marram" coordinator --keys keys --listen tcp://127.0.0.1:0
    grep -q 'mode 0640' stderr
    chmod 604 keys/client.secret
    expect_refusal 4 "chmod 600 '$PWD/keys/client.secret'" "$marram" jobs --keys keys
    chmod 600 keys/*.secret
    chmod 755 keys
    expect_refusal 4 "chmod 700 '$PWD/keys'" "$marram" worker --keys keys --coordinator tcp://127.0.0.1:1
}
strange_secrets() {
    ((EUID == 0)) || skip 'needs root to give files away'
    "$marram" keys keys >stdout
    chown 12345 keys/client.secret
    expect_refusal 4 "belongs to user 12345" "$marram" jobs --keys keys
    chown 0 keys/client.secret
    chown 12345 keys
    expect_refusal 4 "'$PWD/keys' belongs to user 12345" "$marram" jobs --keys keys
}
# What is no certificate is refused by name, quickly and by all.
no_certificates() {
    local size
    "$marram" keys keys >stdout
    cp keys/coordinator.cert good
    for size in 4097 50000 20000000; do
        { cat good && head -c "$size" /dev/zero | tr '\0' '#'; } >keys/coordinator.cert
        expect_refusal 1 "'$PWD/keys/coordinator.cert' is no certificate: longer" "$marram" jobs --keys keys
    done
    # Metadata that one parser of it does not survive.
    { sed '/^curve/,$d' good && printf '    long = "%s"\n' "$(printf 'x%.0s' {1..900})" && sed -n '/^curve/,$p' good; } >keys/coordinator.cert
    expect_refusal 1 'more than 32 lines, or one of more than 256 bytes' "$marram" jobs --keys keys
    { cat good && for ((i = 0; i < 60; i++)); do printf '%*sdeeper\n' $((4 * (i % 40))) ''; done; } >keys/coordinator.cert
    expect_refusal 1 'is no certificate' "$marram" jobs --keys keys
    printf 'a\0b\n' >keys/coordinator.cert
    expect_refusal 1 'is no certificate' "$marram" jobs --keys keys
    : >keys/coordinator.cert
    expect_refusal 1 'coordinator.cert' "$marram" jobs --keys keys
    rm keys/coordinator.cert
    mkfifo keys/coordinator.cert
    expect_refusal 4 'is no file' timeout 10 "$marram" jobs --keys keys
    rm keys/coordinator.cert
    expect_refusal 1 'coordinator.cert' "$marram" jobs --keys keys
    sed 's/public-key = ".../public-key = "~~~/' good >keys/coordinator.cert
    expect_refusal 1 'its public key makes no sense' "$marram" jobs --keys keys
    sed '/name =/d' good >keys/coordinator.cert
    expect_refusal 1 'does not say whose it is' "$marram" jobs --keys keys
    cp good keys/coordinator.cert
    cp keys/worker.secret keys/client.secret
    expect_refusal 4 'not of a client' "$marram" jobs --keys keys
}
wrong_folder() {
    "$marram" keys keys >stdout
    "$marram" keys keys --issue rack1 >stdout
    expect_refusal 4 'only keys of a worker' "$marram" jobs --keys keys/issued/rack1
    expect_refusal 4 "'marram keys $PWD/none'" "$marram" jobs --keys none
    mkdir -m 700 hollow
    expect_refusal 4 "'marram keys $PWD/hollow'" "$marram" coordinator --keys hollow --listen tcp://127.0.0.1:0
    MARRAM_KEYS=none expect_refusal 4 '(set by MARRAM_KEYS)' "$marram" jobs
}

# ---- Clusters ------------------------------------------------------------------------------------------------------

same_bytes() {
    sample
    run wordcount -i in -o want -r 4
    run invertedindex -i in -o want2 -r 4
    with_keys
    cluster_up 3 --direct-reads off
    submit wordcount -i in -o got -r 4 --split-size 50K
    diff -r want got >difference || die "$(head -3 difference)"
    submit invertedindex -i in -o got2 -r 4 --split-size 50K
    diff -r want2 got2 >difference || die "$(head -3 difference)"
    (($(counter shuffle_bytes) > 100000)) || die "nothing was fetched: $(cat json)"
    # Who hands over its outputs does so with keys, too.
    "$marram" drain w2 2>stderr >stdout || die "$(cat stderr)"
    wait "${worker_pid[w2]}"
    unset 'worker_pid[w2]'
    cluster_down
}
# A cluster of this machine has keys by itself, and commands find them.
found_by_themselves() {
    export XDG_STATE_HOME=$PWD/xdg
    sample
    "$marram" cluster up --listen tcp://127.0.0.1:0 --workers 1 --threads 1 >up.out || die 'up failed'
    trap '"$marram" cluster down || true' EXIT
    [[ $(mode xdg/marram/cluster/keys) == 700 ]]
    export MARRAM_COORDINATOR
    MARRAM_COORDINATOR=$(cat xdg/marram/cluster/state/endpoint)
    submit wordcount -i in -o got
    "$marram" workers >stdout
    "$marram" cluster scale 2 >stdout
    "$marram" cluster status >stdout
    (($(grep -c idle stdout) == 2)) || die "$(cat stdout)"
    # They are those of this cluster alone.
    expect_refusal 3 'no coordinator' "$marram" workers --coordinator tcp://127.0.0.1:1
    expect_refusal 4 '--keys DIR' env XDG_STATE_HOME="$PWD/other" "$marram" workers
    "$marram" cluster down
    [[ ! -e xdg/marram/cluster ]] || die "left behind: $(find xdg)"
}
issued_keys() {
    sample
    run wordcount -i in -o want -r 2
    with_keys
    "$marram" keys keys --issue rack1 >stdout
    "$marram" keys keys --issue desk --role client >stdout
    coordinator_up
    worker_up w1 --keys keys/issued/rack1
    worker_up w2 --direct-reads off
    await_workers 2
    MARRAM_KEYS=keys/issued/desk submit wordcount -i in -o got -r 2 --split-size 100K
    diff -r want got
    # Made while it runs.
    "$marram" keys keys --issue rack2 >stdout
    await_condition 'grep -q "keys allowed keys=5" coordinator.log' 'the new key was not seen'
    worker_up w3 --keys keys/issued/rack2 --direct-reads off
    await_workers 3
    submit wordcount -i in -o got2 -r 2 --split-size 100K
    diff -r want got2
    cluster_down
}
# roles FROM TO: makes what the holder of one key can make, who would be something else.
posing_as() { mkdir -m 700 posing && cp keys/coordinator.cert posing/ && sed "s/role = \"$1\"/role = \"$2\"/" "keys/$1.secret" >"posing/$2.secret" && chmod 600 "posing/$2.secret"; }
roles() {
    local status=0
    with_keys
    cluster_up 1
    posing_as worker client
    expect_refusal 4 "the key 'worker' is a worker's, not a client's" "$marram" jobs --keys posing
    rm -r posing
    posing_as client worker
    timeout 60 "$marram" worker --keys posing --name bad 2>bad.log || status=$?
    ((status == 4)) || die "status $status: $(cat bad.log)"
    grep -qF "the key 'client' is a client's, not a worker's" bad.log || die "$(cat bad.log)"
    grep -q "peer refused.*is a client's, not a worker's" coordinator.log
    # One that says of itself that it is a worker in the folder of those who are allowed is one.
    cluster_down
}
refused() {
    local status=0
    with_keys
    "$marram" keys others >stdout
    cluster_up 1
    # No key.
    expect_status 4 env -u MARRAM_KEYS "$marram" jobs
    grep -q 'lets in nobody without keys.*--keys DIR' stderr || die "$(cat stderr)"
    grep -q 'peer refused address=127.0.0.1' coordinator.log || die "$(cat coordinator.log)"
    # A key that nobody allowed, of somebody who knows the coordinator's.
    mkdir -m 700 stranger
    cp keys/coordinator.cert others/client.secret stranger/
    expect_refusal 4 'does not let in the key' "$marram" jobs --keys stranger
    grep -q 'peer refused address=127.0.0.1 why="its key is none that is allowed"' coordinator.log || die "$(cat coordinator.log)"
    # Another cluster's.
    expect_refusal 4 'breaks off the handshake' "$marram" jobs --keys others
    grep -q 'peer refused address=127.0.0.1 why="its handshake is not for the key of this process"' coordinator.log ||
        die "$(cat coordinator.log)"
    # A worker, likewise.
    cp others/worker.secret stranger/
    timeout 60 "$marram" worker --keys stranger --name bad 2>bad.log || status=$?
    ((status == 4)) || die "status $status: $(cat bad.log)"
    grep -q 'does not let in the key' bad.log
    "$marram" jobs >stdout
    cluster_down
}
keys_where_there_are_none() {
    "$marram" keys keys >stdout
    cluster_up 1
    expect_refusal 4 'asks for no keys' "$marram" jobs --keys keys
    cluster_down
}
revoked() {
    local before
    sample
    run wordcount -i in -o want -r 2
    with_keys
    "$marram" keys keys --issue rack1 >stdout
    "$marram" keys keys --issue desk --role client >stdout
    LEASE=5 coordinator_up
    worker_up w1 --keys keys/issued/rack1 --direct-reads off
    worker_up w2 --direct-reads off
    await_workers 2
    # A client with an open session, and a job.
    detach "$testjobs/gate.so" -p gate="$PWD/gate" -i in -o out -r 2
    "$marram" wait "$job" --keys keys/issued/desk >waited 2>&1 &
    local waiter=$! status=0
    await_condition 'test -e gate.reached' 'the job did not start'
    "$marram" keys keys --revoke desk
    wait $waiter || status=$?
    ((status == 4)) || die "the client ended with status $status: $(cat waited)"
    grep -q 'revoked' waited || die "$(cat waited)"
    before=$(grep -c 'worker lost' coordinator.log || true)
    "$marram" keys keys --revoke rack1
    status=0
    wait "${worker_pid[w1]}" || status=$?
    ((status == 4)) || die "the worker ended with status $status: $(cat w1.log)"
    grep -q 'revoked' w1.log || die "$(cat w1.log)"
    unset 'worker_pid[w1]'
    (($(grep -c 'worker lost' coordinator.log) == before + 1))
    touch gate
    timeout 60 "$marram" wait "$job" 2>stderr || die "$(cat stderr)"
    expect_refusal 4 'does not let in the key' "$marram" jobs --keys keys/issued/desk
    grep -q "peer refused address=127.0.0.1 why=\"the key of 'desk' was revoked\"" coordinator.log || die "$(cat coordinator.log)"
    # SIGHUP has it look at once, and is not the end.
    "$marram" keys keys --issue later >stdout
    kill -HUP "$coordinator_pid"
    worker_up w3 --keys keys/issued/later
    await_workers 2
    rm -rf scratch/w1
    cluster_down
}
# Started anew it lets in the same, and no other.
after_a_restart() {
    sample
    with_keys
    cluster_up 1
    kill -KILL "$coordinator_pid"
    wait "$coordinator_pid" || true
    rm state/endpoint
    LISTEN=$MARRAM_COORDINATOR coordinator_up
    await_workers 1
    submit wordcount -i in -o got
    cluster_down
}

# ---- What others see -----------------------------------------------------------------------------------------------

# capture NAME COMMAND: what goes through a proxy on the way to the coordinator, into the file NAME.
through_a_proxy() {
    mkfifo "$1.commands"
    "$tools/proxy" "${MARRAM_COORDINATOR##*:}" <"$1.commands" >"$1.answers" 2>"$1.errors" &
    proxy=$!
    exec {proxy_in}>"$1.commands"
    await_condition "test -s $1.answers" 'the proxy did not start'
    echo "keep $PWD/$1.bytes" >&"$proxy_in"
    await_condition "grep -q ok $1.answers" 'the proxy does not keep'
    REACH=tcp://127.0.0.1:$(head -1 "$1.answers")
}
proxy_ends() {
    exec {proxy_in}>&-
    wait "$proxy" || die 'the proxy failed'
}
job_through_a_proxy() {
    echo 'plainly visible words' >in
    coordinator_up
    through_a_proxy "$1"
    worker_up w1
    await_workers 1
    "$marram" submit grep --coordinator "$REACH" -p pattern=plainly.visible -i in -o "out.$1" 2>stderr || die "$(cat stderr)"
    cluster_down
    proxy_ends
}
unreadable_on_the_way() {
    # What is looked for does pass where there are no keys.
    job_through_a_proxy bare
    grep -q 'plainly.visible' bare.bytes || die 'the proxy sees nothing'
    grep -q "$PWD/in" bare.bytes
    rm -rf state scratch
    with_keys
    job_through_a_proxy keyed
    (($(stat -c %s keyed.bytes) > 2000)) || die "only $(stat -c %s keyed.bytes) bytes passed"
    ! grep -aq 'plainly.visible' keyed.bytes || die 'the pattern can be read'
    ! grep -aqF "$PWD" keyed.bytes || die 'paths can be read'
    diff -r out.bare out.keyed
}

claim 'a folder of keys: modes, and no two keys the same' folder_of_keys
claim 'keys that exist are never replaced' never_replaced
claim 'what was interrupted is completed' interrupted
claim 'names and words that make no sense are refused' names_and_words
claim 'those who are let in are listed' listed
claim 'a secret that others may read is not used' open_secrets
claim 'a secret of somebody else is not used' strange_secrets
claim 'what is no certificate is refused by name' no_certificates
claim 'a folder without the keys that are needed is named' wrong_folder
claim 'the same bytes with keys' same_bytes
claim 'a cluster of this machine has keys, and commands find them' found_by_themselves
claim 'issued keys work, also those made while it runs' issued_keys
claim 'a key is of a worker or of a client' roles
claim 'who has no key, another, or none that is allowed is refused and told so' refused
claim 'keys where nobody asks for them are refused and told so' keys_where_there_are_none
claim 'who is revoked is cut off; who is added comes in' revoked
claim 'a coordinator that was started anew lets in the same' after_a_restart
claim 'what passes cannot be read on the way' unreadable_on_the_way
totals
