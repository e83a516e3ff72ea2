#!/usr/bin/env bash
# What a worker takes by default, in real cgroups and with an affinity mask. Version 2 is in tests/unit/test_resources.c.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"

# taken COMMAND...: a worker that is started by it, in ./json as the coordinator knows it
taken() {
    coordinator_up
    "$@" "$marram" worker --scratch "$PWD/scratch" 2>worker.log &
    worker_pid[w]=$!
    await_workers 1
    "$marram" workers --json >json
    cluster_down
}
# in_cgroup FOLDER COMMAND...: without a shell of its own, whose number would not be the command's
# shellcheck disable=SC2016 # the inner shell's
in_cgroup=(bash -c 'echo $$ >"$1/cgroup.procs" && shift && exec "$@"' _)
v1() { sed -n "s|.* \(/[^ ]*\) [^ ]* - cgroup [^ ]* .*\b$1\b.*|\1|p" /proc/self/mountinfo | head -1; }
# make_group CONTROLLER NAME: a cgroup, which goes when the claim ends; its folder in $made
made=
groups=()
make_group() {
    made=$(v1 "$1")
    [[ -n $made && -w $made ]] || skip "no cgroup v1 with $1 that is ours to change"
    made=$made/$2
    mkdir "$made" || skip "no cgroup can be made in ${made%/*}"
    groups=("$made" "${groups[@]}")
    trap remove_groups EXIT
}
# Processes leave a moment after they ended.
remove_groups() {
    local group
    for group in "${groups[@]}"; do
        await_condition "rmdir '$group' 2>/dev/null" "$group is in use"
    done
}

quota() {
    make_group cpu "marram-$$"
    local outer=$made
    echo 100000 >"$outer/cpu.cfs_period_us"
    echo 80000 >"$outer/cpu.cfs_quota_us"
    make_group cpu "marram-$$/inner"
    taken "${in_cgroup[@]}" "$made"
    (($(counter threads) == 1)) || die "$(counter threads) threads with 0.8 processors"
}
memory() {
    make_group memory "marram-$$"
    echo 1G >"$made/memory.limit_in_bytes"
    make_group memory "marram-$$/inner"
    taken "${in_cgroup[@]}" "$made"
    # 60 % of what the outer one allows.
    (($(counter memory) == 644245092)) || die "$(counter memory) bytes of memory"
}
mask() {
    (($(nproc) > 1)) || skip 'needs two processors'
    taken taskset -c "$(taskset -pc $$ | sed 's/.*: \([0-9]*\).*/\1/')"
    (($(counter threads) == 1)) || die "$(counter threads) threads on one processor"
}
said_otherwise() {
    make_group memory "marram-$$"
    echo 1G >"$made/memory.limit_in_bytes"
    coordinator_up
    "${in_cgroup[@]}" "$made" "$marram" worker --memory 96M --threads 3 --scratch "$PWD/scratch" 2>worker.log &
    worker_pid[w]=$!
    await_workers 1
    "$marram" workers --json >json
    cluster_down
    (($(counter threads) == 3 && $(counter memory) == 100663296))
}

claim 'a quota of an outer cgroup limits the threads' quota
claim 'a limit of an outer cgroup limits the memory' memory
claim 'an affinity mask limits the threads' mask
claim 'what the command line says counts all the same' said_otherwise
totals
