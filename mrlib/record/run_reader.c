/* Reading run files: nothing that was read is believed before it is checked. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "record/run_format.h"
#include "record/run_record.h"

struct run_file {
    char *path;
    int fd;
    struct run_shape shape;
    struct run_segment *segments;
    size_t count;
    uint64_t size; /* of the file */
};

/* A window on the segment: bytes [offset, offset + used) of the file are in `bytes`. */
struct run_cursor {
    const struct run_file *run;
    struct run_segment segment;
    char *bytes;
    size_t used, capacity;
    uint64_t offset; /* of the window in the file */
    uint64_t next;   /* of the next block's header */
    uint64_t records;
    uint32_t block_records; /* left in the block */
    struct mr_bytes payload;
    uint64_t raw_size; /* of the blocks so far, headers included */
    char *unpacked;    /* the block, if it was compressed */
    size_t unpacked_capacity;
    XXH3_state_t *digest; /* apart: malloc's memory is not aligned as it must be */
};

/* Reads exactly `size` bytes. */
static int read_at(const struct run_file *run, void *bytes, size_t size, uint64_t offset,
                   struct error *err)
{
    char *at = bytes;

    while (size) {
        ssize_t n = pread(run->fd, at, size, (off_t)offset);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_IO, "read '%s'", run->path);
        if (n == 0)
            return error_set(err, ERROR_DAMAGE, "run '%s' ends at offset %" PRIu64, run->path,
                             offset);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

static int read_header(struct run_file *run, uint64_t id, struct error *err)
{
    struct run_header header;

    if (read_at(run, &header, sizeof header, 0, err))
        return -1;
    if (!memcmp(header.magic, run_header_magic, sizeof header.magic - 1) &&
        header.magic[7] != run_header_magic[7])
        return error_set(
            err, ERROR_DAMAGE, "run '%s' is of version %u of the format, this program reads %u",
            run->path, (unsigned)(uint8_t)header.magic[7], (unsigned)run_header_magic[7]);
    if (memcmp(header.magic, run_header_magic, sizeof header.magic) || header.zero ||
        header.checksum != XXH3_64bits(&header, offsetof(struct run_header, checksum)))
        return error_set(err, ERROR_DAMAGE, "run '%s': its header is damaged", run->path);
    if (header.id != id)
        return error_set(err, ERROR_DAMAGE,
                         "run '%s' is another's: id %016" PRIx64 ", not %016" PRIx64, run->path,
                         header.id, id);
    run->shape = (struct run_shape){.parts = header.parts,
                                    .flags = header.flags,
                                    .value_width = header.value_width,
                                    .id = header.id};
    return 0;
}

static bool index_makes_sense(const struct run_file *run, uint64_t index_offset)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct run_segment *segment = &run->segments[i];

        if (segment->part >= run->shape.parts || segment->offset < sizeof(struct run_header) ||
            segment->offset > index_offset || segment->size > index_offset - segment->offset ||
            segment->flags & ~(uint32_t)RUN_SORTED || run->shape.flags & ~segment->flags ||
            segment->zero || segment->raw_size < segment->size)
            return false;
    }
    return true;
}

static int compare_segments(const void *a, const void *b)
{
    const struct run_segment *x = a, *y = b;

    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return x->round < y->round ? -1 : x->round > y->round;
}

static int read_index(struct run_file *run, struct error *err)
{
    struct run_trailer trailer;
    struct stat st;
    uint64_t room;
    XXH3_state_t state;

    if (fstat(run->fd, &st))
        return error_errno(err, ERROR_IO, "stat '%s'", run->path);
    if ((uint64_t)st.st_size < sizeof(struct run_header) + sizeof trailer)
        return error_set(err, ERROR_DAMAGE, "run '%s' is cut short", run->path);
    run->size = (uint64_t)st.st_size;
    room = run->size - sizeof trailer;
    if (read_at(run, &trailer, sizeof trailer, room, err))
        return -1;
    if (memcmp(trailer.magic, run_trailer_magic, sizeof trailer.magic) ||
        trailer.id != run->shape.id || trailer.index_offset < sizeof(struct run_header) ||
        trailer.index_offset > room ||
        (room - trailer.index_offset) / sizeof *run->segments != trailer.count ||
        (room - trailer.index_offset) % sizeof *run->segments)
        return error_set(err, ERROR_DAMAGE, "run '%s': its end is damaged", run->path);
    run->count = trailer.count;
    run->segments = memory_new(run->count * sizeof *run->segments);
    if (read_at(run, run->segments, run->count * sizeof *run->segments, trailer.index_offset,
                err))
        return -1;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, run->segments, run->count * sizeof *run->segments);
    XXH3_64bits_update(&state, &trailer, offsetof(struct run_trailer, checksum));
    if (trailer.checksum != XXH3_64bits_digest(&state) ||
        !index_makes_sense(run, trailer.index_offset))
        return error_set(err, ERROR_DAMAGE, "run '%s': its index is damaged", run->path);
    if (run->count)
        qsort(run->segments, run->count, sizeof *run->segments, compare_segments);
    return 0;
}

