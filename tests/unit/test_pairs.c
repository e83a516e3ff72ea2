/* Pairs: each part holds its pairs in the order of the input, whichever threads took its
 * chunks, and a merge then gives them by key with the values still in that order. */
#include "tests/lib/cmocka_all.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/limits.h"
#include "base/memory.h"
#include "flow/merge.h"
#include "flow/pairs.h"
#include "flow/partition.h"
#include "tests/lib/folder.h"
#include "tests/lib/records.h"

enum { ID = 55, THREADS_MAX = 4, PARTS_MAX = 8, CHUNK_PAIRS = 40 };

struct bench {
    char *folder, *path;
    uint32_t parts, width, flags;
    int n;
    struct pairs *all[THREADS_MAX];
    struct run_writer *writer;
    struct run_file *run;
    uint64_t sort_above;
    size_t scratch;
    uint64_t in, out;                   /* as pairs_flush told, of all rounds */
    struct records expected[PARTS_MAX]; /* what was added, in input order */
};

/* Each bench has the next codec. */
static unsigned turn;

static void bench_open(struct bench *bench, uint32_t parts, uint32_t width, uint32_t flags,
                       int n)
{
    struct run_shape shape = {parts, flags, width, ID, {(enum codec)(turn++ % CODECS), false}};
    struct error err;

    *bench = (struct bench){
        .folder = folder_new(), .parts = parts, .width = width, .n = n, .scratch = 64 << 20};
    bench->path = folder_path(bench->folder, "run");
    for (int i = 0; i < n; i++)
        bench->all[i] = pairs_new(parts, width);
    assert_int_equal(run_create(bench->path, &shape, &bench->writer, &err), 0);
}

static void bench_close(struct bench *bench)
{
    for (int i = 0; i < bench->n; i++)
        pairs_free(bench->all[i]);
    for (uint32_t i = 0; i < bench->parts; i++)
        records_done(&bench->expected[i]);
    run_close(bench->run);
    folder_remove(bench->folder);
    free(bench->path);
}

static int bench_flush(struct bench *bench, const struct pairs_combiner *combiner,
                       uint32_t flush, struct error *err)
{
    uint64_t in = 0, out = 0;
    struct pairs_options options = {combiner, bench->sort_above, bench->scratch};
    int result = pairs_flush(bench->all, bench->n, &options, flush * PAIRS_ROUNDS,
                             bench->writer, &in, &out, err);

    bench->in += in;
    bench->out += out;
    return result;
}

static void bench_finish(struct bench *bench)
{
    struct error err;
    uint64_t size;

    assert_int_equal(run_finish(bench->writer, false, &size, &err), 0);
    assert_int_equal(run_open(bench->path, ID, &bench->run, &err), 0);
}

static void add(struct pairs *pairs, uint32_t part, struct records *expected,
                struct mr_bytes key, struct mr_bytes value)
{
    if (pairs)
        assert_int_equal(pairs_add(pairs, part, key, value), 0);
    if (expected)
        records_add(&expected[part], key, value);
}

/* The pairs of a chunk follow from its number alone. Into a container, a list a part, or both.
 */
static void emit_chunk(const struct bench *bench, struct pairs *pairs, struct records *expected,
                       uint64_t chunk)
{
    struct rng rng = {chunk * 7919};
    char key[MADE_UP_KEY], value[64];

    if (pairs)
        pairs_chunk(pairs, chunk);
    for (uint64_t n = rng_below(&rng, 5) ? rng_below(&rng, CHUNK_PAIRS) : 0; n; n--) {
        struct mr_bytes k = made_up_key(&rng, key);
        size_t size = bench->width ? bench->width : rng_below(&rng, sizeof value);

        add(pairs, partition_of(k, bench->parts), expected, k,
            made_up_bytes(&rng, value, size));
    }
}

/* Each part's segments, one behind the other. */
static void read_parts(struct bench *bench, struct records *found, uint64_t *ret_pairs)
{
    size_t count;
    const struct run_segment *segments = run_segments(bench->run, &count);
    struct error err;

    *ret_pairs = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(read_segment(bench->run, &segments[i], &found[segments[i].part], &err),
                         0);
        *ret_pairs += segments[i].pairs;
    }
}

