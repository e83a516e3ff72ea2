#!/usr/bin/env bash
# marram doctor: silent where all is well, and right about set-ups that are broken.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"
unset MARRAM_COORDINATOR

# says STATE CHECK WORDS: one of the lines in ./stdout
says() {
    grep -E "^$1 +$2 " stdout | grep -qF -- "$3" || die "not '$1 $2 $3': $(cat stdout)"
}
says_nothing_failed() {
    if grep '^FAILED' stdout; then die 'that was well'; fi
}
# doctor STATUS OPTIONS...
doctor() {
    local wanted=$1
    shift
    expect_status "$wanted" "$marram" doctor "$@"
    [[ ! -s stderr ]] || die "$(cat stderr)"
    # Whoever complains says what to do: a colon and more behind it.
    if grep -E '^(FAILED|warning) ' stdout | grep -v ': '; then die 'no mend'; fi
}

healthy() {
    cluster_up 2
    mkdir shared
    doctor 0 --path shared
    says ok executor 'starts and loads a job'
    says ok libraries libzmq
    says ok coordinator "it answers at $MARRAM_COORDINATOR and has 2 workers"
    says ok path "all 2 workers see 'shared'"
    says_nothing_failed
    [[ -z $(ls -A shared) ]]
    "$marram" doctor --path shared --json >json
    grep -q '"failed": 0' json
    grep -q '"check": "path",' json
    (($(grep -c '"state": "ok"' json) >= 8))
    cluster_down
}
nobody_there() {
    doctor 1 --coordinator tcp://127.0.0.1:1
    says FAILED coordinator 'no coordinator answers at tcp://127.0.0.1:1: start one'
    expect_status 2 "$marram" doctor more
    expect_refusal 2 "'more'" "$marram" doctor more
}
somebody_silent_there() {
    coordinator_up
    mkfifo commands
    # A listener that takes what it gets and says nothing.
    "$MARRAM_BUILD/tests/tools/proxy" "${MARRAM_COORDINATOR##*:}" <commands >answers 2>/dev/null &
    local proxy=$!
    exec 9>commands
    echo stall >&9
    await_condition 'grep -q ok answers' 'no proxy'
    doctor 1 --coordinator "tcp://127.0.0.1:$(head -1 answers)"
    says FAILED coordinator "no coordinator answers at tcp://127.0.0.1:$(head -1 answers): see what listens there"
    exec 9>&-
    wait $proxy
    cluster_down
}
few_files() {
    (
        ulimit -n 900
        doctor 1
    )
    says FAILED files 'at most 900 files may be open'
    says FAILED files 'ulimit -Hn'
}
no_scratch() {
    doctor 1 --scratch "$PWD/none"
    says FAILED scratch "no temporary files in '$PWD/none': No such file"
    MARRAM_SCRATCH=$PWD/none doctor 1
    says FAILED scratch "$PWD/none"
}
small_scratch() {
    ((EUID == 0)) || skip 'needs root to mount a small file system'
    mkdir disk
    mount -t tmpfs -o size=1m tmpfs disk || skip 'mounting is not allowed here'
    trap 'umount "$PWD/disk"' EXIT
    doctor 1 --scratch disk
    says FAILED scratch "1.0 MiB are free in 'disk'"
    mount -o remount,size=200m disk
    doctor 0 --scratch disk
    says warning scratch "'disk' lies in memory (tmpfs"
}
open_secrets() {
    "$marram" keys keys >/dev/null
    doctor 0 --keys keys
    says ok keys "those of worker 'worker' in 'keys' are whole"
    chmod 644 keys/worker.secret
    doctor 1 --keys keys
    says FAILED keys "others may read the secret 'keys/worker.secret' (mode 644): chmod go= 'keys/worker.secret'"
    chmod go= keys/worker.secret
    sed -i 's/secret-key = ".../secret-key = "abc/' keys/worker.secret
    doctor 1 --keys keys
    says FAILED keys 'its two keys are no pair'
    doctor 1 --keys none
    says FAILED keys 'No such file'
}
half_an_installation() {
    mkdir bin
    cp "$marram" bin/marram
    marram=$PWD/bin/marram doctor 1
    says FAILED jobs 'neither beside this program'
    mkdir bin/jobs
    cp "$jobs/wordcount.so" bin/jobs/
    marram=$PWD/bin/marram doctor 1
    says FAILED executor marram-executor
}
blind_worker() {
    ((EUID == 0)) || skip 'needs root for a mount namespace'
    unshare -m true 2>/dev/null || skip 'needs a mount namespace'
    mkdir shared
    # w2 has another, empty folder there.
    printf '#!/bin/bash\nmount -t tmpfs tmpfs "%s" && exec "$@"\n' "$PWD/shared" >blind
    chmod +x blind
    cluster_up 1
    PREFIX="unshare -m $PWD/blind" worker_up w2
    await_workers 2
    doctor 1 --path shared
    says FAILED path "worker w2 does not see 'shared': No such file or directory: mount it"
    ! grep -q 'worker w1' stdout || die "$(cat stdout)"
    [[ -z $(ls -A shared) ]]
    doctor 1 --path none
    says FAILED path "no file can be put into 'none'"
    cluster_down
}
hanging_worker() {
    cluster_up 2
    mkdir shared
    kill -STOP "${worker_pid[w2]}"
    LEASE=60 doctor 0 --path shared
    kill -CONT "${worker_pid[w2]}"
    says warning path "worker w2 does not say whether it sees 'shared'"
    cluster_down
}
no_workers() {
    coordinator_up
    doctor 0 --path .
    says warning coordinator 'has 0 workers: start workers'
    says warning path 'there is no worker to ask'
    cluster_down
}

claim 'a healthy cluster: nothing failed, and every worker sees the folder' healthy
claim 'no coordinator' nobody_there
claim 'something that says nothing' somebody_silent_there
claim 'too few files' few_files
claim 'no scratch folder, however it was named' no_scratch
claim 'a scratch folder that is too small, or in memory' small_scratch
claim 'secrets that others may read' open_secrets
claim 'half an installation' half_an_installation
claim 'a worker that does not see the folder' blind_worker
claim 'a worker that says nothing' hanging_worker
claim 'a coordinator without workers' no_workers
totals
