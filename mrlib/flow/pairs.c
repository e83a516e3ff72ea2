#include "flow/pairs.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "flow/sort.h"
#include "record/run_record.h"

enum {
    BLOCK_MIN = 256,       /* a part's first arena block: with many parts most stay small */
    BLOCK_MAX = 256 << 10, /* ... its later ones */
    BUILDER_MAX = 16 << 20 /* a segment is written when its builder has grown to this */
};

/* Records lie in blocks in the encoding of runs; a record never spans two blocks. */
struct block {
    struct block *next;
    uint32_t used, capacity;
    char bytes[];
};

/* Where a chunk's records begin in a part's arena: `skip` bytes into `block`. */
struct mark {
    uint64_t chunk;
    struct block *block;
    uint32_t skip;
    uint64_t records, pairs;
};

struct part_arena {
    struct block *first, *last;
    struct mark *marks;
    size_t mark_count, mark_capacity;
};

struct pairs {
    uint32_t parts, value_width;
    uint64_t chunk;
    size_t bytes;
    struct part_arena *arenas;
};

struct pairs *pairs_new(uint32_t parts, uint32_t value_width)
{
    struct pairs *pairs = memory_zeroed(1, sizeof *pairs);

    pairs->parts = parts;
    pairs->value_width = value_width;
    pairs->arenas = memory_zeroed(parts, sizeof *pairs->arenas);
    return pairs;
}

static void empty_arena(struct part_arena *arena)
{
    while (arena->first) {
        struct block *next = arena->first->next;

        free(arena->first);
        arena->first = next;
    }
    arena->last = NULL;
    arena->mark_count = 0;
}

void pairs_free(struct pairs *pairs)
{
    if (!pairs)
        return;
    for (uint32_t i = 0; i < pairs->parts; i++) {
        empty_arena(&pairs->arenas[i]);
        free(pairs->arenas[i].marks);
    }
    free(pairs->arenas);
    free(pairs);
}

void pairs_chunk(struct pairs *pairs, uint64_t chunk)
{
    pairs->chunk = chunk;
}

size_t pairs_bytes(const struct pairs *pairs)
{
    return pairs->bytes;
}

static struct block *add_block(struct pairs *pairs, struct part_arena *arena, size_t need)
{
    size_t capacity = arena->last ? (size_t)arena->last->capacity * 2 : BLOCK_MIN;
    struct block *block;

    capacity = capacity > BLOCK_MAX ? BLOCK_MAX : capacity;
    capacity = capacity < need ? need : capacity;
    block = memory_new(sizeof *block + capacity);
    *block = (struct block){.capacity = (uint32_t)capacity};
    if (arena->last)
        arena->last->next = block;
    else
        arena->first = block;
    arena->last = block;
    pairs->bytes += sizeof *block + capacity;
    return block;
}

static char *put_varint(char *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (char)(value | 0x80);
    *at++ = (char)value;
    return at;
}

static void open_mark(struct pairs *pairs, struct part_arena *arena, struct block *block)
{
    size_t before = arena->mark_capacity;

    memory_reserve(&arena->marks, &arena->mark_capacity, arena->mark_count + 1,
                   sizeof *arena->marks);
    pairs->bytes += (arena->mark_capacity - before) * sizeof *arena->marks;
    arena->marks[arena->mark_count++] =
        (struct mark){.chunk = pairs->chunk, .block = block, .skip = block->used};
}

int pairs_add_many(struct pairs *pairs, uint32_t part, struct mr_bytes key,
                   struct mr_bytes value, uint64_t count)
{
    struct part_arena *arena = &pairs->arenas[part];
    struct block *block = arena->last;
    size_t need = key.len + value.len + 20;
    struct mark *mark;
    char *at;

    check(part < pairs->parts && (!pairs->value_width || value.len == pairs->value_width));
    if (key.len > LIMIT_RECORD || value.len > LIMIT_RECORD)
        return -1;
    if (!block || block->capacity - block->used < need)
        block = add_block(pairs, arena, need);
    if (!arena->mark_count || arena->marks[arena->mark_count - 1].chunk != pairs->chunk)
        open_mark(pairs, arena, block);
    mark = &arena->marks[arena->mark_count - 1];
    mark->records++;
    mark->pairs += count;
    at = put_varint(block->bytes + block->used, key.len);
    if (!pairs->value_width)
        at = put_varint(at, value.len);
    if (key.len)
        memcpy(at, key.ptr, key.len);
    if (value.len)
        memcpy(at + key.len, value.ptr, value.len);
    block->used = (uint32_t)(at + key.len + value.len - block->bytes);
    return 0;
}

