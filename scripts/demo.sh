#!/usr/bin/env bash
# Starts a cluster of processes, counts the words of real English text on it, and stops it: what `make demo` shows.
#
#     scripts/demo.sh [DIR]     (default: the licences that every Debian carries, and Perl's manuals if there)
set -euo pipefail
cd "$(dirname "$0")/.."

marram=build/release/marram
out=build/demo
# What an interrupted demo left running.
[[ -e $out/cluster/cluster.json ]] && "$marram" cluster down --dir "$out/cluster"
rm -rf "$out"
mkdir -p "$out"
if [[ -n ${1:-} ]]; then
    inputs=("$1")
else
    inputs=(/usr/share/common-licenses)
    while IFS= read -r folder; do
        inputs+=("$folder")
    done < <(find /usr/share/perl -maxdepth 2 -type d -name pod 2>/dev/null | sort)
fi

echo "\$ marram cluster up --workers 2"
"$marram" cluster up --workers 2 --dir "$out/cluster" --listen tcp://127.0.0.1:0 >"$out/up"
trap '"$marram" cluster down --dir "$out/cluster"' EXIT
MARRAM_COORDINATOR=$("$marram" cluster status --dir "$out/cluster" --json | sed -n 's/^ *"endpoint": "\(.*\)",$/\1/p')
export MARRAM_COORDINATOR MARRAM_KEYS=$out/cluster/keys
echo "\$ marram submit wordcount -i ${inputs[*]} -o $out/words"
"$marram" submit wordcount -i "${inputs[@]}" -o "$out/words" --json >"$out/result.json"
echo "\$ marram workers"
"$marram" workers

# The JSON has one field a line: no tool is needed to read one number.
field() { sed -n "s/^ *\"$1\": \([0-9.]*\),*\$/\1/p" "$out/result.json"; }

echo
echo "The twenty most frequent words:"
cat "$out"/words/part-* | sort -t "$(printf '\t')" -k2,2nr -k1,1 |
    awk -F '\t' 'NR == 1 { most = $2 }
        NR <= 20 { bar = ""; for (i = 0; i < 40 * $2 / most; i++) bar = bar "#"; printf "  %9d  %-12s %s\n", $2, $1, bar }'
echo
awk -v bytes="$(field map_input_bytes)" -v words="$(field map_output_records)" \
    -v keys="$(field reduce_output_records)" -v seconds="$(field seconds)" 'BEGIN {
    printf "%d words, %d of them different, in %.1f MB of text: %.0f ms from submission to result.\n",
        words, keys, bytes / 1e6, seconds * 1000 }'
cat <<END

Next:
  less $out/words/part-00000
  $marram run grep -p pattern=freedom -i /usr/share/common-licenses -o $out/lines
  $marram describe linestats
END
