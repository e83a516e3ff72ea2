/* Reading bundles: nothing that was read is believed before it is checked. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "record/bundle_format.h"

struct bundle {
    struct run_file *run; /* with segments in the order of `tasks` */
    uint32_t *tasks;      /* the map task of each segment, ascending */
    size_t count;
};

/* What was read of a file, before it is believed. */
struct image {
    const char *path;
    int fd;
    struct bundle_header header;
    struct bundle_trailer trailer;
    struct bundle_entry *entries;
};

static int damaged(const struct image *image, const char *what, struct error *err)
{
    return error_set(err, ERROR_DAMAGE, "bundle '%s': %s", image->path, what);
}

/* Reads exactly `size` bytes. */
static int read_at(const struct image *image, void *bytes, size_t size, uint64_t offset,
                   struct error *err)
{
    char *at = bytes;

    while (size) {
        ssize_t n = pread(image->fd, at, size, (off_t)offset);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_IO, "read '%s'", image->path);
        if (n == 0)
            return damaged(image, "it ended while it was read", err);
        if (n > 0) {
            at += n;
            size -= (size_t)n;
            offset += (uint64_t)n;
        }
    }
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const struct bundle_entry *x = a, *y = b;

    if (x->task != y->task)
        return x->task < y->task ? -1 : 1;
    return x->round < y->round ? -1 : x->round > y->round;
}

/* Whether the segments fill the file without gaps. */
static bool fill_the_file(const struct image *image)
{
    uint64_t at = sizeof image->header;

    for (uint64_t i = 0; i < image->trailer.count; i++) {
        const struct bundle_entry *entry = &image->entries[i];

        if (entry->offset != at || entry->size > image->trailer.index_offset - at)
            return false;
        at += entry->size;
    }
    return at == image->trailer.index_offset;
}

static bool flags_make_sense(const struct image *image)
{
    for (uint64_t i = 0; i < image->trailer.count; i++) {
        const struct bundle_entry *entry = &image->entries[i];

        if (entry->flags & ~(uint32_t)RUN_SORTED || image->trailer.flags & ~entry->flags ||
            entry->zero || entry->raw_size < entry->size)
            return false;
    }
    return true;
}

static int sort_entries(struct image *image, struct error *err)
{
    if (!image->trailer.count)
        return 0;
    qsort(image->entries, image->trailer.count, sizeof *image->entries, compare_entries);
    for (uint64_t i = 1; i < image->trailer.count; i++)
        if (!compare_entries(&image->entries[i - 1], &image->entries[i]))
            return damaged(image, "it holds a segment twice", err);
    return 0;
}

static int read_image(struct image *image, struct error *err)
{
    struct bundle_trailer *trailer = &image->trailer;
    struct stat st;
    uint64_t end;

    if (fstat(image->fd, &st))
        return error_errno(err, ERROR_IO, "stat '%s'", image->path);
    if ((uint64_t)st.st_size < sizeof image->header + sizeof *trailer)
        return damaged(image, "it is cut short", err);
    end = (uint64_t)st.st_size - sizeof *trailer;
    if (read_at(image, &image->header, sizeof image->header, 0, err) ||
        read_at(image, trailer, sizeof *trailer, end, err))
        return -1;
    if (!memcmp(image->header.magic, bundle_header_magic, sizeof image->header.magic - 1) &&
        image->header.magic[7] != bundle_header_magic[7])
        return error_set(err, ERROR_DAMAGE,
                         "bundle '%s' is of version %u of the format, this program reads %u",
                         image->path, (unsigned)(uint8_t)image->header.magic[7],
                         (unsigned)bundle_header_magic[7]);
    if (memcmp(image->header.magic, bundle_header_magic, sizeof image->header.magic) ||
        image->header.zero)
        return damaged(image, "its header is damaged", err);
    if (memcmp(trailer->magic, bundle_trailer_magic, sizeof trailer->magic) ||
        trailer->index_offset < sizeof image->header || trailer->index_offset > end ||
        (end - trailer->index_offset) / sizeof *image->entries != trailer->count ||
        (end - trailer->index_offset) % sizeof *image->entries)
        return damaged(image, "its end is damaged", err);
    image->entries = memory_new(trailer->count * sizeof *image->entries);
    if (read_at(image, image->entries, trailer->count * sizeof *image->entries,
                trailer->index_offset, err))
        return -1;
    if (trailer->checksum != bundle_checksum(&image->header, image->entries, trailer) ||
        !fill_the_file(image) || !flags_make_sense(image))
        return damaged(image, "its index is damaged", err);
    return sort_entries(image, err);
}

/* Takes image->fd over. */
static int open_image(const struct image *image, struct bundle **ret, struct error *err)
{
    struct run_shape shape = {.parts = image->header.part + 1,
                              .flags = image->trailer.flags,
                              .value_width = image->trailer.value_width,
                              .id = image->header.id};
    size_t count = image->trailer.count;
    cleanup_free struct run_segment *segments = memory_new(count * sizeof *segments);
    struct bundle *bundle = memory_zeroed(1, sizeof *bundle);

    bundle->count = count;
    bundle->tasks = memory_new(count * sizeof *bundle->tasks);
    for (size_t i = 0; i < count; i++) {
        const struct bundle_entry *entry = &image->entries[i];

        bundle->tasks[i] = entry->task;
        segments[i] = (struct run_segment){entry->round,  image->header.part, entry->offset,
                                           entry->size,   entry->records,     entry->pairs,
                                           entry->digest, entry->raw_size,    entry->flags};
    }
    if (run_open_segments(image->fd, image->path, &shape, segments, count, &bundle->run, err)) {
        bundle_close(bundle);
        return -1;
    }
    *ret = bundle;
    return 0;
}

int bundle_open(const char *path, uint32_t part, uint64_t id, struct bundle **ret,
                struct error *err)
{
    struct image image = {.path = path, .fd = open(path, O_RDONLY | O_CLOEXEC)};
    int result;

    if (image.fd < 0)
        return error_errno(err, ERROR_IO, "open '%s'", path);
    result = read_image(&image, err);
    if (!result && (image.header.part != part || image.header.id != id))
        result = damaged(&image, "it is another's", err);
    if (!result)
        result = open_image(&image, ret, err);
    else
        close(image.fd);
    free(image.entries);
    return result;
}

void bundle_close(struct bundle *bundle)
{
    if (!bundle)
        return;
    run_close(bundle->run);
    free(bundle->tasks);
    free(bundle);
}

struct run_file *bundle_run(const struct bundle *bundle)
{
    return bundle->run;
}

/* How many segments are of map tasks before `task`. */
static size_t before(const struct bundle *bundle, uint64_t task)
{
    size_t low = 0, high = bundle->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (bundle->tasks[middle] < task)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct run_segment *bundle_segments(const struct bundle *bundle, uint32_t task,
                                          size_t *ret_count)
{
    size_t count, from = before(bundle, task);
    const struct run_segment *segments = run_segments(bundle->run, &count);

    *ret_count = before(bundle, (uint64_t)task + 1) - from;
    return segments + from;
}
