# A sort of eight times its memory, byte for byte beside one that has enough.
# shellcheck shell=bash disable=SC2154
if has_terasort; then
    tera "$bytes"
    one=$input
    tera $((4 * bytes / 100 * 100))
    four=$input
    budget=$((bytes > 33554432 ? bytes / 2 : 16777216))
    # The larger sort is checked; the smaller one is that of the workload terasort.
    spilling() { "$marram" run terasort -i "$four" -o "$bench/out" --memory "$budget"; }
    in_memory() { "$marram" run terasort -i "$one" -o "$bench/out.small" --overwrite; }
    pair 'tera sort of 4 times the input, spilling' ratio 4.0 spilling in_memory tera_is_sorted 4 "$long_rounds"
    rm -rf "$bench/out.small"
    peaked 'tera sort, spilling, memory' "$(bound "$budget")" tera_is_sorted \
        "$marram" run terasort -i "$four" -o "$bench/out" --memory "$budget"
    rm -f "$four"
else
    missing 'tera sort of 4 times the input, spilling' 'jobs/terasort.so is not built'
fi
