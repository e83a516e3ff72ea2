/* Writing bundles: each segment has its place from the moment it is announced. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/map.h"
#include "base/memory.h"
#include "record/bundle_format.h"

/* No disk holds as much; sums of offsets do not overflow below it. */
static const uint64_t size_max = UINT64_C(1) << 60;

struct bundle_writer {
    char *path;
    int fd;
    struct bundle_header header;
    uint32_t value_width, flags;
    uint64_t end; /* of the last segment's place */
    struct bundle_entry *entries;
    struct arriving {
        uint64_t written;
        struct run_audit *audit; /* until it is whole */
    } * arriving;                /* of each segment */
    size_t count, capacity, arriving_capacity;
    struct map known; /* task and round -> index + 1 */
};

uint64_t bundle_id(const uint64_t *run_ids, size_t count)
{
    return XXH3_64bits(run_ids, count * sizeof *run_ids);
}

uint64_t bundle_checksum(const struct bundle_header *header, const struct bundle_entry *entries,
                         const struct bundle_trailer *trailer)
{
    XXH3_state_t state;

    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, header, sizeof *header);
    XXH3_64bits_update(&state, entries, trailer->count * sizeof *entries);
    XXH3_64bits_update(&state, trailer, offsetof(struct bundle_trailer, checksum));
    return XXH3_64bits_digest(&state);
}

