/* Pairs that are sorted before they are written, wholly or in part: a merge gives the same
 * records in the same order as if nothing had been sorted. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/slab.h"
#include "flow/merge.h"
#include "flow/pairs.h"
#include "flow/partition.h"
#include "tests/lib/folder.h"
#include "tests/lib/records.h"

enum { ID = 55, THREADS_MAX = 4, PARTS_MAX = 1024 };

struct bench {
    char *folder, *path;
    uint32_t parts, width, flushes;
    int n;
    struct pairs *all[THREADS_MAX];
    struct run_writer *writer;
    struct run_file *run;
    struct records *expected; /* by part, in input order */
};

static void bench_open(struct bench *bench, uint32_t parts, uint32_t width, int n)
{
    static unsigned turn;
    struct run_shape shape = {parts, 0, width, ID, {(enum codec)(turn++ % CODECS), false}};
    struct error err;

    *bench = (struct bench){.folder = folder_new(), .parts = parts, .width = width, .n = n};
    bench->path = folder_path(bench->folder, "run");
    bench->expected = memory_zeroed(parts, sizeof *bench->expected);
    for (int i = 0; i < n; i++)
        bench->all[i] = pairs_new(parts, width);
    assert_int_equal(run_create(bench->path, &shape, &bench->writer, &err), 0);
}

static void bench_flush(struct bench *bench, const struct pairs_options *options)
{
    struct error err;
    uint64_t in, out;

    if (pairs_flush(bench->all, bench->n, options, bench->flushes++ * PAIRS_ROUNDS,
                    bench->writer, &in, &out, &err))
        fail_msg("%s", err.text);
    assert_int_equal(in, out);
}

static void bench_finish(struct bench *bench)
{
    struct error err;
    uint64_t size;

    assert_int_equal(run_finish(bench->writer, false, &size, &err), 0);
    assert_int_equal(run_open(bench->path, ID, &bench->run, &err), 0);
}

static void bench_close(struct bench *bench)
{
    for (int i = 0; i < bench->n; i++)
        pairs_free(bench->all[i]);
    for (uint32_t i = 0; i < bench->parts; i++)
        records_done(&bench->expected[i]);
    free(bench->expected);
    run_close(bench->run);
    folder_remove(bench->folder);
    free(bench->path);
}

static void add(struct bench *bench, int thread, uint32_t part, struct mr_bytes key,
                struct mr_bytes value)
{
    assert_int_equal(pairs_add(bench->all[thread], part, key, value), 0);
    records_add(&bench->expected[part], key, value);
}

/* Values of all lengths at which something changes: varints, copies, blocks, slabs. */
static size_t odd_size(struct rng *rng)
{
    static const size_t sizes[] = {0,  1,  2,  3,  4,   7,   8,   15,  16,
                                   17, 31, 32, 33, 127, 128, 129, 256, 16384};

    if (!rng_below(rng, 300))
        return LIMIT_BLOCK - 30 + rng_below(rng, 40);
    if (!rng_below(rng, 3000))
        return SLAB_SIZE - 30 + rng_below(rng, 40);
    return rng_below(rng, 2) ? sizes[rng_below(rng, rng_below(rng, 20) ? 17 : 18)]
                             : rng_below(rng, 90);
}

static void emit_chunks(struct bench *bench, struct rng *rng, uint64_t first, uint64_t count)
{
    static char value[SLAB_SIZE + 100];
    char key[MADE_UP_KEY];

    for (uint64_t chunk = first; chunk < first + count; chunk++) {
        int thread = (int)rng_below(rng, (uint64_t)bench->n);

        pairs_chunk(bench->all[thread], chunk);
        for (uint64_t n = rng_below(rng, 5) ? rng_below(rng, 80) : 0; n; n--) {
            struct mr_bytes k = made_up_key(rng, key);
            size_t size = bench->width ? bench->width : odd_size(rng), begin = size;

            made_up_bytes(rng, value, begin < 16 ? begin : 16);
            add(bench, thread, partition_of(k, bench->parts), k,
                (struct mr_bytes){value, size});
        }
    }
}

