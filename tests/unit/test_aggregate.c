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
#include "tests/lib/folding.h"

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
            bench_add(bench, table, k, true, value);
        } else {
            cleanup_free char *exact = memory_new(k.len);

            if (k.len)
                memcpy(exact, k.ptr, k.len);
            bench_add(bench, table, (struct mr_bytes){exact, k.len}, false, value);
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
                    aggregate_emit(bench.tables[i % 2], k, rng_below(&rng, 2), value), 0);
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
        for (uint32_t round = 0; round < 2; round++) {
            size_t bytes = aggregate_bytes(bench.tables[0]);

            for (int i = 0; i < KEYS; i++) {
                char key[64];
                int64_t value[3] = {i, i % 7, 0};
                int n = snprintf(key, sizeof key,
                                 i % 3 ? "%d" : "a key that is too long for a slot %d",
                                 i % (KEYS - 1000));

                bench_add(&bench, 0, (struct mr_bytes){key, (size_t)n}, false, value);
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
                bench_add(&bench, times % 2, (struct mr_bytes){key, len}, times != 1, &zero);
                memset(key + len, letter ? 'z' : '\0', 24);
            }
        for (size_t len = 64; len < 200000; len *= 2)
            for (int times = 0; times < 2; times++)
                bench_add(&bench, times, (struct mr_bytes){key, len}, true, &zero);
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
            aggregate_emit(table, (struct mr_bytes){"x", LIMIT_RECORD + 1}, true, value), -1);
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
        /* Each table carries 2^32 - 2 before it is made to count anew, and again behind that.
         */
        assert_int_equal(bench.pairs, 2 * ((uint64_t)UINT32_MAX - 1 + UINT32_MAX - 3 + 9));
        assert_int_equal(run_finish(bench.run, false, &size, &err), 0);
        assert_int_equal(run_open(bench.path, ID, &run, &err), 0);
        assert_int_equal(run_segments(run, &count)->pairs, bench.pairs);
        assert_int_equal(count, 1);
        run_close(run);
        bench_close(&bench);
    }
}

/* ---- Flushing ---- */

/* ---- The log ---- */

/* Keys of all lengths: those of one number are equal, others differ somewhere. */
static struct mr_bytes numbered_key(uint64_t number, char *at)
{
    size_t len = 8 + number % 33;

    memset(at, (int)(number % 3), 48);
    memcpy(at + (number % 2 ? len - 8 : 0), &number, 8);
    return (struct mr_bytes){at, len};
}

/* Emits keys that never come again, then each of them once more, mixed with a common one. */
static void emit_distinct(struct bench *bench, int table, int keys)
{
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < keys; i++) {
            int64_t value[3] = {i, -i, 1};
            char key[48];

            bench_add(bench, table, numbered_key((uint64_t)i, key), round, value);
            if (i % 1000 == 0)
                bench_add(bench, table, mr_text("common"), false, value);
        }
}

static void keys_that_hardly_repeat_are_logged_and_fold_all_the_same(void **state)
{
    static const struct fold folds[] = {{1, false, {MR_SUM_I64}},
                                        {1, false, {MR_MIN_I64}},
                                        {3, false, {MR_SUM_I64, MR_MAX_I64, MR_COUNT}}};
    enum { KEYS = 50000 };
    struct error err;

    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct bench bench;

        bench_open(&bench, &folds[kind], 3, 2);
        for (int i = 0; i < 2; i++) {
            emit_distinct(&bench, i, KEYS);
            assert_int_equal(aggregate_settle(bench.tables[i]), 0);
            assert_true(bench.tables[i]->logged > KEYS);
            assert_true(bench.tables[i]->capacity <= AGGREGATE_CAPACITY_HUGE);
        }
        assert_int_equal(bench_flush(&bench, 0, &err), 0);
        expect_reference(&bench);
        bench_close(&bench);
    }
}

