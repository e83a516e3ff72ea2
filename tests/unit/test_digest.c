/* The digests of parts: the same whatever threads, rounds, sorting and combining made of the
 * same pairs, and another one for other pairs. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "flow/aggregate.h"
#include "flow/pairs.h"
#include "flow/partition.h"
#include "tests/lib/folder.h"

enum { ID = 5, PARTS = 7, PAIRS = 6000, THREADS_MAX = 3 };

/* The pairs of a map task. */
struct story {
    struct {
        char key[12];
        int64_t value;
    } pairs[PAIRS];
    size_t count;
};

/* How they are taken in. */
struct way {
    int threads;
    size_t round; /* pairs in each */
    bool sorted, combined;
};

static struct story *story_new(void)
{
    struct story *story = memory_zeroed(1, sizeof *story);
    struct rng rng = {3};

    story->count = PAIRS;
    for (size_t i = 0; i < PAIRS; i++) {
        snprintf(story->pairs[i].key, sizeof story->pairs[i].key, "k%u",
                 (unsigned)rng_below(&rng, 900));
        story->pairs[i].value = (int64_t)rng_below(&rng, 2000) - 1000;
    }
    return story;
}

static struct mr_bytes key_of(const struct story *story, size_t i)
{
    return mr_text(story->pairs[i].key);
}

static struct run_writer *writer_new(const char *folder, bool sorted)
{
    struct run_shape shape = {PARTS, sorted ? RUN_SORTED : 0, 8, ID};
    char *path = folder_path(folder, "run");
    struct run_writer *run;
    struct error err;

    assert_int_equal(run_create(path, &shape, &run, &err), 0);
    free(path);
    return run;
}

/* One record for all values of a key. */
static int combine(void *context, int thread, struct mr_bytes key, struct pairs_group *group,
                   struct error *err)
{
    struct mr_bytes value;
    int64_t sum = 0;

    (void)context;
    (void)thread;
    (void)key;
    while (pairs_group_next(group, &value)) {
        int64_t more;

        memcpy(&more, value.ptr, sizeof more);
        sum += more;
    }
    return pairs_group_emit(group, (struct mr_bytes){(const char *)&sum, sizeof sum}, err);
}

static void take_pairs(const struct story *story, const struct way *way, struct content *ret)
{
    static const struct pairs_combiner combiner = {NULL, combine};
    struct pairs_options options = {.combiner = way->combined ? &combiner : NULL,
                                    .sort_above = way->sorted ? 1 : 0,
                                    .scratch = 20000};
    struct pairs *all[THREADS_MAX];
    char *folder = folder_new();
    struct run_writer *run = writer_new(folder, way->combined);
    uint32_t round = 0;
    uint64_t in, out;
    struct error err;

    for (int i = 0; i < way->threads; i++)
        all[i] = pairs_new(PARTS, 8);
    for (size_t i = 0; i < story->count; i++) {
        struct pairs *pairs = all[i / 50 % (size_t)way->threads];

        pairs_chunk(pairs, i / 50);
        assert_int_equal(pairs_add(pairs, partition_of(key_of(story, i), PARTS),
                                   key_of(story, i),
                                   (struct mr_bytes){(const char *)&story->pairs[i].value, 8}),
                         0);
        if (i % way->round == way->round - 1 || i + 1 == story->count) {
            assert_int_equal(
                pairs_flush(all, way->threads, &options, round, run, &in, &out, &err), 0);
            round += PAIRS_ROUNDS;
        }
    }
    for (int i = 0; i < way->threads; i++) {
        pairs_note(all[i], run);
        pairs_free(all[i]);
    }
    run_content(run, ret);
    run_abandon(run);
    folder_remove(folder);
}

static void take_folded(const struct fold *fold, const struct story *story,
                        const struct way *way, struct content *ret)
{
    struct partitioner partitioners[THREADS_MAX] = {
        {.parts = PARTS}, {.parts = PARTS}, {.parts = PARTS}};
    struct aggregate *all[THREADS_MAX];
    char *folder = folder_new();
    struct run_writer *run = writer_new(folder, true);
    uint32_t round = 0;
    uint64_t pairs, records;
    struct error err;

    for (int i = 0; i < way->threads; i++)
        all[i] = aggregate_new(fold);
    for (size_t i = 0; i < story->count; i++) {
        double number = (double)story->pairs[i].value / 3;

        assert_int_equal(aggregate_add(all[i / 50 % (size_t)way->threads], key_of(story, i),
                                       false,
                                       fold->floating ? (const void *)&number
                                                      : (const void *)&story->pairs[i].value),
                         0);
        if (i % way->round == way->round - 1 || i + 1 == story->count)
            assert_int_equal(aggregate_flush(all, way->threads, partitioners, round++, run,
                                             &pairs, &records, &err),
                             0);
    }
    for (int i = 0; i < way->threads; i++)
        aggregate_free(all[i]);
    run_content(run, ret);
    run_abandon(run);
    folder_remove(folder);
}

