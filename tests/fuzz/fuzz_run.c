/* Run files from a damaged disk or a foreign hand. The input is tried as it is, and again with
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
#include "base/limits.h"
#include "base/memory.h"
#include "record/run_format.h"
#include "record/run_record.h"

enum { ID = 0x5eed };

static uint64_t hash(const void *a, size_t a_size, const void *b, size_t b_size)
{
    XXH3_state_t state;

    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, a, a_size);
    XXH3_64bits_update(&state, b, b_size);
    return XXH3_64bits_digest(&state);
}

/* Rights the checksums of the blocks that a segment seems to hold; the digest of these, and
 * what they would take unpacked. */
static uint64_t seal_blocks(uint8_t *bytes, uint64_t at, uint64_t end, uint64_t *ret_raw_size)
{
    XXH3_state_t digest;
    struct run_block block;

    *ret_raw_size = 0;
    XXH3_64bits_reset(&digest);
    for (; end - at >= sizeof block; at += sizeof block + block.stored_size) {
        memcpy(&block, bytes + at, sizeof block);
        if (block.stored_size > end - at - sizeof block)
            break;
        block.checksum = hash(&block, offsetof(struct run_block, checksum),
                              bytes + at + sizeof block, block.stored_size);
        memcpy(bytes + at, &block, sizeof block);
        XXH3_64bits_update(&digest, &block.checksum, sizeof block.checksum);
        *ret_raw_size += sizeof block + block.raw_size;
    }
    return XXH3_64bits_digest(&digest);
}

/* What a writer would have made of these bytes, as far as they have the shape of a run. */
static void seal(uint8_t *bytes, size_t size)
{
    struct run_header header;
    struct run_trailer trailer;
    struct run_segment segment;
    size_t index_end = size - sizeof trailer;

    if (size < sizeof header + sizeof trailer)
        return;
    memcpy(&header, bytes, sizeof header);
    memcpy(header.magic, run_header_magic, sizeof header.magic);
    header.zero = 0;
    header.id = ID;
    header.checksum = XXH3_64bits(&header, offsetof(struct run_header, checksum));
    memcpy(bytes, &header, sizeof header);

    memcpy(&trailer, bytes + index_end, sizeof trailer);
    memcpy(trailer.magic, run_trailer_magic, sizeof trailer.magic);
    trailer.id = ID;
    trailer.count %= (index_end - sizeof header) / sizeof segment + 1;
    trailer.index_offset = index_end - trailer.count * sizeof segment;
    for (uint64_t at = trailer.index_offset; at < index_end; at += sizeof segment) {
        memcpy(&segment, bytes + at, sizeof segment);
        if (segment.offset >= sizeof header && segment.offset <= trailer.index_offset &&
            segment.size <= trailer.index_offset - segment.offset)
            segment.digest = seal_blocks(bytes, segment.offset, segment.offset + segment.size,
                                         &segment.raw_size);
        memcpy(bytes + at, &segment, sizeof segment);
    }
    trailer.checksum = hash(bytes + trailer.index_offset, index_end - trailer.index_offset,
                            &trailer, offsetof(struct run_trailer, checksum));
    memcpy(bytes + index_end, &trailer, sizeof trailer);
}

static volatile uint64_t sink;

static void touch(struct mr_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        sink += (uint8_t)bytes.ptr[i];
}

/* Reads a segment to its end or damage, by records or by blocks; the number of records, or -1.
 */
static int64_t read_segment(struct run_file *run, const struct run_segment *segment,
                            bool by_blocks)
{
    struct run_cursor *cursor = run_cursor_new(run, segment);
    struct mr_bytes key, value, payload;
    struct error err = {0};
    uint32_t records;
    uint64_t count = 0;
    int result;

    if (by_blocks) {
        while ((result = run_next_block(cursor, &payload, &records, &err)) == 1) {
            touch(payload);
            while ((result = run_decode(&payload, run_shape(run)->value_width, &key, &value)) ==
                   1)
                count++;
            if (result < 0)
                break;
        }
    } else {
        while ((result = run_next(cursor, &key, &value, &err)) == 1) {
            touch(key);
            touch(value);
            count++;
        }
        check(!result || (err.code == ERROR_DAMAGE && err.text[0]));
        check(result || count == segment->records);
    }
    run_cursor_free(cursor);
    return result ? -1 : (int64_t)count;
}

static void try_run(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("run", MFD_CLOEXEC);
    const struct run_segment *segments;
    struct run_file *run;
    struct error err = {0};
    char path[40];
    size_t count;

    check(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (run_open(path, ID, &run, &err)) {
        check(err.code == ERROR_DAMAGE && err.text[0]);
        close(fd);
        return;
    }
    segments = run_segments(run, &count);
    for (size_t i = 0; i < count && i < 50; i++) {
        int64_t by_records = read_segment(run, &segments[i], false);
        int64_t by_blocks = read_segment(run, &segments[i], true);

        check(segments[i].part < run_shape(run)->parts);
        /* Records are counted block by block: what passes there passes here. */
        check(by_records < 0 || by_records == by_blocks);
    }
    run_close(run);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free uint8_t *sealed = memory_new(size);

    try_run(data, size);
    memcpy(sealed, data, size);
    seal(sealed, size);
    try_run(sealed, size);
    return 0;
}
