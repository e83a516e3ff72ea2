/* Aggregation: what the threads' tables fold into a run is what a sorted list folds into. */
#include "tests/lib/cmocka_all.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/memory.h"
#include "flow/aggregate_internal.h"
#include "tests/lib/folder.h"
#include "tests/lib/records.h"

enum { ID = 99, TABLES_MAX = 4, WIDTH_MAX = 8 * MR_LANES_MAX };

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

struct bench {
    char *folder, *path;
    struct fold fold;
    uint32_t parts;
    int n;
    struct aggregate *tables[TABLES_MAX];
    struct run_writer *run;
    uint64_t pairs, records; /* as aggregate_flush told, of all rounds */
    struct records emitted[TABLES_MAX];
};

static void bench_open(struct bench *bench, const struct fold *fold, uint32_t parts, int n)
{
    struct run_shape shape = {parts, RUN_SORTED, 8 * fold->lanes, ID};
    struct error err;

    *bench = (struct bench){.folder = folder_new(), .fold = *fold, .parts = parts, .n = n};
    bench->path = folder_path(bench->folder, "run");
    for (int i = 0; i < n; i++)
        bench->tables[i] = aggregate_new(fold);
    assert_int_equal(run_create(bench->path, &shape, &bench->run, &err), 0);
}

static void bench_close(struct bench *bench)
{
    for (int i = 0; i < bench->n; i++) {
        aggregate_free(bench->tables[i]);
        records_done(&bench->emitted[i]);
    }
    folder_remove(bench->folder);
    free(bench->path);
}

static int bench_flush(struct bench *bench, uint32_t round, struct error *err)
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
        assert_int_equal(aggregate_bytes(bench->tables[i]), 0);
    return 0;
}

static void add(struct bench *bench, int table, struct mr_bytes key, bool padded,
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

/* Finishes the run and compares what it holds with what was added. */
static void expect_reference(struct bench *bench)
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

/* ---- Random emits ---- */

static struct fold made_up_fold(struct rng *rng)
{
    struct fold fold = {.lanes = 1, .floating = rng_below(rng, 3) == 0};

    if (rng_below(rng, 3) == 0)
        fold.lanes = 2 + (uint32_t)rng_below(rng, MR_LANES_MAX - 1);
    for (uint32_t i = 0; i < fold.lanes; i++)
        fold.lane[i] = fold.floating ? MR_SUM_F64 + (enum mr_fold)rng_below(rng, 3)
                                     : MR_SUM_I64 + (enum mr_fold)rng_below(rng, 4);
    return fold;
}

/* Sums of whole doubles are exact whatever their order; the other folds take anything. */
static void made_up_value(struct rng *rng, const struct fold *fold, char *value)
{
    static const double odd[] = {0.0, -0.0, NAN, INFINITY, -INFINITY, 5e-324, 1.5, -1.5};

    for (uint32_t i = 0; i < fold->lanes; i++) {
        uint64_t word = rng_below(rng, 4) ? rng_next(rng) : UINT64_C(1) << 63;
        double number = fold->lane[i] == MR_SUM_F64
                            ? (double)(int32_t)rng_next(rng)
                            : odd[rng_below(rng, sizeof odd / sizeof *odd)];

        memcpy(value + 8 * i, fold->floating ? (void *)&number : (void *)&word, 8);
    }
}

/* Emits to one table, sometimes with what lies behind the key readable, sometimes not. */
static void emit_made_up(struct bench *bench, int table, uint64_t seed, int emits)
{
    char key[MADE_UP_KEY + 24], value[WIDTH_MAX];
    struct rng rng = {seed};

    for (int i = 0; i < emits; i++) {
        struct mr_bytes k;

        made_up_bytes(&rng, key, 48);
        k = made_up_key(&rng, key);
        made_up_value(&rng, &bench->fold, value);
        if (rng_below(&rng, 2)) {
            add(bench, table, k, true, value);
        } else {
            cleanup_free char *exact = memory_new(k.len);

            if (k.len)
                memcpy(exact, k.ptr, k.len);
            add(bench, table, (struct mr_bytes){exact, k.len}, false, value);
        }
    }
}

static void random_keys_fold_as_in_the_reference_over_threads_parts_and_rounds(void **state)
{
    struct rng rng = {101};
    struct error err;

    (void)state;
    for (int round = 0; round < 60; round++) {
        struct fold fold = made_up_fold(&rng);
        struct bench bench;
        uint32_t rounds = 1 + (uint32_t)rng_below(&rng, 3);
        int emits = (int)rng_below(&rng, round % 4 ? 500 : 4000);

        bench_open(&bench, &fold, 1 + (uint32_t)rng_below(&rng, 9),
                   1 + (int)rng_below(&rng, TABLES_MAX));
        for (uint32_t r = 0; r < rounds; r++) {
            uint64_t seed = rng_next(&rng);

#pragma omp parallel for num_threads(bench.n) schedule(static, 1)
            for (int i = 0; i < bench.n; i++)
                emit_made_up(&bench, i, seed + (uint64_t)i * 1000, emits);
            assert_int_equal(bench_flush(&bench, r, &err), 0);
        }
        expect_reference(&bench);
        bench_close(&bench);
    }
}

static void sums_and_counts_take_the_short_path_and_agree(void **state)
{
    static const struct fold folds[] = {{1, false, {MR_SUM_I64}}, {1, false, {MR_COUNT}}};
    static char key[MADE_UP_KEY + 24];
    struct rng rng = {102};
    struct error err;

    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (int emits = 0; emits < 200; emits += 31 + kind) { /* batches that end anywhere */
            struct bench bench;

            bench_open(&bench, &folds[kind], 3, 2);
            for (int i = 0; i < emits; i++) {
                int64_t value = i % 5 ? (int64_t)rng_next(&rng) : INT64_MIN;
                struct mr_bytes k = made_up_key(&rng, key);

                assert_int_equal(
                    aggregate_add_i64(bench.tables[i % 2], k, rng_below(&rng, 2), value), 0);
                records_add(&bench.emitted[i % 2], k, (struct mr_bytes){(char *)&value, 8});
            }
            assert_int_equal(bench_flush(&bench, 0, &err), 0);
            expect_reference(&bench);
            bench_close(&bench);
        }
}

/* ---- Growth ---- */

static void a_table_grows_with_its_keys_and_is_reused(void **state)
{
    static const struct fold folds[] = {{1, false, {MR_SUM_I64}},
                                        {3, false, {MR_SUM_I64, MR_MAX_I64, MR_COUNT}}};
    enum { KEYS = 60000 };
    struct error err;

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct bench bench;

        bench_open(&bench, &folds[kind], 5, 1);
        assert_int_equal(aggregate_bytes(bench.tables[0]), 0);
        for (uint32_t round = 0; round < 2; round++) {
            size_t bytes = 0;

            for (int i = 0; i < KEYS; i++) {
                char key[64];
                int64_t value[3] = {i, i % 7, 0};
                int n = snprintf(key, sizeof key,
                                 i % 3 ? "%d" : "a key that is too long for a slot %d",
                                 i % (KEYS - 1000));

                add(&bench, 0, (struct mr_bytes){key, (size_t)n}, false, value);
                assert_true(aggregate_bytes(bench.tables[0]) >= bytes);
                bytes = aggregate_bytes(bench.tables[0]);
            }
            assert_true(bytes > KEYS * 2 * sizeof(struct table_slot) / 2);
            assert_int_equal(bench_flush(&bench, round, &err), 0);
        }
        expect_reference(&bench);
        bench_close(&bench);
    }
}

