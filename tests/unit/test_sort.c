/* Sorting: bytewise by key and stable, as a reference that compares byte by byte has it. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "flow/sort.h"
#include "tests/lib/records.h"

static struct mr_bytes key_of_record(const void *place, uint32_t value_width)
{
    assert_int_equal(value_width, 5);
    return ((const struct record *)place)->key;
}

/* Sorts entries of the records: the same records must come in the same order as from the
 * reference, equal keys in the order in which they were added. */
static void expect_sorted(struct records *records)
{
    size_t n = records->count;
    cleanup_free struct sort_entry *entries = memory_new(n * sizeof *entries);
    cleanup_free struct sort_entry *scratch = memory_new(n * sizeof *scratch);
    cleanup_free struct record *places = memory_new(n * sizeof *places);

    if (n)
        memcpy(places, records->items, n * sizeof *places);
    for (size_t i = 0; i < n; i++)
        entries[i] = sort_entry_of(places[i].key, &places[i]);
    sort_entries(entries, scratch, n, &(struct sort_keys){key_of_record, 5});
    records_sort(records);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(((const struct record *)sort_place(&entries[i]))->order,
                         records->items[i].order);
}

static void expect_sorted_keys(const struct mr_bytes *keys, size_t n)
{
    struct records records = {0};

    for (size_t i = 0; i < n; i++)
        records_add(&records, keys[i], (struct mr_bytes){NULL, 0});
    expect_sorted(&records);
    records_done(&records);
}

static void random_keys_of_all_kinds_are_in_the_order_of_the_reference(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 31, 32, 33, 64, 65, 200, 1000, 5000};
    static char key[MADE_UP_KEY];
    struct rng rng = {51};

    (void)state;
    for (int round = 0; round < 120; round++) {
        struct records records = {0};

        for (size_t n = sizes[round % 12]; n; n--)
            records_add(&records, made_up_key(&rng, key), (struct mr_bytes){NULL, 0});
        expect_sorted(&records);
        records_done(&records);
    }
}

static void every_pair_and_triple_of_tiny_keys_is_in_order(void **state)
{
    static const char letters[] = {'\0', 'a', '\xff'};
    struct mr_bytes keys[40], chosen[3];
    char bytes[40][3];
    size_t n = 0;

    (void)state;
    for (size_t len = 0; len <= 3; len++)
        for (unsigned i = 0, all = len == 3   ? 27
                                   : len == 2 ? 9
                                   : len == 1 ? 3
                                              : 1;
             i < all; i++) {
            for (unsigned k = 0, rest = i; k < len; k++, rest /= 3)
                bytes[n][k] = letters[rest % 3];
            keys[n] = (struct mr_bytes){bytes[n], len};
            n++;
        }
    assert_int_equal(n, 40);
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < n; b++)
            for (size_t c = 0; c < n; c++) {
                chosen[0] = keys[a];
                chosen[1] = keys[b];
                chosen[2] = keys[c];
                expect_sorted_keys(chosen, c ? 3 : 2);
            }
}

/* Keys that only their lengths tell apart: "", NUL, NUL NUL, ... in front of and behind the
 * tenth byte. */
static void prefixes_of_each_other_are_in_order_of_length(void **state)
{
    static const size_t heads[] = {0, 6, 7, 8, 9, 10, 11, 100};
    struct rng rng = {52};
    char bytes[160];

    (void)state;
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
        struct mr_bytes keys[1500];

        memset(bytes, 'p', sizeof bytes);
        memset(bytes + heads[h], 0, sizeof bytes - heads[h]);
        for (size_t i = 0; i < 1500; i++)
            keys[i] = (struct mr_bytes){bytes, rng_below(&rng, sizeof bytes)};
        expect_sorted_keys(keys, 1500);
    }
}

