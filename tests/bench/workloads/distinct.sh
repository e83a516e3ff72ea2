# Word count where no word comes twice: nothing folds, four times the memory's size goes to disk and back.
# shellcheck shell=bash disable=SC2154
budget=$((bytes > 67108864 ? bytes / 4 : 16777216))
words=$((bytes / 17))
input=$bench/distinct.$bytes
made "$input" gendistinct make @ "$words"
each_is_there_once() { "$yardsticks/gendistinct" check "$words" "$bench"/out/part-* 2>>"$bench/log"; }
peaked 'distinct words, memory' "$(bound "$budget")" each_is_there_once \
    "$marram" run wordcount -i "$input" -o "$bench/out" --memory "$budget"
rm -f "$input"
