# From process start to exit, for an input of 1 KiB; beside it what starting a shell takes.
# shellcheck shell=bash disable=SC2154
text 1024
wordcount_yardstick >/dev/null
nothing() { sh -c true; }
pair 'run on 1 KiB' ms 40 wordcount nothing wordcounts_agree 1 "$((rounds + 5))"
