/* Lines of a file, read in chunks. A line belongs to the range in which its first byte lies, so
 * that any cut of a file into ranges gives each line to exactly one of them.
 *
 * A reader owns one buffer, reused from range to range and from file to file, and padded behind
 * the text by MR_PADDING blanks. A long line makes it grow; the next call gives back what is
 * above LINES_KEPT. Input is read with pread, never mapped (docs/decisions). One thread owns a
 * reader. */
#ifndef RECORD_LINES_H
#define RECORD_LINES_H

#include <mr/job.h>
#include <stdint.h>

#include "base/error.h"

enum { LINES_KEPT = 4 << 20 }; /* bytes of a buffer that stay from one call to the next */

struct lines {
    char *buffer;
    size_t capacity; /* usable; MR_PADDING more are mapped */
    uint64_t limit;  /* of a line, in bytes; at most LIMIT_RECORD, which it is at first */
};

void lines_init(struct lines *lines);
void lines_done(struct lines *lines);

/* A file as the plan saw it. */
struct lines_file {
    int fd;
    const char *path;
    uint64_t size;
};

/* Reads the lines that begin in [offset, offset + length) of the file: *ret_text holds them
 * whole, with their newlines (the file's last line may lack one), and is empty when none begins
 * there; *ret_offset is where it begins. Valid until the next call. ERROR_MEMORY for a line
 * above the limit, ERROR_INPUT for a file that is shorter than it was. */
int lines_read(struct lines *lines, const struct lines_file *file, uint64_t offset,
               uint64_t length, struct mr_bytes *ret_text, uint64_t *ret_offset,
               struct error *err);

/* For readers of other formats: makes the buffer hold `size` bytes and its padding; and reads
 * as many bytes of the file at `offset` into it. What it held is lost. */
int lines_room(struct lines *lines, size_t size, struct error *err);
/* As lines_room, but the first `used` bytes are kept; gives back first what is above LINES_KEPT
 * if nothing of it is needed. */
int lines_grow(struct lines *lines, size_t size, size_t used, struct error *err);
int lines_fill(struct lines *lines, const struct lines_file *file, uint64_t offset, size_t size,
               struct error *err);

/* How many lines a text holds: its newlines, and one more for a last line without. */
uint64_t lines_count(struct mr_bytes text);

#endif
