/* Filling containers. Blocks are cut off slabs, one behind the other: a part's first ones are
 * small, because with many parts most stay so, and each is twice as large as the one before. */
#include "flow/pairs.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/slab.h"
#include "flow/pairs_internal.h"
#include "record/run_record.h"

enum {
    BLOCK_MIN = 256,
    BLOCK_MAX = LIMIT_BLOCK,
    FIRST = 64 << 10, /* a small job does not touch a slab */
    FETCH_AHEAD = 128,
};

struct pairs *pairs_new(uint32_t parts, uint32_t value_width)
{
    struct pairs *pairs = memory_zeroed(1, sizeof *pairs);

    pairs->parts = parts;
    pairs->value_width = value_width;
    pairs->arenas = memory_zeroed(parts, sizeof *pairs->arenas);
    pairs->lists = memory_zeroed(parts, sizeof *pairs->lists);
    pairs->first = memory_new(FIRST);
    pairs->at = pairs->first;
    pairs->end = pairs->first + FIRST;
    return pairs;
}

void pairs_empty(struct pairs *pairs)
{
    for (uint32_t i = 0; i < pairs->parts; i++) {
        pairs->arenas[i] = (struct part_arena){.digest = pairs->arenas[i].digest};
        pairs->lists[i].count = 0;
    }
    for (size_t i = 0; i < pairs->slab_count; i++)
        slab_give(pairs->slabs[i].bytes, pairs->slabs[i].size);
    pairs->slab_count = 0;
    pairs->slab_bytes = 0;
    pairs->at = pairs->first;
    pairs->end = pairs->first + FIRST;
}

void pairs_free(struct pairs *pairs)
{
    if (!pairs)
        return;
    pairs_empty(pairs);
    for (uint32_t i = 0; i < pairs->parts; i++)
        free(pairs->lists[i].items);
    free(pairs->lists);
    free(pairs->arenas);
    free(pairs->slabs);
    free(pairs->first);
    free(pairs);
}

void pairs_chunk(struct pairs *pairs, uint64_t chunk)
{
    pairs->chunk = chunk;
}

size_t pairs_bytes(const struct pairs *pairs)
{
    return FIRST + pairs->slab_bytes + pairs->list_bytes;
}

void pairs_close_piece(struct pairs *pairs, uint32_t part)
{
    struct part_arena *arena = &pairs->arenas[part];
    struct piece_list *list = &pairs->lists[part];
    size_t before = list->capacity;

    if (!arena->records)
        return;
    memory_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items);
    pairs->list_bytes += (list->capacity - before) * sizeof *list->items;
    list->items[list->count++] = (struct piece){
        arena->chunk,
        {arena->begin, (uint32_t)(arena->at - arena->begin), arena->records, arena->pairs}};
    arena->records = 0;
}

static void *take_slab(struct pairs *pairs, size_t size)
{
    void *slab = slab_take(size);

    if (!slab)
        return NULL;
    memory_reserve(&pairs->slabs, &pairs->slab_capacity, pairs->slab_count + 1,
                   sizeof *pairs->slabs);
    pairs->slabs[pairs->slab_count++] = (struct slab){slab, size};
    pairs->slab_bytes += slab_round(size);
    return slab;
}

/* Gives the arena a block for a record of at most `need` bytes. */
static int open_block(struct pairs *pairs, struct part_arena *arena, size_t need)
{
    size_t size = arena->block ? (size_t)arena->block * 2 : BLOCK_MIN;

    size = size < BLOCK_MAX ? size : BLOCK_MAX;
    arena->block = (uint32_t)size;
    size = size < need ? need : size;
    if (size > SLAB_SIZE) { /* one large record */
        arena->at = take_slab(pairs, size);
        arena->end = arena->at + (arena->at ? size : 0);
        return arena->at ? 0 : -1;
    }
    if ((size_t)(pairs->end - pairs->at) < need) {
        char *slab = take_slab(pairs, SLAB_SIZE);

        if (!slab)
            return -1;
        pairs->at = slab;
        pairs->end = slab + SLAB_SIZE;
    }
    if ((size_t)(pairs->end - pairs->at) < size)
        size = (size_t)(pairs->end - pairs->at);
    arena->at = pairs->at;
    arena->end = pairs->at += size;
    return 0;
}

/* The record to come is the first one of a chunk, or does not fit into the block. */
static __attribute__((noinline)) int open_piece(struct pairs *pairs, uint32_t part, size_t need)
{
    struct part_arena *arena = &pairs->arenas[part];

    pairs_close_piece(pairs, part);
    if ((size_t)(arena->end - arena->at) < need && open_block(pairs, arena, need)) {
        arena->at = arena->end = NULL;
        return -1;
    }
    arena->begin = arena->at;
    arena->chunk = pairs->chunk;
    arena->pairs = 0;
    return 0;
}

/* Where the record lies from now on; NULL as pairs_add fails. */
static inline const char *append(struct pairs *pairs, uint32_t part, struct mr_bytes key,
                                 struct mr_bytes value)
{
    struct part_arena *arena = &pairs->arenas[part];
    size_t need = key.len + value.len + RUN_LENGTHS_MAX;
    const char *record;

    check(part < pairs->parts && (!pairs->value_width || value.len == pairs->value_width));
    if (__builtin_expect(key.len > LIMIT_RECORD || value.len > LIMIT_RECORD, 0))
        return NULL;
    if (__builtin_expect(
            arena->chunk != pairs->chunk || (size_t)(arena->end - arena->at) < need, 0) &&
        open_piece(pairs, part, need))
        return NULL;
    /* More streams than the processor follows by itself: the next lines are asked for here. */
    __builtin_prefetch(arena->at + need + FETCH_AHEAD, 1);
    __builtin_prefetch(arena->at + need + FETCH_AHEAD + 64, 1);
    record = arena->at;
    arena->at = run_encode(arena->at, key, value, pairs->value_width);
    arena->records++;
    return record;
}

int pairs_add_many(struct pairs *pairs, uint32_t part, struct mr_bytes key,
                   struct mr_bytes value, uint64_t count, uint64_t digest)
{
    if (!append(pairs, part, key, value))
        return -1;
    pairs->arenas[part].pairs += count;
    pairs->arenas[part].digest += digest;
    return 0;
}

int pairs_add(struct pairs *pairs, uint32_t part, struct mr_bytes key, struct mr_bytes value)
{
    const char *record = append(pairs, part, key, value);
    struct part_arena *arena = &pairs->arenas[part];

    if (!record)
        return -1;
    arena->pairs++;
    /* While it is in the nearest cache. */
    arena->digest += XXH3_64bits(record, (size_t)(arena->at - record));
    return 0;
}

void pairs_note(const struct pairs *pairs, struct run_writer *run)
{
    for (uint32_t part = 0; part < pairs->parts; part++)
        run_note(run, part, pairs->arenas[part].digest);
}
