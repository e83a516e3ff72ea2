/* Bundles from a damaged disk or a foreign hand. The input is tried as it is, and again with
 * all checksums made right, so that what lies behind them is reached. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"
#include "record/bundle_format.h"
#include "record/run_format.h"

enum { PART = 1, ID = 0x5eed };

/* Rights the checksums of the blocks that a segment seems to hold; the digest of these, and
 * what they would take unpacked. */
static uint64_t seal_blocks(uint8_t *bytes, uint64_t at, uint64_t end, uint64_t *ret_raw_size)
{
    XXH3_state_t digest, state;
    struct run_block block;

    *ret_raw_size = 0;
    XXH3_64bits_reset(&digest);
    for (; end - at >= sizeof block; at += sizeof block + block.stored_size) {
        memcpy(&block, bytes + at, sizeof block);
        if (block.stored_size > end - at - sizeof block)
            break;
        XXH3_64bits_reset(&state);
        XXH3_64bits_update(&state, &block, offsetof(struct run_block, checksum));
        XXH3_64bits_update(&state, bytes + at + sizeof block, block.stored_size);
        block.checksum = XXH3_64bits_digest(&state);
        memcpy(bytes + at, &block, sizeof block);
        XXH3_64bits_update(&digest, &block.checksum, sizeof block.checksum);
        *ret_raw_size += sizeof block + block.raw_size;
    }
    return XXH3_64bits_digest(&digest);
}

/* What a writer would have made of these bytes, as far as they have the shape of a bundle. */
static void seal(uint8_t *bytes, size_t size)
{
    struct bundle_header header;
    struct bundle_trailer trailer;
    size_t index_end = size - sizeof trailer, count;
    cleanup_free struct bundle_entry *entries = NULL;

    if (size < sizeof header + sizeof trailer)
        return;
    memcpy(&header, bytes, sizeof header);
    memcpy(header.magic, bundle_header_magic, sizeof header.magic);
    header.zero = 0;
    header.part = PART;
    header.id = ID;
    memcpy(bytes, &header, sizeof header);

    memcpy(&trailer, bytes + index_end, sizeof trailer);
    memcpy(trailer.magic, bundle_trailer_magic, sizeof trailer.magic);
    trailer.count %= (index_end - sizeof header) / sizeof *entries + 1;
    count = trailer.count;
    trailer.index_offset = index_end - count * sizeof *entries;
    entries = memory_new(count * sizeof *entries);
    memcpy(entries, bytes + trailer.index_offset, count * sizeof *entries);
    for (size_t i = 0; i < count; i++)
        if (entries[i].offset >= sizeof header && entries[i].offset <= trailer.index_offset &&
            entries[i].size <= trailer.index_offset - entries[i].offset)
            entries[i].digest =
                seal_blocks(bytes, entries[i].offset, entries[i].offset + entries[i].size,
                            &entries[i].raw_size);
    memcpy(bytes + trailer.index_offset, entries, count * sizeof *entries);
    trailer.checksum = bundle_checksum(&header, entries, &trailer);
    memcpy(bytes + index_end, &trailer, sizeof trailer);
}

/* Reads a segment to its end or damage; whether it was whole. The audit says the same, but for
 * what records hold, which it does not look at. */
static void read_segment(struct run_file *run, const struct run_segment *segment)
{
    struct run_cursor *cursor = run_cursor_new(run, segment);
    struct run_audit *audit = run_audit_new(segment);
    cleanup_free char *bytes = memory_new(segment->size);
    struct mr_bytes payload;
    struct error err = {0};
    uint32_t records;
    int result, audited = 0;

    check(!run_read(run, segment, 0, bytes, segment->size, &err));
    for (uint64_t at = 0; !audited && (at < segment->size || !at);) {
        size_t n = segment->size - at < 61 ? (size_t)(segment->size - at) : 61;

        audited = run_audit_feed(audit, bytes + at, n, &err);
        at += n ? n : 1;
    }
    while ((result = run_next_block(cursor, &payload, &records, &err)) == 1)
        ;
    check(!result || (err.code == ERROR_DAMAGE && err.text[0]));
    /* The audit unpacks nothing: what passes it may still not be what it says. */
    check(result == audited || (!audited && segment->raw_size > segment->size));
    run_cursor_free(cursor);
    run_audit_free(audit);
}

static void try_bundle(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("bundle", MFD_CLOEXEC);
    const struct run_segment *segments;
    struct bundle *bundle;
    struct error err = {0};
    char path[40];
    size_t count;

    check(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (bundle_open(path, PART, ID, &bundle, &err)) {
        check(err.code == ERROR_DAMAGE && err.text[0]);
        close(fd);
        return;
    }
    segments = run_segments(bundle_run(bundle), &count);
    for (size_t i = 0; i < count && i < 50; i++)
        read_segment(bundle_run(bundle), &segments[i]);
    for (uint32_t task = 0; task < 3; task++) {
        size_t found;

        bundle_segments(bundle, task, &found);
        check(found <= count);
    }
    bundle_close(bundle);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free uint8_t *sealed = memory_new(size);

    try_bundle(data, size);
    memcpy(sealed, data, size);
    seal(sealed, size);
    try_bundle(sealed, size);
    return 0;
}
