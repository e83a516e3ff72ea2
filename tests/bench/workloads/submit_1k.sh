# From the client's start to its end, on a cluster that is warm, with the output flushed to disk as it is by default.
# shellcheck shell=bash disable=SC2154
text 1024
wordcount_yardstick >/dev/null
nothing() { sh -c true; }
submit_small() { on small submit wordcount -i "$input" -o "$bench/out"; }
cluster_up small 2 1
pair 'submit of 1 KiB' ms 20 submit_small nothing wordcounts_agree 1 "$((rounds + 5))"