int pairs_add(struct pairs *pairs, uint32_t part, struct mr_bytes key, struct mr_bytes value)
{
    return pairs_add_many(pairs, part, key, value, 1);
}

/* ---- Reading back, in input order
 * --------------------------------------------------------------- */

/* Walks one part of all threads' containers: always the lowest chunk that is left. */
struct walk {
    struct pairs *const *all;
    int n;
    uint32_t part;
    size_t next[LIMIT_THREADS]; /* mark by thread */
    const struct mark *mark;    /* being read */
    const struct block *block;
    struct mr_bytes rest; /* of the block */
    uint64_t left;        /* records of the mark */
};

static bool next_mark(struct walk *walk)
{
    int best = -1;

    for (int i = 0; i < walk->n; i++) {
        const struct part_arena *arena = &walk->all[i]->arenas[walk->part];

        if (walk->next[i] < arena->mark_count &&
            (best < 0 || arena->marks[walk->next[i]].chunk <
                             walk->all[best]->arenas[walk->part].marks[walk->next[best]].chunk))
            best = i;
    }
    if (best < 0)
        return false;
    walk->mark = &walk->all[best]->arenas[walk->part].marks[walk->next[best]++];
    walk->block = walk->mark->block;
    walk->rest = (struct mr_bytes){walk->block->bytes + walk->mark->skip,
                                   walk->block->used - walk->mark->skip};
    walk->left = walk->mark->records;
    return true;
}

/* The next record, and where it begins; *ret_pairs is that of its chunk with the chunk's first
 * record, else 0. */
static bool walk_next(struct walk *walk, const char **ret_place, struct mr_bytes *ret_key,
                      struct mr_bytes *ret_value, uint64_t *ret_pairs)
{
    *ret_pairs = 0;
    while (!walk->left) {
        if (!next_mark(walk))
            return false;
        *ret_pairs += walk->mark->pairs;
    }
    while (!walk->rest.len) {
        walk->block = walk->block->next;
        check(walk->block);
        walk->rest = (struct mr_bytes){walk->block->bytes, walk->block->used};
    }
    *ret_place = walk->rest.ptr;
    check(run_decode(&walk->rest, walk->all[0]->value_width, ret_key, ret_value) == 1);
    walk->left--;
    return true;
}

/* ---- Writing
 * ------------------------------------------------------------------------------------- */

struct flush {
    struct pairs *const *all;
    int n;
    const struct pairs_combiner *combiner;
    uint32_t round;
    struct run_writer *run;
    uint64_t in, out;
    bool failed; /* written under the lock; the first error is kept */
    struct error *err;
};

/* One part being written by one thread: its segments follow one another in rounds. */
struct segment_writer {
    struct flush *flush;
    uint32_t part, round;
    struct run_builder *builder;
    uint64_t out;
};

static void fail(struct flush *flush, const struct error *error)
{
#pragma omp critical(pairs_failed)
    {
        if (!flush->failed)
            *flush->err = *error;
        __atomic_store_n(&flush->failed, true, __ATOMIC_RELAXED);
    }
}

static int write_segment(struct segment_writer *writer, struct error *err)
{
    int result;

    if (writer->round - writer->flush->round >= PAIRS_ROUNDS)
        return error_set(err, ERROR_JOB, "part %u emits too much for one map task",
                         writer->part);
#pragma omp critical(pairs_append)
    result =
        run_append(writer->flush->run, writer->round, writer->part, writer->builder, true, err);
    writer->round++;
    return result;
}

static int write_record(struct segment_writer *writer, struct mr_bytes key,
                        struct mr_bytes value, struct error *err)
{
    writer->out++;
    if (run_builder_add(writer->builder, key, value, err))
        return -1;
    return run_builder_bytes(writer->builder) < BUILDER_MAX ? 0 : write_segment(writer, err);
}

static int write_in_order(struct segment_writer *writer, uint64_t *ret_in, struct error *err)
{
    struct walk walk = {.all = writer->flush->all, .n = writer->flush->n, .part = writer->part};
    struct mr_bytes key, value;
    const char *place;
    uint64_t pairs;

    while (walk_next(&walk, &place, &key, &value, &pairs)) {
        *ret_in += pairs;
        run_builder_pairs(writer->builder, pairs);
        if (write_record(writer, key, value, err))
            return -1;
    }
    return 0;
}

