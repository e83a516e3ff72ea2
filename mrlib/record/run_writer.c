/* Writing run files. Each segment gets its place in the file from one atomic counter, and is
 * written there by its own thread; the writer is locked only while the index grows. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "record/run_builder.h"
#include "record/run_writer.h"

enum { IOVECS = 512 }; /* a call of pwritev: below IOV_MAX */

int run_write_pieces(struct run_writer *writer, struct iovec *pieces, int count,
                     uint64_t offset, struct error *err)
{
    while (count) {
        ssize_t n = pwritev(writer->fd, pieces, count, (off_t)offset);

        if (n < 0 && errno != EINTR)
            return error_scratch(err, ERROR_IO, "write '%s'", writer->path);
        if (n > 0) {
            offset += (uint64_t)n;
            atomic_fetch_add(&writer->written, (uint64_t)n);
        }
        for (; count && n >= (ssize_t)pieces->iov_len; pieces++, count--)
            n -= (ssize_t)pieces->iov_len;
        if (count && n > 0) {
            pieces->iov_base = (char *)pieces->iov_base + n;
            pieces->iov_len -= (size_t)n;
        }
    }
    return 0;
}

int run_write_at(struct run_writer *writer, const void *bytes, size_t size, uint64_t offset,
                 struct error *err)
{
    struct iovec piece = {(void *)(uintptr_t)bytes, size};

    return size ? run_write_pieces(writer, &piece, 1, offset, err) : 0;
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
    atomic_init(&writer->offset, sizeof header);
    pthread_mutex_init(&writer->lock, NULL);
    memcpy(header.magic, run_header_magic, sizeof header.magic);
    header.checksum = XXH3_64bits(&header, offsetof(struct run_header, checksum));
    writer->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (writer->fd < 0) {
        error_scratch(err, ERROR_IO, "create '%s'", path);
        pthread_mutex_destroy(&writer->lock);
        free(writer->path);
        free(writer);
        return -1;
    }
    if (run_write_at(writer, &header, sizeof header, 0, err)) {
        run_abandon(writer);
        return -1;
    }
    *ret = writer;
    return 0;
}

void run_keep_only(struct run_writer *writer, uint32_t part)
{
    writer->keeps_only = true;
    writer->kept = part;
}

static bool is_left_out(const struct run_writer *writer, uint32_t part)
{
    return writer->keeps_only && part != writer->kept;
}

uint64_t run_take_place(struct run_writer *writer, uint64_t size)
{
    return atomic_fetch_add(&writer->offset, size);
}

void run_give_back(struct run_writer *writer, uint64_t used_end, uint64_t place_end)
{
    atomic_compare_exchange_strong(&writer->offset, &place_end, used_end);
}

void run_enter(struct run_writer *writer, const struct run_segment *segment)
{
    pthread_mutex_lock(&writer->lock);
    memory_reserve(&writer->segments, &writer->capacity, writer->count + 1,
                   sizeof *writer->segments);
    writer->segments[writer->count] = *segment;
    /* Behind nothing, the place before may yet be given back. */
    if (!segment->size)
        writer->segments[writer->count].offset = sizeof(struct run_header);
    writer->count++;
    pthread_mutex_unlock(&writer->lock);
}

struct packer *run_packer_take(struct run_writer *writer)
{
    struct packer *packer = NULL;

    if (!writer->shape.compression.codec)
        return NULL;
    pthread_mutex_lock(&writer->lock);
    if (writer->packer_count)
        packer = writer->packers[--writer->packer_count];
    pthread_mutex_unlock(&writer->lock);
    return packer ? packer : packer_new(writer->shape.compression);
}

void run_packer_give(struct run_writer *writer, struct packer *packer)
{
    if (!packer)
        return;
    pthread_mutex_lock(&writer->lock);
    memory_reserve(&writer->packers, &writer->packer_capacity, writer->packer_count + 1,
                   sizeof(struct packer *));
    writer->packers[writer->packer_count++] = packer;
    pthread_mutex_unlock(&writer->lock);
}

/* ---- From builders ---- */

