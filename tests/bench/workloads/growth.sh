# Time per byte as the input grows: that of the largest input beside that of a tenth of the usual one.
# shellcheck shell=bash disable=SC2154
sizes=($((bytes / 10)) "$bytes" $((2 * bytes)))
[[ -z ${BENCH_BIG:-} ]] || sizes+=($((8 * bytes)))
smallest=${sizes[0]}
for size in "${sizes[@]:1}"; do
    text "$smallest"
    first=$input
    text "$size"
    wordcount_yardstick >/dev/null
    of_smallest() { "$marram" run wordcount -i "$first" -o "$bench/out.small" --overwrite; }
    pair "word count, $((size / smallest)) times as much" ratio 1.15 wordcount of_smallest wordcounts_agree \
        "$(awk -v a="$size" -v b="$smallest" 'BEGIN { print a / b }')" "$long_rounds"
    [[ $size == "$bytes" ]] || rm -f "$input"
done
if has_terasort; then
    for size in "$bytes" $((2 * bytes)); do
        tera "$smallest"
        first=$input
        tera "$size"
        of_smallest() { "$marram" run terasort -i "$first" -o "$bench/out.small" --overwrite; }
        pair "tera sort, $((size / smallest)) times as much" ratio 1.15 terasort of_smallest tera_is_sorted \
            "$(awk -v a="$size" -v b="$smallest" 'BEGIN { print a / b }')" "$long_rounds"
        [[ $size == "$bytes" ]] || rm -f "$input" "$input.sum"
    done
else
    missing 'growth of tera sort' 'jobs/terasort.so is not built'
fi
rm -rf "$bench/out.small"
