/* Writing containers. The pieces of each part are put into input order; then the threads take
 * items of work: a part that is written as it lies, or a group of a part's pieces that is
 * sorted. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/slab.h"
#include "flow/pairs_internal.h"
#include "flow/sort.h"
#include "record/run_record.h"

enum {
    BUILDER_MAX = 16 << 20, /* a combined segment is written when it has grown to this */
    APPEND = 4 * LIMIT_BLOCK,
    PACKED_MAX = 4 << 20, /* raw bytes of a segment that is to be compressed */
    GROUP_ROUNDS = 16,
    GROUPS_MAX = PAIRS_ROUNDS / GROUP_ROUNDS,
    AHEAD = 8, /* records that are fetched before they are copied */
};

/* Consecutive ranges of one part. */
struct item {
    const struct run_range *ranges;
    size_t count;
    uint64_t bytes, records;
    uint32_t part, round;
    bool sorted;
};

struct flush {
    struct pairs *const *all;
    int n;
    const struct pairs_options *options;
    uint32_t round;
    struct run_writer *run;
    struct run_range *ranges; /* of all parts, in order */
    size_t *start;            /* of each part in there, and the end */
    struct item *items;
    size_t item_count, item_capacity;
    size_t scratch; /* bytes that the largest item needs */
    uint64_t in, out;
    bool failed; /* written under the lock; the first error is kept */
    struct error *err;
};

