/* Samples: the points are at equal ranks, as short as may be, and the same whoever took what.
 */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "flow/sample.h"
#include "tests/lib/records.h"
#include "wire/frame.h"
#include "wire/mr.pb-c.h"

enum { THREADS = 4, PIECES = 64 };

struct scene {
    struct sample *all[THREADS];
    struct sample_points cut;
};

static void scene_open(struct scene *scene)
{
    for (int i = 0; i < THREADS; i++)
        scene->all[i] = sample_new();
    scene->cut = (struct sample_points){0};
}

static void scene_close(struct scene *scene)
{
    for (int i = 0; i < THREADS; i++)
        sample_free(scene->all[i]);
    free(scene->cut.points);
}

/* Point i as one text; the caller frees. */
static struct mr_bytes point(const struct scene *scene, size_t i, char **ret)
{
    struct mr_bytes prefix = scene->cut.prefix, rest = scene->cut.points[i];

    *ret = memory_new(prefix.len + rest.len + 1);
    if (prefix.len)
        memcpy(*ret, prefix.ptr, prefix.len);
    if (rest.len)
        memcpy(*ret + prefix.len, rest.ptr, rest.len);
    return (struct mr_bytes){*ret, prefix.len + rest.len};
}

/* The keys, dealt out to threads in pieces of so many. */
static void take(struct scene *scene, const struct records *keys, size_t piece, int threads)
{
    for (size_t i = 0; i < keys->count; i++) {
        struct sample *sample = scene->all[i / piece % (size_t)threads];

        if (i % piece == 0)
            sample_piece(sample, PIECES);
        sample_add(sample, keys->items[i].key);
    }
}

/* What is at the ranks, by definition: no key below a point is above one that it should part.
 */
static void expect_ranks(const struct scene *scene, const struct records *sorted,
                         uint32_t parts)
{
    assert_int_equal(scene->cut.count, parts - 1);
    for (size_t i = 0; i + 1 < parts; i++) {
        size_t rank = sorted->count * (i + 1) / parts, below = rank;
        struct mr_bytes key = sorted->items[rank].key, found;
        char *bytes;

        while (below && !bytes_order(sorted->items[below - 1].key, key))
            below--;
        found = point(scene, i, &bytes);
        assert_true(bytes_order(found, key) <= 0);
        if (below) {
            struct mr_bytes shorter = {found.ptr, found.len - 1};

            assert_true(found.len > 0);
            assert_true(bytes_order(sorted->items[below - 1].key, found) < 0);
            assert_true(bytes_order(sorted->items[below - 1].key, shorter) >= 0);
        }
        free(bytes);
    }
}

static void points_part_the_keys_at_equal_ranks_and_are_as_short_as_may_be(void **state)
{
    static char key[MADE_UP_KEY];
    struct rng rng = {21};

    (void)state;
    for (int round = 0; round < 60; round++) {
        uint32_t parts = 2 + (uint32_t)rng_below(&rng, 50);
        size_t n = 1 + rng_below(&rng, 1000);
        struct records keys = {0};
        struct scene scene;

        for (size_t i = 0; i < n; i++)
            records_add(&keys,
                        round % 2 ? made_up_key(&rng, key)
                                  : made_up_bytes(&rng, key, 1 + rng_below(&rng, 12)),
                        (struct mr_bytes){"", 0});
        scene_open(&scene);
        take(&scene, &keys, 100, THREADS);
        sample_cut(scene.all, THREADS, parts, &scene.cut);
        records_sort(&keys);
        expect_ranks(&scene, &keys, parts);
        scene_close(&scene);
        records_done(&keys);
    }
}

/* Pieces that overflow are cut the same way, too. */
static void points_do_not_depend_on_who_took_which_piece(void **state)
{
    struct records keys = {0};
    struct rng rng = {22};
    struct scene one, four;
    char key[64];

    (void)state;
    for (int i = 0; i < 40000; i++)
        records_add(&keys, made_up_bytes(&rng, key, 20 + rng_below(&rng, 40)),
                    (struct mr_bytes){"", 0});
    scene_open(&one);
    scene_open(&four);
    take(&one, &keys, 10000, 1);
    take(&four, &keys, 10000, THREADS);
    sample_cut(one.all, 1, 100, &one.cut);
    sample_cut(four.all, THREADS, 100, &four.cut);
    for (size_t i = 0; i < 99; i++) {
        char *a, *b;

        expect_bytes(point(&one, i, &a), point(&four, i, &b));
        free(a);
        free(b);
    }
    scene_close(&one);
    scene_close(&four);
    records_done(&keys);
}

