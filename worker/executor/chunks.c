#include "worker/executor/chunks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "store/expand.h"
#include "wire/bytes.h"

enum {
    FILE_COST = 16 << 10, /* bytes that are read in the time that opening a file takes */
    SHARES = 4            /* chunks for each thread that what is left should make, at least */
};

static uint64_t cost_of(const Mr__Extent *extent)
{
    return extent->length + FILE_COST;
}

/* What the next chunk may cost when so much is left. */
static uint64_t share(uint64_t left, int threads)
{
    uint64_t size = left / (uint64_t)(threads * SHARES);

    return size < LIMIT_PIECE ? LIMIT_PIECE : size > LIMIT_CHUNK ? LIMIT_CHUNK : size;
}

static void begin_chunk(struct chunks *chunks, bool solid)
{
    memory_reserve(&chunks->items, &chunks->capacity, chunks->count + 1, sizeof *chunks->items);
    chunks->items[chunks->count++] = (struct chunk){(uint32_t)chunks->piece_count, 0, solid};
}

static void add_piece(struct chunks *chunks, struct piece piece)
{
    memory_reserve(&chunks->pieces, &chunks->piece_capacity, chunks->piece_count + 1,
                   sizeof *chunks->pieces);
    chunks->pieces[chunks->piece_count++] = piece;
    chunks->items[chunks->count - 1].count++;
}

bool chunks_is_solid(struct input_format format, const Mr__Extent *extent)
{
    cleanup_free char *path = bytes_text(extent->path);

    return !expand_is_range(path) && format_is_solid(format, path);
}

void chunks_cut(struct chunks *chunks, struct input_format format, Mr__Extent *const *extents,
                size_t n, int threads)
{
    uint64_t left = 0, room = 0; /* in the split, and in the open chunk */

    *chunks = (struct chunks){.extents = extents};
    for (size_t i = 0; i < n; i++)
        left += cost_of(extents[i]);
    for (size_t i = 0; i < n; i++) {
        if (chunks_is_solid(format, extents[i])) {
            begin_chunk(chunks, true);
            add_piece(chunks, (struct piece){(uint32_t)i, 0, 0});
            left -= cost_of(extents[i]);
            room = 0;
            continue;
        }
        for (uint64_t at = 0, length, cost; at < extents[i]->length; at += length) {
            length = extents[i]->length - at;
            length = length < LIMIT_PIECE ? length : LIMIT_PIECE;
            cost = length + (at ? 0 : FILE_COST);
            if (!room) {
                begin_chunk(chunks, false);
                room = share(left, threads);
            }
            add_piece(chunks,
                      (struct piece){(uint32_t)i, (uint32_t)length, extents[i]->offset + at});
            room -= cost < room ? cost : room;
            left -= cost;
        }
    }
}

void chunks_done(struct chunks *chunks)
{
    free(chunks->pieces);
    free(chunks->items);
    *chunks = (struct chunks){0};
}
