/* Writing run files: blocks are built in memory, checked and appended; the index comes last. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "record/run_format.h"

/* Blocks lie one behind the other in `bytes`, each with room for its header in front. */
struct run_builder {
    uint32_t value_width;
    char *bytes;
    size_t used, capacity;
    size_t block; /* where the open block begins */
    uint32_t block_records;
    uint64_t records, pairs;
};

struct run_writer {
    char *path;
    int fd;
    struct run_shape shape;
    uint64_t offset;
    struct run_segment *segments;
    size_t count, capacity;
    bool open; /* the last segment may grow */
    XXH3_state_t *digest;
};

struct run_builder *run_builder_new(uint32_t value_width)
{
    struct run_builder *builder = memory_zeroed(1, sizeof *builder);

    builder->value_width = value_width;
    return builder;
}

void run_builder_free(struct run_builder *builder)
{
    if (!builder)
        return;
    free(builder->bytes);
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

static char *put_varint(char *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (char)(value | 0x80);
    *at++ = (char)value;
    return at;
}

int run_builder_add(struct run_builder *builder, struct mr_bytes key, struct mr_bytes value,
                    struct error *err)
{
    size_t need = key.len + value.len + 20;
    char *at;

    if (key.len > LIMIT_RECORD || value.len > LIMIT_RECORD)
        return error_set(err, ERROR_JOB, "a %s of %zu bytes is above the limit of 1 GiB",
                         key.len > LIMIT_RECORD ? "key" : "value",
                         key.len > LIMIT_RECORD ? key.len : value.len);
    check(!builder->value_width || value.len == builder->value_width);
    if (builder->block_records &&
        builder->used - builder->block - sizeof(struct run_block) + need > LIMIT_BLOCK)
        close_block(builder);
    if (builder->used + sizeof(struct run_block) + need > builder->capacity)
        memory_reserve(&builder->bytes, &builder->capacity,
                       builder->used + sizeof(struct run_block) + need, 1);
    if (!builder->block_records)
        builder->used = builder->block + sizeof(struct run_block);
    at = put_varint(builder->bytes + builder->used, key.len);
    if (!builder->value_width)
        at = put_varint(at, value.len);
    if (key.len)
        memcpy(at, key.ptr, key.len);
    if (value.len)
        memcpy(at + key.len, value.ptr, value.len);
    builder->used = (size_t)(at - builder->bytes) + key.len + value.len;
    builder->block_records++;
    builder->records++;
    return 0;
}

static int write_all(struct run_writer *writer, const void *bytes, size_t size,
                     struct error *err)
{
    const char *at = bytes;

    while (size) {
        ssize_t n = write(writer->fd, at, size);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_IO, "write '%s'", writer->path);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
            writer->offset += (uint64_t)n;
        }
    }
    return 0;
}

int run_create(const char *path, const struct run_shape *shape, struct run_writer **ret,
               struct error *err)
{
    struct run_writer *writer = memory_zeroed(1, sizeof *writer);
    struct run_header header = {.parts = shape->parts,
                                .flags = shape->flags,
                                .value_width = shape->value_width,
                                .id = shape->id};

    writer->path = memory_text(path);
    writer->shape = *shape;
    writer->digest = XXH3_createState();
    check(writer->digest);
    memcpy(header.magic, run_header_magic, sizeof header.magic);
    header.checksum = XXH3_64bits(&header, offsetof(struct run_header, checksum));
    writer->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (writer->fd < 0) {
        error_errno(err, ERROR_IO, "create '%s'", path);
        free(writer->path);
        XXH3_freeState(writer->digest);
        free(writer);
        return -1;
    }
    if (write_all(writer, &header, sizeof header, err)) {
        run_abandon(writer);
        return -1;
    }
    *ret = writer;
    return 0;
}

/* Completes the headers of all blocks: where they belong, and their checksums. */
static void seal_blocks(struct run_builder *builder, uint32_t round, uint32_t part,
                        XXH3_state_t *digest)
{
    for (size_t at = 0; at < builder->used;) {
        char *place = builder->bytes + at;
        struct run_block header;
        XXH3_state_t state;

        memcpy(&header, place, sizeof header);
        header.part = part;
        header.round = round;
        XXH3_64bits_reset(&state);
        XXH3_64bits_update(&state, &header, offsetof(struct run_block, checksum));
        XXH3_64bits_update(&state, place + sizeof header, header.stored_size);
        header.checksum = XXH3_64bits_digest(&state);
        XXH3_64bits_update(digest, &header.checksum, sizeof header.checksum);
        memcpy(place, &header, sizeof header);
        at += sizeof header + header.stored_size;
    }
}

int run_append(struct run_writer *writer, uint32_t round, uint32_t part,
               struct run_builder *builder, bool last, struct error *err)
{
    struct run_segment *segment;
    int result;

    check(part < writer->shape.parts && builder->value_width == writer->shape.value_width);
    if (!writer->open) {
        memory_reserve(&writer->segments, &writer->capacity, writer->count + 1,
                       sizeof *writer->segments);
        writer->segments[writer->count++] = (struct run_segment){.round = round,
                                                                 .part = part,
                                                                 .offset = writer->offset,
                                                                 .flags = writer->shape.flags};
        XXH3_64bits_reset(writer->digest);
    }
    segment = &writer->segments[writer->count - 1];
    check(segment->round == round && segment->part == part);
    close_block(builder);
    seal_blocks(builder, round, part, writer->digest);
    result = write_all(writer, builder->bytes, builder->used, err);
    segment->records += builder->records;
    segment->pairs += builder->pairs;
    segment->size = writer->offset - segment->offset;
    segment->digest = XXH3_64bits_digest(writer->digest);
    writer->open = !last;
    builder->used = builder->block = 0;
    builder->records = builder->pairs = 0;
    return result;
}

uint64_t run_written(const struct run_writer *writer)
{
    return writer->offset;
}

static void writer_free(struct run_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    XXH3_freeState(writer->digest);
    free(writer->segments);
    free(writer->path);
    free(writer);
}

int run_finish(struct run_writer *writer, bool sync, uint64_t *ret_size, struct error *err)
{
    struct run_trailer trailer = {
        .index_offset = writer->offset, .count = writer->count, .id = writer->shape.id};
    XXH3_state_t state;
    int fd;

    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, writer->segments, writer->count * sizeof *writer->segments);
    XXH3_64bits_update(&state, &trailer, offsetof(struct run_trailer, checksum));
    trailer.checksum = XXH3_64bits_digest(&state);
    memcpy(trailer.magic, run_trailer_magic, sizeof trailer.magic);
    if (write_all(writer, writer->segments, writer->count * sizeof *writer->segments, err) ||
        write_all(writer, &trailer, sizeof trailer, err)) {
        run_abandon(writer);
        return -1;
    }
    *ret_size = writer->offset;
    fd = writer->fd;
    writer->fd = -1;
    if ((sync && fsync(fd)) || close(fd)) {
        error_errno(err, ERROR_IO, "close '%s'", writer->path);
        unlink(writer->path);
        writer_free(writer);
        return -1;
    }
    writer_free(writer);
    return 0;
}

void run_abandon(struct run_writer *writer)
{
    if (!writer)
        return;
    unlink(writer->path);
    writer_free(writer);
}
