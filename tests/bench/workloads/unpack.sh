# Reading compressed text beside the tool that unpacks it to nothing. One of our threads unpacks at a time, all look for a
# word in what comes out.
# shellcheck shell=bash disable=SC2154
text "$bytes"
grep -aF northern "$input" >"$bench/lines"
found_in_packed() { "$marram" run grep -p pattern=northern -i "$input.$ending" -o "$bench/out"; }
unpacked() { "$codec" -dcq "$input.$ending" >/dev/null; }
found_them() { cat "$bench"/out/part-* | cmp -s - "$bench/lines"; }
for codec in gzip:gz:1.5 zstd:zst:2 lz4:lz4:3; do
    most=${codec##*:}
    ending=${codec#*:}
    ending=${ending%:*}
    codec=${codec%%:*}
    if command -v "$codec" >/dev/null; then
        [[ -f $input.$ending ]] || "$codec" -c -1 "$input" >"$input.$ending"
        pair "grep of text packed by $codec" ratio "$most" found_in_packed unpacked found_them 1 "$long_rounds"
    else
        missing "grep of text packed by $codec" "there is no $codec to pack it"
    fi
done
rm -f "$bench/lines"
