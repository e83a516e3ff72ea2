# Sourced by run.sh and its workloads: data, clusters, rounds, results.
#
# A workload is a file in workloads/ that calls `pair`, `once`, `missing` for each thing that it measures. A wrong output
# counts as failed; a limit that is not kept is shown as MISSED, and counted, but fails nothing: it depends on the machine.
# shellcheck shell=bash disable=SC2034,SC2154 # names of run.sh and of the workloads
wrong=0
missed=0
met=0
skipped=0
results=()

# ms COMMAND...: runs it, leaves in $took the milliseconds; its output goes to $bench/log.
ms() {
    local start=$EPOCHREALTIME end
    "$@" >"$bench/log" 2>&1 || {
        echo "'$*' failed: $(tail -3 "$bench/log")" >&2
        return 1
    }
    end=$EPOCHREALTIME
    took=$(awk -v us=$((${end/./} - ${start/./})) 'BEGIN { printf "%.2f", us / 1000 }')
}

# stats FILE SCALE: median, minimum, quartiles, maximum of a column of numbers, divided by SCALE.
stats() {
    sort -n "$1" | awk -v scale="$2" '{ v[NR] = $1 / scale }
        function at(q,  i) { i = (NR - 1) * q + 1; return v[int(i)] + (v[int(i) + (i > int(i))] - v[int(i)]) * (i - int(i)) }
        END { printf "%.2f %.2f %.2f %.2f %.2f\n", at(0.5), v[1], at(0.25), at(0.75), v[NR] }'
}

ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", b ? a / b : 0 }'; }
below() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }

# settle NAME STATE FIELDS: keeps one result, as one line of JSON.
settle() {
    results+=("{\"name\": \"$1\", \"state\": \"$2\"${3:+, $3}}")
    case $2 in
    met) met=$((met + 1)) ;;
    missed) missed=$((missed + 1)) ;;
    wrong) wrong=$((wrong + 1)) ;;
    skipped) skipped=$((skipped + 1)) ;;
    esac
}
missing() {
    printf '%-36s skipped: %s\n' "$1" "$2"
    settle "$1" skipped "\"why\": \"$2\""
}
failed() {
    printf '%-36s FAILED: %s\n' "$1" "$2"
    settle "$1" wrong "\"why\": \"$2\""
}
shown() { [[ $1 == met ]] || echo "  MISSED"; }

# pair NAME KIND LIMIT OURS THEIRS CHECK [SCALE] [ROUNDS]: runs two functions in turns. Each round's output of ours is
# checked, outside of the time. KIND says what the limit is of: `ratio` (both that of the medians and that of the minima)
# or `ms` (the median). Ours is divided by SCALE, where it has so many times the work of theirs.
pair() {
    local name=$1 kind=$2 limit=$3 ours=$4 theirs=$5 check=$6 scale=${7:-1} n=${8:-$rounds} i state=met
    local -a a b
    local medians minima
    : >"$bench/ours"
    : >"$bench/theirs"
    for ((i = 0; i <= n; i++)); do
        rm -rf "$bench/out"
        ms "$theirs" || { failed "$name" "'$theirs' does not run"; return; }
        ((i == 0)) || echo "$took" >>"$bench/theirs" # the first round warms up
        [[ $kind != turns ]] || "$check" || { failed "$name" 'the output is wrong'; return; }
        [[ $kind != turns ]] || rm -rf "$bench/out"
        ms "$ours" || { failed "$name" "'$ours' does not run"; return; }
        ((i == 0)) || echo "$took" >>"$bench/ours"
        "$check" || { failed "$name" 'the output is wrong'; return; }
    done
    rm -rf "$bench/out"
    read -ra a < <(stats "$bench/ours" "$scale")
    read -ra b < <(stats "$bench/theirs" 1)
    medians=$(ratio "${a[0]}" "${b[0]}")
    minima=$(ratio "${a[1]}" "${b[1]}")
    if [[ $kind == ms ]]; then
        below "${a[0]}" "$limit" || state=missed
    else
        below "$medians" "$limit" && below "$minima" "$limit" || state=missed
    fi
    printf '%-36s %9.1f ms (%.1f-%.1f)  beside %9.1f ms (%.1f-%.1f)  ratio %s, of minima %s  below %s%s%s\n' "$name" \
        "${a[0]}" "${a[2]}" "${a[3]}" "${b[0]}" "${b[2]}" "${b[3]}" "$medians" "$minima" "$limit" \
        "$([[ $kind == ms ]] && echo ' ms')" "$(shown $state)"
    settle "$name" $state "\"kind\": \"$kind\", \"limit\": $limit, \"rounds\": $n, \"scale\": $scale, \
\"median_ms\": ${a[0]}, \"min_ms\": ${a[1]}, \"q1_ms\": ${a[2]}, \"q3_ms\": ${a[3]}, \"max_ms\": ${a[4]}, \
\"other_median_ms\": ${b[0]}, \"other_min_ms\": ${b[1]}, \"other_q1_ms\": ${b[2]}, \"other_q3_ms\": ${b[3]}, \"other_max_ms\": ${b[4]}, \
\"ratio\": $medians, \"ratio_of_minima\": $minima"
}