struct pairs_group {
    const struct sort_entry *next, *end;
    struct segment_writer *writer;
    struct mr_bytes key;
    uint32_t value_width;
};

bool pairs_group_next(struct pairs_group *group, struct mr_bytes *ret_value)
{
    struct mr_bytes rest = {NULL, SIZE_MAX / 2}, key;

    if (group->next == group->end)
        return false;
    rest.ptr = sort_place(group->next++);
    check(run_decode(&rest, group->value_width, &key, ret_value) == 1);
    return true;
}

int pairs_group_emit(struct pairs_group *group, struct mr_bytes value, struct error *err)
{
    return write_record(group->writer, group->key, value, err);
}

static int combine_groups(struct segment_writer *writer, const struct sort_entry *entries,
                          size_t n, struct error *err)
{
    const struct pairs_combiner *combiner = writer->flush->combiner;
    uint32_t width = writer->flush->all[0]->value_width;

    for (size_t i = 0, end; i < n; i = end) {
        struct mr_bytes key = sort_record_key(sort_place(&entries[i]), width);
        struct pairs_group group;

        for (end = i + 1;
             end < n && entries[end].prefix == entries[i].prefix &&
             !sort_compare(key, sort_record_key(sort_place(&entries[end]), width));)
            end++;
        group = (struct pairs_group){&entries[i], &entries[end], writer, key, width};
        if (combiner->combine(combiner->context, omp_get_thread_num(), key, &group, err))
            return -1;
    }
    return 0;
}

static int write_combined(struct segment_writer *writer, uint64_t *ret_in, struct error *err)
{
    struct walk walk = {.all = writer->flush->all, .n = writer->flush->n, .part = writer->part};
    cleanup_free struct sort_entry *entries = NULL, *scratch = NULL;
    size_t n = 0, capacity = 0;
    struct mr_bytes key, value;
    const char *place;
    uint64_t pairs;

    while (walk_next(&walk, &place, &key, &value, &pairs)) {
        memory_reserve(&entries, &capacity, n + 1, sizeof *entries);
        entries[n++] = sort_entry_of(key, place);
        *ret_in += pairs;
    }
    run_builder_pairs(writer->builder, *ret_in);
    scratch = memory_new(n * sizeof *scratch);
    sort_entries(entries, scratch, n,
                 &(struct sort_keys){sort_record_key, writer->flush->all[0]->value_width});
    return combine_groups(writer, entries, n, err);
}

static void write_part(struct flush *flush, uint32_t part, struct run_builder *builder)
{
    struct segment_writer writer = {flush, part, flush->round, builder, 0};
    struct error error;
    uint64_t in = 0;
    int result;

    result = flush->combiner ? write_combined(&writer, &in, &error)
                             : write_in_order(&writer, &in, &error);
    /* A combiner may drop all its records: the segment still says how many pairs went in. */
    if (!result && (run_builder_bytes(builder) || (in && !writer.out)))
        result = write_segment(&writer, &error);
#pragma omp critical(pairs_totals)
    {
        flush->in += in;
        flush->out += writer.out;
    }
    if (result)
        fail(flush, &error);
}

static void empty(struct pairs *pairs)
{
    for (uint32_t i = 0; i < pairs->parts; i++)
        empty_arena(&pairs->arenas[i]);
    pairs->bytes = 0;
    for (uint32_t i = 0; i < pairs->parts; i++)
        pairs->bytes += pairs->arenas[i].mark_capacity * sizeof(struct mark);
}

int pairs_flush(struct pairs *const *all, int n, const struct pairs_combiner *combiner,
                uint32_t round, struct run_writer *run, uint64_t *ret_in, uint64_t *ret_out,
                struct error *err)
{
    struct flush flush = {all, n, combiner, round, run, 0, 0, false, err};

    check(n <= LIMIT_THREADS);
#pragma omp parallel num_threads(n)
    {
        struct run_builder *builder = run_builder_new(all[0]->value_width);

#pragma omp for schedule(dynamic, 1)
        for (uint32_t part = 0; part < all[0]->parts; part++)
            if (!__atomic_load_n(&flush.failed, __ATOMIC_RELAXED))
                write_part(&flush, part, builder);
        run_builder_free(builder);
    }
    for (int i = 0; i < n; i++)
        empty(all[i]);
    *ret_in = flush.in;
    *ret_out = flush.out;
    return flush.failed ? -1 : 0;
}
