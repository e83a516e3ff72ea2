#!/usr/bin/env bash
# The tera sort, from its records to the check of their order; and sorted lines.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"
no_marks=yes # of its jobs: they write their output and nothing else

# Of the first 200,000 records, made by a program in another language with numbers of 128 bits of its own: their
# SHA-256 and the sum of their CRC-32s.
known_sha=d561f27ad3faa7259ed52b1d532a776caf4a7bd288045edbbdd5146d1ead536a
known_sum=186474c982b29

# Records one to a line, in hexadecimal digits: a text that sort can read.
hex_records() { cat "$@" | od -An -v -tx1 -w100 | tr -d ' '; }

unhex() { tr a-f A-F | basenc -d --base16; }

known_records() {
    run teragen -i range:2 -o two
    hex_records two/part-* >got
    cat >want <<'END'
4a696d47726179524950001130303030303030303030303030303030303030303030303030303030303030308899aabb323232323030303032323232303030303232323230303030323232323030303032323232303030303030303031313131ccddeeff
95e0e48262b3edfe0447001130303030303030303030303030303030303030303030303030303030303030318899aabb393939393434343438383838353535354343434337373737353535353535353542424242363636363434343436363636ccddeeff
END
    expect_same got want
    for options in '-r 1' '-r 3 --threads 3 --split-size 10001' '--workers 2 --split-size 300K'; do
        # shellcheck disable=SC2086 # several words
        run teragen -i range:200000 -o tera $options --overwrite
        [[ $(cat tera/part-* | sha256sum) == "$known_sha "* ]] || die "other records with $options"
    done
}
any_row() {
    run teragen -i range:70000 -o tera -r 1
    printf '\x6f\x11\x01\0\0\0\0\0\x70\x11\1\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0' >rows
    run teragen -i rows -o some
    for row in 69999 0 1; do dd if=tera/part-00000 bs=100 skip=$row count=1 status=none; done >want
    (dd if=some/part-00000 bs=100 count=1 && dd if=some/part-00000 bs=100 skip=2 count=2) >got 2>/dev/null
    expect_same got want
}

# validate FOLDER...: what teravalidate reports, on one line.
validate() {
    run teravalidate -i "$@" -o report --overwrite --split-size "${split:-64M}"
    cat report/part-* | tr '\t\n' '  '
}
sums() {
    gcc -O2 -o valsort "$root/tests/bench/yardstick/valsort.c" -lz
    run teragen -i range:200000 -o tera -r 1
    hex_records tera/part-00000 | sort -k1.1,1.20 >lines
    # Some keys several times, in files that are empty or not.
    mkdir sorted
    : >sorted/0
    awk 'NR <= 50000 { print; if (NR % 200 == 0) { print; print } }' lines | unhex >sorted/1
    : >sorted/2
    tail -n +50000 lines | unhex >sorted/3
    ./valsort sorted/* >theirs
    read -r _ records _ unordered _ duplicates _ sum _ <theirs
    ((unordered == 0 && duplicates > 400))
    for split in 1M 99991; do
        [[ $(validate sorted) == "checksum $sum duplicates $duplicates records $records " ]] || die "$(cat theirs report/part-*)"
    done
    unhex <lines >all
    [[ $(validate all) == "checksum $known_sum duplicates 0 records 200000 " ]] || die "$(cat report/part-*)"
}
disorder() {
    run teragen -i range:3000 -o tera -r 1
    hex_records tera/part-00000 | sort -k1.1,1.20 >lines
    mkdir sorted
    head -1000 lines | unhex >sorted/a
    : >sorted/b
    tail -n +1002 lines | unhex >sorted/c
    validate sorted >/dev/null
    rm -r report
    low=$(sed -n '500s/^\(.\{20\}\).*/\1/p' lines)
    # Inside of a file, wherever the splits end.
    awk 'NR == 2000 { print kept } NR == 500 { kept = $0 } NR != 500 { print }' lines | unhex >inside
    before=$(awk 'NR == 1999 { print substr($0, 1, 20) }' lines)
    for split in 64K 199800 7000; do
        expect_refusal 1 "'$PWD/inside' is not sorted: the key at offset 199800 is $low, the one before it $before" \
            "$marram" run teravalidate -i inside -o report --split-size $split --overwrite
    done
    # From one file to the next one that is not empty.
    mv sorted/a sorted/d
    expect_refusal 1 "'$PWD/sorted/d' is not sorted: the key at offset 0 is $(head -1 lines | cut -c1-20)" \
        "$marram" run teravalidate -i sorted -o report --overwrite
    [[ ! -e report ]]
}
tera_sort() {
    run teragen -i range:60000 -o tera -r 3
    # The same again, so that equal keys are told apart by their place alone.
    mkdir in
    hex_records tera/part-* | awk '{ print } NR % 10 == 0 { kept[n++] = $0 } END { for (i in kept) print substr(kept[i], 1, 24) sprintf("%064d", i) substr(kept[i], 89) }' >lines
    unhex <lines >in/all
    sort -s -k1.1,1.20 lines >want
    for options in '-r 1' '-r 4 --threads 3 --split-size 100K' '-r 13 --workers 2 --split-size 1M' '-r 3 --memory 16M'; do
        # shellcheck disable=SC2086 # several words
        run terasort -i in -o out $options --overwrite --json >json
        hex_records out/part-* >got
        expect_same got want
        expect_counter map_input_records 66000
        expect_counter reduce_output_records 66000
    done
    [[ $(validate out) == *' duplicates 6000 records 66000 ' ]] || die "$(cat report/part-*)"
}
sorted_lines() {
    find -L /usr/share/common-licenses -type f -print0 | sort -z | xargs -0 cat >in
    printf 'no newline' >in2
    { cat in in2 && echo; } | sort >want
    for options in '-r 1' '-r 4 --threads 3 --split-size 10K' '-r 13 --workers 2 --split-size 100K' '-r 3 --memory 16M'; do
        # shellcheck disable=SC2086 # several words
        run sort -i in in2 -o out $options --overwrite
        cat out/part-* >got
        expect_same got want
    done
}
groups_in_order() {
    # 300 users, so that parts begin inside the events of one.
    awk 'BEGIN { srand(6); for (i = 0; i < 60000; i++) printf "user%d %04d\n", rand() * 300, rand() * 1000 }' >in
    sort -u in | awk '{ n[$1 " "]++ } END { for (user in n) print user "\t" n[user] }' | sort >want
    for options in '-r 1' '-r 7 --threads 3 --split-size 50K' '-r 40 --workers 2'; do
        # shellcheck disable=SC2086 # several words
        run "$testjobs/group_order.so" -i in -o out $options --overwrite --json >json
        cat out/part-* | cut -d' ' -f1,2 >got
        expect_same got want
        expect_counter reduce_input_groups 300
    done
}

claim 'teragen makes the known records, however it is cut' known_records
claim 'and any of them, in any order' any_row
claim 'teravalidate adds up what valsort does' sums
claim 'and fails with the place where the order breaks' disorder
claim 'terasort sorts as sort does, and leaves equal keys in input order' tera_sort
claim 'sort sorts lines as sort does' sorted_lines
claim 'groups in total order stay whole, and in order' groups_in_order
totals
