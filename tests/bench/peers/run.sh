#!/usr/bin/env bash
# Other systems beside Marram: word count and sort of 100-byte lines, 100 MB each, best of three, each output compared
# with ours. What is not installed is skipped; `python3 -m pip install duckdb polars` brings two of them.
#
#     tests/bench/peers/run.sh build/bench build/release/marram
# shellcheck disable=SC2317 # functions are called by their names
set -uo pipefail
bench=$1
marram=$2
here=$(cd "$(dirname "$0")" && pwd)
size=${PEER_BYTES:-100000000}
python=${PEER_PYTHON:-python3}
threads=$(nproc)
out=$bench/peer.out
wrong=0
export LC_ALL=C
trap 'rm -rf "$out" "$out.marram" "$bench/peer.want"' EXIT

text=$bench/text.$size
lines=$bench/lines.$size
[[ -f $text ]] || "$bench/yardsticks/gentext" "$text" "$size" 400000 42 >/dev/null || exit
[[ -f $lines ]] || "$bench/yardsticks/gentera" "$lines" "$((size / 100))" 7 1 >/dev/null || exit

wordcount_marram() { "$marram" run wordcount -i "$text" -o "$out.marram" --overwrite; }
wordcount_marram_after() { sort "$out.marram"/part-* >"$out"; }
wordcount_mawk() {
    # shellcheck disable=SC2016 # fields of awk
    mawk '{ for (i = 1; i <= NF; i++) n[$i]++ } END { for (w in n) print w "\t" n[w] }' "$text" | sort >"$out"
}
wordcount_coreutils() { tr -s '\000-\040' '\n' <"$text" | grep -a . | sort --parallel="$threads" | uniq -c | awk '{ print $2 "\t" $1 }' | sort >"$out"; }
wordcount_duckdb() { "$python" "$here/wordcount_duckdb.py" "$text" "$out"; }
wordcount_polars() { "$python" "$here/wordcount_polars.py" "$text" "$out"; }
wordcount_yardstick() { "$bench/yardsticks/wc_pread" "$text" "$threads" "$out"; }
sort_marram() { "$marram" run terasort -i "$lines" -o "$out.marram" --overwrite; }
sort_marram_after() { cat "$out.marram"/part-* >"$out"; }
sort_coreutils() { sort --parallel="$threads" -S 50% -o "$out" "$lines"; }
sort_duckdb() { "$python" "$here/sort_duckdb.py" "$lines" "$out"; }
sort_polars() { "$python" "$here/sort_polars.py" "$lines" "$out"; }
sort_yardstick() { "$bench/yardsticks/tsort" "$lines" "$out" "$threads"; }

# Whether a system is here; prints why not.
there() {
    case $1 in
    duckdb | polars) "$python" -c "import $1" 2>/dev/null || { echo "no module $1"; return 1; } ;;
    mawk) command -v mawk >/dev/null || { echo 'no mawk'; return 1; } ;;
    esac
    [[ $2 != sort || $1 != marram || -f ${marram%/*}/jobs/terasort.so ]] || { echo 'jobs/terasort.so is not built'; return 1; }
}

# measure WORK SYSTEM: one row of the table.
measure() {
    local work=$1 system=$2 best='' start end took why
    why=$(there "$system" "$work") || { printf '| %s | %s | skipped: %s | |\n' "$work" "$system" "$why"; return; }
    for _ in 1 2 3; do
        rm -rf "$out" "$out.marram"
        start=$EPOCHREALTIME
        "${work}_$system" >/dev/null 2>"$bench/peer.log" ||
            { printf '| %s | %s | failed: %s | |\n' "$work" "$system" "$(tail -1 "$bench/peer.log")"; wrong=1; return; }
        end=$EPOCHREALTIME
        took=$((${end/./} - ${start/./}))
        if [[ -z $best ]] || ((took < best)); then best=$took; fi
    done
    ! declare -F "${work}_${system}_after" >/dev/null || "${work}_${system}_after"
    if [[ $system == yardstick ]]; then
        mv "$out" "$bench/peer.want"
    else
        # Some end lines in their own way.
        cmp -s <(tr -d '\r' <"$out") <(tr -d '\r' <"$bench/peer.want") || { printf '| %s | %s | WRONG OUTPUT | |\n' "$work" "$system"; wrong=1; return; }
    fi
    awk -v w="$work" -v s="$system" -v us="$best" -v n="$size" \
        'BEGIN { printf "| %s | %s | %.2f | %.0f |\n", w, s, us / 1e6, n / us }'
}

echo '| work | system | s | MB/s |'
echo '|---|---|---|---|'
for system in yardstick marram mawk coreutils duckdb polars; do measure wordcount "$system"; done
for system in yardstick marram coreutils duckdb polars; do measure sort "$system"; done
exit $wrong
