/* Ranges of keys: every key gets the range that a linear search gives it. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "flow/range.h"
#include "tests/lib/records.h"

static struct mr_bytes text(const char *words)
{
    return (struct mr_bytes){words, strlen(words)};
}

/* By definition, byte by byte. */
static uint32_t pick_slowly(const struct records *points, struct mr_bytes key)
{
    uint32_t n = 0;

    while (n < points->count && bytes_order(points->items[n].key, key) <= 0)
        n++;
    return n;
}

/* The sorted keys of `points` as ranges, told with `split` bytes of what they share apart. */
static struct range *range_of(struct records *points, size_t split)
{
    cleanup_free struct mr_bytes *rests = memory_new((points->count + 1) * sizeof *rests);
    struct mr_bytes prefix = {NULL, 0};
    struct range *range = NULL;
    struct error err;

    records_sort(points);
    for (size_t i = 0; i < points->count; i++)
        rests[i] = (struct mr_bytes){points->items[i].key.ptr + split,
                                     points->items[i].key.len - split};
    if (split)
        prefix = (struct mr_bytes){points->items[0].key.ptr, split};
    assert_int_equal(range_new(prefix, rests, points->count, &range, &err), 0);
    assert_int_equal(range_points(range), points->count);
    return range;
}

/* A copy of its own, which a read beyond it leaves. */
static void expect_pick(const struct range *range, const struct records *points,
                        struct mr_bytes key)
{
    cleanup_free char *copy = memory_new(key.len ? key.len : 1);

    if (key.len)
        memcpy(copy, key.ptr, key.len);
    assert_int_equal(range_pick(range, (struct mr_bytes){copy, key.len}),
                     pick_slowly(points, key));
}

/* Keys near a point: itself, cut, longer, and one off in its last byte. */
static void expect_around(const struct range *range, const struct records *points, size_t at)
{
    struct mr_bytes point = points->items[at].key;
    cleanup_free char *key = memory_new(point.len + 2);

    if (point.len)
        memcpy(key, point.ptr, point.len);
    key[point.len] = '\0';
    key[point.len + 1] = '\0';
    for (size_t less = 0; less < 12 && less <= point.len; less++)
        expect_pick(range, points, (struct mr_bytes){key, point.len - less});
    expect_pick(range, points, (struct mr_bytes){key, point.len + 1});
    key[point.len] = '\xff';
    expect_pick(range, points, (struct mr_bytes){key, point.len + 2});
    for (size_t back = 1; back <= 26 && back <= point.len; back += back < 10 ? 1 : 8) {
        key[point.len - back]++;
        expect_pick(range, points, (struct mr_bytes){key, point.len});
        key[point.len - back] -= 2;
        expect_pick(range, points, (struct mr_bytes){key, point.len});
        key[point.len - back]++;
    }
}

/* A family of keys with trouble of its own. */
static struct mr_bytes family_key(struct rng *rng, int family, char *at)
{
    static const size_t alike[] = {0, 1, 2, 7, 8, 9, 10, 11, 24, 25, 300};
    size_t size = alike[family % 11], length = rng_below(rng, 12);

    if (family / 11 == 2)
        return made_up_key(rng, at);
    memset(at, 'p', size);
    for (size_t i = 0; i < length; i++)
        at[size + i] =
            family / 11 ? (char)rng_below(rng, 256) : (char)("\0\1\xff"[rng_below(rng, 3)]);
    return (struct mr_bytes){at, size + length};
}

static void every_key_goes_where_a_linear_search_says(void **state)
{
    struct rng rng = {91};
    static char key[MADE_UP_KEY + 400];

    (void)state;
    for (int round = 0; round < 400; round++) {
        int family = round % 23;
        size_t n = rng_below(&rng, round % 4 ? 40 : 400),
               shared = (size_t[]){0, 1, 8, 24}[rng_below(&rng, 4)];
        struct records points = {0};
        struct range *range;

        for (size_t i = 0; i < n; i++)
            records_add(&points, family_key(&rng, family, key), text(""));
        /* A prefix may be told apart where all points have it. */
        if (!n || family >= 22 || family % 11 < 8 || shared > 8)
            shared = 0;
        range = range_of(&points, shared);
        for (int i = 0; i < 200; i++)
            expect_pick(range, &points, family_key(&rng, family, key));
        for (size_t i = 0; i < n; i += 1 + n / 50)
            expect_around(range, &points, i);
        expect_pick(range, &points, (struct mr_bytes){NULL, 0});
        range_free(range);
        records_done(&points);
    }
}

/* "a", "aa", "aaa", ... and with zeros, which look like the padding of shorter ones. */
static void points_that_begin_others_are_told_apart(void **state)
{
    char key[64];

    (void)state;
    for (int zeros = 0; zeros < 2; zeros++) {
        struct records points = {0};
        struct range *range;

        memset(key, zeros ? 0 : 'a', sizeof key);
        for (size_t n = 0; n < 40; n++) {
            records_add(&points, (struct mr_bytes){key, n}, text(""));
            if (n % 3 == 0) /* some twice */
                records_add(&points, (struct mr_bytes){key, n}, text(""));
        }
        range = range_of(&points, 0);
        for (size_t n = 0; n < 64; n++)
            expect_pick(range, &points, (struct mr_bytes){key, n});
        for (size_t i = 0; i < points.count; i++)
            expect_around(range, &points, i);
        range_free(range);
        records_done(&points);
    }
}

static void
a_key_equal_to_a_point_begins_its_range_and_equal_points_leave_empty_ones(void **state)
{
    const struct mr_bytes points[] = {text("b"), text("d"), text("d"), text("d"), text("f")};
    struct range *range;
    struct error err;

    (void)state;
    assert_int_equal(range_new(text(""), points, 5, &range, &err), 0);
    assert_int_equal(range_pick(range, text("a")), 0);
    assert_int_equal(range_pick(range, text("b")), 1);
    assert_int_equal(range_pick(range, text("c")), 1);
    assert_int_equal(range_pick(range, text("d")), 4);
    assert_int_equal(range_pick(range, text("e")), 4);
    assert_int_equal(range_pick(range, text("f")), 5);
    assert_int_equal(range_pick(range, text("ff")), 5);
    range_free(range);
}

static void no_points_are_one_range(void **state)
{
    struct range *range;
    struct error err;

    (void)state;
    assert_int_equal(range_new(text(""), NULL, 0, &range, &err), 0);
    assert_int_equal(range_pick(range, text("")), 0);
    assert_int_equal(range_pick(range, text("anything")), 0);
    range_free(range);
    range_free(NULL);
}

static void points_out_of_order_are_refused(void **state)
{
    const struct mr_bytes points[] = {text("b"), text("ba"), text("b")};
    struct range *range = NULL;
    struct error err;

    (void)state;
    assert_int_equal(range_new(text(""), points, 3, &range, &err), -1);
    assert_int_equal(err.code, ERROR_INTERNAL);
    assert_null(range);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_goes_where_a_linear_search_says),
        cmocka_unit_test(points_that_begin_others_are_told_apart),
        cmocka_unit_test(
            a_key_equal_to_a_point_begins_its_range_and_equal_points_leave_empty_ones),
        cmocka_unit_test(no_points_are_one_range),
        cmocka_unit_test(points_out_of_order_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