static struct run_file *run_new(int fd, const char *path)
{
    struct run_file *run = memory_zeroed(1, sizeof *run);

    run->path = memory_text(path);
    run->fd = fd;
    return run;
}

int run_open_fd(int fd, const char *path, uint64_t id, struct run_file **ret, struct error *err)
{
    struct run_file *run = run_new(fd, path);

    if (read_header(run, id, err) || read_index(run, err)) {
        run_close(run);
        return -1;
    }
    *ret = run;
    return 0;
}

int run_open(const char *path, uint64_t id, struct run_file **ret, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, ERROR_IO, "open '%s'", path);
    return run_open_fd(fd, path, id, ret, err);
}

int run_open_segments(int fd, const char *path, const struct run_shape *shape,
                      const struct run_segment *segments, size_t count, struct run_file **ret,
                      struct error *err)
{
    struct run_file *run = run_new(fd, path);
    struct stat st;
    bool inside = true;

    run->shape = *shape;
    run->count = count;
    run->segments = memory_new(count * sizeof *segments);
    if (count)
        memcpy(run->segments, segments, count * sizeof *segments);
    if (fstat(fd, &st)) {
        error_errno(err, ERROR_IO, "stat '%s'", path);
        run_close(run);
        return -1;
    }
    for (size_t i = 0; i < count; i++)
        inside = inside && segments[i].offset <= (uint64_t)st.st_size &&
                 segments[i].size <= (uint64_t)st.st_size - segments[i].offset;
    if (!inside) {
        run_close(run);
        return error_set(err, ERROR_DAMAGE, "'%s' is shorter than its segments", path);
    }
    *ret = run;
    return 0;
}

int run_read(const struct run_file *run, const struct run_segment *segment, uint64_t from,
             void *bytes, size_t size, struct error *err)
{
    check(from <= segment->size && size <= segment->size - from);
    return read_at(run, bytes, size, segment->offset + from, err);
}

uint64_t run_file_size(const struct run_file *run)
{
    return run->size;
}

int run_file_read(const struct run_file *run, uint64_t from, void *bytes, size_t size,
                  struct error *err)
{
    check(from <= run->size && size <= run->size - from);
    return read_at(run, bytes, size, from, err);
}

void run_close(struct run_file *run)
{
    if (!run)
        return;
    if (run->fd >= 0)
        close(run->fd);
    free(run->segments);
    free(run->path);
    free(run);
}

const char *run_file_path(const struct run_file *run)
{
    return run->path;
}

const struct run_shape *run_shape(const struct run_file *run)
{
    return &run->shape;
}

const struct run_segment *run_segments(const struct run_file *run, size_t *ret_count)
{
    *ret_count = run->count;
    return run->segments;
}

