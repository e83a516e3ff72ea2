/* Blocks of runs, built record by record. */
#include "record/run_builder.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/slab.h"
#include "record/run_format.h"
#include "record/run_record.h"

enum { FIRST = 16 << 10 };

struct run_builder *run_builder_new(uint32_t value_width)
{
    struct run_builder *builder = memory_zeroed(1, sizeof *builder);

    builder->value_width = value_width;
    builder->digest = XXH3_createState();
    check(builder->digest);
    return builder;
}

static void free_bytes(struct run_builder *builder)
{
    if (builder->capacity >= SLAB_SIZE)
        slab_give(builder->bytes, builder->capacity);
    else
        free(builder->bytes);
}

void run_builder_free(struct run_builder *builder)
{
    if (!builder)
        return;
    free_bytes(builder);
    XXH3_freeState(builder->digest);
    free(builder);
}

void run_builder_pairs(struct run_builder *builder, uint64_t pairs)
{
    builder->pairs += pairs;
}

size_t run_builder_bytes(const struct run_builder *builder)
{
    return builder->used;
}

/* Large ones are slabs, whose pages were touched before. */
static void grow(struct run_builder *builder, size_t need)
{
    size_t capacity = builder->capacity ? builder->capacity : FIRST;
    char *bytes;

    while (capacity < need)
        capacity *= 2;
    bytes = capacity >= SLAB_SIZE ? slab_take(capacity) : memory_new(capacity);
    check(bytes);
    if (builder->used)
        memcpy(bytes, builder->bytes, builder->used);
    free_bytes(builder);
    builder->bytes = bytes;
    builder->capacity = capacity;
}

static void close_block(struct run_builder *builder)
{
    struct run_block header = {.magic = RUN_BLOCK_MAGIC, .records = builder->block_records};

    if (!builder->block_records)
        return;
    header.raw_size = header.stored_size = builder->used - builder->block - sizeof header;
    memcpy(builder->bytes + builder->block, &header, sizeof header);
    builder->block = builder->used;
    builder->block_records = 0;
}

/* Room for a record of at most `need` bytes. */
static inline char *begin_record(struct run_builder *builder, size_t need)
{
    if (builder->block_records &&
        builder->used - builder->block - sizeof(struct run_block) + need > LIMIT_BLOCK)
        close_block(builder);
    if (builder->used + sizeof(struct run_block) + need > builder->capacity)
        grow(builder, builder->used + sizeof(struct run_block) + need);
    if (!builder->block_records)
        builder->used = builder->block + sizeof(struct run_block);
    return builder->bytes + builder->used;
}

static inline void end_record(struct run_builder *builder, const char *end)
{
    builder->used = (size_t)(end - builder->bytes);
    builder->block_records++;
    builder->records++;
}

int run_builder_add(struct run_builder *builder, struct mr_bytes key, struct mr_bytes value,
                    struct error *err)
{
    char *at;

    if (key.len > LIMIT_RECORD || value.len > LIMIT_RECORD)
        return error_set(err, ERROR_JOB, "a %s of %zu bytes is above the limit of 1 GiB",
                         key.len > LIMIT_RECORD ? "key" : "value",
                         key.len > LIMIT_RECORD ? key.len : value.len);
    check(!builder->value_width || value.len == builder->value_width);
    at = begin_record(builder, key.len + value.len + RUN_LENGTHS_MAX);
    end_record(builder, run_encode(at, key, value, builder->value_width));
    return 0;
}

void run_builder_copy(struct run_builder *builder, struct mr_bytes record)
{
    char *at = begin_record(builder, record.len);

    run_copy(at, record.ptr, record.len);
    end_record(builder, at + record.len);
}

/* Completes a block in place; returns its size. */
static size_t seal_block(struct run_builder *builder, char *place, struct run_block *header,
                         struct packer *packer)
{
    char *payload = place + sizeof *header;
    const char *packed;
    size_t size = packer ? packer_pack(packer, payload, header->raw_size, &packed) : 0;
    XXH3_state_t state;

    if (size) {
        header->codec = packer_codec(packer);
        header->stored_size = size;
        memcpy(payload, packed, size);
    }
    header->part = builder->segment.part;
    header->round = builder->segment.round;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, header, offsetof(struct run_block, checksum));
    XXH3_64bits_update(&state, payload, header->stored_size);
    header->checksum = XXH3_64bits_digest(&state);
    XXH3_64bits_update(builder->digest, &header->checksum, sizeof header->checksum);
    memcpy(place, header, sizeof *header);
    return sizeof *header + header->stored_size;
}

uint64_t run_builder_seal(struct run_builder *builder, struct packer *packer)
{
    size_t raw, used = 0;

    close_block(builder);
    raw = builder->used;
    for (size_t at = 0; at < raw;) {
        char *place = builder->bytes + at;
        struct run_block header;
        size_t size;

        memcpy(&header, place, sizeof header);
        at += sizeof header + header.raw_size;
        size = seal_block(builder, place, &header, packer);
        if (place != builder->bytes + used)
            memmove(builder->bytes + used, place, size);
        used += size;
    }
    builder->used = used;
    return raw;
}

void run_builder_empty(struct run_builder *builder)
{
    builder->used = builder->block = 0;
    builder->block_records = 0; /* of one that was never closed */
    builder->records = builder->pairs = 0;
}