/* A segment that says so is sorted; rounds ascend; the sum of all is what was added. */
static size_t expect_flags(struct bench *bench)
{
    size_t count, sorted = 0;
    const struct run_segment *segments = run_segments(bench->run, &count);

    for (size_t i = 0; i < count; i++) {
        struct records found = {0};
        struct error err;

        if (read_segment(bench->run, &segments[i], &found, &err))
            fail_msg("%s", err.text);
        assert_int_equal(found.count, segments[i].pairs);
        for (size_t k = 1; segments[i].flags & RUN_SORTED && k < found.count; k++)
            assert_true(bytes_order(found.items[k - 1].key, found.items[k].key) <= 0);
        sorted += segments[i].flags & RUN_SORTED;
        records_done(&found);
    }
    return sorted;
}

static void expect_merged(struct bench *bench, size_t memory)
{
    cleanup_free char *scratch = folder_path(bench->folder, "scratch");
    struct merge_options options = {memory, scratch, NULL};

    for (uint32_t part = 0; part < bench->parts; part++) {
        size_t count;
        const struct run_segment *segments = run_part(bench->run, part, &count);
        cleanup_free struct merge_source *sources = memory_new(count * sizeof *sources);
        struct records found = {0};
        struct mr_bytes key, value;
        struct merge *merge;
        struct error err;

        for (size_t i = 0; i < count; i++)
            sources[i] = (struct merge_source){bench->run, &segments[i]};
        assert_int_equal(merge_open(sources, count, &options, &merge, &err), 0);
        while (merge_next(merge, &key, &value, &err) > 0)
            records_add(&found, key, value);
        merge_close(merge);
        records_sort(&bench->expected[part]);
        expect_records(&found, &bench->expected[part]);
        records_done(&found);
    }
}

static void what_is_sorted_merges_as_what_is_not(void **state)
{
    struct rng rng = {211};

    (void)state;
    for (int round = 0; round < 30; round++) {
        struct bench bench;
        uint32_t parts = 1 + (uint32_t)rng_below(&rng, round % 5 ? 8 : PARTS_MAX);
        uint64_t chunks = 0;

        bench_open(&bench, parts, round % 3 ? 0 : 8, 1 + (int)rng_below(&rng, THREADS_MAX));
        for (uint64_t flush = rng_below(&rng, 4); flush < 4; flush++) {
            /* Everything, the larger parts, nothing; at once or in many groups. */
            struct pairs_options options = {
                .sort_above = rng_below(&rng, 3) ? 1 + rng_below(&rng, 60000) : flush % 2,
                .scratch = rng_below(&rng, 2) ? rng_below(&rng, 10000) : 1 << 20};
            uint64_t count = rng_below(&rng, 40);

            emit_chunks(&bench, &rng, chunks, count);
            chunks += count;
            bench_flush(&bench, &options);
        }
        bench_finish(&bench);
        expect_flags(&bench);
        expect_merged(&bench, rng_below(&rng, 2) ? 1 : 64 << 20);
        bench_close(&bench);
    }
}

static void parts_above_the_limit_are_sorted_and_no_others(void **state)
{
    struct pairs_options options = {.sort_above = 100 * (2 + 1 + 1 + PAIRS_SORT_COST),
                                    .scratch = 1 << 20};
    const struct run_segment *segments;
    struct bench bench;
    size_t count;

    (void)state;
    bench_open(&bench, 4, 0, 2);
    for (int i = 0; i < 99 + 100 + 101; i++)
        add(&bench, i % 2, i < 99 ? 0 : i < 199 ? 1 : 3, mr_text("k"), mr_text("v"));
    bench_flush(&bench, &options);
    bench_finish(&bench);
    segments = run_segments(bench.run, &count);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(segments[i].flags, segments[i].part == 3 ? RUN_SORTED : 0);
    bench_close(&bench);
}

