# The lines that hold a fixed string, in input order.
# shellcheck shell=bash disable=SC2154
text "$bytes"
grep -aF northern "$input" >"$bench/lines"
grep_lines() { "$marram" run grep -p pattern=northern -i "$input" -o "$bench/out"; }
grep_yardstick() { "$yardsticks/grep_omp" "$input" northern "$threads"; }
greps_agree() { cat "$bench"/out/part-* | cmp -s - "$bench/lines"; }
pair 'grep' ratio 2.0 grep_lines grep_yardstick greps_agree
rm -f "$bench/lines"
