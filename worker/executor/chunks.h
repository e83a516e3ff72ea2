/* A split in the portions that threads take and read.
 *
 * A *chunk* is what a thread takes at a time: up to LIMIT_CHUNK bytes of consecutive input, of
 * one file or of several. Chunks have numbers, in the order of the input. A chunk is read in
 * *pieces*: each is of one file and has at most LIMIT_PIECE bytes, so that what was read is
 * still in the processor's cache when `map` sees it. A file costs as much as FILE_COST bytes:
 * of tiny ones a chunk holds as many as make it worth its while. Towards the end of a split
 * chunks become smaller, so that no thread waits long for the last one.
 *
 * A file that is solid (record/format.h) cannot be cut here: it stands among the others as a
 * chunk of one piece, which is cut when its turn comes (executor/supply.h). */
#ifndef EXECUTOR_CHUNKS_H
#define EXECUTOR_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "record/format.h"
#include "wire/mr.pb-c.h"

struct piece {
    uint32_t extent; /* index into the extents */
    uint32_t length;
    uint64_t offset; /* in the file */
};

struct chunk {
    uint32_t first, count; /* of its pieces */
    bool solid;
};

struct chunks {
    Mr__Extent *const *extents; /* borrowed */
    struct piece *pieces;
    struct chunk *items;
    size_t piece_count, count;
    size_t piece_capacity, capacity;
};

/* Cuts the extents of a split, files of this format, for so many threads. */
void chunks_cut(struct chunks *chunks, struct input_format format, Mr__Extent *const *extents,
                size_t n, int threads);

/* Whether an extent is of a solid file. */
bool chunks_is_solid(struct input_format format, const Mr__Extent *extent);
void chunks_done(struct chunks *chunks);

#endif
