/* Emptying the threads' tables into a run, on all threads, in steps:
 *
 *   list      each range of hashes is joined over all tables; what is left, and what the logs
 *             hold, is listed with its part
 *   deal      the list is dealt to the parts: counted, then copied, each thread a slice
 *   write     each part is sorted, equal keys (of logs) are joined, and it is written
 *   clear     each table forgets its keys
 *
 * The list, its copy by part and the parts' numbers are all the memory that this takes; a
 * part's stretch of the list serves to sort it. */
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "flow/aggregate_internal.h"
#include "flow/sort.h"

enum { AHEAD = 8 }; /* slots fetched ahead in the order of keys */

_Static_assert(LIMIT_PARTS <= UINT16_MAX, "parts are listed in 16 bits");
_Static_assert(AGGREGATE_FLUSH_BYTES == 2 * sizeof(struct sort_entry) + sizeof(uint16_t),
               "what a slot costs a flush");

struct flush {
    struct aggregate *const *tables;
    int n;
    const struct partitioner *partitioners;
    uint32_t parts, round;
    struct run_writer *run;
    size_t ranges;
    /* Listed slots in any order, their parts, and the same slots part by part. */
    struct sort_entry *list, *dealt;
    uint16_t *part;
    atomic_size_t listed;
    /* Of each thread and part, [thread * parts + part]: pairs, their digest, and where its
     * slice's next slot is dealt to, counted from `dealt`. */
    uint64_t *pairs, *digests;
    size_t *next;
    size_t *start; /* of each part in `dealt`, and of what would follow the last */
    uint64_t all_pairs, records;
    atomic_bool failed; /* the first error is kept */
    struct error *err;
};

static struct mr_bytes slot_key(const void *place, uint32_t value_width)
{
    (void)value_width;
    return table_slot_key(place);
}

static void fail(struct flush *flush, const struct error *error)
{
#pragma omp critical(aggregate_failed)
    {
        if (!flush->failed)
            *flush->err = *error;
        flush->failed = true;
    }
}

/* ---- List ---- */

static struct sort_entry entry_of(const struct table_slot *slot)
{
    uint64_t next;

    if (table_slot_long(slot))
        return sort_entry_of(table_slot_key(slot), slot);
    next = __builtin_bswap16((uint16_t)slot->b);
    return (struct sort_entry){__builtin_bswap64(slot->a),
                               next << 48 | (uint64_t)(uintptr_t)slot};
}

/* What a slot adds to its part's digest. Keys count as often as they were emitted, and of
 * values what a sum of integers makes of them: all that is the same however pairs were joined.
 */
static uint64_t slot_digest(const struct fold *fold, struct table_slot *slot, uint64_t pairs)
{
    uint64_t hash = table_slot_hash(slot), digest = hash * pairs;
    const int64_t *lanes = aggregate_lanes(fold, slot);

    for (uint32_t i = 0; i < fold->lanes && !fold->floating; i++)
        if (fold->lane[i] == MR_SUM_I64)
            digest +=
                table_mix(hash, UINT64_C(0xa0761d6478bd642f) + 2 * i) * (uint64_t)lanes[i];
    return digest;
}

/* The part of a slot's key, whose pairs it counts; 0 after reporting that there is no such
 * part. */
static uint32_t count_in_part(struct flush *flush, const struct table_slot *slot,
                              uint64_t pairs, uint64_t digest)
{
    int thread = omp_get_thread_num();
    uint32_t part = partitioner_pick(&flush->partitioners[thread], table_slot_key(slot));
    struct error error;

    if (part < flush->parts) {
        flush->pairs[(size_t)thread * flush->parts + part] += pairs;
        flush->digests[(size_t)thread * flush->parts + part] += digest;
        return part;
    }
    error_set(&error, ERROR_JOB, "partition returned %u, the job has parts 0 to %u", part,
              flush->parts - 1);
    fail(flush, &error);
    return 0;
}

static void list_slot(struct flush *flush, size_t at, struct table_slot *slot, uint64_t pairs)
{
    uint64_t digest = slot_digest(&flush->tables[0]->fold, slot, pairs);

    flush->list[at] = entry_of(slot);
    flush->part[at] = (uint16_t)count_in_part(flush, slot, pairs, digest);
}

