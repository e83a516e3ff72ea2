#!/usr/bin/env bash
# Bad input gets one clear line that names the thing, the documented status, and loses nothing.
# shellcheck source=tests/lib/harness.sh
source "$(dirname "$0")/../lib/harness.sh"

unknown_option() { expect_refusal 2 '--frobnicate' "$marram" run wordcount --frobnicate -i x -o out; }
missing_argument() { expect_refusal 2 '-o' "$marram" run wordcount -i x -o; }
bad_numbers() {
    expect_refusal 2 "'many'" "$marram" run wordcount -i x -o out -r many
    expect_refusal 2 "'12Q'" "$marram" run wordcount -i x -o out --split-size 12Q
    expect_refusal 2 "'maybe'" "$marram" run wordcount -i x -o out --sync maybe
    expect_refusal 2 "'0'" "$marram" run wordcount -i x -o out --workers 0
}
what_is_missing() {
    expect_refusal 2 'no job' "$marram" run
    expect_refusal 2 'no input' "$marram" run wordcount -o out
    expect_refusal 2 'no output' "$marram" run wordcount -i x
    expect_refusal 2 "no job 'nosuchjob'" "$marram" run nosuchjob -i x -o out
    expect_refusal 2 "'fly'" "$marram" fly
}
missing_input() {
    expect_refusal 2 "$PWD/nothing" "$marram" run wordcount -i nothing -o out
    expect_refusal 2 "$PWD/*.none" "$marram" run wordcount -i '*.none' -o out
    [[ ! -e out ]]
}
unreadable_input() {
    echo x >plain
    expect_refusal 2 "$PWD/plain/below" "$marram" run wordcount -i plain/below -o out
    ln -s nowhere dangling
    expect_refusal 2 "$PWD/dangling" "$marram" run wordcount -i dangling -o out
    mkfifo pipe
    expect_refusal 2 "$PWD/pipe" "$marram" run wordcount -i pipe -o out
    [[ ! -e out ]]
}
forbidden_input() {
    ((EUID == 0)) || skip 'needs root to become somebody else'
    command -v setpriv >/dev/null || skip 'needs setpriv'
    echo x >secret
    chmod 600 secret
    # Where the project lies may be closed to others, the suppressions with it.
    export TSAN_OPTIONS=ignore_noninstrumented_modules=1
    cp -r "$marram" "$marram-executor" "$jobs" .
    chmod -R a+rX . && chmod 777 . tmp && chmod 600 secret
    expect_refusal 2 "$PWD/secret" setpriv --reuid 65534 --regid 65534 --clear-groups \
        ./marram run wordcount -i secret -o out
}
existing_output() {
    echo a >in
    mkdir out
    echo precious >out/file
    expect_refusal 2 "$PWD/out" "$marram" run wordcount -i in -o out
    [[ $(cat out/file) == precious ]]
    echo plain >out2
    expect_refusal 2 "$PWD/out2" "$marram" run wordcount -i in -o out2
    [[ $(cat out2) == plain ]]
}
overwrite() {
    echo a >in
    mkdir out
    echo old >out/part-00077
    run wordcount -i in -o out --overwrite
    [[ ! -e out/part-00077 && $(cat out/part-00000) == $'a\t1' ]]
    mkdir empty
    run wordcount -i in -o empty
    [[ -f empty/_SUCCESS ]]
}
new_parents() {
    echo a >in
    run wordcount -i in -o deep/er/out
    [[ -f deep/er/out/_SUCCESS ]]
    expect_refusal 2 "$PWD/in" "$marram" run wordcount -i in -o in/below/out
}
parameters() {
    echo a >in
    expect_refusal 2 "unknown parameter 'colour'" "$marram" run linestats -p colour=red -i in -o out
    expect_refusal 2 "field='first'" "$marram" run linestats -p field=first -i in -o out
    expect_refusal 2 "'field'" "$marram" run linestats -p field -i in -o out
    expect_refusal 2 "parameter 'pattern'" "$marram" run grep -i in -o out
    expect_refusal 2 "format 'tsv'" "$marram" run wordcount --input-format tsv -i in -o out
    [[ ! -e out ]]
}
not_a_job() {
    echo a >in
    echo 'int main' >text.so
    expect_refusal 2 "$PWD/text.so" "$marram" run ./text.so -i in -o out
    head -c 4000 "$jobs/wordcount.so" >cut.so
    expect_refusal 2 'truncated' "$marram" run ./cut.so -i in -o out
    cp "$jobs/wordcount.so" arm.so
    printf '\xb7' | dd of=arm.so bs=1 seek=18 conv=notrunc status=none
    expect_refusal 2 'aarch64' "$marram" run ./arm.so -i in -o out
    echo 'int x;' >nosymbol.c
    gcc -shared -fPIC -o nosymbol.so nosymbol.c
    expect_refusal 2 'mr_job' "$marram" run ./nosymbol.so -i in -o out
    cat >old.c <<'END'
#include <mr/job.h>
static void map(struct mr_task *t, struct mr_bytes b) { (void)t; (void)b; }
const struct mr_job mr_job = {.abi = UINT64_C(0x4d52) << 48 | UINT64_C(9) << 32 | sizeof(struct mr_job), .map = map};
END
    gcc -shared -fPIC -I"$root/mrlib/include" -o old.so old.c
    expect_refusal 2 'ABI 9' "$marram" run ./old.so -i in -o out
    expect_refusal 2 "$PWD" "$marram" run ./in -i in -o out
    expect_refusal 2 'not a regular file' "$marram" run ./tmp -i in -o out
    [[ ! -e out ]]
}
newer_fields() {
    echo a >in
    cat >job.c <<'END'
#include <mr/job.h>
static void map(struct mr_task *t, struct mr_bytes b) { (void)t; (void)b; }
static size_t group(struct mr_task *t, struct mr_bytes b) { (void)t; return b.len; }
const struct mr_job mr_job = {MR_HEADER, .name = "newer", .map = map, .EXTRA};
END
    for extra in group=group flags=2 'input=(enum mr_input)7' key=MR_I64; do
        gcc -shared -fPIC -I"$root/mrlib/include" "-DEXTRA=$extra" -o job.so job.c
        expect_status 2 "$marram" run ./job.so -i in -o out
        grep -q "${extra%%=*}" stderr || die "not named: $extra: $(cat stderr)"
    done
}
full_output_disk() {
    ((EUID == 0)) || skip 'needs root to mount a small file system'
    mkdir disk
    mount -t tmpfs -o size=1m tmpfs disk || skip 'mounting is not allowed here'
    trap 'umount "$PWD/disk"' EXIT
    awk 'BEGIN { for (i = 0; i < 400000; i++) print "word" i }' >in
    expect_status 1 "$marram" run wordcount -i in -o disk/out
    grep -q 'No space left' stderr && grep -q "$PWD/disk" stderr
    [[ -z $(ls -A disk) ]]
    expect_status 1 "$marram" run wordcount -i in -o disk
    grep -q 'No space left' stderr
    [[ -z $(ls -A disk) ]]
    echo small >in
    run wordcount -i in -o disk
    [[ -f disk/_SUCCESS && $(cat disk/part-00000) == $'small\t1' ]]
}
full_scratch_disk() {
    ((EUID == 0)) || skip 'needs root to mount a small file system'
    mkdir disk
    mount -t tmpfs -o size=1m tmpfs disk || skip 'mounting is not allowed here'
    trap 'umount "$PWD/disk"' EXIT
    awk 'BEGIN { for (i = 0; i < 400000; i++) print "word" i }' >in
    TMPDIR=$PWD/disk expect_status 1 "$marram" run wordcount -i in -o out
    grep -q 'No space left' stderr && grep -q "$PWD/disk" stderr
    [[ ! -e out && -z $(ls -A disk) ]]
}
help_and_version() {
    expect_status 0 "$marram" --help
    grep -q describe stdout
    for verb in run describe version; do
        expect_status 0 "$marram" $verb --help
        grep -q 'Usage: marram' stdout
    done
    expect_status 0 "$marram" version
    expect_status 2 "$marram"
    expect_status 0 "$marram" describe grep --json
    grep -q '"required": true' stdout
    expect_status 2 "$marram-executor"
}
json_of_a_refusal() {
    expect_status 2 "$marram" run wordcount -i nothing -o out --json
    grep -q '"state": "refused"' stdout
    grep -q '"code": "input"' stdout
}

claim 'an unknown option is named' unknown_option
claim 'an option without its argument is named' missing_argument
claim 'wrong numbers, sizes and switches are quoted' bad_numbers
claim 'what is missing is said' what_is_missing
claim 'a missing input is named' missing_input
claim 'an input that cannot be one is named' unreadable_input
claim 'an input without permission is named' forbidden_input
claim 'an existing output is refused and kept' existing_output
claim '--overwrite replaces the whole folder' overwrite
claim 'parent folders of the output are made' new_parents
claim 'wrong parameters are refused before any work' parameters
claim 'what is not a job object is refused with the reason' not_a_job
claim 'fields that this version does not support are refused by name' newer_fields
claim 'a full output disk is named, and nothing stays on it' full_output_disk
claim 'a full scratch disk is named, and nothing stays on it' full_scratch_disk
claim 'help and version say what there is' help_and_version
claim 'a refusal is JSON when asked' json_of_a_refusal
totals
