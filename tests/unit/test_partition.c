/* Partitioning: every key has one part, for ever, and parts are of about the same size. */
#include "tests/lib/cmocka_all.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "flow/partition.h"
#include "tests/lib/records.h"

static void parts_are_in_range_and_a_key_keeps_its_part(void **state)
{
    static char key[MADE_UP_KEY];
    struct rng rng = {61};

    (void)state;
    for (int i = 0; i < 50000; i++) {
        struct mr_bytes k = made_up_key(&rng, key);
        uint32_t parts = 1 + (uint32_t)rng_below(&rng, rng_below(&rng, 2) ? 10 : LIMIT_PARTS);
        uint32_t part = partition_of(k, parts);
        cleanup_free char *elsewhere = memory_new(k.len + 1);

        assert_true(part < parts);
        /* The address and what is around the key do not matter. */
        if (k.len)
            memcpy(elsewhere + 1, k.ptr, k.len);
        elsewhere[0] = (char)rng_next(&rng);
        assert_int_equal(partition_of((struct mr_bytes){elsewhere + 1, k.len}, parts), part);
    }
}

static void a_single_part_takes_everything(void **state)
{
    static char key[MADE_UP_KEY];
    struct rng rng = {62};

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(partition_of(made_up_key(&rng, key), 1), 0);
    assert_int_equal(partition_of((struct mr_bytes){NULL, 0}, 1), 0);
}

/* The parts are part of the format of outputs: a change here changes what users have on their
 * disks. */
static void known_keys_never_change_their_parts(void **state)
{
    static const struct {
        const char *key;
        uint32_t of_7, of_1000, of_16384;
    } known[] = {
        {"", 3, 478, 7842},
        {"a", 4, 622, 10200},
        {"the", 5, 756, 12391},
        {"marram", 0, 136, 2238},
        {"exactly ten", 5, 758, 12432},
        {"a key of more than sixteen bytes", 4, 606, 9943},
        {"a key that is longer than two hundred and forty bytes, so that the hash takes its "
         "third path: 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 "
         "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 "
         "0123456789 0123456789",
         4, 650, 10659},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_int_equal(partition_of(mr_text(known[i].key), 7), known[i].of_7);
        assert_int_equal(partition_of(mr_text(known[i].key), 1000), known[i].of_1000);
        assert_int_equal(partition_of(mr_text(known[i].key), 16384), known[i].of_16384);
    }
    assert_int_equal(partition_of((struct mr_bytes){NULL, 0}, 16384), known[0].of_16384);
}

/* Which keys share a part at 2n parts share one at n: a part's keys are a range of hashes. */
static void twice_as_many_parts_halve_each_part(void **state)
{
    static char key[MADE_UP_KEY];
    struct rng rng = {63};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct mr_bytes k = made_up_key(&rng, key);
        uint32_t parts = 1 + (uint32_t)rng_below(&rng, LIMIT_PARTS / 2);

        assert_int_equal(partition_of(k, 2 * parts) / 2, partition_of(k, parts));
    }
}

/* Chi-squared: the sum is about `parts`, with a standard deviation of sqrt(2 * parts). */
static void expect_balance(uint32_t parts, const char *format)
{
    enum { KEYS = 100000 };
    cleanup_free uint32_t *count = memory_zeroed(parts, sizeof *count);
    double expected = (double)KEYS / parts, sum = 0;

    for (uint32_t i = 0; i < KEYS; i++) {
        char key[64];
        int n = snprintf(key, sizeof key, format, i);

        count[partition_of((struct mr_bytes){key, (size_t)n}, parts)]++;
    }
    for (uint32_t i = 0; i < parts; i++)
        sum += (count[i] - expected) * (count[i] - expected) / expected;
    assert_true(sum < parts + 6 * sqrt(2.0 * parts));
}

static void keys_that_look_alike_are_spread_evenly(void **state)
{
    static const uint32_t parts[] = {2, 3, 7, 16, 64, 100, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        expect_balance(parts[i], "%u");
        expect_balance(parts[i], "user-%08u@example.org");
        expect_balance(parts[i], "%020u0000000000000000000000000000");
    }
}

struct asked {
    struct mr_task task;
    struct mr_bytes key;
    uint32_t parts, answer;
};

static uint32_t answer(struct mr_task *task, struct mr_bytes key, uint32_t parts)
{
    struct asked *asked = (struct asked *)task;

    asked->key = key;
    asked->parts = parts;
    return asked->answer;
}

static void a_jobs_own_partition_is_asked_and_its_answer_handed_on(void **state)
{
    struct asked asked = {.answer = 4711};
    struct partitioner own = {5, answer, &asked.task}, plain = {5, NULL, NULL};
    struct mr_bytes key = mr_text("key");

    (void)state;
    assert_int_equal(partitioner_pick(&own, key), 4711);
    assert_ptr_equal(asked.key.ptr, key.ptr);
    assert_int_equal(asked.key.len, 3);
    assert_int_equal(asked.parts, 5);
    assert_int_equal(partitioner_pick(&plain, key), partition_of(key, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_in_range_and_a_key_keeps_its_part),
        cmocka_unit_test(a_single_part_takes_everything),
        cmocka_unit_test(known_keys_never_change_their_parts),
        cmocka_unit_test(twice_as_many_parts_halve_each_part),
        cmocka_unit_test(keys_that_look_alike_are_spread_evenly),
        cmocka_unit_test(a_jobs_own_partition_is_asked_and_its_answer_handed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