static void expect_input_order(struct bench *bench)
{
    struct records found[PARTS_MAX] = {0};
    uint64_t pairs, total = 0;

    read_parts(bench, found, &pairs);
    for (uint32_t i = 0; i < bench->parts; i++) {
        expect_records(&found[i], &bench->expected[i]);
        total += found[i].count;
        records_done(&found[i]);
    }
    assert_int_equal(pairs, total);
    assert_int_equal(bench->in, total);
    assert_int_equal(bench->out, total);
}

/* Merges each part's segments, as a reducer does. */
static void expect_key_order(struct bench *bench, size_t memory)
{
    cleanup_free char *scratch = folder_path(bench->folder, "scratch");
    struct merge_options options = {memory, scratch, NULL};
    size_t count, at = 0;
    const struct run_segment *segments = run_segments(bench->run, &count);
    cleanup_free struct merge_source *sources = memory_new(count * sizeof *sources);

    for (uint32_t part = 0; part < bench->parts; part++) {
        struct records found = {0};
        struct mr_bytes key, value;
        struct merge *merge;
        struct error err;
        size_t n = 0;

        for (; at < count && segments[at].part == part; at++)
            sources[n++] = (struct merge_source){bench->run, &segments[at]};
        assert_int_equal(merge_open(sources, n, &options, &merge, &err), 0);
        while (merge_next(merge, &key, &value, &err) > 0)
            records_add(&found, key, value);
        merge_close(merge);
        records_sort(&bench->expected[part]);
        expect_records(&found, &bench->expected[part]);
        records_done(&found);
    }
}

static void parts_are_in_input_order_and_merges_in_key_order(void **state)
{
    struct rng rng = {111};
    struct error err;

    (void)state;
    for (int round = 0; round < 40; round++) {
        uint32_t flushes = 1 + (uint32_t)rng_below(&rng, 4);
        struct bench bench;
        uint64_t chunk = 0;

        bench_open(&bench, 1 + (uint32_t)rng_below(&rng, PARTS_MAX), round % 2 ? 8 : 0, 0,
                   1 + (int)rng_below(&rng, THREADS_MAX));
        for (uint32_t flush = 0; flush < flushes; flush++) {
            for (uint64_t n = rng_below(&rng, 30); n; n--, chunk++)
                emit_chunk(&bench, bench.all[rng_below(&rng, (uint64_t)bench.n)],
                           bench.expected, chunk);
            assert_int_equal(bench_flush(&bench, NULL, flush, &err), 0);
        }
        bench_finish(&bench);
        expect_input_order(&bench);
        expect_key_order(&bench, rng_below(&rng, 2) ? 1 : 64 << 20);
        bench_close(&bench);
    }
}

static void threads_that_take_chunks_as_they_come_give_the_input_order(void **state)
{
    enum { CHUNKS = 200 };
    struct bench bench;
    struct error err;

    (void)state;
    bench_open(&bench, PARTS_MAX, 0, 0, THREADS_MAX);
    for (uint32_t flush = 0; flush < 2; flush++) {
        const uint64_t first = flush * CHUNKS;

#pragma omp parallel for num_threads(THREADS_MAX) schedule(dynamic, 1)
        for (int thread = 0; thread < THREADS_MAX; thread++)
            for (uint64_t i = first; i < first + CHUNKS; i++)
                if (i * 5 / 3 % THREADS_MAX == (uint64_t)thread)
                    emit_chunk(&bench, bench.all[thread], NULL, i);
        for (uint64_t i = first; i < first + CHUNKS; i++)
            emit_chunk(&bench, NULL, bench.expected, i);
        assert_int_equal(bench_flush(&bench, NULL, flush, &err), 0);
    }
    bench_finish(&bench);
    expect_input_order(&bench);
    expect_key_order(&bench, 1);
    bench_close(&bench);
}

