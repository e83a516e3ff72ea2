#include "record/lines.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "record/limit.h"
#include "record/newlines.h"

enum {
    AHEAD = 2 << 10,  /* read behind a range's end at once: most last lines end there ... */
    MORE = 32 << 10,  /* ... and at least so much with each later call */
    SMALL = 64 << 10, /* a mapping for small files; any other is a huge page, or several */
    LARGE = 2 << 20
};

void lines_init(struct lines *lines)
{
    *lines = (struct lines){.limit = LIMIT_RECORD};
}

void lines_done(struct lines *lines)
{
    memory_unmap(lines->buffer, lines->capacity + MR_PADDING);
    lines->buffer = NULL;
    lines->capacity = 0;
}

/* Makes the buffer hold at least `need` bytes, keeping the first `used`. */
static int make_room(struct lines *lines, size_t need, size_t used, struct error *err)
{
    size_t size = need + MR_PADDING <= SMALL ? SMALL : LARGE;
    char *buffer;

    if (need <= lines->capacity)
        return 0;
    while (size < need + MR_PADDING)
        size *= 2;
    buffer = memory_map(size);
    if (!buffer)
        return error_set(err, ERROR_MEMORY, "no memory for a buffer of %zu bytes", size);
    if (used)
        memcpy(buffer, lines->buffer, used);
    lines_done(lines);
    lines->buffer = buffer;
    lines->capacity = size - MR_PADDING;
    return 0;
}

/* Reads up to `size` bytes at `offset` behind the first `used` ones; less only at the planned
 * end. */
static int read_more(struct lines *lines, const struct lines_file *file, uint64_t offset,
                     size_t used, size_t size, struct error *err)
{
    if (make_room(lines, used + size, used, err))
        return -1;
    while (size) {
        ssize_t n = pread(file->fd, lines->buffer + used, size, (off_t)offset);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_INPUT, "read '%s' at offset %" PRIu64, file->path,
                               offset);
        if (n == 0)
            return error_set(err, ERROR_INPUT,
                             "input '%s' changed while the job ran: it ends at offset %" PRIu64
                             ", not at %" PRIu64,
                             file->path, offset, file->size);
        if (n > 0) {
            used += (size_t)n;
            offset += (uint64_t)n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static size_t at_most(uint64_t size, uint64_t limit)
{
    return (size_t)(size < limit ? size : limit);
}

/* Where the line that begins at byte `begin` of the buffer and reaches byte `from` ends, behind
 * its newline; reads on as far as that takes. The buffer holds file bytes [start, start +
 * *used). */
static int complete_line(struct lines *lines, const struct lines_file *file, uint64_t start,
                         size_t *used, size_t begin, size_t from, size_t *ret_end,
                         struct error *err)
{
    size_t searched = from;

    for (;;) {
        const char *newline = memchr(lines->buffer + searched, '\n', *used - searched);
        size_t end = newline ? (size_t)(newline - lines->buffer) : *used, more;
        uint64_t next = start + *used;

        if (end - begin > lines->limit)
            return record_too_long(err, ERROR_MEMORY, lines->limit,
                                   "a line of '%s' that begins at offset %" PRIu64, file->path,
                                   start + begin);
        if (newline || next == file->size) {
            *ret_end = end + (newline ? 1 : 0);
            return 0;
        }
        searched = *used;
        /* Twice the line each time: one of n bytes takes log n reads. */
        more = *used - begin > MORE ? *used - begin : MORE;
        more = at_most(file->size - next, more);
        more = at_most(more, begin + lines->limit + 1 - *used);
        if (read_more(lines, file, next, *used, more, err))
            return -1;
        *used += more;
    }
}

int lines_read(struct lines *lines, const struct lines_file *file, uint64_t offset,
               uint64_t length, struct mr_bytes *ret_text, uint64_t *ret_offset,
               struct error *err)
{
    /* From one byte before the range: if that is a newline, a line begins at `offset`. */
    uint64_t start = offset ? offset - 1 : 0;
    size_t limit = (size_t)(offset - start + length); /* of the range, in the buffer */
    size_t used = at_most(file->size - start, (uint64_t)limit + AHEAD), first = 0, last,
           end = 0;
    const char *newline;

    *ret_text = (struct mr_bytes){lines->buffer, 0};
    *ret_offset = offset;
    if (!length)
        return 0;
    if (lines->capacity > LINES_KEPT && limit + AHEAD <= LINES_KEPT - MR_PADDING)
        lines_done(lines);
    if (make_room(lines, limit + AHEAD, 0, err) || read_more(lines, file, start, 0, used, err))
        return -1;
    if (offset) {
        newline = memchr(lines->buffer, '\n', limit - 1);
        if (!newline)
            return 0; /* inside a long line */
        first = (size_t)(newline - lines->buffer) + 1;
    }
    /* The last line that begins in the range ends with the first newline at or behind its last
     * byte. */
    newline = memrchr(lines->buffer + first, '\n', limit - 1 - first);
    last = newline ? (size_t)(newline - lines->buffer) + 1 : first;
    if (complete_line(lines, file, start, &used, last, limit - 1, &end, err))
        return -1;
    memset(lines->buffer + end, ' ', MR_PADDING);
    *ret_text = (struct mr_bytes){lines->buffer + first, end - first};
    *ret_offset = start + first;
    return 0;
}

int lines_room(struct lines *lines, size_t size, struct error *err)
{
    return make_room(lines, size, 0, err);
}

int lines_grow(struct lines *lines, size_t size, size_t used, struct error *err)
{
    if (!used && lines->capacity > LINES_KEPT && size <= LINES_KEPT - MR_PADDING)
        lines_done(lines);
    return make_room(lines, size, used, err);
}

int lines_fill(struct lines *lines, const struct lines_file *file, uint64_t offset, size_t size,
               struct error *err)
{
    return read_more(lines, file, offset, 0, size, err);
}

uint64_t lines_count(struct mr_bytes text)
{
    return newlines_count(text) + (text.len && text.ptr[text.len - 1] != '\n');
}
