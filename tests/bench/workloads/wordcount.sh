# Word count of Zipf text: time beside the yardstick's, and memory.
# shellcheck shell=bash disable=SC2154
text "$bytes"
pair 'word count' ratio 2.0 wordcount wordcount_yardstick wordcounts_agree
peaked 'word count, memory' 512 wordcounts_agree "$marram" run wordcount -i "$input" -o "$bench/out"
