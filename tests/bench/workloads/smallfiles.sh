# Word count of many files of 1 KiB. Beside it cat reads them, which has to open each as well.
# shellcheck shell=bash disable=SC2154
files=${BENCH_FILES:-100000}
text $((files * 1024))
folder=$bench/small.$files
mkdir -p "$folder"
[[ $(find "$folder" -type f | wc -l) == "$files" ]] || split -b 1024 -a 6 -d "$input" "$folder/f"
# A word that stands across the end of a file is two: what is counted is what awk sees between the files.
find "$folder" -type f | sort | xargs -n 1000 awk 1 >"$bench/joined"
input=$bench/joined
wordcount_yardstick >/dev/null
input=$folder
read_all() { find "$folder" -type f -print0 | xargs -0 -n 1000 cat; }
pair 'many small files' ms 20000 wordcount read_all wordcounts_agree 1 "$long_rounds"
rm -rf "$folder" "$bench/joined"
