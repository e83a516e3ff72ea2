#!/usr/bin/env bash
# What user code may not do, told truly and tried in each place where it runs: tests/jobs/fences.c does the trying.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"
no_marks=yes

# try LINE...: what became of each in ./got, one line "who: what: result COUNT".
try() {
    printf '%s\n' "$@" >in
    rm -rf out
    run "$testjobs/fences.so" -i in -o out "${options[@]}"
    sorted_output out >got
}
# expect WHO WHAT RESULT: seen once
expect() {
    grep -qxF "$1: $2: $3"$'\t1' got || die "not '$1: $2: $3': $(grep -F "$1: $2" got)"
}
# The thread sanitizer does not bear a fork of a process with threads.
expect_of_child() { [[ ${BUILD:-release} == tsan ]] || expect child "$@"; }
# expect_everywhere RESULT WHAT...: in map, in a thread of the job's own and in a child process
expect_everywhere() {
    local result=$1 what
    shift
    try "$@"
    for what; do
        expect map "$what" "$result"
        expect 'own thread' "$what" "$result"
        if [[ $result == 'done' ]]; then expect_of_child "$what" 'done'; else expect_of_child "$what" refused; fi
    done
}
options=()
await_fences() { await_condition "\"\$marram\" workers --json >json; grep -q '\"landlock\"' json" 'no word of confinement'; }
fence() { sed -n "s/^ *\"$1\": //p" json | sed 's/,$//; s/^"//; s/"$//'; }
needs_landlock() {
    cluster_up 1
    await_fences
    cluster_down
    [[ $(fence landlock) == abi* ]] || skip "Landlock: $(fence landlock)"
}
scoped() { (($(fence landlock | tr -dc 0-9) >= 6)); }

