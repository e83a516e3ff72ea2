# A reduce without fold or combiner, where nine of ten records have one key, beside the same bytes with keys at random.
# shellcheck shell=bash disable=SC2154
budget=$((bytes > 67108864 ? bytes / 4 : 16777216))
records=$((bytes / 10))
hot=$bench/hot.$records
uniform=$bench/uniform.$records
keysum=$bench/keysum.so
cc -O2 -fPIC -shared -Imrlib/include -o "$keysum" tests/bench/jobs/keysum.c
made "$hot" genhot @ "$hot.want" "$records" 90 3
made "$uniform" genhot @ "$uniform.want" "$records" 0 3
on_hot() { want=$hot.want && "$marram" run "$keysum" -i "$hot" -o "$bench/out" --memory "$budget"; }
on_uniform() { want=$uniform.want && "$marram" run "$keysum" -i "$uniform" -o "$bench/out" --memory "$budget"; }
sums_agree() { cat "$bench"/out/part-* | sort | cmp -s - "$want"; }
pair 'hot key beside uniform keys' turns 2.0 on_hot on_uniform sums_agree 1 "$long_rounds"
want=$hot.want
peaked 'hot key, memory' "$(bound "$budget")" sums_agree \
    "$marram" run "$keysum" -i "$hot" -o "$bench/out" --memory "$budget"
rm -f "$hot" "$hot.want" "$uniform" "$uniform.want" "$keysum"