static void logging_ends_when_keys_repeat_again(void **state)
{
    static const struct fold fold = {1, false, {MR_SUM_I64}};
    struct aggregate *table = aggregate_new(&fold);
    bool logged = false;
    char key[48];
    size_t most;

    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        assert_int_equal(aggregate_add(table, numbered_key(i, key), false, &(int64_t){1}), 0);
        logged |= table->state == AGGREGATE_LOGGING;
    }
    assert_true(logged);
    for (uint64_t i = 0; table->state == AGGREGATE_LOGGING; i++) {
        assert_true(i < 4000000);
        assert_int_equal(aggregate_add(table, numbered_key(i % 100, key), false, &(int64_t){1}),
                         0);
    }
    most = table->logged;
    for (uint64_t i = 0; i < 200000; i++)
        assert_int_equal(
            aggregate_add(table, numbered_key(i % 30000, key), false, &(int64_t){1}), 0);
    assert_int_equal(table->logged, most);
    aggregate_free(table);
}

static void a_limit_is_kept_by_logging_and_nothing_is_lost(void **state)
{
    static const struct fold fold = {1, false, {MR_SUM_I64}};
    enum { LIMIT = 3 << 20, KEYS = 45000 };
    struct bench bench;
    struct error err;
    char key[48];

    (void)state;
    bench_open(&bench, &fold, 3, 1);
    aggregate_limit(bench.tables[0], LIMIT);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 4 * KEYS; i++) {
            uint64_t number = i % 2 ? i / 4 : i / 4 % 100; /* all come at least twice */

            bench_add(&bench, 0, numbered_key(number, key), false, &(int64_t){1});
            assert_true(bench.tables[0]->capacity * sizeof(struct table_slot) <= LIMIT);
        }
        assert_int_equal(bench.tables[0]->state, AGGREGATE_FULL);
        assert_true(bench.tables[0]->logged > 0);
        assert_int_equal(bench_flush(&bench, round, &err), 0);
        assert_true(aggregate_bytes(bench.tables[0]) <= LIMIT / 2);
    }
    expect_reference(&bench);
    bench_close(&bench);
}

/* Two tables of different sizes, whose keys overlap, with collisions around the end. */
static void tables_of_different_sizes_are_joined(void **state)
{
    static const struct fold fold = {1, false, {MR_SUM_I64}};
    struct bench bench;
    struct error err;
    char key[48];

    (void)state;
    for (int large = 500; large <= 20000; large *= 40) {
        bench_open(&bench, &fold, 2, 3);
        for (int table = 0; table < 3; table++)
            for (int times = 0; times < 2; times++)
                for (int i = 0; i < (table == 1 ? large : 600); i++)
                    bench_add(&bench, table, numbered_key((uint64_t)i, key), false,
                              &(int64_t){i});
        assert_int_equal(bench_flush(&bench, 0, &err), 0);
        assert_int_equal(bench.records, large > 600 ? large : 600);
        expect_reference(&bench);
        bench_close(&bench);
    }
}

static void an_exact_key_has_the_words_of_a_padded_one(void **state)
{
    struct rng rng = {103};
    char bytes[24];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t len = (size_t)i % (TABLE_INLINE + 1);
        cleanup_free char *exact = memory_new(len);
        struct table_key padded, words;
        struct table_slot slot;
        struct mr_bytes found;

        made_up_bytes(&rng, bytes, sizeof bytes);
        if (len)
            memcpy(exact, bytes, len);
        padded = table_key_padded((struct mr_bytes){bytes, len});
        words = table_key_exact((struct mr_bytes){exact, len});
        assert_true(padded.a == words.a && padded.b == words.b && padded.c == words.c);
        slot = (struct table_slot){words.a, words.b, words.c, 1, 0};
        found = table_slot_key(&slot);
        expect_bytes(found, (struct mr_bytes){exact, len});
    }
}

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

                assert_int_equal(aggregate_emit(bench.tables[i],
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
        cmocka_unit_test(keys_that_hardly_repeat_are_logged_and_fold_all_the_same),
        cmocka_unit_test(logging_ends_when_keys_repeat_again),
        cmocka_unit_test(a_limit_is_kept_by_logging_and_nothing_is_lost),
        cmocka_unit_test(tables_of_different_sizes_are_joined),
        cmocka_unit_test(an_exact_key_has_the_words_of_a_padded_one),
        cmocka_unit_test(empty_tables_write_nothing),
        cmocka_unit_test(a_part_that_does_not_exist_is_the_jobs_error),
        cmocka_unit_test(a_full_disk_fails_the_flush_and_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