static void no_keys_and_one_key_give_points_too(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene);
    sample_cut(scene.all, THREADS, 5, &scene.cut);
    assert_int_equal(scene.cut.count, 4);
    assert_int_equal(scene.cut.prefix.len + scene.cut.points[3].len, 0);
    scene_close(&scene);
    scene_open(&scene);
    sample_piece(scene.all[2], 1);
    for (int i = 0; i < 100; i++)
        sample_add(scene.all[2], (struct mr_bytes){"same", 4});
    sample_cut(scene.all, THREADS, 5, &scene.cut);
    for (size_t i = 0; i < 4; i++) {
        char *bytes;

        expect_bytes(point(&scene, i, &bytes), (struct mr_bytes){"same", 4});
        free(bytes);
    }
    scene_close(&scene);
}

static void a_piece_takes_its_share_of_memory_and_no_more(void **state)
{
    cleanup_free char *key = memory_zeroed(1, 1 << 20);
    struct scene scene;

    (void)state;
    scene_open(&scene);
    sample_piece(scene.all[0], PIECES);
    for (uint32_t i = 0; i < 1000000; i++) {
        uint32_t big_endian = __builtin_bswap32(i);

        memcpy(key, &big_endian, 4);
        sample_add(scene.all[0], (struct mr_bytes){key, i % 10 ? 4 : 1 << 20});
    }
    sample_cut(scene.all, THREADS, 2, &scene.cut);
    {
        char *bytes;
        struct mr_bytes middle = point(&scene, 0, &bytes);
        uint32_t rank = 0;

        memcpy(&rank, middle.ptr, middle.len < 4 ? middle.len : 4);
        /* Half of what a 64th of 16 MiB holds. */
        assert_true(__builtin_bswap32(rank) < SAMPLE_BYTES / PIECES / (2 * 32));
        assert_true(__builtin_bswap32(rank) > 100);
        free(bytes);
    }
    scene_close(&scene);
}

/* Through a frame and back, as the points travel. */
static void expect_travel(const struct scene *scene)
{
    cleanup_free ProtobufCBinaryData *points =
        memory_new((scene->cut.count + 1) * sizeof *points);
    cleanup_free uint8_t *frame = NULL;
    Mr__TaskDone done = MR__TASK_DONE__INIT;
    Mr__Ranges ranges = MR__RANGES__INIT;
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err = {0};
    size_t size;

    ranges.prefix.data = (uint8_t *)(uintptr_t)scene->cut.prefix.ptr;
    ranges.prefix.len = scene->cut.prefix.len;
    for (size_t i = 0; i < scene->cut.count; i++)
        points[i] = (ProtobufCBinaryData){scene->cut.points[i].len,
                                          (uint8_t *)(uintptr_t)scene->cut.points[i].ptr};
    ranges.points = points;
    ranges.n_points = scene->cut.count;
    done.ranges = &ranges;
    assert_true(mr__ranges__get_packed_size(&ranges) <= SAMPLE_RANGES_MAX);
    frame = frame_pack(FRAME_TASK_DONE, &done.base, &size);
    if (frame_unpack(frame, size, &type, &message, &err))
        fail_msg("%s", err.text);
    assert_int_equal(((Mr__TaskDone *)message)->ranges->n_points, scene->cut.count);
    frame_free(message);
}

static void the_most_parts_fit_into_a_message_whatever_the_keys(void **state)
{
    static char key[2 * SAMPLE_KEY];
    struct rng rng = {23};

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct scene scene;

        scene_open(&scene);
        for (int piece = 0; piece < PIECES; piece++) {
            sample_piece(scene.all[piece % THREADS], PIECES);
            for (int i = 0; i < 700; i++) {
                size_t shared = kind == 1 ? 300 : 0, size = kind == 2 ? 900 : 8;

                /* Nothing; a long prefix; keys that differ late from their neighbours; short.
                 */
                memset(key, 'x', sizeof key);
                if (kind == 2)
                    key[0] = (char)rng_below(&rng, 20);
                made_up_bytes(&rng, key + shared + size - 8, 8);
                sample_add(scene.all[piece % THREADS],
                           (struct mr_bytes){key, kind ? shared + size : 0});
            }
        }
        sample_cut(scene.all, THREADS, LIMIT_PARTS, &scene.cut);
        assert_int_equal(scene.cut.count, LIMIT_PARTS - 1);
        if (kind == 1)
            assert_int_equal(scene.cut.prefix.len, 300);
        for (size_t i = 1; i < scene.cut.count; i++)
            assert_true(bytes_order(scene.cut.points[i - 1], scene.cut.points[i]) <= 0);
        expect_travel(&scene);
        scene_close(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_part_the_keys_at_equal_ranks_and_are_as_short_as_may_be),
        cmocka_unit_test(points_do_not_depend_on_who_took_which_piece),
        cmocka_unit_test(no_keys_and_one_key_give_points_too),
        cmocka_unit_test(a_piece_takes_its_share_of_memory_and_no_more),
        cmocka_unit_test(the_most_parts_fit_into_a_message_whatever_the_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