static void keys_of_every_length_are_kept_apart(void **state)
{
    static const struct fold fold = {1, false, {MR_COUNT}};
    static char key[200000 + 24];
    struct bench bench;
    struct error err;
    int64_t zero = 0;

    (void)state;
    bench_open(&bench, &fold, 4, 2);
    for (int letter = 0; letter < 2; letter++) {
        memset(key, letter ? 'z' : '\0', sizeof key);
        for (size_t len = 0; len < 60; len++)
            for (int times = 0; times < 4;
                 times++) { /* something else behind the key each time */
                memset(key + len, times * 77, 24);
                add(&bench, times % 2, (struct mr_bytes){key, len}, times != 1, &zero);
                memset(key + len, letter ? 'z' : '\0', 24);
            }
        for (size_t len = 64; len < 200000; len *= 2)
            for (int times = 0; times < 2; times++)
                add(&bench, times, (struct mr_bytes){key, len}, true, &zero);
    }
    assert_int_equal(bench_flush(&bench, 0, &err), 0);
    expect_reference(&bench);
    bench_close(&bench);
}

static void keys_above_the_limit_are_refused(void **state)
{
    static const struct fold folds[] = {{1, false, {MR_SUM_I64}}, {1, false, {MR_MIN_I64}}};
    int64_t value = 1;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct aggregate *table = aggregate_new(&folds[i]);

        assert_int_equal(
            aggregate_add(table, (struct mr_bytes){"x", LIMIT_RECORD + 1}, false, &value), -1);
        assert_int_equal(
            aggregate_add_i64(table, (struct mr_bytes){"x", LIMIT_RECORD + 1}, false, value),
            -1);
        aggregate_free(table);
    }
    aggregate_free(NULL);
}

/* Makes the only key's slot stand for so many pairs. */
static void pretend_pairs(struct aggregate *table, uint32_t pairs)
{
    size_t slots = 0;

    assert_int_equal(aggregate_settle(table), 0);
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].c) {
            table->slots[i].pairs = pairs;
            slots++;
        }
    assert_int_equal(slots, 1);
}