/* 40 MiB in one part: more than a slab, but one segment if it is raw. */
static void a_large_part_is_in_order(void **state)
{
    enum codec codec = *state ? CODEC_LZ4 : CODEC_NONE;
    static char value[300000];
    struct rng rng = {112};
    const struct run_segment *segments;
    struct bench bench;
    struct error err;
    size_t count, mine = 0;

    turn = codec;
    bench_open(&bench, 2, 0, 0, 2);
    for (uint64_t i = 0, bytes = 0; bytes < 40 << 20; i++) {
        size_t size = rng_below(&rng, rng_below(&rng, 5) ? 2000 : sizeof value);
        uint32_t part = i % 50 ? 1 : 0;
        struct mr_bytes key = {(const char *)&i, 1};

        pairs_chunk(bench.all[i / 10 % 2], i / 10);
        memcpy(value, &i, sizeof i);
        size = size < sizeof i ? sizeof i : size;
        add(bench.all[i / 10 % 2], part, bench.expected, key, (struct mr_bytes){value, size});
        bytes += size;
    }
    assert_true(pairs_bytes(bench.all[0]) + pairs_bytes(bench.all[1]) > 40 << 20);
    assert_int_equal(bench_flush(&bench, NULL, 3, &err), 0);
    assert_true(pairs_bytes(bench.all[0]) + pairs_bytes(bench.all[1]) < 1 << 20);
    bench_finish(&bench);
    segments = run_segments(bench.run, &count);
    for (size_t i = 0; i < count; i++)
        if (segments[i].part == 1) {
            assert_int_equal(segments[i].round, 3 * PAIRS_ROUNDS + mine++);
            assert_true(codec == CODEC_NONE || segments[i].raw_size < 5 << 20);
        }
    assert_true(codec == CODEC_NONE ? mine == 1 : mine > 5);
    expect_input_order(&bench);
    expect_key_order(&bench, 8 << 20);
    bench_close(&bench);
}

static void records_larger_than_blocks_are_kept(void **state)
{
    static const size_t sizes[] = {0, 1, 200, 256, 257, 262144, 262145, 3 << 20, 5, 100000, 0};
    cleanup_free char *bytes = memory_new(3 << 20);
    struct rng rng = {113};
    struct bench bench;
    struct error err;

    (void)state;
    made_up_bytes(&rng, bytes, 3 << 20);
    bench_open(&bench, 1, 0, 0, 1);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        struct mr_bytes large = {bytes + i, sizes[i / 2] > i ? sizes[i / 2] - i : 0};

        pairs_chunk(bench.all[0], i / 3);
        add(bench.all[0], 0, bench.expected, i % 2 ? large : mr_text("k"),
            i % 2 ? mr_text("v") : large);
    }
    assert_int_equal(bench_flush(&bench, NULL, 0, &err), 0);
    bench_finish(&bench);
    expect_input_order(&bench);
    bench_close(&bench);
}

static void a_record_may_stand_for_many_pairs(void **state)
{
    struct bench bench;
    struct records found[PARTS_MAX] = {0};
    struct error err;
    uint64_t pairs;

    (void)state;
    bench_open(&bench, 3, 0, 0, 1);
    for (uint64_t i = 0; i < 30; i++) {
        pairs_chunk(bench.all[0], i / 4);
        assert_int_equal(
            pairs_add_many(bench.all[0], (uint32_t)i % 3, mr_text("text"), mr_text(""), i, i),
            0);
    }
    assert_int_equal(bench_flush(&bench, NULL, 0, &err), 0);
    assert_int_equal(bench.in, 29 * 30 / 2);
    assert_int_equal(bench.out, 30);
    bench_finish(&bench);
    read_parts(&bench, found, &pairs);
    assert_int_equal(pairs, 29 * 30 / 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(found[i].count, 10);
        records_done(&found[i]);
    }
    bench_close(&bench);
}

static void what_is_above_the_limit_is_refused_and_leaves_no_trace(void **state)
{
    struct mr_bytes small = {"a", 1}, large = {"a", LIMIT_RECORD + 1};
    struct bench bench;
    struct error err;

    (void)state;
    bench_open(&bench, 1, 0, 0, 1);
    assert_int_equal(pairs_add(bench.all[0], 0, large, small), -1);
    assert_int_equal(pairs_add(bench.all[0], 0, small, large), -1);
    add(bench.all[0], 0, bench.expected, small, small);
    assert_int_equal(bench_flush(&bench, NULL, 0, &err), 0);
    bench_finish(&bench);
    expect_input_order(&bench);
    bench_close(&bench);
}

/* ---- Combiners ---- */

/* What a combiner does with a key's values, and how often it was asked. */
struct combining {
    enum { JOIN, KEEP, DROP, FAIL } what;
    int threads, calls;
};

/* JOIN: one record, each value's length and bytes one behind the other. */
static int combine(void *context, int thread, struct mr_bytes key, struct pairs_group *group,
                   struct error *err)
{
    struct combining *combining = context;
    cleanup_free char *joined = NULL;
    size_t used = 0, capacity = 0;
    struct mr_bytes value;
    int calls = __atomic_add_fetch(&combining->calls, 1, __ATOMIC_RELAXED);