/* One item being written by one thread. */
struct writing {
    struct flush *flush;
    const struct item *item;
    uint32_t round;
    struct run_builder *builder;
    struct sort_entry *entries; /* and as many for sorting */
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

/* ---- Order ---- */

/* The container with the lowest chunk that is left; -1 at the end. */
static int lowest(const struct flush *flush, uint32_t part, const size_t *next)
{
    uint64_t chunk = UINT64_MAX;
    int best = -1;

    for (int i = 0; i < flush->n; i++) {
        const struct piece_list *list = &flush->all[i]->lists[part];

        if (next[i] < list->count && (best < 0 || list->items[next[i]].chunk < chunk)) {
            best = i;
            chunk = list->items[next[i]].chunk;
        }
    }
    return best;
}

/* A chunk is one thread's, whose pieces of it follow one another. */
static void order_part(struct flush *flush, uint32_t part)
{
    struct run_range *out = flush->ranges + flush->start[part];
    size_t next[LIMIT_THREADS] = {0};

    for (int best; (best = lowest(flush, part, next)) >= 0;) {
        const struct piece_list *list = &flush->all[best]->lists[part];
        uint64_t chunk = list->items[next[best]].chunk;

        while (next[best] < list->count && list->items[next[best]].chunk == chunk)
            *out++ = list->items[next[best]++].range;
    }
    check(out == flush->ranges + flush->start[part + 1]);
}

static void order_parts(struct flush *flush)
{
    uint32_t parts = flush->all[0]->parts;

    flush->start = memory_new(((size_t)parts + 1) * sizeof *flush->start);
    flush->start[0] = 0;
    for (uint32_t part = 0; part < parts; part++) {
        flush->start[part + 1] = flush->start[part];
        for (int i = 0; i < flush->n; i++) {
            pairs_close_piece(flush->all[i], part);
            flush->start[part + 1] += flush->all[i]->lists[part].count;
        }
    }
    flush->ranges = memory_new(flush->start[parts] * sizeof *flush->ranges);
#pragma omp parallel for num_threads(flush->n) schedule(dynamic, 4)
    for (uint32_t part = 0; part < parts; part++)
        order_part(flush, part);
}

/* ---- Items ---- */

static void add_item(struct flush *flush, const struct item *item)
{
    memory_reserve(&flush->items, &flush->item_capacity, flush->item_count + 1,
                   sizeof *flush->items);
    flush->items[flush->item_count++] = *item;
    if (item->sorted && item->records * PAIRS_SORT_COST > flush->scratch)
        flush->scratch = item->records * PAIRS_SORT_COST;
}

/* Cuts a part into groups that a thread's scratch memory has room for; their rounds do not
 * overlap. */
static void add_groups(struct flush *flush, const struct item *whole)
{
    /* Of two groups that follow each other, the sum is above the limit: this is the lowest one
     * that makes GROUPS_MAX at most. */
    uint64_t most = flush->options->scratch / (size_t)flush->n / PAIRS_SORT_COST,
             fewest = whole->records / (GROUPS_MAX / 2 - 1) + 1;
    struct item group = {
        .ranges = whole->ranges, .part = whole->part, .round = whole->round, .sorted = true};

    most = most < fewest ? fewest : most;
    for (size_t i = 0; i < whole->count; i++) {
        const struct run_range *range = &whole->ranges[i];

        if (group.count && group.records + range->records > most) {
            add_item(flush, &group);
            group = (struct item){.ranges = range,
                                  .part = whole->part,
                                  .round = group.round + GROUP_ROUNDS,
                                  .sorted = true};
        }
        group.count++;
        group.bytes += range->size;
        group.records += range->records;
    }
    check(group.round - flush->round < PAIRS_ROUNDS);
    add_item(flush, &group);
}

/* Cuts a part that is compressed into segments that gather in memory, so that they lie in the
 * run without holes, and so that all threads have some of them. */
static void add_packed(struct flush *flush, const struct item *whole)
{
    struct item piece = {.ranges = whole->ranges, .part = whole->part, .round = whole->round};

    for (size_t i = 0; i < whole->count; i++) {
        const struct run_range *range = &whole->ranges[i];
        bool last_round = piece.round == flush->round + PAIRS_ROUNDS - 1;

        if (piece.count && piece.bytes + range->size > PACKED_MAX && !last_round) {
            add_item(flush, &piece);
            piece =
                (struct item){.ranges = range, .part = whole->part, .round = piece.round + 1};
        }
        piece.count++;
        piece.bytes += range->size;
        piece.records += range->records;
    }
    add_item(flush, &piece);
}

static void add_part(struct flush *flush, uint32_t part)
{
    const struct pairs_options *options = flush->options;
    struct item whole = {.ranges = flush->ranges + flush->start[part],
                         .count = flush->start[part + 1] - flush->start[part],
                         .part = part,
                         .round = flush->round};

    for (size_t i = 0; i < whole.count; i++) {
        whole.bytes += whole.ranges[i].size;
        whole.records += whole.ranges[i].records;
        flush->in += whole.ranges[i].pairs;
    }
    if (!whole.count)
        return;
    if (options->combiner ||
        (options->sort_above &&
         whole.bytes + whole.records * PAIRS_SORT_COST > options->sort_above))
        add_groups(flush, &whole);
    else if (run_packs(flush->run))
        add_packed(flush, &whole);
    else
        add_item(flush, &whole);
}

/* ---- Sorting ---- */

static void sort_item(const struct writing *writing)
{
    const struct item *item = writing->item;
    uint32_t width = writing->flush->all[0]->value_width;
    size_t n = 0;

    for (size_t i = 0; i < item->count; i++) {
        struct mr_bytes rest = {item->ranges[i].bytes, item->ranges[i].size}, key, value;

        for (const char *place = rest.ptr; run_decode(&rest, width, &key, &value) == 1;
             place = rest.ptr)
            writing->entries[n++] = sort_entry_of(key, place);
    }
    check(n == item->records);
    sort_entries(writing->entries, writing->entries + n, n,
                 &(struct sort_keys){sort_record_key, width});
}

static void fetch(const struct sort_entry *entry)
{
    const char *place = sort_place(entry);

    __builtin_prefetch(place);
    __builtin_prefetch(place + 64);
}

static int write_sorted(struct writing *writing, struct error *err)
{
    const struct item *item = writing->item;
    struct run_builder *builder = writing->builder;
    uint32_t width = writing->flush->all[0]->value_width;

    run_reserve(writing->flush->run, builder, item->round, item->part, RUN_SORTED, item->bytes);
    for (uint64_t i = 0; i < item->records; i++) {
        const char *place = sort_place(&writing->entries[i]);
        struct mr_bytes rest = {place, SIZE_MAX / 2}, key, value;

        if (i + AHEAD < item->records)
            fetch(&writing->entries[i + AHEAD]);
        check(run_decode(&rest, width, &key, &value) == 1);
        run_builder_copy(builder, (struct mr_bytes){place, (size_t)(rest.ptr - place)});
        if (run_builder_bytes(builder) >= APPEND &&
            run_append(writing->flush->run, item->round, item->part, builder, false, err))
            return -1;
    }
    writing->out = item->records;
    return run_append(writing->flush->run, item->round, item->part, builder, true, err);
}

/* ---- Combining ---- */

struct pairs_group {
    const struct sort_entry *next, *end;
    struct writing *writing;
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

static int append_combined(struct writing *writing, struct error *err)
{
    return run_append(writing->flush->run, writing->round++, writing->item->part,
                      writing->builder, true, err);
}

int pairs_group_emit(struct pairs_group *group, struct mr_bytes value, struct error *err)
{
    struct writing *writing = group->writing;
    bool last_round = writing->round == writing->item->round + GROUP_ROUNDS - 1;

    writing->out++;
    if (run_builder_add(writing->builder, group->key, value, err))
        return -1;
    if (last_round || run_builder_bytes(writing->builder) < BUILDER_MAX)
        return 0;
    return append_combined(writing, err);
}

static int combine_keys(struct writing *writing, struct error *err)
{
    const struct pairs_combiner *combiner = writing->flush->options->combiner;
    const struct sort_entry *entries = writing->entries;
    uint32_t width = writing->flush->all[0]->value_width;
    size_t n = writing->item->records;

    for (size_t i = 0, end; i < n; i = end) {
        struct mr_bytes key = sort_record_key(sort_place(&entries[i]), width);
        struct pairs_group group;

        for (end = i + 1;
             end < n && entries[end].prefix == entries[i].prefix &&
             !sort_compare(key, sort_record_key(sort_place(&entries[end]), width));)
            end++;
        group = (struct pairs_group){&entries[i], &entries[end], writing, key, width};
        if (combiner->combine(combiner->context, omp_get_thread_num(), key, &group, err))
            return -1;
    }
    return 0;
}

static int write_combined(struct writing *writing, struct error *err)
{
    if (combine_keys(writing, err))
        return -1;
    /* A combiner may drop all its records: the segment still says how many pairs went in. */
    return run_builder_bytes(writing->builder) || !writing->out ? append_combined(writing, err)
                                                                : 0;
}

/* ---- The flush ---- */

static int write_item(struct writing *writing, struct error *err)
{
    const struct item *item = writing->item;
    struct flush *flush = writing->flush;

    if (!item->sorted) {
        writing->out = item->records;
        return run_append_ranges(flush->run, item->round, item->part, item->ranges, item->count,
                                 err);
    }
    if (!writing->entries) {
        writing->entries = slab_take(flush->scratch);
        if (!writing->entries)
            return error_set(err, ERROR_MEMORY, "no memory to sort %zu bytes", flush->scratch);
    }
    sort_item(writing);
    for (size_t i = 0; i < item->count; i++)
        run_builder_pairs(writing->builder, item->ranges[i].pairs);
    return flush->options->combiner ? write_combined(writing, err) : write_sorted(writing, err);
}

/* One thread's part in the work. */
static void write_items(struct flush *flush)
{
    struct writing writing = {.flush = flush};
    struct error error;
    uint64_t out = 0;

    writing.builder = run_builder_new(flush->all[0]->value_width);
#pragma omp for schedule(dynamic, 1)
    for (size_t i = 0; i < flush->item_count; i++) {
        if (__atomic_load_n(&flush->failed, __ATOMIC_RELAXED))
            continue;
        writing.item = &flush->items[i];
        writing.round = writing.item->round;
        writing.out = 0;
        if (write_item(&writing, &error))
            fail(flush, &error);
        out += writing.out;
    }
    run_builder_free(writing.builder);
    slab_give(writing.entries, flush->scratch);
    __atomic_fetch_add(&flush->out, out, __ATOMIC_RELAXED);
}

int pairs_flush(struct pairs *const *all, int n, const struct pairs_options *options,
                uint32_t round, struct run_writer *run, uint64_t *ret_in, uint64_t *ret_out,
                struct error *err)
{
    struct flush flush = {
        .all = all, .n = n, .options = options, .round = round, .run = run, .err = err};

    check(n > 0 && n <= LIMIT_THREADS);
    order_parts(&flush);
    for (uint32_t part = 0; part < all[0]->parts; part++)
        add_part(&flush, part);
#pragma omp parallel num_threads(n)
    write_items(&flush);
    for (int i = 0; i < n; i++)
        pairs_empty(all[i]);
    free(flush.ranges);
    free(flush.start);
    free(flush.items);
    *ret_in = flush.in;
    *ret_out = flush.out;
    return flush.failed ? -1 : 0;
}
