# What compressing costs, and saves: runs by each codec beside raw ones, output beside plain output.
# shellcheck shell=bash disable=SC2154
if has_terasort; then
    tera "$bytes"
    sort_packed() { "$marram" run terasort -i "$input" -o "$bench/out" --compress "$codec" --json; }
    sort_plain() { "$marram" run terasort -i "$input" -o "$bench/out.plain" --overwrite --compress none --json; }
    shuffled() { sed -n 's/.*"shuffle_bytes": \([0-9]*\).*/\1/p' "$bench/log"; }
    for codec in lz4:3 zstd:5 zlib:10; do
        most=${codec#*:}
        codec=${codec%:*}
        pair "tera sort, runs by $codec" ratio "$most" sort_packed sort_plain tera_is_sorted 1 "$long_rounds"
        packed=$(shuffled)
        ms sort_plain && once "tera sort, bytes in flight by $codec" % 60 "$(awk -v a="$packed" -v b="$(shuffled)" 'BEGIN { print 100 * a / b }')"
    done
    # What the parts hold, by tools that know nothing of us.
    unpacked_is_sorted() {
        local part
        rm -rf "$bench/unpacked"
        mkdir "$bench/unpacked"
        for part in "$bench"/out/part-*; do
            case $part in
            *.gz) gzip -dc "$part" >"$bench/unpacked/$(basename "$part" .gz)" ;;
            *.zst) zstd -dcq "$part" >"$bench/unpacked/$(basename "$part" .zst)" ;;
            esac || return
        done
        rm -rf "$bench/out"
        mv "$bench/unpacked" "$bench/out"
        tera_is_sorted
    }
    sort_to() { "$marram" run terasort -i "$input" -o "$bench/out" --output-format "raw:$codec"; }
    for codec in zstd:5 gzip:12; do
        most=${codec#*:}
        codec=${codec%:*}
        if command -v "$codec" >/dev/null; then
            pair "tera sort, output by $codec" ratio "$most" sort_to sort_plain unpacked_is_sorted 1 "$long_rounds"
        else
            missing "tera sort, output by $codec" "there is no $codec to read it"
        fi
    done
    rm -rf "$bench/out.plain" "$bench/unpacked"
else
    missing 'tera sort, compressed' 'jobs/terasort.so is not built'
fi
