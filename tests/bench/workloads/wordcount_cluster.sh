# Word count on clusters of processes, from submit to result, as `run` does it: not flushed to disk. Two workers of one
# thread beside the yardstick, and beside one worker of two threads.
# shellcheck shell=bash disable=SC2154
text "$bytes"
on_two() { on two submit wordcount -i "$input" -o "$bench/out" --sync off; }
on_one() { on one submit wordcount -i "$input" -o "$bench/out" --sync off; }
cluster_up two 2 1
cluster_up one 1 2
pair 'word count on a cluster' ratio 2.3 on_two wordcount_yardstick wordcounts_agree
pair 'two workers beside one' turns 1.15 on_two on_one wordcounts_agree