static uint32_t differing(const struct content *a, const struct content *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < PARTS; i++)
        n += a[i].pairs != b[i].pairs || a[i].digest != b[i].digest;
    return n;
}

static void swap(struct story *story, size_t a, size_t b)
{
    struct story copy = *story;

    story->pairs[a] = copy.pairs[b];
    story->pairs[b] = copy.pairs[a];
}

static const struct way plain = {1, PAIRS, false, false};

static void pairs_have_one_digest_however_they_are_written(void **state)
{
    static const struct way ways[] = {{3, PAIRS, false, false}, {2, 700, false, false},
                                      {1, 501, true, false},    {3, 1300, true, false},
                                      {1, PAIRS, true, true},   {3, 450, false, true}};
    struct story *story = story_new();
    struct content is[PARTS], was[PARTS];
    uint64_t pairs = 0;

    (void)state;
    take_pairs(story, &plain, was);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        take_pairs(story, &ways[i], is);
        assert_int_equal(differing(is, was), 0);
    }
    /* What was combined is fewer records for as many pairs. */
    for (uint32_t i = 0; i < PARTS; i++) {
        pairs += is[i].pairs;
        assert_true(is[i].records < is[i].pairs);
        assert_int_equal(was[i].records, was[i].pairs);
    }
    assert_int_equal(pairs, PAIRS);
    free(story);
}

static void other_pairs_have_another_digest_in_their_part_alone(void **state)
{
    struct story *story = story_new();
    struct content is[PARTS], was[PARTS];

    (void)state;
    take_pairs(story, &plain, was);
    swap(story, 10, 3000); /* the order is not seen */
    take_pairs(story, &plain, is);
    assert_int_equal(differing(is, was), 0);
    story->pairs[17].value++;
    take_pairs(story, &plain, is);
    assert_int_equal(differing(is, was), 1);
    assert_int_not_equal(is[partition_of(key_of(story, 17), PARTS)].digest,
                         was[partition_of(key_of(story, 17), PARTS)].digest);
    story->pairs[17].value--;
    story->pairs[PAIRS - 1] = story->pairs[0]; /* one twice, another not at all */
    take_pairs(story, &plain, is);
    assert_in_range(differing(is, was), 1, 2);
    free(story);
}

static void expect_steady(const struct fold *fold)
{
    static const struct way ways[] = {
        {3, PAIRS, false, false}, {2, 700, false, false}, {1, 97, false, false}};
    struct story *story = story_new();
    struct content is[PARTS], was[PARTS];

    take_folded(fold, story, &plain, was);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        take_folded(fold, story, &ways[i], is);
        assert_int_equal(differing(is, was), 0);
    }
    swap(story, 1, 4000);
    take_folded(fold, story, &ways[1], is);
    assert_int_equal(differing(is, was), 0);
    /* Another key in the place of one. */
    snprintf(story->pairs[9].key, sizeof story->pairs[9].key, "new");
    take_folded(fold, story, &plain, is);
    assert_in_range(differing(is, was), 1, 2);
    free(story);
}

static void folds_have_one_digest_however_pairs_were_joined(void **state)
{
    static const struct fold folds[] = {{1, false, {MR_SUM_I64}},
                                        {1, false, {MR_COUNT}},
                                        {1, false, {MR_MAX_I64}},
                                        {1, false, {MR_MIN_I64}},
                                        {1, true, {MR_SUM_F64}}};

    (void)state;
    for (size_t i = 0; i < sizeof folds / sizeof *folds; i++)
        expect_steady(&folds[i]);
}

static void a_sum_of_integers_tells_other_values_and_a_maximum_does_not(void **state)
{
    static const struct fold sum = {1, false, {MR_SUM_I64}}, max = {1, false, {MR_MAX_I64}};
    struct story *story = story_new();
    struct content is[PARTS], was[PARTS];

    (void)state;
    take_folded(&sum, story, &plain, was);
    story->pairs[40].value += 2;
    take_folded(&sum, story, &plain, is);
    assert_int_equal(differing(is, was), 1);
    /* What the sum is the same of is the same. */
    for (size_t i = 41; i < PAIRS; i++)
        if (!strcmp(story->pairs[i].key, story->pairs[40].key)) {
            story->pairs[i].value -= 2;
            break;
        }
    take_folded(&sum, story, &plain, is);
    assert_int_equal(differing(is, was), 0);
    take_folded(&max, story, &plain, was);
    story->pairs[40].value += 5000;
    take_folded(&max, story, &plain, is);
    assert_int_equal(differing(is, was), 0);
    free(story);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_have_one_digest_however_they_are_written),
        cmocka_unit_test(other_pairs_have_another_digest_in_their_part_alone),
        cmocka_unit_test(folds_have_one_digest_however_pairs_were_joined),
        cmocka_unit_test(a_sum_of_integers_tells_other_values_and_a_maximum_does_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
