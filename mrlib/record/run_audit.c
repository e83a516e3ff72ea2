/* Checking a segment that passes by in pieces: headers are put together, payloads only hashed.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"
#include "record/run_format.h"

struct run_audit {
    struct run_segment segment;
    uint64_t fed;
    uint64_t block_at; /* where the block at hand begins, in the segment */
    uint64_t records, raw;
    struct run_block header; /* of the block at hand ... */
    size_t header_used;      /* ... as far as it has come */
    uint64_t payload;        /* bytes of it that are still to come */
    XXH3_state_t *block, *digest;
};

struct run_audit *run_audit_new(const struct run_segment *segment)
{
    struct run_audit *audit = memory_zeroed(1, sizeof *audit);

    audit->segment = *segment;
    audit->block = XXH3_createState();
    audit->digest = XXH3_createState();
    check(audit->block && audit->digest);
    XXH3_64bits_reset(audit->digest);
    return audit;
}

void run_audit_free(struct run_audit *audit)
{
    if (!audit)
        return;
    XXH3_freeState(audit->block);
    XXH3_freeState(audit->digest);
    free(audit);
}

enum { VERIFY_BYTES = 256 << 10 };

static int damaged(const struct run_audit *audit, const char *what, struct error *err)
{
    return error_set(err, ERROR_DAMAGE, "block at offset %" PRIu64 " (part %u, round %u): %s",
                     audit->segment.offset + audit->block_at, audit->segment.part,
                     audit->segment.round, what);
}

static int take_header(struct run_audit *audit, struct error *err)
{
    const struct run_block *header = &audit->header;
    const char *fault = run_block_fault(header);

    if (fault)
        return damaged(audit, fault, err);
    if (header->stored_size > audit->segment.size - audit->fed)
        return damaged(audit, "a block that is longer than its segment", err);
    if (header->part != audit->segment.part || header->round != audit->segment.round)
        return damaged(audit, "a block of another segment", err);
    audit->payload = header->stored_size;
    XXH3_64bits_reset(audit->block);
    XXH3_64bits_update(audit->block, header, offsetof(struct run_block, checksum));
    return 0;
}

static int end_block(struct run_audit *audit, struct error *err)
{
    const struct run_block *header = &audit->header;

    if (header->checksum != XXH3_64bits_digest(audit->block))
        return damaged(audit, "the checksum differs", err);
    XXH3_64bits_update(audit->digest, &header->checksum, sizeof header->checksum);
    audit->records += header->records;
    audit->raw += sizeof *header + header->raw_size;
    audit->header_used = 0;
    audit->block_at = audit->fed;
    return 0;
}

static int end_segment(struct run_audit *audit, struct error *err)
{
    if (audit->header_used)
        return damaged(audit, "the last block is cut", err);
    if (audit->records != audit->segment.records)
        return damaged(audit, "another number of records than the index says", err);
    if (audit->raw != audit->segment.raw_size)
        return damaged(audit, "another raw size than the index says", err);
    if (XXH3_64bits_digest(audit->digest) != audit->segment.digest)
        return damaged(audit, "the segment's digest differs", err);
    return 0;
}

int run_audit_feed(struct run_audit *audit, const void *bytes, size_t size, struct error *err)
{
    const char *at = bytes;

    check(size <= audit->segment.size - audit->fed);
    while (size) {
        bool in_header = audit->header_used < sizeof audit->header;
        uint64_t want = in_header ? sizeof audit->header - audit->header_used : audit->payload;
        size_t n = want < size ? (size_t)want : size;

        if (in_header) {
            memcpy((char *)&audit->header + audit->header_used, at, n);
            audit->header_used += n;
        } else {
            XXH3_64bits_update(audit->block, at, n);
            audit->payload -= n;
        }
        at += n;
        size -= n;
        audit->fed += n;
        if (in_header && audit->header_used == sizeof audit->header && take_header(audit, err))
            return -1;
        if (audit->header_used == sizeof audit->header && !audit->payload &&
            end_block(audit, err))
            return -1;
    }
    return audit->fed == audit->segment.size ? end_segment(audit, err) : 0;
}

static int verify_segment(const struct run_file *run, const struct run_segment *segment,
                          uint8_t *bytes, struct error *err)
{
    struct run_audit *audit = run_audit_new(segment);
    int result = 0;

    for (uint64_t at = 0, size; !result && at < segment->size; at += size) {
        size = segment->size - at;
        if (size > VERIFY_BYTES)
            size = VERIFY_BYTES;
        result = run_read(run, segment, at, bytes, size, err);
        if (!result)
            result = run_audit_feed(audit, bytes, size, err);
    }
    run_audit_free(audit);
    return result;
}

int run_verify_some(const struct run_file *run, const struct run_segment *segments,
                    size_t count, struct error *err)
{
    cleanup_free uint8_t *bytes = memory_new(VERIFY_BYTES);

    for (size_t i = 0; i < count; i++)
        if (verify_segment(run, &segments[i], bytes, err))
            return error_wrap(err, "read from disk, run '%s'", run_file_path(run));
    return 0;
}

int run_verify(const struct run_file *run, struct error *err)
{
    size_t count;
    const struct run_segment *segments = run_segments(run, &count);

    return run_verify_some(run, segments, count, err);
}
