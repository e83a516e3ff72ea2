# What keys cost: two clusters of two workers each that fetch everything over sockets of loopback, one with keys. A tera
# sort, whose shuffle is as large as its input; a word count, whose shuffle is small; and a submission of 1 KiB.
# shellcheck shell=bash disable=SC2154
keys_folder=$bench/keys
keys_pids=()
# keys_up NAME OPTIONS...: a coordinator and two workers; `keyed` and `bare` speak to them.
keys_up() {
    local name=$1 i
    local folder=$keys_folder/$name
    shift
    mkdir -p "$folder"
    "$marram" coordinator --listen tcp://127.0.0.1:0 --http none --state "$folder/state" "$@" 2>"$folder/log" &
    keys_pids+=($!)
    until [[ -s $folder/state/endpoint ]]; do sleep 0.01; done
    for i in 1 2; do
        "$marram" worker --coordinator "$(cat "$folder/state/endpoint")" --name "w$i" --threads 1 --direct-reads off --scratch "$folder/w$i" \
            "$@" 2>"$folder/w$i.log" &
        keys_pids+=($!)
    done
}
keyed() { "$marram" "$@" --coordinator "$(cat "$keys_folder/keyed/state/endpoint")" --keys "$keys_folder/ring"; }
bare() { "$marram" "$@" --coordinator "$(cat "$keys_folder/bare/state/endpoint")"; }
keys_down() {
    kill "${keys_pids[@]}" 2>/dev/null
    wait "${keys_pids[@]}" 2>/dev/null
    rm -rf "$keys_folder"
}

rm -rf "$keys_folder" && mkdir -p "$keys_folder"
"$marram" keys "$keys_folder/ring" >/dev/null
keys_up bare
keys_up keyed --keys "$keys_folder/ring"
if has_terasort; then
    tera "$((bytes / 4))"
    sort_keyed() { keyed submit terasort -i "$input" -o "$bench/out" --compress none --sync off; }
    sort_bare() { bare submit terasort -i "$input" -o "$bench/out" --compress none --sync off; }
    pair 'tera sort with keys' turns 2 sort_keyed sort_bare tera_is_sorted 1 "$long_rounds"
else
    missing 'tera sort with keys' 'jobs/terasort.so is not built'
fi
text "$((bytes / 4))"
wordcount_yardstick >/dev/null
count_keyed() { keyed submit wordcount -i "$input" -o "$bench/out" --sync off; }
count_bare() { bare submit wordcount -i "$input" -o "$bench/out" --sync off; }
pair 'word count with keys' turns 1.5 count_keyed count_bare wordcounts_agree 1 "$long_rounds"
text 1024
wordcount_yardstick >/dev/null
pair 'submit of 1 KiB with keys' turns 2 count_keyed count_bare wordcounts_agree 1 "$((rounds + 5))"
keys_down