static int write_at(struct bundle_writer *writer, const void *bytes, size_t size,
                    uint64_t offset, struct error *err)
{
    const char *at = bytes;

    while (size) {
        ssize_t n = pwrite(writer->fd, at, size, (off_t)offset);

        if (n < 0 && errno != EINTR)
            return error_scratch(err, ERROR_IO, "write '%s'", writer->path);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

int bundle_create(const char *path, uint32_t part, uint64_t id, struct bundle_writer **ret,
                  struct error *err)
{
    struct bundle_writer *writer;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_scratch(err, ERROR_IO, "create '%s'", path);
    writer = memory_zeroed(1, sizeof *writer);
    writer->path = memory_text(path);
    writer->fd = fd;
    writer->header.part = part;
    writer->header.id = id;
    memcpy(writer->header.magic, bundle_header_magic, sizeof writer->header.magic);
    writer->end = sizeof writer->header;
    if (write_at(writer, &writer->header, sizeof writer->header, 0, err)) {
        bundle_abandon(writer);
        return -1;
    }
    *ret = writer;
    return 0;
}

static void begin_audit(struct bundle_writer *writer, size_t index)
{
    const struct bundle_entry *entry = &writer->entries[index];

    run_audit_free(writer->arriving[index].audit);
    writer->arriving[index].audit = run_audit_new(&(struct run_segment){
        .round = entry->round,
        .part = writer->header.part,
        .size = entry->size,
        .records = entry->records,
        .digest = entry->digest,
        .raw_size = entry->raw_size,
    });
}

/* The index of a segment that was announced before. */
static int add_again(struct bundle_writer *writer, size_t index,
                     const struct run_segment *segment, struct error *err)
{
    const struct bundle_entry *entry = &writer->entries[index];

    if (segment->size != entry->size || segment->records != entry->records ||
        segment->pairs != entry->pairs || segment->digest != entry->digest ||
        segment->raw_size != entry->raw_size || segment->flags != entry->flags)
        return error_set(err, ERROR_DAMAGE,
                         "round %u of map task %u is not what it was a moment ago",
                         entry->round, entry->task);
    writer->arriving[index].written = 0;
    begin_audit(writer, index);
    return 0;
}

int bundle_add(struct bundle_writer *writer, uint32_t task, const struct run_segment *segment,
               const struct run_shape *shape, size_t *ret_index, struct error *err)
{
    uint64_t name = (uint64_t)task << 32 | segment->round;
    size_t known = (size_t)(uintptr_t)map_get(&writer->known, name);

    if (!writer->count) {
        writer->value_width = shape->value_width;
        writer->flags = RUN_SORTED;
    }
    if (shape->value_width != writer->value_width)
        return error_set(err, ERROR_DAMAGE, "map task %u has values of %u bytes, others of %u",
                         task, shape->value_width, writer->value_width);
    if (segment->size > size_max - writer->end)
        return error_set(err, ERROR_DAMAGE, "map task %u claims more bytes than there can be",
                         task);
    if (segment->raw_size < segment->size)
        return error_set(err, ERROR_DAMAGE, "map task %u has segments that grew", task);
    if (segment->flags & ~(uint32_t)RUN_SORTED)
        return error_set(err, ERROR_DAMAGE, "map task %u has segments of unknown flags 0x%x",
                         task, segment->flags);
    writer->flags &= segment->flags;
    if (known) {
        *ret_index = known - 1;
        return add_again(writer, known - 1, segment, err);
    }
    memory_reserve(&writer->entries, &writer->capacity, writer->count + 1,
                   sizeof *writer->entries);
    memory_reserve(&writer->arriving, &writer->arriving_capacity, writer->count + 1,
                   sizeof *writer->arriving);
    writer->entries[writer->count] = (struct bundle_entry){
        .task = task,
        .round = segment->round,
        .offset = writer->end,
        .size = segment->size,
        .records = segment->records,
        .pairs = segment->pairs,
        .digest = segment->digest,
        .raw_size = segment->raw_size,
        .flags = segment->flags,
    };
    writer->arriving[writer->count] = (struct arriving){0};
    begin_audit(writer, writer->count);
    writer->end += segment->size;
    *ret_index = writer->count++;
    map_put(&writer->known, name, (void *)(uintptr_t)writer->count);
    return 0;
}

uint64_t bundle_lacks(const struct bundle_writer *writer, size_t index)
{
    check(index < writer->count);
    return writer->entries[index].size - writer->arriving[index].written;
}

int bundle_write(struct bundle_writer *writer, size_t index, const void *bytes, size_t size,
                 struct error *err)
{
    const struct bundle_entry *entry = &writer->entries[index];
    struct arriving *arriving = &writer->arriving[index];

    if (size > bundle_lacks(writer, index))
        return error_set(err, ERROR_DAMAGE, "round %u of map task %u is longer than it says",
                         entry->round, entry->task);
    if (run_audit_feed(arriving->audit, bytes, size, err))
        return error_wrap(err, "damaged on the way here, map task %u", entry->task);
    if (write_at(writer, bytes, size, entry->offset + arriving->written, err))
        return -1;
    arriving->written += size;
    if (arriving->written == entry->size) {
        run_audit_free(arriving->audit);
        arriving->audit = NULL;
    }
    return 0;
}

static void writer_free(struct bundle_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    map_done(&writer->known);
    free(writer->entries);
    for (size_t i = 0; i < writer->count; i++)
        run_audit_free(writer->arriving[i].audit);
    free(writer->arriving);
    free(writer->path);
    free(writer);
}

static int write_end(struct bundle_writer *writer, struct error *err)
{
    struct bundle_trailer trailer = {.index_offset = writer->end,
                                     .count = writer->count,
                                     .value_width = writer->value_width,
                                     .flags = writer->flags};
    size_t index = writer->count * sizeof *writer->entries;

    for (size_t i = 0; i < writer->count; i++)
        if (bundle_lacks(writer, i))
            return error_set(err, ERROR_DAMAGE, "round %u of map task %u did not come whole",
                             writer->entries[i].round, writer->entries[i].task);
    trailer.checksum = bundle_checksum(&writer->header, writer->entries, &trailer);
    memcpy(trailer.magic, bundle_trailer_magic, sizeof trailer.magic);
    return write_at(writer, writer->entries, index, writer->end, err) ||
           write_at(writer, &trailer, sizeof trailer, writer->end + index, err);
}

int bundle_finish(struct bundle_writer *writer, struct error *err)
{
    int fd = writer->fd;

    if (write_end(writer, err)) {
        bundle_abandon(writer);
        return -1;
    }
    writer->fd = -1;
    if (close(fd)) {
        error_scratch(err, ERROR_IO, "close '%s'", writer->path);
        bundle_abandon(writer);
        return -1;
    }
    writer_free(writer);
    return 0;
}

void bundle_abandon(struct bundle_writer *writer)
{
    if (!writer)
        return;
    unlink(writer->path);
    writer_free(writer);
}