static void open_segment(struct run_writer *writer, struct run_builder *builder, uint32_t round,
                         uint32_t part, uint32_t flags)
{
    check(part < writer->shape.parts && builder->value_width == writer->shape.value_width &&
          !builder->open);
    builder->segment = (struct run_segment){.round = round, .part = part, .flags = flags};
    builder->open = true;
    builder->room = 0;
    XXH3_64bits_reset(builder->digest);
}

void run_reserve(struct run_writer *writer, struct run_builder *builder, uint32_t round,
                 uint32_t part, uint32_t flags, uint64_t payload)
{
    /* Of two blocks that follow each other, one is more than half full, but for those that an
     * append cuts short. */
    uint64_t blocks = 4 * (payload / LIMIT_BLOCK) + 8;

    if (is_left_out(writer, part))
        return;
    open_segment(writer, builder, round, part, flags | writer->shape.flags);
    builder->room = payload + blocks * sizeof(struct run_block);
    builder->segment.offset = run_take_place(writer, builder->room);
}

/* Where the next `size` bytes of the builder's segment go. */
static uint64_t place_of(struct run_writer *writer, struct run_builder *builder, uint64_t size)
{
    struct run_segment *segment = &builder->segment;
    uint64_t end = segment->offset + segment->size, place;

    if (builder->room) {
        check(segment->size + size <= builder->room);
        return end;
    }
    place = run_take_place(writer, size);
    if (!segment->offset)
        segment->offset = end = place;
    check(place == end); /* or another's segment came in between */
    return place;
}

int run_append(struct run_writer *writer, uint32_t round, uint32_t part,
               struct run_builder *builder, bool last, struct error *err)
{
    struct run_segment *segment = &builder->segment;
    struct packer *packer;
    int result;

    if (is_left_out(writer, part)) {
        run_builder_empty(builder);
        return 0;
    }
    if (!builder->open)
        open_segment(writer, builder, round, part, writer->shape.flags);
    check(segment->round == round && segment->part == part);
    packer = run_packer_take(writer);
    segment->raw_size += run_builder_seal(builder, packer);
    run_packer_give(writer, packer);
    result = run_write_at(writer, builder->bytes, builder->used,
                          place_of(writer, builder, builder->used), err);
    segment->size += builder->used;
    segment->records += builder->records;
    segment->pairs += builder->pairs;
    run_builder_empty(builder);
    if (last && !result) {
        if (builder->room)
            run_give_back(writer, segment->offset + segment->size,
                          segment->offset + builder->room);
        segment->digest = XXH3_64bits_digest(builder->digest);
        run_enter(writer, segment);
    }
    builder->open = !last && !result;
    return result;
}

/* ---- From where records lie ---- */

size_t run_cut_block(const struct run_range *ranges, size_t count, struct run_block *ret)
{
    size_t n = 0;

    *ret = (struct run_block){.magic = RUN_BLOCK_MAGIC};
    for (; n < count && (!n || ret->raw_size + ranges[n].size <= LIMIT_BLOCK); n++) {
        ret->raw_size += ranges[n].size;
        ret->records += ranges[n].records;
    }
    ret->stored_size = ret->raw_size;
    return n;
}

void run_seal_block(struct run_block *header, const struct run_range *ranges, size_t n)
{
    XXH3_state_t state;

    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, header, offsetof(struct run_block, checksum));
    for (size_t i = 0; i < n; i++)
        XXH3_64bits_update(&state, ranges[i].bytes, ranges[i].size);
    header->checksum = XXH3_64bits_digest(&state);
}

/* While what the checksum read is still in the caches. */
int run_write_block(struct run_writer *writer, struct run_block *header,
                    const struct run_range *ranges, size_t n, uint64_t offset,
                    struct error *err)
{
    struct iovec pieces[IOVECS];
    int used = 1;
    uint64_t size = sizeof *header;

    pieces[0] = (struct iovec){header, sizeof *header};
    for (size_t i = 0; i < n; i++) {
        if (used == IOVECS) {
            if (run_write_pieces(writer, pieces, used, offset, err))
                return -1;
            offset += size;
            size = 0;
            used = 0;
        }
        pieces[used++] = (struct iovec){(void *)(uintptr_t)ranges[i].bytes, ranges[i].size};
        size += ranges[i].size;
    }
    return run_write_pieces(writer, pieces, used, offset, err);
}