/* A slot counts in 32 bits; a job may emit a key more often than that. */
static void more_than_four_billion_pairs_of_a_key_are_counted(void **state)
{
    static const struct fold folds[] = {{1, false, {MR_COUNT}}, {1, false, {MR_MAX_I64}}};
    static const char *const keys[] = {"key", "a key that is too long for a slot"};
    struct error err;
    int64_t value = 5;

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct mr_bytes key = mr_text(keys[kind / 2]);
        struct run_file *run;
        struct bench bench;
        uint64_t size;
        size_t count;

        bench_open(&bench, &folds[kind % 2], 3, 2);
        for (int i = 0; i < 40; i++) {
            assert_int_equal(aggregate_add(bench.tables[i % 2], key, false, &value), 0);
            if (i < 2 || i == 20 || i == 21)
                pretend_pairs(bench.tables[i % 2], UINT32_MAX - 3);
        }
        assert_int_equal(bench_flush(&bench, 0, &err), 0);
        assert_int_equal(bench.records, 1);
        /* Each table carries once before it is made to count anew, and again behind that. */
        assert_int_equal(bench.pairs, 2 * (2 * (uint64_t)UINT32_MAX - 3 + 9));
        assert_int_equal(run_finish(bench.run, false, &size, &err), 0);
        assert_int_equal(run_open(bench.path, ID, &run, &err), 0);
        assert_int_equal(run_segments(run, &count)->pairs, bench.pairs);
        assert_int_equal(count, 1);
        run_close(run);
        bench_close(&bench);
    }
}

/* ---- Flushing ---- */

static void empty_tables_write_nothing(void **state)
{
    static const struct fold fold = {1, false, {MR_SUM_I64}};
    struct bench bench;
    struct error err;

    (void)state;
    bench_open(&bench, &fold, 7, 3);
    assert_int_equal(bench_flush(&bench, 0, &err), 0);
    assert_int_equal(bench.pairs, 0);
    assert_int_equal(bench.records, 0);
    expect_reference(&bench);
    bench_close(&bench);
}

static uint32_t no_such_part(struct mr_task *task, struct mr_bytes key, uint32_t parts)
{
    (void)task;
    return key.ptr[0] == 'x' ? parts + 3 : 0;
}

static void a_part_that_does_not_exist_is_the_jobs_error(void **state)
{
    static const struct fold fold = {1, false, {MR_SUM_I64}};

    (void)state;
    for (int threads = 1; threads <= TABLES_MAX; threads++) {
        struct partitioner partitioners[TABLES_MAX];
        struct bench bench;
        struct error err = {0};
        uint64_t pairs, records;

        bench_open(&bench, &fold, 4, threads);
        for (int i = 0; i < threads; i++) {
            partitioners[i] = (struct partitioner){4, no_such_part, NULL};
            for (int k = 0; k < 50; k++) {
                char key[8];
                int n = snprintf(key, sizeof key, "%c%d", k % 10 ? 'a' : 'x', k);

                assert_int_equal(aggregate_add_i64(bench.tables[i],
                                                   (struct mr_bytes){key, (size_t)n}, false, 1),
                                 0);
            }
        }
        assert_int_equal(aggregate_flush(bench.tables, threads, partitioners, 0, bench.run,
                                         &pairs, &records, &err),
                         -1);
        assert_int_equal(err.code, ERROR_JOB);
        assert_string_equal(err.text, "partition returned 7, the job has parts 0 to 3");
        run_abandon(bench.run);
        bench_close(&bench);
    }
}

static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_fails_the_flush_and_is_named(void **state)
{
    static const struct fold fold = {1, false, {MR_SUM_I64}};
    struct bench bench;
    struct error err = {0};
    int result;

    (void)state;
    bench_open(&bench, &fold, 8, 3);
    for (int i = 0; i < 3; i++)
        emit_made_up(&bench, i, (uint64_t)i, 2000);
    limit_files(5000);
    result = bench_flush(&bench, 0, &err);
    limit_files(RLIM_INFINITY);
    assert_int_equal(result, -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.text, bench.path));
    run_abandon(bench.run);
    bench_close(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_keys_fold_as_in_the_reference_over_threads_parts_and_rounds),
        cmocka_unit_test(sums_and_counts_take_the_short_path_and_agree),
        cmocka_unit_test(a_table_grows_with_its_keys_and_is_reused),
        cmocka_unit_test(keys_of_every_length_are_kept_apart),
        cmocka_unit_test(keys_above_the_limit_are_refused),
        cmocka_unit_test(more_than_four_billion_pairs_of_a_key_are_counted),
        cmocka_unit_test(empty_tables_write_nothing),
        cmocka_unit_test(a_part_that_does_not_exist_is_the_jobs_error),
        cmocka_unit_test(a_full_disk_fails_the_flush_and_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