    if (thread < 0 || thread >= combining->threads)
        return error_set(err, ERROR_INTERNAL, "there is no thread %d", thread);
    if (combining->what == FAIL && calls > 20)
        return error_set(err, ERROR_JOB, "refused after %d keys, at one of %zu bytes", 20,
                         key.len);
    if (combining->what == DROP)
        return 0;
    while (pairs_group_next(group, &value)) {
        if (combining->what == KEEP && pairs_group_emit(group, value, err))
            return -1;
        memory_reserve(&joined, &capacity, used + value.len + 1, 1);
        joined[used++] = (char)value.len;
        if (value.len)
            memcpy(joined + used, value.ptr, value.len);
        used += value.len;
    }
    return combining->what == JOIN
               ? pairs_group_emit(group, (struct mr_bytes){joined, used}, err)
               : 0;
}

/* The reference of JOIN. */
static struct records joined_by_key(struct records *records)
{
    struct records out = {0};

    records_sort(records);
    for (size_t i = 0, first; i < records->count;) {
        cleanup_free char *joined = NULL;
        size_t used = 0, capacity = 0;

        for (first = i; i < records->count &&
                        !bytes_order(records->items[i].key, records->items[first].key);
             i++) {
            struct mr_bytes value = records->items[i].value;

            memory_reserve(&joined, &capacity, used + value.len + 1, 1);
            joined[used++] = (char)value.len;
            memcpy(joined + used, value.ptr, value.len);
            used += value.len;
        }
        records_add(&out, records->items[first].key, (struct mr_bytes){joined, used});
    }
    return out;
}

/* Fills and flushes one round through a combiner. */
static void bench_combine(struct bench *bench, struct combining *combining, int n, int result,
                          struct error *err)
{
    struct pairs_combiner combiner = {combining, combine};

    bench_open(bench, 5, 0, RUN_SORTED, n);
    combining->threads = n;
    for (uint64_t chunk = 0; chunk < 60; chunk++)
        emit_chunk(bench, bench->all[chunk * 7 / 3 % (uint64_t)n], bench->expected, chunk);
    assert_int_equal(bench_flush(bench, &combiner, 0, err), result);
}

static void a_combiner_gets_each_key_once_with_its_values_in_input_order(void **state)
{
    (void)state;
    for (int n = 1; n <= THREADS_MAX; n++) {
        struct combining combining = {.what = JOIN};
        struct records found[PARTS_MAX] = {0};
        struct bench bench;
        struct error err;
        uint64_t pairs, total = 0, keys = 0;

        bench_combine(&bench, &combining, n, 0, &err);
        bench_finish(&bench);
        read_parts(&bench, found, &pairs);
        for (uint32_t i = 0; i < bench.parts; i++) {
            struct records expected = joined_by_key(&bench.expected[i]);

            expect_records(&found[i], &expected);
            keys += expected.count;
            total += bench.expected[i].count;
            records_done(&expected);
            records_done(&found[i]);
        }
        assert_int_equal(combining.calls, keys);
        assert_int_equal(pairs, total);
        assert_int_equal(bench.in, total);
        assert_int_equal(bench.out, keys);
        bench_close(&bench);
    }
}

static void a_combiner_that_keeps_everything_sorts_only(void **state)
{
    struct combining combining = {.what = KEEP};
    struct records found[PARTS_MAX] = {0};
    struct bench bench;
    struct error err;
    uint64_t pairs;

    (void)state;
    bench_combine(&bench, &combining, 3, 0, &err);
    bench_finish(&bench);
    read_parts(&bench, found, &pairs);
    for (uint32_t i = 0; i < bench.parts; i++) {
        records_sort(&bench.expected[i]);
        expect_records(&found[i], &bench.expected[i]);
        records_done(&found[i]);
    }
    bench_close(&bench);
}

