#include "record/solid.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "record/csv.h"
#include "record/fields.h"
#include "record/limit.h"

struct solid {
    struct input_format format;
    struct stream *stream;
    const char *path;
    enum stream_codec codec;
    uint64_t offset; /* of what is kept */
    uint64_t told;   /* bytes of the file that were told as read */
    char *kept;      /* read from the stream, not yet given */
    size_t kept_size, kept_capacity;
    bool ended; /* the stream */
    bool begun; /* the file's preamble has been taken off */
    char *first;
    size_t first_size;
};

struct solid *solid_new(struct input_format format, const struct lines_file *file,
                        uint64_t window)
{
    struct solid *solid = memory_zeroed(1, sizeof *solid);

    solid->format = format;
    solid->path = file->path;
    solid->codec = format_codec(format, file->path);
    solid->stream = stream_new(file->fd, file->path, file->size, solid->codec, window);
    return solid;
}

void solid_free(struct solid *solid)
{
    if (!solid)
        return;
    stream_free(solid->stream);
    free(solid->kept);
    free(solid->first);
    free(solid);
}

bool solid_ended(const struct solid *solid)
{
    return solid->ended && !solid->kept_size;
}

struct mr_bytes solid_first_row(const struct solid *solid)
{
    return (struct mr_bytes){solid->first, solid->first_size};
}

/* What is left of the last text begins the next one. */
static int begin(struct solid *solid, struct lines *buffer, size_t most, struct error *err)
{
    size_t room = solid->kept_size > most ? solid->kept_size : most;

    if (lines_grow(buffer, room, 0, err))
        return -1;
    if (solid->kept_size)
        memcpy(buffer->buffer, solid->kept, solid->kept_size);
    return 0;
}

static int fill(struct solid *solid, struct lines *buffer, size_t *used, size_t size,
                struct error *err)
{
    size_t n;

    if (*used >= size || solid->ended)
        return 0;
    if (lines_grow(buffer, size, *used, err) ||
        stream_read(solid->stream, buffer->buffer + *used, size - *used, &n, err))
        return -1;
    solid->ended = n < size - *used;
    *used += n;
    return 0;
}

static int too_long(const struct solid *solid, uint64_t limit, struct error *err)
{
    return record_too_long(
        err, ERROR_MEMORY, limit, "a record of '%s' that begins at offset %" PRIu64 "%s%s",
        solid->path, solid->offset, solid->codec ? " of its decompressed text" : "",
        solid->format.kind == INPUT_CSV && !solid->format.lines
            ? ", perhaps with a quote that is not closed,"
            : "");
}

/* The first row of csv begins behind the file's mark, which would hide that it is quoted. */
static size_t cut_records(const struct solid *solid, struct mr_bytes text)
{
    size_t mark = !solid->begun && solid->format.kind == INPUT_CSV ? csv_mark(text) : 0, cut;

    cut = format_cut(solid->format, (struct mr_bytes){text.ptr + mark, text.len - mark});
    return cut ? mark + cut : 0;
}

/* Reads until the buffer holds a whole record, or the rest; tells where the last one ends. */
static int read_records(struct solid *solid, struct lines *buffer, size_t most, size_t *used,
                        size_t *ret_cut, struct error *err)
{
    for (size_t size = most;; size = 2 * *used) {
        /* The longest record and its newline. */
        if (size > buffer->limit + 1)
            size = buffer->limit + 1;
        if (fill(solid, buffer, used, size, err))
            return -1;
        *ret_cut = cut_records(solid, (struct mr_bytes){buffer->buffer, *used});
        if (*ret_cut && !solid->ended)
            return 0;
        if (!solid->ended && *used > buffer->limit)
            return too_long(solid, buffer->limit, err);
        if (!solid->ended)
            continue;
        if (solid->format.kind == INPUT_FIXED && *ret_cut < *used)
            return error_set(err, ERROR_FORMAT,
                             "input '%s': its decompressed text of %" PRIu64
                             " bytes does not consist of records of %u",
                             solid->path, solid->offset + *used, solid->format.width);
        if (*used - *ret_cut > buffer->limit) {
            solid->offset += *ret_cut;
            return too_long(solid, buffer->limit, err);
        }
        *ret_cut = *used; /* the last record needs no newline */
        return 0;
    }
}

/* Of csv, what the file begins with is no record. */
static size_t preamble(struct solid *solid, struct mr_bytes text)
{
    struct mr_bytes first;
    size_t skipped;

    if (solid->begun || solid->format.kind != INPUT_CSV || !text.len)
        return 0;
    skipped = fields_preamble(solid->format, text, &first);
    solid->first = memory_new(first.len + 1);
    memcpy(solid->first, first.ptr, first.len);
    solid->first_size = first.len;
    return skipped;
}

int solid_next(struct solid *solid, struct lines *buffer, size_t most,
               struct mr_bytes *ret_text, uint64_t *ret_offset, uint64_t *ret_used,
               struct error *err)
{
    size_t used = solid->kept_size, cut, skipped;

    do {
        if (begin(solid, buffer, most, err) ||
            read_records(solid, buffer, most, &used, &cut, err))
            return -1;
        memory_reserve(&solid->kept, &solid->kept_capacity, used - cut + 1, 1);
        memcpy(solid->kept, buffer->buffer + cut, used - cut);
        solid->kept_size = used - cut;
        skipped = preamble(solid, (struct mr_bytes){buffer->buffer, cut});
        solid->begun = solid->begun || cut > 0;
        *ret_text = (struct mr_bytes){buffer->buffer + skipped, cut - skipped};
        *ret_offset = solid->offset + skipped;
        solid->offset += cut;
        used = solid->kept_size;
    } while (!ret_text->len && !solid_ended(solid));
    memset(buffer->buffer + cut, ' ', MR_PADDING);
    *ret_used = stream_consumed(solid->stream) - solid->told;
    solid->told += *ret_used;
    return 0;
}
