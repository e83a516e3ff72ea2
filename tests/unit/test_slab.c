/* Slabs: what is given is taken again, nobody's bytes are another's, and what lies idle never
 * makes the process larger than what was in use at once. */
#include "tests/lib/cmocka_all.h"

#include <errno.h>
#include <string.h>

#include "base/rng.h"
#include "base/slab.h"

enum { HELD = 40, THREADS = 4 };

static int trimmed(void **state)
{
    (void)state;
    slab_trim();
    return slab_idle() ? -1 : 0;
}

static void sizes_are_rounded_up_to_slabs(void **state)
{
    (void)state;
    assert_int_equal(slab_round(0), SLAB_SIZE);
    assert_int_equal(slab_round(1), SLAB_SIZE);
    assert_int_equal(slab_round(SLAB_SIZE), SLAB_SIZE);
    assert_int_equal(slab_round(SLAB_SIZE + 1), 2 * SLAB_SIZE);
    assert_int_equal(slab_round(7 * SLAB_SIZE), 7 * SLAB_SIZE);
}

static void what_was_given_back_is_taken_again(void **state)
{
    void *slab = slab_take(100), *large = slab_take(3 * SLAB_SIZE);

    (void)state;
    assert_non_null(slab);
    assert_non_null(large);
    assert_int_equal((uintptr_t)slab % SLAB_SIZE, 0);
    assert_int_equal((uintptr_t)large % SLAB_SIZE, 0);
    assert_int_equal(slab_idle(), 0);
    slab_give(slab, 100);
    slab_give(large, 3 * SLAB_SIZE);
    slab_give(NULL, 100);
    assert_int_equal(slab_idle(), 4 * SLAB_SIZE);
    assert_ptr_equal(slab_take(3 * SLAB_SIZE - 5), large);
    assert_ptr_equal(slab_take(SLAB_SIZE), slab);
    assert_int_equal(slab_idle(), 0);
    slab_give(slab, SLAB_SIZE);
    slab_give(large, 3 * SLAB_SIZE);
}

static void a_size_that_is_not_there_takes_the_place_of_what_lies_idle(void **state)
{
    void *slabs[8], *large;

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_non_null(slabs[i] = slab_take(SLAB_SIZE));
    for (int i = 0; i < 8; i++)
        slab_give(slabs[i], SLAB_SIZE);
    assert_non_null(large = slab_take(5 * SLAB_SIZE));
    assert_int_equal(slab_idle(), 3 * SLAB_SIZE);
    slab_give(large, 5 * SLAB_SIZE);
    assert_int_equal(slab_idle(), 8 * SLAB_SIZE);
    slab_trim();
    assert_int_equal(slab_idle(), 0);
}

static void memory_that_cannot_be_is_null_with_errno(void **state)
{
    (void)state;
    errno = 0;
    assert_null(slab_take(SIZE_MAX));
    assert_int_equal(errno, ENOMEM);
    errno = 0;
    assert_null(slab_take(SIZE_MAX / 4));
    assert_int_equal(errno, ENOMEM);
}

struct held {
    unsigned char *bytes;
    size_t size;
    unsigned char mark;
};

static void expect_whole(const struct held *held)
{
    for (size_t at = 0; at < held->size; at += 65536)
        assert_int_equal(held->bytes[at], held->mark);
    assert_int_equal(held->bytes[held->size - 1], held->mark);
}

/* Returns the most that was in use at once. */
static size_t take_and_give(uint64_t seed, int rounds)
{
    struct rng rng = {seed};
    struct held all[HELD] = {0};
    size_t use = 0, most = 0;

    for (int round = 0; round < rounds; round++) {
        struct held *held = &all[rng_below(&rng, HELD)];

        if (held->bytes) {
            expect_whole(held);
            slab_give(held->bytes, held->size);
            use -= slab_round(held->size);
            held->bytes = NULL;
            continue;
        }
        held->size = 1 + rng_below(&rng, rng_below(&rng, 4) ? SLAB_SIZE : 6 * SLAB_SIZE);
        held->mark = (unsigned char)rng_next(&rng);
        assert_non_null(held->bytes = slab_take(held->size));
        for (size_t at = 0; at < held->size; at += 65536)
            held->bytes[at] = held->mark;
        held->bytes[held->size - 1] = held->mark;
        use += slab_round(held->size);
        most = most > use ? most : use;
    }
    for (int i = 0; i < HELD; i++)
        slab_give(all[i].bytes, all[i].size);
    return most;
}

static void the_pool_is_never_larger_than_what_was_in_use_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 6; seed++) {
        size_t most = take_and_give(seed, 200);

        assert_true(slab_idle() <= most);
        slab_trim();
    }
}

static void threads_share_the_pool(void **state)
{
    (void)state;
#pragma omp parallel for num_threads(THREADS) schedule(static, 1)
    for (int i = 0; i < THREADS; i++)
        take_and_give((uint64_t)i + 100, 150);
    slab_trim();
    assert_int_equal(slab_idle(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_rounded_up_to_slabs),
        cmocka_unit_test_setup(what_was_given_back_is_taken_again, trimmed),
        cmocka_unit_test_setup(a_size_that_is_not_there_takes_the_place_of_what_lies_idle,
                               trimmed),
        cmocka_unit_test(memory_that_cannot_be_is_null_with_errno),
        cmocka_unit_test_setup(the_pool_is_never_larger_than_what_was_in_use_at_once, trimmed),
        cmocka_unit_test_setup(threads_share_the_pool, trimmed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
