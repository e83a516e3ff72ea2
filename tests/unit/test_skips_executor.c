/* What an executor leaves out: for any records, stretches and keys that an ASSIGN tells, in any
 * order, what is said of each place is what a plain look at the list says. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "wire/culprit.h"
#include "worker/executor/skips.c"

enum { PLACES = 40, FILES = 3, SPAN = 200, ROUNDS = 500 };

struct told {
    uint64_t records[2 * PLACES], narrow[3 * PLACES];
    Mr__Assign assign;
};

static void tell_some(struct told *told, struct rng *rng)
{
    size_t records = rng_below(rng, PLACES), narrow = rng_below(rng, 4);

    mr__assign__init(&told->assign);
    for (size_t i = 0; i < records; i++) {
        told->records[2 * i] = rng_below(rng, FILES);
        told->records[2 * i + 1] = rng_below(rng, SPAN);
    }
    for (size_t i = 0; i < narrow; i++) {
        told->narrow[3 * i] = rng_below(rng, FILES);
        told->narrow[3 * i + 1] = rng_below(rng, SPAN);
        told->narrow[3 * i + 2] = 1 + rng_below(rng, SPAN / 4);
    }
    told->assign.skip_records = told->records;
    told->assign.n_skip_records = 2 * records;
    told->assign.narrow = told->narrow;
    told->assign.n_narrow = 3 * narrow;
}

static bool is_left_out(const struct told *told, uint64_t file, uint64_t offset)
{
    for (size_t i = 0; i < told->assign.n_skip_records; i += 2)
        if (told->records[i] == file && told->records[i + 1] == offset)
            return true;
    return false;
}

static bool is_narrow(const struct told *told, uint64_t file, uint64_t offset)
{
    for (size_t i = 0; i < told->assign.n_narrow; i += 3)
        if (told->narrow[i] == file && told->narrow[i + 1] <= offset &&
            offset < told->narrow[i + 1] + told->narrow[i + 2])
            return true;
    return false;
}

static void each_place_is_treated_as_the_list_says(void **state)
{
    struct rng rng = {17};

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct told told;
        struct skips skips;
        uint32_t file = (uint32_t)rng_below(&rng, FILES);
        uint64_t until;

        tell_some(&told, &rng);
        skips_open(&skips, &told.assign);
        for (uint64_t at = rng_below(&rng, SPAN / 4); at < SPAN; at = until) {
            enum skips_how how = skips_at(&skips, file, at, SPAN, &until);

            if (is_left_out(&told, file, at)) {
                assert_int_equal(how, SKIPS_LEAVE_OUT);
                until = at + 1; /* its length is not known here */
                continue;
            }
            assert_true(until > at && until <= SPAN);
            for (uint64_t place = at; place < until; place++) {
                assert_false(is_left_out(&told, file, place));
                assert_int_equal(how,
                                 is_narrow(&told, file, place) ? SKIPS_SINGLY : SKIPS_FEED);
            }
        }
        skips_close(&skips);
    }
}

static void keys_are_known_by_their_digest(void **state)
{
    const char *const keys[] = {"", "a", "BAD",
                                "a key that is somewhat longer than sixteen bytes"};
    uint8_t digests[3][SLOT_DIGEST];
    Mr__Assign assign = MR__ASSIGN__INIT;
    struct skips skips;

    (void)state;
    for (int i = 0; i < 3; i++)
        culprit_digest(keys[i + 1], strlen(keys[i + 1]), digests[i]);
    assign.skip_keys = (ProtobufCBinaryData){sizeof digests, digests[0]};
    skips_open(&skips, &assign);
    for (int i = 1; i < 4; i++)
        assert_true(skips_key(&skips, keys[i], strlen(keys[i])));
    assert_false(skips_key(&skips, "", 0));
    assert_false(skips_key(&skips, "BA", 2));
    assert_false(skips_key(&skips, "BAD\0", 4));
    assert_false(skips_key(NULL, "BAD", 3));
    skips_close(&skips);
    /* And so is a key of no bytes; what is no whole digest is none. */
    culprit_digest("", 0, digests[0]);
    assign.skip_keys.len = SLOT_DIGEST + 5;
    skips_open(&skips, &assign);
    assert_true(skips_key(&skips, "", 0));
    assert_int_equal(skips.key_count, 1);
    skips_close(&skips);
}

static void a_search_passes_what_lies_before_its_place(void **state)
{
    struct skips skips = {.from = {1, 100, 0}};

    (void)state;
    assert_false(skips_passed(NULL, 0, 0));
    assert_false(skips_passed(&skips, 0, 50)); /* it is none */
    skips.sifts = true;
    assert_true(skips_passed(&skips, 0, 5000));
    assert_true(skips_passed(&skips, 1, 100));
    assert_false(skips_passed(&skips, 1, 101));
    assert_false(skips_passed(&skips, 2, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_place_is_treated_as_the_list_says),
        cmocka_unit_test(keys_are_known_by_their_digest),
        cmocka_unit_test(a_search_passes_what_lies_before_its_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
