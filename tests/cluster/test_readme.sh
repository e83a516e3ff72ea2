#!/usr/bin/env bash
# What the README shows works as it stands there.
# shellcheck disable=SC2013,SC2016
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"

job_in_20_lines() {
    sed -n '/^```c$/,/^```$/p' "$root/README.md" | sed '1d; $d' >longwords.c
    (($(wc -l <longwords.c) > 10))
    (($(wc -l <longwords.c) <= 21))
    gcc -Wall -Wextra -Werror -O2 -fPIC -shared -I"$root/mrlib/include" -o longwords.so longwords.c
    "$marram" describe ./longwords.so >stdout
    grep -q 'least' stdout
    run ./longwords.so -i /usr/share/common-licenses -o out -p least=14
    find -L /usr/share/common-licenses -type f -print0 | xargs -0 cat | tr -s '\000-\040' '\n' |
        awk 'length($0) >= 14' | sort | uniq -c | awk '{ print $2 "\t" $1 }' | sort >want
    expect_same out/part-00000 want
    [[ -s want ]]
}
jobs_that_ship() {
    local job
    for job in $(sed -n 's/^| `\([a-z]*\)` |.*/\1/p' "$root/README.md"); do
        "$marram" describe "$job" >/dev/null || die "$job"
        echo "$job"
    done | sort >named
    find "$jobs" -name '*.so' -printf '%f\n' | sed 's/\.so$//' | sort >built
    expect_same named built
}
verbs() {
    local verb
    for verb in $(sed -n 's/^  \([a-z]*\)  .*/\1/p' < <("$marram" --help)); do
        grep -q "marram $verb" "$root/README.md" || die "the README does not name $verb"
        "$marram" "$verb" --help >/dev/null
    done
}
links() {
    local page target
    for page in README.md CONTRIBUTING.md docs/*.md docs/decisions/*.md; do
        while read -r target; do
            [[ -e $(dirname "$root/$page")/$target ]] || die "$page links to $target, which does not exist"
        done < <(grep -oE '\]\([^)#:]+\)' "$root/$page" | sed 's/^](//; s/)$//')
    done
}
make_help() {
    local target
    make -s -C "$root" help | awk '$1 == "make" && $2 ~ /^[a-z]+$/ { print $2 }' | sort -u >named
    for target in all test check demo bench soak fuzz install clean help; do
        [[ $target == all || $target == help ]] || grep -qx "$target" named || die "make help does not name $target"
    done
}
# The commands of the section, on a free port.
cluster_of_the_readme() {
    local folder
    folder=$(dirname "$marram")
    # The folder of `cluster` lies there, not in that of who runs the tests.
    export XDG_STATE_HOME=$PWD/state
    sed -n '/^## A cluster$/,/^By hand/p' "$root/README.md" | sed -n 's/^    //p' | sed 's/ *#.*//' >commands
    (($(wc -l <commands) == 4))
    sed -i "s|/tmp/words|$PWD/words|; s|cluster up|& --listen tcp://127.0.0.1:0|; s|^marram|$folder/&|
        s|^.* submit|MARRAM_COORDINATOR=\$(cat $XDG_STATE_HOME/marram/cluster/state/endpoint) &|" commands
    trap '[[ ! -e $XDG_STATE_HOME/marram/cluster ]] || "$marram" cluster down' EXIT
    bash -e ./commands >stdout 2>stderr || die "$(cat stderr)"
    # shellcheck disable=SC2046 # names without blanks
    reference_words $(find -L /usr/share/common-licenses -type f) >want
    sorted_output words >got
    expect_same got want
    [[ ! -e $XDG_STATE_HOME/marram/cluster ]]
}

claim 'the job in 20 lines compiles, runs and counts' job_in_20_lines
claim 'the cluster of the README runs its job' cluster_of_the_readme
claim 'the jobs that ship are the jobs that are named' jobs_that_ship
claim 'every verb is named' verbs
claim 'no link leads nowhere' links
claim 'make help names every target' make_help
totals