static void list_range(struct flush *flush, size_t range, struct aggregate_joiner *joiner)
{
    size_t at;

    if (flush->failed)
        return;
    aggregate_join(joiner, flush->tables, flush->n, range, flush->ranges);
    at = atomic_fetch_add(&flush->listed, joiner->count);
    for (size_t i = 0; i < joiner->count; i++)
        list_slot(flush, at + i, joiner->found[i].slot, joiner->found[i].pairs);
}

/* A table's log, and its carries, which are pairs alone. */
static void list_log(struct flush *flush, const struct aggregate *table)
{
    size_t at = atomic_fetch_add(&flush->listed, table->logged);

    for (struct aggregate_block *block = table->log; block; block = block->next) {
        struct table_slot *slots = (void *)block->bytes;

        for (size_t i = 0; i < block->used / sizeof *slots && !flush->failed; i++)
            list_slot(flush, at++, &slots[i], slots[i].pairs);
    }
    for (size_t i = 0; i < table->carry_count && !flush->failed; i++) {
        const struct table_slot *carry = &table->carries[i];

        count_in_part(flush, carry, carry->pairs, table_slot_hash(carry) * carry->pairs);
    }
}

/* ---- Deal ---- */

static size_t slice_start(const struct flush *flush, int slice)
{
    return flush->listed / (size_t)flush->n * (size_t)slice +
           (slice == flush->n ? flush->listed % (size_t)flush->n : 0);
}

static void count_slice(struct flush *flush, int slice)
{
    size_t *next = &flush->next[(size_t)slice * flush->parts];
    size_t end = flush->failed ? 0 : slice_start(flush, slice + 1);

    for (size_t i = slice_start(flush, slice); i < end; i++)
        next[flush->part[i]]++;
}

/* Turns the slices' counts into places: part by part, slice by slice. */
static void find_places(struct flush *flush)
{
    size_t at = 0;

    for (uint32_t part = 0; part < flush->parts; part++) {
        flush->start[part] = at;
        for (int slice = 0; slice < flush->n; slice++) {
            size_t *next = &flush->next[(size_t)slice * flush->parts + part], count = *next;

            *next = at;
            at += count;
        }
    }
    flush->start[flush->parts] = at;
    check(at == flush->listed || flush->failed);
}

static void deal_slice(struct flush *flush, int slice)
{
    size_t *next = &flush->next[(size_t)slice * flush->parts];
    size_t end = flush->failed ? 0 : slice_start(flush, slice + 1);

    for (size_t i = slice_start(flush, slice); i < end; i++)
        flush->dealt[next[flush->part[i]]++] = flush->list[i];
}

/* ---- Write ---- */

static struct table_slot *slot_of(const struct sort_entry *entry)
{
    return (struct table_slot *)(uintptr_t)sort_place(entry);
}

/* Writes sorted entries, equal keys joined, into the builder. */
static int build(const struct flush *flush, const struct sort_entry *entries, size_t n,
                 struct run_builder *builder, uint64_t *ret_records, struct error *err)
{
    const struct fold *fold = &flush->tables[0]->fold;

    for (size_t i = 0; i < n; ++*ret_records) {
        struct table_slot *slot = slot_of(&entries[i]);
        void *lanes = aggregate_lanes(fold, slot);
        size_t first = i;

        if (i + AHEAD < n)
            __builtin_prefetch(sort_place(&entries[i + AHEAD]));
        for (i++; i < n && entries[i].prefix == entries[first].prefix &&
                  table_slots_alike(slot_of(&entries[i]), slot);
             i++)
            fold_join(fold, lanes, aggregate_lanes(fold, slot_of(&entries[i])));
        if (run_builder_add(builder, table_slot_key(slot),
                            (struct mr_bytes){lanes, 8 * (size_t)fold->lanes}, err))
            return -1;
    }
    return 0;
}