static void equal_keys_keep_their_order_however_many_they_are(void **state)
{
    static const char *const keys[] = {"", "short", "exactly10b", "longer than ten bytes"};
    struct rng rng = {53};

    (void)state;
    for (int kinds = 1; kinds <= 4; kinds++) {
        struct mr_bytes many[4000];

        for (size_t i = 0; i < 4000; i++)
            many[i] = mr_text(keys[rng_below(&rng, (uint64_t)kinds)]);
        expect_sorted_keys(many, 4000);
        for (size_t i = 0; i < 4000; i++)
            many[i] = mr_text(keys[kinds - 1]);
        expect_sorted_keys(many, 4000);
    }
}

static void sorted_and_reversed_input_is_sorted(void **state)
{
    enum { N = 3000 };
    static char text[N][24];
    struct mr_bytes keys[N];

    (void)state;
    for (int reversed = 0; reversed < 2; reversed++) {
        for (int i = 0; i < N; i++) {
            int n = snprintf(text[i], sizeof text[i], "common head %06d", reversed ? N - i : i);

            keys[i] = (struct mr_bytes){text[i], (size_t)n};
        }
        expect_sorted_keys(keys, N);
    }
}

static void two_hundred_thousand_numbers_are_sorted(void **state)
{
    struct records records = {0};
    struct rng rng = {54};

    (void)state;
    for (int i = 0; i < 200000; i++) {
        char key[32];
        int n =
            snprintf(key, sizeof key, "%llu", (unsigned long long)rng_below(&rng, 100000000));

        records_add(&records, (struct mr_bytes){key, (size_t)n}, (struct mr_bytes){NULL, 0});
    }
    expect_sorted(&records);
    records_done(&records);
}

static int sign(int order)
{
    return (order > 0) - (order < 0);
}

static void comparing_agrees_with_the_bytes_and_prefixes_never_contradict(void **state)
{
    static char a[MADE_UP_KEY], b[MADE_UP_KEY];
    struct rng rng = {55};

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct mr_bytes x = made_up_key(&rng, a), y = made_up_key(&rng, b);
        int order = bytes_order(x, y);

        assert_int_equal(sign(sort_compare(x, y)), order);
        assert_int_equal(sign(sort_compare(y, x)), -order);
        if (sort_prefix(x) != sort_prefix(y))
            assert_int_equal(sort_prefix(x) < sort_prefix(y) ? -1 : 1, order);
    }
}

static void an_entry_keeps_its_place_whatever_the_key(void **state)
{
    static char key[MADE_UP_KEY];
    struct rng rng = {56};

    (void)state;
    for (int i = 0; i < 10000; i++) {
        const void *place = &key[rng_below(&rng, sizeof key)];
        struct sort_entry entry = sort_entry_of(made_up_key(&rng, key), place);

        assert_ptr_equal(sort_place(&entry), place);
    }
}

/* Records in a run's encoding: lengths as LEB128, then the bytes. */
static void keys_of_encoded_records_are_found(void **state)
{
    char record[400] = {'\xac', '\x02', '\3'}; /* a key of 300 bytes, a value of 3 */
    char fixed[] = {2, 'k', '\0', 1, 2, 3, 4, 5, 6, 7, 8};
    struct mr_bytes key;

    (void)state;
    memset(record + 3, 'k', 300);
    key = sort_record_key(record, 0);
    assert_ptr_equal(key.ptr, record + 3);
    assert_int_equal(key.len, 300);
    key = sort_record_key(fixed, 8);
    assert_ptr_equal(key.ptr, fixed + 1);
    assert_int_equal(key.len, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_keys_of_all_kinds_are_in_the_order_of_the_reference),
        cmocka_unit_test(every_pair_and_triple_of_tiny_keys_is_in_order),
        cmocka_unit_test(prefixes_of_each_other_are_in_order_of_length),
        cmocka_unit_test(equal_keys_keep_their_order_however_many_they_are),
        cmocka_unit_test(sorted_and_reversed_input_is_sorted),
        cmocka_unit_test(two_hundred_thousand_numbers_are_sorted),
        cmocka_unit_test(comparing_agrees_with_the_bytes_and_prefixes_never_contradict),
        cmocka_unit_test(an_entry_keeps_its_place_whatever_the_key),
        cmocka_unit_test(keys_of_encoded_records_are_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