# Compared with what the kernel says of the process.
told() {
    local status pid
    cluster_up 1
    await_fences
    pid=$(spare_of w1)
    status=/proc/$pid/status
    [[ $(fence rlimits) == true ]] || die "rlimits: $(fence rlimits)"
    grep -q '^Max core file size *0 *0' "/proc/$pid/limits" || die 'core files'
    grep -q '^NoNewPrivs:.*1' "$status" || die 'new privileges'
    case $(fence seccomp) in
    on) grep -q '^Seccomp:.*2' "$status" || die 'no filter of system calls' ;;
    *) grep -q '^Seccomp:.*0' "$status" || die 'a filter of system calls' ;;
    esac
    # DAC_OVERRIDE and DAC_READ_SEARCH.
    (((16#$(sed -n 's/^CapEff:\t//p' "$status") & ~6) == 0)) || die "$(grep ^Cap "$status")"
    (((16#$(sed -n 's/^CapPrm:\t//p' "$status") & ~6) == 0)) || die "$(grep ^Cap "$status")"
    case $(fence cgroup) in
    v[12]*) grep -q "/marram-${worker_pid[w1]}-" "/proc/$pid/cgroup" || die "$(cat "/proc/$pid/cgroup")" ;;
    *) ! grep -q '/marram-' "/proc/$pid/cgroup" || die "$(cat "/proc/$pid/cgroup")" ;;
    esac
    grep -q "executors are confined limits=on capabilities=dropped cgroup=.*seccomp=.*landlock=" w1.log || die "$(cat w1.log)"
    "$marram" workers | grep -q CONFINED
    cluster_down
}
turned_off() {
    cluster_up 1 --sandbox off
    await_fences
    [[ $(fence seccomp) == 'none: --sandbox off' && $(fence landlock) == 'none: --sandbox off' ]] || die "$(cat json)"
    grep -q '^Seccomp:.*0' "/proc/$(spare_of w1)/status" || die 'a filter of system calls'
    "$marram" workers | grep -q 'no capabilities,.*seccomp,landlock' || die "$("$marram" workers)"
    cluster_down
    echo x >secret
    options=(--sandbox off)
    expect_everywhere 'done' "read $PWD/secret" 'call unix' "write $PWD/made"
    [[ -e made ]] || die 'it did not write'
}

files() {
    needs_landlock
    mkdir secrets
    echo x >secrets/secret
    expect_everywhere EACCES "read $PWD/secrets/secret" "list $PWD/secrets" "write $PWD/secrets/secret" "write $PWD/new" \
        "remove $PWD/secrets/secret" "write /usr/new" 'read /etc/shadow' "link there" "run $PWD/secrets/secret"
    [[ $(cat secrets/secret) == x && ! -e new ]] || die 'something was written'
    expect_everywhere 'done' 'read /etc/passwd' 'read /usr/bin/env' 'read /proc/self/status' 'write /dev/null' \
        'temporary file' 'run /bin/true'
}
# Threads of OpenMP, of the object's constructor, of later attempts: no thread began before the fence.
threads() {
    needs_landlock
    echo x >secret
    yes "read $PWD/secret" | head -200000 >in || true
    export MARRAM_TEST_SECRET=$PWD/secret
    run "$testjobs/fences.so" -i in -o out -p threads=true --threads 4
    sorted_output out >got
    grep -qxF "map: read $PWD/secret: EACCES"$'\t200000' got || die "$(head -5 got)"
    grep -qxF $'constructor: read: EACCES\t200000' got || die "$(head -5 got)"
    (($(grep -c '^thread: ' got) >= 2)) || die "one thread alone was there: $(grep '^thread' got)"
    (($(grep -vc '^thread: ' got) == 2)) || die "$(grep -v '^thread' got)"
}
calls() {
    local -a lines=(inet unix netlink ptrace peek limits mount umount unshare userns setns reboot keyctl bpf perf module kexec
        shm immortal chown)
    expect_everywhere EPERM "${lines[@]/#/call }"
}
# The agent lives, and so does everybody else: asked for with signal 0, which tells and harms nobody.
signals() {
    local sleeper
    sleep 1000 &
    sleeper=$!
    expect_everywhere 'done' 'signal self'
    try 'signal agent' 'signal -1' "signal $sleeper"
    expect map 'signal agent' EPERM
    expect 'own thread' 'signal agent' EPERM
    expect map 'signal -1' EPERM
    needs_landlock
    if scoped; then
        expect map "signal $sleeper" EPERM
        expect_of_child "signal $sleeper" refused
    fi
    kill $sleeper
}
options_open() {
    needs_landlock
    mkdir dictionary marks
    echo x >dictionary/words
    options=(--job-reads dictionary --job-writes "marks")
    expect_everywhere 'done' "read $PWD/dictionary/words" "write $PWD/marks/mark"
    expect_everywhere EACCES "write $PWD/dictionary/words"
    options=()
    export MARRAM_JOB_READS=$PWD/dictionary
    expect_everywhere 'done' "read $PWD/dictionary/words"
    expect_refusal 2 "--job-reads 'none': No such file or directory" "$marram" run wordcount -i in -o out2 --job-reads none
    expect_refusal 2 "--job-writes 'none': No such file or directory" "$marram" worker --job-writes dictionary:none
}
# Its agent opens them: patterns, links that lead elsewhere, what other workers made, parts.
inputs() {
    mkdir folder elsewhere
    for i in {1..40}; do seq "$i" $((i * 97)) | sed 's/$/ word/' >"elsewhere/$i"; done
    for i in {1..40}; do ln -s "../elsewhere/$i" "folder/$i"; done
    reference_words elsewhere/* >wanted
    for source in 'folder/*' folder; do
        rm -rf out
        run wordcount -i "$source" -o out -r 5 --workers 3 --threads 2 --split-size 4K
        sorted_output out >got
        expect_same got wanted
    done
}
# Without root there is nothing to give up; the fences stand all the same.
as_nobody() {
    ((EUID == 0)) || skip 'this is no root'
    command -v setpriv >/dev/null || skip 'needs setpriv'
    needs_landlock
    echo x >secret
    chmod 777 . tmp
    echo "read $PWD/secret" >in
    setpriv --reuid 65534 --regid 65534 --clear-groups "$marram" run "$testjobs/fences.so" -i in -o out 2>stderr || die "$(cat stderr)"
    sorted_output out >got
    expect map "read $PWD/secret" EACCES
}

claim 'what confines executors is told, and the kernel says the same' told
claim '--sandbox off is told, and confines nothing' turned_off
claim 'files: the system is read, the scratch folder written, no more' files
claim 'every thread, from the constructor on, is confined' threads
claim 'what no map needs to call fails with EPERM' calls
claim 'signals reach neither the agent nor anybody else' signals
claim '--job-reads and --job-writes open what they name' options_open
claim 'inputs by pattern and link, runs of others, parts: all open' inputs
claim 'so it is for users without rights' as_nobody
totals
