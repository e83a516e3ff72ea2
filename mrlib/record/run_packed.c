/* Segments of compressed blocks out of ranges. What they will take is not known before: a
 * segment gathers in memory, and gets a place that fits when it is whole; one that grows large
 * gets a place as for raw blocks first, and gives back what it did not need. */
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"
#include "record/run_writer.h"

enum { GATHERED_MAX = 4 << 20 };

struct packed {
    struct run_writer *writer;
    struct packer *packer;
    struct run_segment segment; /* `size` is what has been written or gathered */
    bool placed;
    char *gathered;
    size_t used, capacity;
    XXH3_state_t digest;
};

static int write_gathered(struct packed *packed, struct error *err)
{
    struct run_segment *segment = &packed->segment;
    uint64_t at = segment->offset + segment->size - packed->used;

    if (run_write_at(packed->writer, packed->gathered, packed->used, at, err))
        return -1;
    packed->used = 0;
    return 0;
}

static void take_place(struct packed *packed, uint64_t size)
{
    if (!packed->placed)
        packed->segment.offset = run_take_place(packed->writer, size);
    packed->placed = true;
}

static void gather(struct packed *packed, const void *bytes, size_t size)
{
    memory_reserve(&packed->gathered, &packed->capacity, packed->used + size, 1);
    memcpy(packed->gathered + packed->used, bytes, size);
    packed->used += size;
    packed->segment.size += size;
}

/* The payload in one piece. */
static const char *join(struct packer *packer, const struct run_range *ranges, size_t n,
                        size_t size)
{
    char *room, *at;

    if (n == 1)
        return ranges->bytes;
    room = at = packer_room(packer, size);
    for (size_t i = 0; i < n; i++, at += ranges[i - 1].size)
        memcpy(at, ranges[i].bytes, ranges[i].size);
    return room;
}

/* A block that is too large to be packed, and to be gathered. */
static int add_large(struct packed *packed, struct run_block *header,
                     const struct run_range *range, struct error *err)
{
    struct run_segment *segment = &packed->segment;
    uint64_t size = sizeof *header + range->size;

    take_place(packed, segment->raw_size);
    run_seal_block(header, range, 1);
    XXH3_64bits_update(&packed->digest, &header->checksum, sizeof header->checksum);
    if (write_gathered(packed, err) ||
        run_write_block(packed->writer, header, range, 1, segment->offset + segment->size, err))
        return -1;
    segment->size += size;
    return 0;
}

static int add_block(struct packed *packed, struct run_block *header,
                     const struct run_range *ranges, size_t n, struct error *err)
{
    const char *raw, *small;
    size_t size;

    if (header->raw_size > LIMIT_PACKED)
        return add_large(packed, header, ranges, err);
    raw = join(packed->packer, ranges, n, header->raw_size);
    size = packer_pack(packed->packer, raw, header->raw_size, &small);
    if (size) {
        header->codec = packer_codec(packed->packer);
        header->stored_size = size;
    } else {
        small = raw;
    }
    run_seal_block(
        header, &(struct run_range){.bytes = small, .size = (uint32_t)header->stored_size}, 1);
    XXH3_64bits_update(&packed->digest, &header->checksum, sizeof header->checksum);
    gather(packed, header, sizeof *header);
    gather(packed, small, header->stored_size);
    if (packed->used < GATHERED_MAX)
        return 0;
    take_place(packed, packed->segment.raw_size);
    return write_gathered(packed, err);
}

static int add_blocks(struct packed *packed, const struct run_range *ranges, size_t count,
                      struct error *err)
{
    for (size_t i = 0, n; i < count; i += n) {
        struct run_block header;

        n = run_cut_block(ranges + i, count - i, &header);
        header.part = packed->segment.part;
        header.round = packed->segment.round;
        if (add_block(packed, &header, ranges + i, n, err))
            return -1;
    }
    return 0;
}

/* What the ranges make, uncompressed. */
static void measure(struct run_segment *segment, const struct run_range *ranges, size_t count)
{
    struct run_block header;

    for (size_t i = 0; i < count; i += run_cut_block(ranges + i, count - i, &header))
        segment->raw_size += sizeof header;
    for (size_t i = 0; i < count; i++) {
        segment->raw_size += ranges[i].size;
        segment->records += ranges[i].records;
        segment->pairs += ranges[i].pairs;
    }
}

int run_append_packed(struct run_writer *writer, uint32_t round, uint32_t part,
                      const struct run_range *ranges, size_t count, struct error *err)
{
    struct packed packed = {
        .writer = writer,
        .segment = {.round = round, .part = part, .flags = writer->shape.flags}};
    struct run_segment *segment = &packed.segment;
    int result;

    packed.packer = run_packer_take(writer);
    measure(segment, ranges, count);
    XXH3_64bits_reset(&packed.digest);
    result = add_blocks(&packed, ranges, count, err);
    if (!result) {
        bool kept = packed.placed;

        take_place(&packed, segment->size);
        result = write_gathered(&packed, err);
        if (kept)
            run_give_back(writer, segment->offset + segment->size,
                          segment->offset + segment->raw_size);
    }
    segment->digest = XXH3_64bits_digest(&packed.digest);
    if (!result)
        run_enter(writer, segment);
    free(packed.gathered);
    run_packer_give(writer, packed.packer);
    return result;
}