/* 20,000 records of one part: groups of as many as the scratch memory of a thread holds. */
static void a_part_is_sorted_in_groups_that_fit_into_the_scratch_memory(void **state)
{
    (void)state;
    for (int n = 1; n <= THREADS_MAX; n++) {
        struct pairs_options options = {.sort_above = 1, .scratch = 2000 * PAIRS_SORT_COST};
        const struct run_segment *segments;
        struct bench bench;
        size_t count;

        bench_open(&bench, 1, 0, n);
        for (uint64_t i = 0; i < 20000; i++) {
            uint64_t key = i * 7919 % 1000;

            if (i % 100 == 0)
                pairs_chunk(bench.all[i / 100 % (uint64_t)n], i / 100);
            add(&bench, (int)(i / 100 % (uint64_t)n), 0,
                (struct mr_bytes){(const char *)&key, 3},
                (struct mr_bytes){(const char *)&i, 8});
        }
        bench_flush(&bench, &options);
        bench_finish(&bench);
        segments = run_segments(bench.run, &count);
        /* Chunks have 100 records, and are not divided. */
        assert_in_range(count, 10 * n, 12 * n);
        for (size_t i = 0; i < count; i++)
            assert_true(segments[i].records * PAIRS_SORT_COST <= options.scratch / (size_t)n);
        assert_int_equal(expect_flags(&bench), count);
        expect_merged(&bench, 64 << 20);
        bench_close(&bench);
    }
}

/* With hardly any scratch memory there are still no more groups than rounds. */
static void many_chunks_do_not_use_up_the_rounds(void **state)
{
    struct pairs_options options = {.sort_above = 1, .scratch = 0};
    struct bench bench;
    size_t count;

    (void)state;
    bench_open(&bench, 1, 0, 1);
    for (uint64_t i = 0; i < 30000; i++) {
        pairs_chunk(bench.all[0], i);
        add(&bench, 0, 0, (struct mr_bytes){(const char *)&i, 1}, mr_text("v"));
    }
    bench_flush(&bench, &options);
    bench_finish(&bench);
    run_segments(bench.run, &count);
    assert_in_range(count, 1000, 4096);
    assert_int_equal(expect_flags(&bench), count);
    bench_close(&bench);
}

/* KEEP: a combiner that emits what it gets. */
static int keep(void *context, int thread, struct mr_bytes key, struct pairs_group *group,
                struct error *err)
{
    struct mr_bytes value;

    (void)context;
    (void)thread;
    (void)key;
    while (pairs_group_next(group, &value))
        if (pairs_group_emit(group, value, err))
            return -1;
    return 0;
}

static void a_combiner_sees_groups_in_input_order(void **state)
{
    struct pairs_combiner combiner = {NULL, keep};
    struct rng rng = {212};

    (void)state;
    for (int n = 1; n <= THREADS_MAX; n++) {
        struct pairs_options options = {.combiner = &combiner, .scratch = 3000};
        struct bench bench;

        bench_open(&bench, 3, 0, n);
        emit_chunks(&bench, &rng, 0, 60);
        bench_flush(&bench, &options);
        bench_finish(&bench);
        expect_merged(&bench, 1);
        bench_close(&bench);
    }
}

static void memory_is_given_back_to_the_pool(void **state)
{
    static char value[1000];
    struct pairs_options options = {0};
    struct bench bench;
    size_t small, full;

    (void)state;
    slab_trim();
    bench_open(&bench, 2, 0, 1);
    small = pairs_bytes(bench.all[0]);
    assert_true(small < 1 << 20);
    for (int i = 0; i < 30000; i++)
        add(&bench, 0, (uint32_t)i % 2, mr_text("k"), (struct mr_bytes){value, sizeof value});
    full = pairs_bytes(bench.all[0]);
    assert_true(full > 30000000 && full < 36000000);
    bench_flush(&bench, &options);
    assert_true(pairs_bytes(bench.all[0]) < 1 << 20);
    assert_true(slab_idle() + (1 << 20) > full);
    bench_finish(&bench);
    bench_close(&bench);
    slab_trim();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sorted_merges_as_what_is_not),
        cmocka_unit_test(parts_above_the_limit_are_sorted_and_no_others),
        cmocka_unit_test(a_part_is_sorted_in_groups_that_fit_into_the_scratch_memory),
        cmocka_unit_test(many_chunks_do_not_use_up_the_rounds),
        cmocka_unit_test(a_combiner_sees_groups_in_input_order),
        cmocka_unit_test(memory_is_given_back_to_the_pool),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