int run_append_ranges(struct run_writer *writer, uint32_t round, uint32_t part,
                      const struct run_range *ranges, size_t count, struct error *err)
{
    struct run_segment segment = {.round = round, .part = part, .flags = writer->shape.flags};
    struct run_block header;
    XXH3_state_t digest;
    uint64_t at;

    check(part < writer->shape.parts);
    if (is_left_out(writer, part))
        return 0;
    if (writer->shape.compression.codec)
        return run_append_packed(writer, round, part, ranges, count, err);
    for (size_t i = 0; i < count; i += run_cut_block(ranges + i, count - i, &header))
        segment.size += sizeof header;
    for (size_t i = 0; i < count; i++) {
        segment.size += ranges[i].size;
        segment.records += ranges[i].records;
        segment.pairs += ranges[i].pairs;
    }
    segment.raw_size = segment.size;
    segment.offset = at = run_take_place(writer, segment.size);
    XXH3_64bits_reset(&digest);
    for (size_t i = 0, n; i < count; i += n) {
        n = run_cut_block(ranges + i, count - i, &header);
        header.part = part;
        header.round = round;
        run_seal_block(&header, ranges + i, n);
        XXH3_64bits_update(&digest, &header.checksum, sizeof header.checksum);
        if (run_write_block(writer, &header, ranges + i, n, at, err))
            return -1;
        at += sizeof header + header.stored_size;
    }
    segment.digest = XXH3_64bits_digest(&digest);
    run_enter(writer, &segment);
    return 0;
}

/* ---- The end ---- */

bool run_packs(const struct run_writer *writer)
{
    return writer->shape.compression.codec != CODEC_NONE;
}

uint64_t run_written(const struct run_writer *writer)
{
    return atomic_load(&writer->written);
}

void run_note(struct run_writer *writer, uint32_t part, uint64_t digest)
{
    check(part < writer->shape.parts);
    pthread_mutex_lock(&writer->lock);
    if (!writer->digests)
        writer->digests = memory_zeroed(writer->shape.parts, sizeof *writer->digests);
    writer->digests[part] += digest;
    pthread_mutex_unlock(&writer->lock);
}

void run_content(const struct run_writer *writer, struct content *ret_parts)
{
    for (uint32_t part = 0; part < writer->shape.parts; part++)
        ret_parts[part] = (struct content){
            .digest = writer->digests ? content_fold(writer->digests[part]) : 0};
    for (size_t i = 0; i < writer->count; i++) {
        ret_parts[writer->segments[i].part].pairs += writer->segments[i].pairs;
        ret_parts[writer->segments[i].part].records += writer->segments[i].records;
    }
}

static void writer_free(struct run_writer *writer)
{
    if (writer->fd >= 0)
        close(writer->fd);
    pthread_mutex_destroy(&writer->lock);
    while (writer->packer_count)
        packer_free(writer->packers[--writer->packer_count]);
    free(writer->packers);
    free(writer->segments);
    free(writer->digests);
    free(writer->path);
    free(writer);
}

int run_finish(struct run_writer *writer, bool sync, uint64_t *ret_size, struct error *err)
{
    uint64_t offset = atomic_load(&writer->offset);
    size_t index = writer->count * sizeof *writer->segments;
    struct run_trailer trailer = {
        .index_offset = offset, .count = writer->count, .id = writer->shape.id};
    XXH3_state_t state;
    int fd;

    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, writer->segments, index);
    XXH3_64bits_update(&state, &trailer, offsetof(struct run_trailer, checksum));
    trailer.checksum = XXH3_64bits_digest(&state);
    memcpy(trailer.magic, run_trailer_magic, sizeof trailer.magic);
    if (run_write_at(writer, writer->segments, index, offset, err) ||
        run_write_at(writer, &trailer, sizeof trailer, offset + index, err)) {
        run_abandon(writer);
        return -1;
    }
    *ret_size = offset + index + sizeof trailer;
    fd = writer->fd;
    writer->fd = -1;
    if ((sync && fsync(fd)) || close(fd)) {
        error_scratch(err, ERROR_IO, "close '%s'", writer->path);
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