static void write_part(struct flush *flush, uint32_t part, struct run_builder *builder)
{
    size_t start = flush->start[part], n = flush->start[part + 1] - start;
    uint64_t pairs = 0, records = 0, digest = 0;
    struct error error;
    int result;

    if (!n || flush->failed)
        return;
    for (int i = 0; i < flush->n; i++) {
        pairs += flush->pairs[(size_t)i * flush->parts + part];
        digest += flush->digests[(size_t)i * flush->parts + part];
    }
    run_note(flush->run, part, digest);
    sort_entries(flush->dealt + start, flush->list + start, n,
                 &(struct sort_keys){slot_key, 0});
    run_builder_pairs(builder, pairs);
    result = build(flush, flush->dealt + start, n, builder, &records, &error);
    if (!result)
        result = run_append(flush->run, flush->round, part, builder, true, &error);
#pragma omp critical(aggregate_totals)
    {
        flush->all_pairs += pairs;
        flush->records += records;
    }
    if (result)
        fail(flush, &error);
}

/* ---- All together ---- */

static void run_steps(struct flush *flush)
{
#pragma omp parallel num_threads(flush->n)
    {
        struct run_builder *builder = run_builder_new(8 * flush->tables[0]->fold.lanes);
        struct aggregate_joiner joiner = {0};

#pragma omp for schedule(dynamic, 1) nowait
        for (size_t range = 0; range < flush->ranges; range++)
            list_range(flush, range, &joiner);
#pragma omp for schedule(dynamic, 1)
        for (int i = 0; i < flush->n; i++)
            list_log(flush, flush->tables[i]);
        aggregate_joiner_done(&joiner);
#pragma omp for schedule(static, 1)
        for (int i = 0; i < flush->n; i++)
            count_slice(flush, i);
#pragma omp single
        find_places(flush);
#pragma omp for schedule(static, 1)
        for (int i = 0; i < flush->n; i++)
            deal_slice(flush, i);
#pragma omp for schedule(dynamic, 1)
        for (uint32_t part = 0; part < flush->parts; part++)
            write_part(flush, part, builder);
#pragma omp for schedule(static, 1) nowait
        for (int i = 0; i < flush->n; i++)
            aggregate_clear(flush->tables[i]);
        run_builder_free(builder);
    }
}

/* Settles what is pending, and finds memory for all slots. */
static int prepare(struct flush *flush)
{
    size_t slots = 0, cells = (size_t)flush->n * flush->parts;
    char *scratch;

    for (int i = 0; i < flush->n; i++) {
        if (aggregate_settle(flush->tables[i]))
            return -1;
        slots += flush->tables[i]->used + flush->tables[i]->logged;
    }
    scratch = aggregate_scratch(flush->tables[0], (slots + 1) * AGGREGATE_FLUSH_BYTES);
    if (!scratch)
        return -1;
    flush->list = (struct sort_entry *)(void *)scratch;
    flush->dealt = flush->list + slots;
    flush->part = (uint16_t *)(void *)(flush->dealt + slots);
    flush->ranges = aggregate_ranges(flush->tables, flush->n);
    flush->pairs = memory_zeroed(cells, sizeof *flush->pairs);
    flush->digests = memory_zeroed(cells, sizeof *flush->digests);
    flush->next = memory_zeroed(cells, sizeof *flush->next);
    flush->start = memory_zeroed((size_t)flush->parts + 1, sizeof *flush->start);
    return 0;
}

int aggregate_flush(struct aggregate *const *tables, int n,
                    const struct partitioner *partitioners, uint32_t round,
                    struct run_writer *run, uint64_t *ret_pairs, uint64_t *ret_records,
                    struct error *err)
{
    struct flush flush = {.tables = tables,
                          .n = n,
                          .partitioners = partitioners,
                          .parts = partitioners[0].parts,
                          .round = round,
                          .run = run,
                          .err = err};

    if (prepare(&flush)) {
        for (int i = 0; i < n; i++)
            aggregate_clear(tables[i]);
        return error_set(err, ERROR_MEMORY, "no memory for the table of keys");
    }
    run_steps(&flush);
    free(flush.pairs);
    free(flush.digests);
    free(flush.next);
    free(flush.start);
    if (flush.failed)
        return -1;
    *ret_pairs = flush.all_pairs;
    *ret_records = flush.records;
    return 0;
}