/* 36 MiB of one key, which no segment takes alone. */
static void what_is_combined_may_need_several_segments(void **state)
{
    static char value[100000];
    struct combining combining = {.what = KEEP, .threads = 1};
    struct pairs_combiner combiner = {&combining, combine};
    struct records found[PARTS_MAX] = {0};
    struct bench bench;
    struct error err;
    uint64_t pairs;
    size_t count;

    (void)state;
    bench_open(&bench, 1, 0, RUN_SORTED, 1);
    for (int i = 0; i < 360; i++) {
        memcpy(value, &i, sizeof i);
        add(bench.all[0], 0, bench.expected, mr_text("key"),
            (struct mr_bytes){value, sizeof value});
    }
    assert_int_equal(bench_flush(&bench, &combiner, 0, &err), 0);
    bench_finish(&bench);
    run_segments(bench.run, &count);
    assert_int_equal(count, 3);
    read_parts(&bench, found, &pairs);
    assert_int_equal(pairs, 360);
    expect_records(&found[0], &bench.expected[0]);
    expect_key_order(&bench, 1 << 20);
    records_done(&found[0]);
    bench_close(&bench);
}

static void pairs_that_a_combiner_drops_are_still_counted(void **state)
{
    struct combining combining = {.what = DROP};
    struct records found[PARTS_MAX] = {0};
    struct bench bench;
    struct error err;
    uint64_t pairs, total = 0;

    (void)state;
    bench_combine(&bench, &combining, 2, 0, &err);
    bench_finish(&bench);
    read_parts(&bench, found, &pairs);
    for (uint32_t i = 0; i < bench.parts; i++) {
        assert_int_equal(found[i].count, 0);
        total += bench.expected[i].count;
    }
    assert_int_equal(pairs, total);
    assert_int_equal(bench.in, total);
    assert_int_equal(bench.out, 0);
    bench_close(&bench);
}

static void a_combiner_that_fails_fails_the_flush(void **state)
{
    (void)state;
    for (int n = 1; n <= THREADS_MAX; n++) {
        struct combining combining = {.what = FAIL};
        struct bench bench;
        struct error err;

        bench_combine(&bench, &combining, n, -1, &err);
        assert_int_equal(err.code, ERROR_JOB);
        assert_non_null(strstr(err.text, "refused after 20 keys"));
        run_abandon(bench.writer);
        bench_close(&bench);
    }
}

/* ---- Files ---- */

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
    (void)state;
    for (rlim_t room = 100; room < 30000; room += 3000) {
        struct bench bench;
        struct error err;
        int result;

        bench_open(&bench, PARTS_MAX, 0, 0, 3);
        for (uint64_t chunk = 0; chunk < 60; chunk++)
            emit_chunk(&bench, bench.all[chunk % 3], NULL, chunk);
        limit_files(room);
        result = bench_flush(&bench, NULL, 0, &err);
        limit_files(RLIM_INFINITY);
        assert_int_equal(result, -1);
        assert_int_equal(err.code, ERROR_IO);
        assert_non_null(strstr(err.text, bench.path));
        run_abandon(bench.writer);
        bench_close(&bench);
    }
}

static void empty_containers_write_nothing(void **state)
{
    struct bench bench;
    struct error err;
    size_t count;

    (void)state;
    bench_open(&bench, 4, 8, 0, 2);
    pairs_chunk(bench.all[0], 0);
    assert_int_equal(bench_flush(&bench, NULL, 0, &err), 0);
    bench_finish(&bench);
    run_segments(bench.run, &count);
    assert_int_equal(count, 0);
    expect_input_order(&bench);
    bench_close(&bench);
    pairs_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_in_input_order_and_merges_in_key_order),
        cmocka_unit_test(threads_that_take_chunks_as_they_come_give_the_input_order),
        cmocka_unit_test(a_large_part_is_in_order),
        cmocka_unit_test_prestate(a_large_part_is_in_order, "packed"),
        cmocka_unit_test(records_larger_than_blocks_are_kept),
        cmocka_unit_test(a_record_may_stand_for_many_pairs),
        cmocka_unit_test(what_is_above_the_limit_is_refused_and_leaves_no_trace),
        cmocka_unit_test(a_combiner_gets_each_key_once_with_its_values_in_input_order),
        cmocka_unit_test(a_combiner_that_keeps_everything_sorts_only),
        cmocka_unit_test(what_is_combined_may_need_several_segments),
        cmocka_unit_test(pairs_that_a_combiner_drops_are_still_counted),
        cmocka_unit_test(a_combiner_that_fails_fails_the_flush),
        cmocka_unit_test(a_full_disk_fails_the_flush_and_is_named),
        cmocka_unit_test(empty_containers_write_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
