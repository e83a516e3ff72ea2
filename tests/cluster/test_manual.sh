#!/usr/bin/env bash
# Manual pages and the completion of bash: both know what --help knows.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
unset MARRAM_COORDINATOR
share=$MARRAM_BUILD/share

all_verbs() { "$marram" --help | sed -n 's/^  \(\(cluster \)\?[a-z]*\)  .*/\1/p'; }
# options_of VERB: the long ones that --help shows.
options_of() {
    # shellcheck disable=SC2086 # a verb of one or two words
    "$marram" $1 --help | sed -n 's/^  [- ][a-z ][, ] --\([a-z-]*\).*/\1/p'
}
# plain FILE: a page as text.
plain() { mandoc -T utf8 -O width=200 "$1" | col -b; }

each_option_has_its_page() {
    command -v mandoc >/dev/null || skip 'needs mandoc'
    local verb option n=0
    all_verbs >verbs
    (($(wc -l <verbs) >= 18))
    plain "$share/man/man1/marram.1" >overview
    while read -r verb; do
        plain "$share/man/man1/marram-${verb/ /-}.1" >page
        options_of "$verb" >options
        grep -qx help options || die "$verb --help shows no option"
        while read -r option; do
            grep -q -- "^ .*--$option\\b" page || die "marram-${verb/ /-}.1 has no --$option"
            n=$((n + 1))
        done <options
        grep -q "marram $verb" page
        grep -qF "marram-${verb/ /-}(1)" overview || die "marram.1 has no $verb"
    done <verbs
    ((n > 100))
}
each_key_has_its_place() {
    command -v mandoc >/dev/null || skip 'needs mandoc'
    local section='' key='' n=0
    plain "$share/man/man5/marram.conf.5" >page
    while read -r line; do
        case $line in
        '['*) section=$line ;;
        *=*)
            key=${line#\# }
            awk -v section="$section" -v key="${key%% =*}" '
                /^\[/ { in_it = $0 == section }
                in_it && $1 == key && $2 == "=" { found = 1 }
                END { exit !found }' page || die "marram.conf.5: $section $line"
            n=$((n + 1))
            ;;
        esac
    done < <("$marram" config)
    ((n > 60)) || die "$n"
}
pages_are_well_formed() {
    command -v mandoc >/dev/null || skip 'needs mandoc'
    mandoc -T lint -W warning "$share"/man/man?/* | grep -v STYLE >complaints || true
    [[ ! -s complaints ]] || die "$(cat complaints)"
    if command -v groff >/dev/null; then
        local page
        for page in "$share"/man/man?/*; do
            groff -man -ww -z "$page" 2>>complaints
        done
        [[ ! -s complaints ]] || die "$(cat complaints)"
    fi
}

# complete WORD...: what bash would offer for the last one, in ./offered
complete_words() {
    # shellcheck disable=SC2016 # the inner shell's
    bash -c '
        source "$1" && shift
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        _marram
        printf "%s\n" "${COMPREPLY[@]}"' _ "$share/bash-completion/completions/marram" "$@" >offered
}
offers() { grep -qxF -- "$1" offered || die "no $1 among: $(tr '\n' ' ' <offered)"; }
offers_only() { [[ $(tr '\n' ' ' <offered) == "$1 " ]] || die "not '$1': $(tr '\n' ' ' <offered)"; }

completion_of_options() {
    local verb option
    all_verbs >verbs
    complete_words "$marram" ''
    while read -r verb; do offers "${verb%% *}"; done < <(cat verbs)
    while read -r verb; do
        options_of "$verb" >options
        # shellcheck disable=SC2086
        complete_words "$marram" $verb --
        while read -r option; do offers "--$option"; done <options
    done <verbs
    complete_words "$marram-worker" --dir
    offers_only --direct-reads
    complete_words "$marram" cluster s
    offers_only 'scale status'
    complete_words "$marram" config wor
    offers_only 'workers worker'
}
completion_of_values() {
    local verb
    complete_words "$marram" run --sync ''
    offers_only 'on off'
    complete_words "$marram" run --sync = o
    offers_only 'on off'
    complete_words "$marram" run --sync =
    offers_only 'on off'
    complete_words "$marram" submit --output-format r
    offers_only 'raw raw:gzip raw:zstd'
    complete_words "$marram-coordinator" --log-level ''
    offers_only 'error warning info detail'
    mkdir folder
    echo >file.so
    echo >file.txt
    complete_words "$marram" run word
    offers_only wordcount
    complete_words "$marram" describe ''
    offers wordcount
    offers file.so
    ! grep -qx file.txt offered || die 'a text is no job'
    complete_words "$marram" run wordcount -i f
    offers file.txt
    complete_words "$marram" run wordcount -i file.txt fo
    offers folder
    complete_words "$marram" worker --scratch f
    offers_only folder
    complete_words "$marram" jobs --config f
    offers file.txt
}
completion_of_ids() {
    "$marram" cluster up --dir cluster --listen tcp://127.0.0.1:0 --workers 1 --threads 1 >/dev/null
    trap '"$marram" cluster down --dir cluster >/dev/null' EXIT
    MARRAM_COORDINATOR=$(cat cluster/state/endpoint)
    export MARRAM_COORDINATOR MARRAM_KEYS=$PWD/cluster/keys PATH=$MARRAM_BUILD:$PATH
    echo a >in
    "$marram" submit wordcount -i in -o out >id 2>/dev/null
    complete_words marram wait ''
    offers_only "$(cat id)"
    complete_words marram drain wor
    offers_only worker-1
}
installed() {
    [[ ${BUILD:-release} == release ]] || skip 'what is installed is the release'
    make -C "$root" -s BUILD=release install DESTDIR="$PWD/root" PREFIX=/usr >/dev/null
    [[ -s root/usr/share/man/man1/marram-run.1 && -s root/usr/share/man/man5/marram.conf.5 ]]
    [[ -s root/usr/share/bash-completion/completions/marram-worker ]]
    share=$PWD/root/usr/share complete_words "$PWD/root/usr/bin/marram" run wordc
    offers_only wordcount
}

claim 'every option of --help is in the page of its verb' each_option_has_its_page
claim 'every key of a configuration file is in marram.conf(5), in its section' each_key_has_its_place
claim 'the pages are well-formed' pages_are_well_formed
claim 'bash completes verbs, and every option of --help' completion_of_options
claim 'bash completes values: switches, choices, jobs, files, folders' completion_of_values
claim 'bash completes ids and workers of a cluster' completion_of_ids
claim 'both are installed' installed
totals
