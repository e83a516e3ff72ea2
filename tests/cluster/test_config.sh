#!/usr/bin/env bash
# Options from configuration files and the environment, as `marram config` shows them and daemons live by them.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
# shellcheck source=tests/lib/cluster.sh
source "$root/tests/lib/cluster.sh"
no_marks=yes # options come from nowhere but the claims
unset MARRAM_COORDINATOR MARRAM_CONFIG
export HOME=$base XDG_CONFIG_HOME=$base/config

# every_option: lines of "VERB<tab>OPTION<tab>VALUE", as the program itself tells.
every_option() {
    "$marram" config | awk '
        /^\[/ { verb = substr($0, 2, length($0) - 2) }
        / = / {
            sub(/^# /, "")
            value = substr($0, index($0, " = ") + 3)
            print verb "\t" $1 "\t" (value ~ /^\(/ ? "" : value)
        }'
}
# shown OPTION: "VALUE ORIGIN", from what --show-origin printed into ./shown
shown() { sed -n "s/^$1 = \(.*[^ ]\)  *; \(.*\)/\1 \2/p" shown; }
# another VERB OPTION VALUE: a value that is not the default but that the option takes, found by trying.
another() {
    local try
    for try in on off 3 12 13 16M warning error detail lz4 c++ elsewhere; do
        [[ $try != "$3" ]] || continue
        printf '[%s]\n%s = %s\n' "$1" "$2" $try >try
        # shellcheck disable=SC2086 # a verb of one or two words
        if "$marram" config $1 --config try >/dev/null 2>&1; then
            echo $try
            return
        fi
    done
    die "$1 --$2 takes nothing"
}

each_option() {
    local verb option variable value new n=0
    every_option >options
    while IFS=$'\t' read -r verb option value; do
        variable=MARRAM_${option^^}
        variable=${variable//-/_}
        new=$(another "$verb" "$option" "$value")
        # shellcheck disable=SC2086
        set -- "$marram" config $verb --show-origin
        env "$variable=$new" "$@" >shown
        [[ $(shown "$option") == "$new $variable" ]] || die "$verb $option: $variable=$new: $(shown "$option")"
        printf '\n[%s]\n%s = %s\n' "$verb" "$option" "$new" >file
        "$@" --config file >shown
        [[ $(shown "$option") == "$new file:3" ]] || die "$verb $option = $new in a file: $(shown "$option")"
        printf '[marram]\n%s = %s\n' "$option" "$new" >file
        "$@" --config file >shown
        [[ $(shown "$option") == "$new file:2" ]] || die "$verb $option = $new in [marram]: $(shown "$option")"
        if [[ -n $value ]]; then
            env "$variable=$value" "$@" --config file >shown
            [[ $(shown "$option") == "$value $variable" ]] || die "$verb $option: the environment does not win: $(shown "$option")"
        fi
        n=$((n + 1))
    done <options
    ((n > 60)) || die "few options: $n"
}
as_json() {
    printf '[marram]\nthreads = 3\n' >file
    "$marram" config worker --config file --json >json
    tr -d ' \n' <json | grep -qF '{"worker":[{"option":"coordinator","value":"tcp://127.0.0.1:7077","environment":"MARRAM_COORDINATOR","origin":"default","file":null,"line":null},'
    tr -d ' \n' <json | grep -qF '{"option":"threads","value":"3","environment":"MARRAM_THREADS","origin":"file","file":"file","line":2}'
    tr -d ' \n' <json | grep -qF '{"option":"memory","value":null,'
    "$marram" config --json >json
    # As many options as the text has.
    (($(grep -c '"option":' json) == $(every_option | wc -l)))
}
help_is_complete() {
    local verb option
    every_option >options
    while IFS=$'\t' read -r verb option _; do
        # shellcheck disable=SC2086 # a verb of one or two words
        "$marram" $verb --help | grep -q -- "--$option\\b" || die "$verb --help has no --$option"
    done <options
    # Every verb is there, and no line is too long for a terminal of 100 columns.
    "$marram" --help | sed -n 's/^  \(\(cluster \)\?[a-z]*\) .*/\1/p' >verbs
    (($(wc -l <verbs) >= 18))
    while read -r verb; do
        # shellcheck disable=SC2086
        "$marram" $verb --help >help || die "$verb --help"
        grep -q "^Usage: marram $verb" help
        ((${#verb} == 0)) || [[ -z $(awk 'length > 100' help) ]] || die "$verb: $(awk 'length > 100' help)"
    done <verbs
}
command_line_first() {
    printf '[cluster up]\nlisten = tcp://127.0.0.1:0\nworkers = 1\nthreads = 1\ndir = %s/cluster\n[cluster status]\ndir = %s/cluster\n' \
        "$PWD" "$PWD" >file
    printf '[cluster down]\ndir = %s/cluster\n[worker]\nlog-level = detail\n[coordinator]\nlog-json = on\n' "$PWD" >>file
    "$marram" cluster up --config file --workers 2 >up.out
    trap '"$marram" cluster down --config file >/dev/null' EXIT
    grep -q '^2 workers' up.out
    MARRAM_CONFIG=./file "$marram" cluster status >status.out
    (($(grep -c '^worker-' status.out) == 2))
    # What it started reads the same file.
    head -1 cluster/coordinator.log | grep -q '^{'
    printf '[cluster status]\ndir = %s/other\n' "$PWD" >other
    MARRAM_DIR=$PWD/cluster "$marram" cluster status --config other >status.out
    expect_refusal 1 "$PWD/other" "$marram" cluster status --config other
}
a_worker_lives_by_it() {
    printf '[coordinator]\nlisten = tcp://127.0.0.1:0\nstate = %s/state\n' "$PWD" >file
    "$marram-coordinator" --config file 2>coordinator.log &
    local coordinator=$!
    await_condition 'test -s state/endpoint' 'the coordinator did not start'
    printf '[marram]\ncoordinator = %s\n[worker]\nname = from-file\nthreads = 3\nmemory = 64M\n' "$(cat state/endpoint)" >file
    MARRAM_THREADS=2 "$marram" worker --config file --memory 96M 2>worker.log &
    local worker=$!
    # shellcheck disable=SC2016 # evaluated there
    await_condition '"$marram" workers --config file --json >json 2>/dev/null && grep -q from-file json' 'no worker came'
    grep -q '"threads": 2,' json || die "$(cat json worker.log)"
    grep -q '"memory": 100663296,' json || die "$(cat json)"
    kill $worker && wait $worker
    kill $coordinator && wait $coordinator
}
which_files() {
    mkdir -p "$XDG_CONFIG_HOME/marram"
    printf '[worker]\nthreads = 5\n' >"$XDG_CONFIG_HOME/marram/config"
    "$marram" config worker --show-origin | grep -q "^threads = 5  *; $XDG_CONFIG_HOME/marram/config:2$"
    printf '[worker]\nname = x\n' >file
    "$marram" config worker --config file | grep -q '^# threads = (all processors'
    MARRAM_CONFIG=$PWD/file "$marram" config worker | grep -q '^name = x$'
    rm -r "$XDG_CONFIG_HOME/marram"
    expect_refusal 2 "'none'" "$marram" config --config none
    expect_refusal 2 "'none'" "$marram" jobs --config none
    expect_refusal 2 'is a folder' "$marram" jobs --config .
}
the_systems_file() {
    ((EUID == 0)) || skip 'needs root to put a file into another /etc'
    unshare -m true 2>/dev/null || skip 'needs a mount namespace'
    mkdir -p "$XDG_CONFIG_HOME/marram"
    printf '[worker]\nthreads = 5\n' >"$XDG_CONFIG_HOME/marram/config"
    # shellcheck disable=SC2016 # the inner shell's
    unshare -m bash -c 'mount -t tmpfs tmpfs /etc && mkdir /etc/marram &&
        printf "[worker]\nthreads = 6\nmemory = 1G\n" >/etc/marram/marram.conf && "$1" config worker --show-origin' _ "$marram" >out
    rm -r "$XDG_CONFIG_HOME/marram"
    grep -q "^threads = 5 .*$XDG_CONFIG_HOME" out || die "$(cat out)"
    grep -q '^memory = 1G  *; /etc/marram/marram.conf:3$' out || die "$(cat out)"
}
what_is_wrong_is_named() {
    printf '[worker]\n\nthreads = x\n' >file
    expect_refusal 2 "marram worker: threads = x in file line 3: a number from 1 to 256 is wanted" "$marram" worker --config file
    expect_refusal 2 "marram worker: threads = x in file line 3" "$marram" config worker --config file
    expect_refusal 2 "marram worker: MARRAM_THREADS=0: a number" env MARRAM_THREADS=0 "$marram" worker
    # It is an error whatever the command line says; other verbs have no use for it.
    expect_refusal 2 "threads = x" "$marram" worker --config file --threads 2
    expect_status 0 "$marram" version --config file
    printf '[worker]\nthread = 3\n' >file
    expect_refusal 2 "marram version: file line 2: thread in [worker]: there is no such option" "$marram" version --config file
    printf '[wroker]\nthreads = 3\n' >file
    expect_refusal 2 "file line 1: [wroker] is none of the sections" "$marram" version --config file
    printf '[run]\noverwrite = on\n' >file
    expect_refusal 2 "line 2: overwrite in [run]: is for the command line alone" "$marram" version --config file
    # What a verb finds wrong itself.
    printf '[marram]\nlisten = nonsense\n' >file
    expect_refusal 2 "(set in file line 2)" "$marram" worker --config file
    expect_refusal 2 "(set by MARRAM_LISTEN)" env MARRAM_LISTEN=nonsense "$marram" coordinator
    expect_refusal 2 "(set by MARRAM_COORDINATOR)" env MARRAM_COORDINATOR=nonsense "$marram" jobs
    expect_status 2 "$marram" worker --listen nonsense
    if grep -q '(set ' stderr; then die "the command line is no file: $(cat stderr)"; fi
    expect_refusal 2 "'wroker' is no verb" "$marram" config wroker
    expect_refusal 2 "'more' is one word too many" "$marram" config cluster up more
}
what_it_prints_is_a_file() {
    printf '[marram]\ncoordinator = tcp://10.1.1.1:7077\n[cluster up]\nworkers = 3\n' >file
    "$marram" config --config file --show-origin >first
    "$marram" config --config first >second
    "$marram" config --config file >third
    expect_same second third
    grep -q '^workers = 3$' third
    (($(grep -c '^coordinator = tcp://10.1.1.1:7077$' third) > 5))
}
one_time_options() {
    local option
    every_option >options
    for option in overwrite detach input output param check-journal show-origin task; do
        ! cut -f 2 options | grep -qx "$option" || die "--$option can be set"
    done
    echo a >in
    mkdir out && echo kept >out/kept
    MARRAM_OVERWRITE=on expect_status 2 "$marram" run wordcount -i in -o out
    [[ -e out/kept ]]
}

claim 'every option of every verb is set by its variable, its section and [marram]' each_option
claim 'config tells the same as JSON' as_json
claim 'help names every option and verb, in 100 columns' help_is_complete
claim 'the command line wins over the environment, and that over a file; what is started reads it too' command_line_first
claim 'a worker lives by file, environment and command line at once' a_worker_lives_by_it
claim 'one file alone when asked; else that of the user' which_files
claim 'the file of the user wins over that of the system' the_systems_file
claim 'what is wrong is named with file and line, or variable' what_is_wrong_is_named
claim 'what config prints is a configuration file that says the same' what_it_prints_is_a_file
claim 'options that would surprise as a default cannot be one' one_time_options
totals
