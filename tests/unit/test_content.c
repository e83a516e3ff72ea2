/* What maps tell of their parts: encoded, read again, added up; and nonsense refused. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "record/content.h"

static void expect_same(const struct content *a, const struct content *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(a[i].pairs, b[i].pairs);
        assert_int_equal(a[i].records, b[i].records);
        assert_int_equal(a[i].digest, b[i].digest);
    }
}

/* Random parts, of which some are empty, in runs. */
static void fill(struct rng *rng, struct content *parts, uint32_t count)
{
    memset(parts, 0, count * sizeof *parts);
    for (uint32_t i = 0; i < count; i++) {
        if (rng_below(rng, 3) == 0)
            i += (uint32_t)rng_below(rng, 40);
        if (i >= count)
            break;
        parts[i].pairs = 1 + (rng_below(rng, UINT64_C(1) << 62) >> rng_below(rng, 62));
        parts[i].records = 1 + rng_below(rng, parts[i].pairs);
        parts[i].digest = (uint32_t)rng_below(rng, UINT64_C(1) << 32);
    }
}

static void what_is_encoded_is_read_again(void **state)
{
    struct rng rng = {7};

    (void)state;
    for (int round = 0; round < 300; round++) {
        uint32_t count = 1 + (uint32_t)rng_below(&rng, 200);
        struct content *parts = memory_new(count * sizeof *parts),
                       *again = memory_new(count * sizeof *again);
        size_t size;
        uint8_t *bytes;

        fill(&rng, parts, count);
        bytes = content_encode(parts, count, &size);
        assert_int_equal(
            content_decode((struct mr_bytes){(const char *)bytes, size}, count, again), 0);
        expect_same(parts, again, count);
        free(bytes);
        free(parts);
        free(again);
    }
}

static void another_number_of_parts_is_refused(void **state)
{
    struct content parts[5] = {{3, 2, 1}, {0}, {0}, {4, 4, 4}, {0}}, again[9];
    size_t size;
    uint8_t *bytes = content_encode(parts, 5, &size);
    struct mr_bytes text = {(const char *)bytes, size};

    (void)state;
    for (uint32_t count = 1; count < 9; count++)
        assert_int_equal(content_decode(text, count, again), count == 5 ? 0 : -1);
    /* Nor is any part of it taken for all. */
    for (text.len = 0; text.len < size; text.len++)
        assert_int_equal(content_decode(text, 5, again), -1);
    free(bytes);
}

static void random_bytes_do_no_harm(void **state)
{
    struct rng rng = {11};
    struct content *parts = memory_new(64 * sizeof *parts);
    unsigned good = 0;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char bytes[48];
        size_t size = rng_below(&rng, sizeof bytes + 1);
        char *exact = memory_new(size + 1);

        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)(rng_below(&rng, 4) ? rng_below(&rng, 8) : rng_below(&rng, 256));
        memcpy(exact, bytes, size);
        good += !content_decode((struct mr_bytes){exact, size},
                                1 + (uint32_t)rng_below(&rng, 64), parts);
        free(exact);
    }
    assert_in_range(good, 1, 19999);
    free(parts);
}

static void contents_add_up(void **state)
{
    struct content sum = {1, 1, UINT32_MAX}, more = {2, 1, 3};

    (void)state;
    content_add(&sum, &more);
    assert_int_equal(sum.pairs, 3);
    assert_int_equal(sum.records, 2);
    assert_int_equal(sum.digest, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_encoded_is_read_again),
        cmocka_unit_test(another_number_of_parts_is_refused),
        cmocka_unit_test(random_bytes_do_no_harm),
        cmocka_unit_test(contents_add_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
