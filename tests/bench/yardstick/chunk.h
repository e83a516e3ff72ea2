/* A large file in chunks that are cut where a token ends, so that threads need not talk.
 *
 * A token (a line, a word) belongs to the chunk in which its first byte lies. The loader reads
 * the byte before the chunk, to see whether a token begins right at its start, and a little
 * past its end, to finish the last token. Reading into one small buffer a thread costs less
 * than mapping the file: the buffer stays in the cache and no page fault is taken. */
#ifndef CHUNK_H
#define CHUNK_H

#include "yardstick.h"
#include <stdbool.h>
#include <string.h>

/* Vector code may read, and the word count may write, this many bytes past `end`. */
enum { CHUNK_BYTES = 1 << 20, CHUNK_OVERLAP = 1 << 14, CHUNK_PADDING = 128 };

struct chunk_file {
    int fd;
    const char *path;
    size_t size;
    bool (*separates)(unsigned char byte);
};

/* One thread's buffer, and the whole tokens in it. */
struct chunk {
    char *buffer;
    size_t capacity;
    char *begin;
    char *end;
};

static inline void chunk_reserve(struct chunk *chunk, size_t capacity)
{
    char *larger = aligned_alloc(4096, (capacity + CHUNK_PADDING + 4095) & ~(size_t)4095);

    if (!larger)
        fail("out of memory");
    if (chunk->capacity)
        memcpy(larger, chunk->buffer, chunk->capacity);
    free(chunk->buffer);
    chunk->buffer = larger;
    chunk->capacity = capacity;
}

/* Loads the tokens that begin in [start, start + size); false when none does. */
static inline bool chunk_load(struct chunk *chunk, const struct chunk_file *file, size_t start,
                              size_t size)
{
    size_t before = start ? 1 : 0;
    size_t wanted = before + size + CHUNK_OVERLAP;

    if (wanted > chunk->capacity)
        chunk_reserve(chunk, wanted);
    size_t have = read_at(file->fd, chunk->buffer, wanted, start - before, file->path);
    size_t limit = before + size < have ? before + size : have;
    size_t begin = 0, end = limit;

    if (before) {
        while (begin < limit && !file->separates((unsigned char)chunk->buffer[begin]))
            begin++;
        begin++;
    }
    if (begin >= limit)
        return false;
    while (!file->separates((unsigned char)chunk->buffer[end - 1])) {
        if (end == have) {
            if (have < wanted)
                break;
            /* A token longer than the overlap. */
            wanted *= 2;
            if (wanted > chunk->capacity)
                chunk_reserve(chunk, wanted);
            have += read_at(file->fd, chunk->buffer + have, wanted - have,
                            start - before + have, file->path);
            if (end == have)
                break;
        }
        end++;
    }
    chunk->begin = chunk->buffer + begin;
    chunk->end = chunk->buffer + end;
    return true;
}

#endif