/* How many segments are of parts before `part`. */
static size_t before_part(const struct run_file *run, uint64_t part)
{
    size_t low = 0, high = run->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (run->segments[middle].part < part)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct run_segment *run_part(const struct run_file *run, uint32_t part, size_t *ret_count)
{
    size_t from = before_part(run, part);

    *ret_count = before_part(run, (uint64_t)part + 1) - from;
    return run->segments + from;
}

struct run_cursor *run_cursor_new(const struct run_file *run, const struct run_segment *segment)
{
    struct run_cursor *cursor = memory_zeroed(1, sizeof *cursor);

    cursor->run = run;
    cursor->segment = *segment;
    cursor->offset = cursor->next = segment->offset;
    cursor->digest = XXH3_createState();
    check(cursor->digest);
    XXH3_64bits_reset(cursor->digest);
    return cursor;
}

void run_cursor_free(struct run_cursor *cursor)
{
    if (!cursor)
        return;
    XXH3_freeState(cursor->digest);
    free(cursor->bytes);
    free(cursor->unpacked);
    free(cursor);
}

/* Makes sure that `size` bytes from the next header on are in the window; they lie inside the
 * segment. */
static int fill(struct run_cursor *cursor, size_t size, struct error *err)
{
    uint64_t end = cursor->segment.offset + cursor->segment.size;
    size_t skip = (size_t)(cursor->next - cursor->offset), want = size;

    if (skip + size <= cursor->used)
        return 0;
    if (want < LIMIT_BLOCK + sizeof(struct run_block))
        want = LIMIT_BLOCK + sizeof(struct run_block);
    if (want > end - cursor->next)
        want = (size_t)(end - cursor->next);
    memory_reserve(&cursor->bytes, &cursor->capacity, want, 1);
    cursor->used -= skip;
    if (cursor->used)
        memmove(cursor->bytes, cursor->bytes + skip, cursor->used);
    cursor->offset = cursor->next;
    if (read_at(cursor->run, cursor->bytes + cursor->used, want - cursor->used,
                cursor->offset + cursor->used, err))
        return -1;
    cursor->used = want;
    return 0;
}

int run_cursor_damaged(const struct run_cursor *cursor, const char *what, struct error *err)
{
    return error_set(err, ERROR_DAMAGE, "run '%s' is damaged at offset %" PRIu64 ": %s",
                     cursor->run->path, cursor->next, what);
}

static int check_end(struct run_cursor *cursor, struct error *err)
{
    if (cursor->records != cursor->segment.records)
        return run_cursor_damaged(
            cursor, "the segment holds another number of records than its index says", err);
    if (cursor->raw_size != cursor->segment.raw_size)
        return run_cursor_damaged(cursor,
                                  "the segment has another raw size than its index says", err);
    if (XXH3_64bits_digest(cursor->digest) != cursor->segment.digest)
        return run_cursor_damaged(cursor, "the segment's digest differs", err);
    return 0;
}

/* The block's payload, which has been verified, as it was before it was compressed. */
static int unpack(struct run_cursor *cursor, const struct run_block *header,
                  struct mr_bytes *payload, struct error *err)
{
    if (!header->codec)
        return 0;
    memory_reserve(&cursor->unpacked, &cursor->unpacked_capacity, header->raw_size, 1);
    if (codec_unpack((enum codec)header->codec, payload->ptr, payload->len, cursor->unpacked,
                     header->raw_size))
        return run_cursor_damaged(cursor, "a compressed block makes no sense", err);
    *payload = (struct mr_bytes){cursor->unpacked, header->raw_size};
    return 0;
}

int run_next_block(struct run_cursor *cursor, struct mr_bytes *ret_payload,
                   uint32_t *ret_records, struct error *err)
{
    uint64_t left = cursor->segment.offset + cursor->segment.size - cursor->next;
    struct run_block header;
    struct mr_bytes payload;
    const char *place, *fault;
    XXH3_state_t state;

    if (!left)
        return check_end(cursor, err);
    if (left < sizeof header)
        return run_cursor_damaged(cursor, "the last block is cut", err);
    if (fill(cursor, sizeof header, err))
        return -1;
    memcpy(&header, cursor->bytes + (cursor->next - cursor->offset), sizeof header);
    fault = run_block_fault(&header);
    if (fault)
        return run_cursor_damaged(cursor, fault, err);
    if (header.stored_size > left - sizeof header)
        return run_cursor_damaged(cursor, "a block that is longer than its segment", err);
    if (fill(cursor, sizeof header + header.stored_size, err))
        return -1;
    place = cursor->bytes + (cursor->next - cursor->offset);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, place, offsetof(struct run_block, checksum));
    XXH3_64bits_update(&state, place + sizeof header, header.stored_size);
    if (header.checksum != XXH3_64bits_digest(&state))
        return run_cursor_damaged(cursor, "the checksum differs", err);
    if (header.part != cursor->segment.part || header.round != cursor->segment.round)
        return run_cursor_damaged(cursor, "a block of another segment", err);
    XXH3_64bits_update(cursor->digest, &header.checksum, sizeof header.checksum);
    payload = (struct mr_bytes){place + sizeof header, header.stored_size};
    if (unpack(cursor, &header, &payload, err))
        return -1;
    cursor->records += header.records;
    cursor->raw_size += sizeof header + header.raw_size;
    cursor->next += sizeof header + header.stored_size;
    *ret_payload = payload;
    *ret_records = header.records;
    return 1;
}

int run_next(struct run_cursor *cursor, struct mr_bytes *ret_key, struct mr_bytes *ret_value,
             struct error *err)
{
    int result;

    while (!cursor->payload.len) {
        if (cursor->block_records)
            return run_cursor_damaged(cursor, "a block holds fewer records than it says", err);
        result = run_next_block(cursor, &cursor->payload, &cursor->block_records, err);
        if (result <= 0)
            return result;
    }
    if (!cursor->block_records ||
        run_decode(&cursor->payload, cursor->run->shape.value_width, ret_key, ret_value) != 1)
        return run_cursor_damaged(cursor, "a record makes no sense", err);
    cursor->block_records--;
    return 1;
}
