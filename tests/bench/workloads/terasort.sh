# Sort of 100-byte records by keys of 10 bytes, in total order over all parts.
# shellcheck shell=bash disable=SC2154
if has_terasort; then
    tera "$bytes"
    tsort() { "$yardsticks/tsort" "$input" "$bench/yardstick.out" "$threads"; }
    pair 'tera sort' ratio 2.0 terasort tsort tera_is_sorted
else
    missing 'tera sort' 'jobs/terasort.so is not built'
fi
