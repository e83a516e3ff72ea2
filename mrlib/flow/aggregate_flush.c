/* Emptying the threads' tables into a run: each table's slots are scattered by part, then each
 * part is gathered from all tables, sorted, joined and written. Both steps run on all threads.
 */
#include <omp.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "flow/aggregate_internal.h"
#include "flow/sort.h"

/* One table's keys, grouped by part: those of part p are entries[start[p] .. start[p + 1]). */
struct scattered {
    struct sort_entry *entries;
    size_t *start;
    uint64_t *carried; /* pairs by part that the slots no longer count */
};

struct flush {
    struct aggregate *const *tables;
    int n;
    const struct partitioner *partitioners;
    uint32_t parts, round;
    struct run_writer *run;
    struct scattered *scattered;
    uint64_t pairs, records;
    bool failed; /* written under the lock; the first error is kept */
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
        __atomic_store_n(&flush->failed, true, __ATOMIC_RELAXED);
    }
}

/* The part of a slot's key, or UINT32_MAX after reporting that there is no such part. */
static uint32_t part_of(struct flush *flush, int thread, const struct table_slot *slot)
{
    uint32_t part = partitioner_pick(&flush->partitioners[thread], table_slot_key(slot));
    struct error error;

    if (part < flush->parts)
        return part;
    error_set(&error, ERROR_JOB, "partition returned %u, the job has parts 0 to %u", part,
              flush->parts - 1);
    fail(flush, &error);
    return UINT32_MAX;
}

static void scatter(struct flush *flush, int thread)
{
    struct aggregate *table = flush->tables[thread];
    struct scattered *out = &flush->scattered[thread];
    cleanup_free uint32_t *part = memory_new(table->used * sizeof *part);
    size_t *next, k = 0;

    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].c) {
            part[k] = part_of(flush, thread, &table->slots[i]);
            if (part[k] == UINT32_MAX)
                return;
            out->start[part[k++] + 1]++;
        }
    check(k == table->used);
    for (uint32_t p = 0; p < flush->parts; p++)
        out->start[p + 1] += out->start[p];
    next = memory_new(flush->parts * sizeof *next);
    memcpy(next, out->start, flush->parts * sizeof *next);
    k = 0;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].c)
            out->entries[next[part[k++]]++] =
                sort_entry_of(table_slot_key(&table->slots[i]), &table->slots[i]);
    free(next);
    for (size_t i = 0; i < table->carry_count; i++) {
        uint32_t p = part_of(flush, thread, &table->carries[i].slot);

        if (p != UINT32_MAX)
            out->carried[p] += table->carries[i].slot.pairs;
    }
}

/* Which table a slot is in: its lanes lie beside it. */
static struct aggregate *owner(const struct flush *flush, const struct table_slot *slot)
{
    for (int i = 0; i < flush->n; i++)
        if (slot >= flush->tables[i]->slots &&
            slot < flush->tables[i]->slots + flush->tables[i]->capacity)
            return flush->tables[i];
    check(!"a slot of these tables");
    return NULL;
}

/* Writes sorted entries, equal keys joined, into the builder. */
static int build(const struct flush *flush, const struct sort_entry *entries, size_t n,
                 struct run_builder *builder, uint64_t *ret_records, struct error *err)
{
    const struct fold *fold = &flush->tables[0]->fold;
    char value[8 * MR_LANES_MAX];

    for (size_t i = 0; i < n;) {
        struct table_slot *slot = (struct table_slot *)(uintptr_t)sort_place(&entries[i]);
        struct mr_bytes key = table_slot_key(slot);

        memcpy(value, aggregate_lanes(owner(flush, slot), slot), 8 * fold->lanes);
        run_builder_pairs(builder, slot->pairs);
        for (i++; i < n; i++) {
            struct table_slot *other = (struct table_slot *)(uintptr_t)sort_place(&entries[i]);

            if (entries[i].prefix != sort_prefix(key) ||
                sort_compare(table_slot_key(other), key))
                break;
            fold_join(fold, value, aggregate_lanes(owner(flush, other), other));
            run_builder_pairs(builder, other->pairs);
        }
        if (run_builder_add(builder, key, (struct mr_bytes){value, 8 * fold->lanes}, err))
            return -1;
        ++*ret_records;
    }
    return 0;
}

static void write_part(struct flush *flush, uint32_t part, struct run_builder *builder)
{
    size_t n = 0, at = 0;
    uint64_t pairs = 0, records = 0, carried = 0;
    cleanup_free struct sort_entry *entries = NULL;
    struct error error;
    int result;

    for (int i = 0; i < flush->n; i++) {
        n += flush->scattered[i].start[part + 1] - flush->scattered[i].start[part];
        carried += flush->scattered[i].carried[part];
    }
    if (!n)
        return;
    entries = memory_new(2 * n * sizeof *entries);
    for (int i = 0; i < flush->n; i++) {
        const struct scattered *from = &flush->scattered[i];
        size_t count = from->start[part + 1] - from->start[part];

        for (size_t k = 0; k < count; k++) {
            entries[at + k] = from->entries[from->start[part] + k];
            pairs += ((const struct table_slot *)sort_place(&entries[at + k]))->pairs;
        }
        at += count;
    }
    sort_entries(entries, entries + n, n, &(struct sort_keys){slot_key, 0});
    run_builder_pairs(builder, carried);
    result = build(flush, entries, n, builder, &records, &error);
#pragma omp critical(aggregate_append)
    {
        if (!result)
            result = run_append(flush->run, flush->round, part, builder, true, &error);
        flush->pairs += pairs + carried;
        flush->records += records;
    }
    if (result)
        fail(flush, &error);
}

static void prepare(struct flush *flush)
{
    flush->scattered = memory_zeroed((size_t)flush->n, sizeof *flush->scattered);
    for (int i = 0; i < flush->n; i++) {
        struct scattered *scattered = &flush->scattered[i];

        scattered->entries = memory_new(flush->tables[i]->used * sizeof *scattered->entries);
        scattered->start = memory_zeroed(flush->parts + 1, sizeof *scattered->start);
        scattered->carried = memory_zeroed(flush->parts, sizeof *scattered->carried);
    }
}

static void release(struct flush *flush)
{
    for (int i = 0; i < flush->n; i++) {
        free(flush->scattered[i].entries);
        free(flush->scattered[i].start);
        free(flush->scattered[i].carried);
        aggregate_clear(flush->tables[i]);
    }
    free(flush->scattered);
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

    for (int i = 0; i < n; i++)
        if (aggregate_settle(tables[i]))
            return error_set(err, ERROR_MEMORY, "no memory for the table of keys");
    prepare(&flush);
#pragma omp parallel num_threads(n)
    {
        struct run_builder *builder = run_builder_new(8 * tables[0]->fold.lanes);

#pragma omp for schedule(static, 1)
        for (int i = 0; i < n; i++)
            scatter(&flush, i);
#pragma omp for schedule(dynamic, 1)
        for (uint32_t part = 0; part < flush.parts; part++)
            if (!__atomic_load_n(&flush.failed, __ATOMIC_RELAXED))
                write_part(&flush, part, builder);
        run_builder_free(builder);
    }
    release(&flush);
    if (flush.failed)
        return -1;
    *ret_pairs = flush.pairs;
    *ret_records = flush.records;
    return 0;
}