# once NAME UNIT LIMIT VALUE: one number that has a limit.
once() {
    local state=met
    below "$4" "$3" || state=missed
    printf '%-36s %9.1f %s  below %s%s\n' "$1" "$4" "$2" "$3" "$(shown $state)"
    settle "$1" $state "\"kind\": \"$2\", \"limit\": $3, \"value\": $4"
}

# peaked NAME LIMIT-IN-MIB CHECK COMMAND...: one run of its own, for the most memory that its processes held together.
peaked() {
    local name=$1 limit=$2 check=$3
    shift 3
    rm -rf "$bench/out"
    ms "$yardsticks/peak" "$bench/peak" "$@" || { failed "$name" 'ours does not run'; return; }
    "$check" || { failed "$name" 'the output is wrong'; return; }
    rm -rf "$bench/out"
    once "$name" MiB "$limit" "$(awk '{ printf "%.1f", $1 / 1048576 }' "$bench/peak")"
}

# The MiB that a run with a budget of so many bytes may hold: a quarter more, and never below what processes are.
bound() { awk -v n="$1" 'BEGIN { m = n * 1.25 / 1048576; printf "%d", (m > 64 ? m : 64) }'; }

# made FILE GENERATOR ARGUMENTS...: makes the file once; @ among the arguments is its name.
made() {
    local file=$1 new=$1.new generator=$2
    shift 2
    [[ -f $file ]] && return
    "$yardsticks/$generator" "${@/#@/$new}" >/dev/null && mv "$new" "$file"
}
text() { made "$bench/text.$1" gentext @ "$1" 400000 42 && input=$bench/text.$1; }
tera() { made "$bench/tera.$1" gentera @ "$(($1 / 100))" 7 0 && input=$bench/tera.$1; }

# cluster_up NAME WORKERS THREADS; `on NAME VERB...` speaks to it.
clusters=()
cluster_up() {
    "$marram" cluster up --workers "$2" --threads "$3" --dir "$bench/cluster.$1" --listen tcp://127.0.0.1:0 >/dev/null &&
        clusters+=("$1")
}
on() {
    local dir=$bench/cluster.$1
    shift
    MARRAM_COORDINATOR=$(sed -n 's/.*"endpoint": "\([^"]*\)".*/\1/p' "$dir/cluster.json" | head -1) \
        MARRAM_KEYS=$dir/keys "$marram" "$@"
}
clusters_down() {
    local name
    for name in "${clusters[@]}"; do
        "$marram" cluster down --dir "$bench/cluster.$name" >/dev/null 2>&1 || true
        rm -rf "$bench/cluster.$name"
    done
    clusters=()
}

# What several workloads run on $input.
wordcount() { "$marram" run wordcount -i "$input" -o "$bench/out" "$@"; }
wordcount_yardstick() { "$yardsticks/wc_pread" "$input" "$threads" "$bench/yardstick.out"; }
wordcounts_agree() { cat "$bench"/out/part-* | sort | cmp -s - "$bench/yardstick.out"; }
terasort() { "$marram" run terasort -i "$input" -o "$bench/out" "$@"; }
tera_sum() { "$yardsticks/valsort" "$@" | sed 's/ unordered.* checksum / /; s/ [A-Z ]*$//'; }
# In order over all parts, and the same records as the input.
tera_is_sorted() {
    "$yardsticks/valsort" "$bench"/out/part-* >"$bench/valsort" || return
    [[ -f $input.sum ]] || tera_sum "$input" >"$input.sum"
    [[ $(tera_sum "$bench"/out/part-*) == "$(cat "$input.sum")" ]]
}
has_terasort() { [[ -f $build/jobs/terasort.so ]]; }
