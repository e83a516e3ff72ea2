#!/usr/bin/env bash
# Row 13: exit(0), _exit, abort, exit in a constructor. A failed attempt, never success.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lib/faults.sh
source "$root/tests/lib/faults.sh"

# At exit() the sanitizer would speak instead of the job.
exits() {
    with_quiet_exit
    sample
    crash misbehave "called exit(0) in map, $(record)" -p map=exit
    crash misbehave "status 0 in map, $(record)" -p map=_exit
    crash misbehave "called exit(0) in reduce, key 'BAD'" -p reduce=exit
    crash misbehave "status 0 in reduce, key 'BAD'" -p reduce=_exit
    # Every task has the fault in its setup: which of them is the first to give up is open.
    attempts=any crash misbehave 'called exit(0) in setup' -p setup=exit
}
aborts() {
    sample
    crash misbehave "signal 6" -p map=abort
    grep -qF "$(record)" stderr || die "$(cat stderr)"
    crash misbehave "signal 6" -p reduce=abort
    grep -qF "key 'BAD'" stderr || die "$(cat stderr)"
}
constructors() {
    with_quiet_exit
    echo x >in
    crash exit_constructor 'called exit(0) while the job object was loaded'
    crash abort_constructor 'signal 6'
    grep -q 'while the job object was loaded' stderr || die "$(cat stderr)"
}
on_a_cluster() {
    with_quiet_exit
    sample
    cluster_up 1
    crash_on_cluster misbehave "called exit(0) in map, $(record)" -p map=exit
    crash_on_cluster exit_constructor 'called exit(0) while the job object was loaded'
    crash_on_cluster abort_constructor 'while the job object was loaded'
    cluster_down
}

claim 'exit(0) and _exit(0) are no success' exits
claim 'abort is no success' aborts
claim 'nor is either in a constructor' constructors
claim 'the worker lives on and serves the next job' on_a_cluster
totals
