#include "tests/lib/cmocka_all.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/folder.h"
#include "tests/lib/folding.h"

/* ---- The reference ---- */

static bool double_first(double a, double b)
{
    if (isnan(a) || isnan(b))
        return !isnan(a);
    return a == b ? signbit(a) && !signbit(b) : a < b;
}

/* One lane of the reference: a running result and one more value, of the kind that MR_COUNT
 * counts. */
static void reference_join(enum mr_fold kind, void *into, const void *from)
{
    int64_t a, b;
    double x, y;

    memcpy(&a, into, 8);
    memcpy(&b, from, 8);
    memcpy(&x, into, 8);
    memcpy(&y, from, 8);
    if (kind == MR_SUM_I64 || kind == MR_COUNT)
        (void)__builtin_add_overflow(a, b, &a); /* keeps the lowest 64 bits */
    else if (kind == MR_MIN_I64)
        a = b < a ? b : a;
    else if (kind == MR_MAX_I64)
        a = b > a ? b : a;
    else if (kind == MR_SUM_F64)
        x += y;
    else if (kind == MR_MIN_F64)
        x = double_first(y, x) ? y : x;
    else
        x = isnan(x) || (!isnan(y) && double_first(x, y)) ? y : x;
    memcpy(into, kind >= MR_SUM_F64 ? (void *)&x : (void *)&a, 8);
}

/* Sorts the records and joins those of one key. `emitted`: MR_COUNT lanes still hold what was
 * emitted. */
static struct records reference_fold(const struct fold *fold, struct records *records,
                                     bool emitted)
{
    struct records out = {0};
    const int64_t one = 1;

    records_sort(records);
    for (size_t i = 0, first; i < records->count;) {
        char value[WIDTH_MAX], next[WIDTH_MAX];

        for (first = i; i < records->count &&
                        !bytes_order(records->items[first].key, records->items[i].key);
             i++) {
            memcpy(next, records->items[i].value.ptr, 8 * fold->lanes);
            for (uint32_t lane = 0; lane < fold->lanes; lane++) {
                if (emitted && fold->lane[lane] == MR_COUNT)
                    memcpy(next + 8 * lane, &one, 8);
                if (i == first)
                    memcpy(value + 8 * lane, next + 8 * lane, 8);
                else
                    reference_join(fold->lane[lane], value + 8 * lane, next + 8 * lane);
            }
        }
        records_add(&out, records->items[first].key, (struct mr_bytes){value, 8 * fold->lanes});
    }
    return out;
}

/* ---- Tables, and the run that they are flushed to ---- */

void bench_open(struct bench *bench, const struct fold *fold, uint32_t parts, int n)
{
    static unsigned turn; /* each bench has the next codec */
    struct run_shape shape = {
        parts, RUN_SORTED, 8 * fold->lanes, ID, {(enum codec)(turn++ % CODECS), false}};
    struct error err;

    *bench = (struct bench){.folder = folder_new(), .fold = *fold, .parts = parts, .n = n};
    bench->path = folder_path(bench->folder, "run");
    for (int i = 0; i < n; i++)
        bench->tables[i] = aggregate_new(fold);
    assert_int_equal(run_create(bench->path, &shape, &bench->run, &err), 0);
}

void bench_close(struct bench *bench)
{
    for (int i = 0; i < bench->n; i++) {
        aggregate_free(bench->tables[i]);
        records_done(&bench->emitted[i]);
    }
    folder_remove(bench->folder);
    free(bench->path);
}

static void expect_empty(const struct aggregate *table)
{
    assert_int_equal(table->used + table->logged + table->pending_count + table->carry_count,
                     0);
    assert_int_equal(table->state, AGGREGATE_FILLING);
    for (size_t i = 0; i < table->capacity; i++)
        assert_int_equal(table->slots[i].c | table->slots[i].pairs, 0);
}

int bench_flush(struct bench *bench, uint32_t round, struct error *err)
{
    struct partitioner partitioners[TABLES_MAX];
    uint64_t pairs, records;

    for (int i = 0; i < bench->n; i++)
        partitioners[i] = (struct partitioner){.parts = bench->parts};
    if (aggregate_flush(bench->tables, bench->n, partitioners, round, bench->run, &pairs,
                        &records, err))
        return -1;
    bench->pairs += pairs;
    bench->records += records;
    for (int i = 0; i < bench->n; i++)
        expect_empty(bench->tables[i]);
    return 0;
}

void bench_add(struct bench *bench, int table, struct mr_bytes key, bool padded,
               const void *value)
{
    assert_int_equal(aggregate_add(bench->tables[table], key, padded, value), 0);
    records_add(&bench->emitted[table], key, (struct mr_bytes){value, 8 * bench->fold.lanes});
}

/* A segment's keys are ascending, each once, and belong to its part. */
static void expect_segment_order(const struct bench *bench, const struct run_segment *segment,
                                 const struct records *found, size_t first)
{
    for (size_t i = first; i < found->count; i++) {
        assert_int_equal(partition_of(found->items[i].key, bench->parts), segment->part);
        if (i > first)
            assert_true(bytes_order(found->items[i - 1].key, found->items[i].key) < 0);
    }
}

void expect_reference(struct bench *bench)
{
    struct records found = {0}, emitted = {0}, folded, expected;
    const struct run_segment *segments;
    struct run_file *run;
    struct error err;
    uint64_t size, pairs = 0;
    size_t count;

    assert_int_equal(run_finish(bench->run, false, &size, &err), 0);
    assert_int_equal(run_open(bench->path, ID, &run, &err), 0);
    segments = run_segments(run, &count);
    for (size_t i = 0; i < count; i++) {
        size_t first = found.count;

        assert_int_equal(read_segment(run, &segments[i], &found, &err), 0);
        expect_segment_order(bench, &segments[i], &found, first);
        pairs += segments[i].pairs;
    }
    run_close(run);
    for (int i = 0; i < bench->n; i++)
        for (size_t k = 0; k < bench->emitted[i].count; k++)
            records_add(&emitted, bench->emitted[i].items[k].key,
                        bench->emitted[i].items[k].value);
    assert_int_equal(pairs, emitted.count);
    assert_int_equal(bench->pairs, emitted.count);
    assert_int_equal(bench->records, found.count);
    folded = reference_fold(&bench->fold, &found, false);
    expected = reference_fold(&bench->fold, &emitted, true);
    expect_records(&folded, &expected);
    records_done(&found);
    records_done(&emitted);
    records_done(&folded);
    records_done(&expected);
}
