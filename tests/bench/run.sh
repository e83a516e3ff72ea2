#!/usr/bin/env bash
# Measures Marram beside hand-tuned programs for the same work, in alternating rounds of one run, and checks every
# output. Ratios are what counts: a machine's clock drifts, two programs that take turns drift together.
#
#     BENCH_ONLY=wordcount,grep BENCH_ROUNDS=5 BENCH_BYTES=104857600 tests/bench/run.sh
#
# BENCH_ONLY    workloads, by comma (default: all of tests/bench/workloads)
# BENCH_ROUNDS  rounds after a warm-up (default 15; long workloads take a fifth of it, at least 3)
# BENCH_BYTES   bytes of the usual input, from which the others follow (default 1 GiB)
# BENCH_FILES   files of the small-files workload (default 100,000)
# BENCH_BIG=1   growth up to 8 times BENCH_BYTES
# PEERS=1       other systems beside us, if they are installed (tests/bench/peers)
#
# Data and outputs lie under build/bench: up to 20 GB at the defaults. Writes build/bench/results.json, which
# tests/bench/table.sh turns into Markdown. Status 1 when an output is wrong; limits that are missed are only counted.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
bench=$PWD/build/bench
build=$PWD/build/release
marram=$build/marram
yardsticks=$bench/yardsticks
rounds=${BENCH_ROUNDS:-15}
# shellcheck disable=SC2034 # of the workloads
long_rounds=$((rounds / 5 > 3 ? rounds / 5 : rounds < 3 ? rounds : 3))
bytes=${BENCH_BYTES:-1073741824}
threads=$(nproc)
order=(run_1k submit_1k scheduling wordcount grep wordcount_cluster terasort terasort_spill compress unpack distinct hotkey smallfiles killed drain keys growth journal)
export LC_ALL=C TMPDIR=$bench/tmp
mkdir -p "$bench" "$TMPDIR"
# shellcheck source=tests/bench/lib.sh
source tests/bench/lib.sh
trap 'clusters_down; rm -rf "$bench"/{out,tmp,log,ours,theirs,peak,valsort,yardstick.out}' EXIT

if [[ -n ${BENCH_ONLY:-} ]]; then
    IFS=, read -ra order <<<"$BENCH_ONLY"
fi
for name in "${order[@]}"; do
    [[ -f tests/bench/workloads/$name.sh ]] || {
        echo "no workload '$name': there are $(basename -s .sh tests/bench/workloads/*.sh | paste -sd' ')" >&2
        exit 2
    }
done
make --no-print-directory -s -C tests/bench/yardstick OUT="$yardsticks" || exit

machine=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
memory=$(awk '/^MemTotal/ { printf "%.0f", $2 * 1024 }' /proc/meminfo)
echo "$machine, $threads processors, $((memory >> 20)) MiB, $(date +%F); $rounds rounds, $bytes bytes"
for name in "${order[@]}"; do
    # shellcheck source=/dev/null
    source "tests/bench/workloads/$name.sh"
    clusters_down
    rm -rf "$bench/out" "$bench/yardstick.out"
done
[[ -z ${PEERS:-} ]] || tests/bench/peers/run.sh "$bench" "$marram"

{
    printf '{\n"date": "%s", "machine": "%s", "processors": %s, "memory": %s, "kernel": "%s", "commit": "%s", "bytes": %s,\n"results": [\n' \
        "$(date -u +%FT%TZ)" "$machine" "$threads" "$memory" "$(uname -r)" "$(git describe --always --dirty 2>/dev/null)" "$bytes"
    printf '%s' "${results[0]:-}"
    ((${#results[@]} < 2)) || printf ',\n%s' "${results[@]:1}"
    printf '\n]\n}\n'
} >"$bench/results.json"
echo "$met met, $missed missed, $wrong wrong, $skipped skipped"
((wrong == 0))
