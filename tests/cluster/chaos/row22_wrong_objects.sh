#!/usr/bin/env bash
# Row 22: a job object of another ABI or machine, a truncated one, one without the symbol. Refused at submit with the
# precise reason, before any work; the cluster goes on. MARRAM_FULL=1 cuts an object at a thousand places.
# shellcheck source=tests/cluster/chaos/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/lib/faults.sh
source "$root/tests/lib/faults.sh"

# refused FILE REASON: by both ways to hand a job over, in one line with the path; nothing of it stays.
refused() {
    expect_refusal 2 "'$PWD/$1' is not a job object: $2" "$marram" submit "./$1" -i in -o out
    expect_refusal 2 "'$PWD/$1' is not a job object: $2" "$marram" run "./$1" -i in -o out
    [[ ! -e out && -z $(ls -d out.marram-* 2>/dev/null) ]] || die "$1: there is an output"
}
# poke FILE OFFSET BYTES: a copy of an object that is good but for these.
poke() {
    cp "$jobs/wordcount.so" "$1"
    printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
expect_header() { readelf -h "$1" 2>/dev/null | grep -q "$2" || die "$1 is not what it should be: $(readelf -h "$1" 2>&1)"; }
# Nothing was taken, nobody lost, and the next job runs.
expect_no_trace() {
    [[ $("$marram" jobs --json | grep -c '"id"') == 0 ]] || die "there are jobs: $("$marram" jobs)"
    worker_lives_on
}

other_machines() {
    sample
    cluster_up 1
    poke arm.so 18 '\xb7'
    expect_header arm.so AArch64
    refused arm.so 'it is for aarch64, this host is x86-64'
    poke riscv.so 18 '\xf3'
    expect_header riscv.so RISC-V
    refused riscv.so 'it is for risc-v, this host is x86-64'
    poke narrow.so 4 '\x01'
    expect_header narrow.so ELF32
    refused narrow.so 'it is for a machine of 32 bits or of the other byte order'
    poke big.so 5 '\x02'
    expect_header big.so 'big endian'
    refused big.so 'it is for a machine of 32 bits or of the other byte order'
    expect_no_trace
    cluster_down
}

# of_abi FILE ABI SIZE: an object that says it was built for that.
of_abi() {
    cat >job.c <<'END'
#include <mr/job.h>
static void map(struct mr_task *t, struct mr_bytes b) { (void)t; (void)b; }
const struct mr_job mr_job = {.abi = UINT64_C(0x4d52) << 48 | (uint64_t)ABI << 32 | (SIZE), .name = "x", .map = map};
END
    gcc -shared -fPIC -I"$root/mrlib/include" "-DABI=$2" "-DSIZE=$3" -o "$1" job.c
}
other_abis() {
    sample
    cluster_up 1
    of_abi newer.so 9 'sizeof(struct mr_job)'
    refused newer.so 'it is built for job ABI 9, this Marram knows 1'
    of_abi none.so 0 'sizeof(struct mr_job)'
    refused none.so 'it is built for job ABI 0, this Marram knows 1'
    of_abi large.so 1 4095
    refused large.so 'its mr_job says that it has 4095 bytes'
    # The same source is a job when it says what is true.
    of_abi good.so 1 'sizeof(struct mr_job)'
    run ./good.so -i in -o good
    expect_no_trace
    cluster_down
}

without_the_symbol() {
    sample
    cluster_up 1
    echo 'int x;' >x.c
    gcc -shared -fPIC -o none.so x.c
    refused none.so "it exports no constant \`mr_job\`"
    echo 'extern int mr_job; int *p(void) { return &mr_job; }' >x.c
    gcc -shared -fPIC -o wanted.so x.c
    nm -D wanted.so | grep -q 'U mr_job' || die 'the symbol is there'
    refused wanted.so "it exports no constant \`mr_job\`"
    echo 'int mr_job(void) { return 0; }' >x.c
    gcc -shared -fPIC -o function.so x.c
    refused function.so 'its mr_job is no initialised constant'
    gcc -c -fPIC -o object.so x.c
    refused object.so 'it is no shared object (compile it with cc -shared -fPIC)'
    echo 'a text' >text.so
    refused text.so 'it is no ELF file (compile it with cc -shared -fPIC)'
    : >empty.so
    refused empty.so 'it is no ELF file (compile it with cc -shared -fPIC)'
    expect_no_trace
    cluster_down
}

truncated() {
    local size step n
    sample
    size=$(stat -c %s "$jobs/wordcount.so")
    step=$((size / 20))
    [[ -z ${MARRAM_FULL:-} ]] || step=$((size / 1000))
    cluster_up 1
    head -c 4000 "$jobs/wordcount.so" >cut.so
    refused cut.so 'it is truncated: a segment ends at byte'
    head -c 63 "$jobs/wordcount.so" >cut.so
    refused cut.so 'it is truncated in its header'
    head -c $((size - 1)) "$jobs/wordcount.so" >cut.so
    refused cut.so 'it is truncated: its section headers are missing'
    for ((n = 16; n < size; n += step)); do
        head -c "$n" "$jobs/wordcount.so" >cut.so
        expect_refusal 2 "'$PWD/cut.so' is not a job object: it is truncated" "$marram" submit ./cut.so -i in -o out
    done
    expect_no_trace
    cluster_down
}

claim 'for another machine: refused, and the machine named' other_machines
claim 'for another ABI: refused, and both versions named' other_abis
claim 'without the symbol, or no object at all: refused with what is missing' without_the_symbol
claim 'truncated: refused, and where it ends is said' truncated
totals
