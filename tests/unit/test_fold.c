/* Folds: whatever the order and the grouping of the values, the result has the same bits. */
#include "tests/lib/cmocka_all.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "flow/fold.h"

static uint64_t bits_of(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static struct fold fold_of(enum mr_fold kind)
{
    return (struct fold){1, kind >= MR_SUM_F64, {kind}};
}

static uint64_t join(enum mr_fold kind, uint64_t a, uint64_t b)
{
    struct fold fold = fold_of(kind);

    fold_join(&fold, &a, &b);
    return a;
}

static int64_t join_i64(enum mr_fold kind, int64_t a, int64_t b)
{
    return (int64_t)join(kind, (uint64_t)a, (uint64_t)b);
}

static uint64_t join_f64(enum mr_fold kind, double a, double b)
{
    return join(kind, bits_of(a), bits_of(b));
}

static void integers_are_joined_with_all_their_bits(void **state)
{
    (void)state;
    assert_int_equal(join_i64(MR_SUM_I64, INT64_MAX, 1), INT64_MIN);
    assert_int_equal(join_i64(MR_SUM_I64, INT64_MIN, -1), INT64_MAX);
    assert_int_equal(join_i64(MR_SUM_I64, INT64_MIN, INT64_MIN), 0);
    assert_int_equal(join_i64(MR_COUNT, 40, 2), 42);
    assert_int_equal(join_i64(MR_MIN_I64, INT64_MIN, INT64_MAX), INT64_MIN);
    assert_int_equal(join_i64(MR_MAX_I64, INT64_MIN, INT64_MAX), INT64_MAX);
    assert_int_equal(join_i64(MR_MIN_I64, -1, 0), -1);
    assert_int_equal(join_i64(MR_MAX_I64, -1, 0), 0);
}

static void nan_loses_against_any_number(void **state)
{
    static const double numbers[] = {0.0, -0.0, 1.5, -DBL_MAX, INFINITY, -INFINITY, 5e-324};

    (void)state;
    for (enum mr_fold kind = MR_MIN_F64; kind <= MR_MAX_F64; kind++) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            assert_true(join_f64(kind, NAN, numbers[i]) == bits_of(numbers[i]));
            assert_true(join_f64(kind, numbers[i], NAN) == bits_of(numbers[i]));
            assert_true(join_f64(kind, -NAN, numbers[i]) == bits_of(numbers[i]));
        }
        assert_true(isnan(double_of(join_f64(kind, NAN, NAN))));
    }
}

static void minus_zero_is_below_zero(void **state)
{
    (void)state;
    assert_true(join_f64(MR_MIN_F64, -0.0, 0.0) == bits_of(-0.0));
    assert_true(join_f64(MR_MIN_F64, 0.0, -0.0) == bits_of(-0.0));
    assert_true(join_f64(MR_MAX_F64, -0.0, 0.0) == bits_of(0.0));
    assert_true(join_f64(MR_MAX_F64, 0.0, -0.0) == bits_of(0.0));
}

/* Odd values in every order, joined from the left, and as two halves. */
static void the_order_of_the_values_does_not_matter(void **state)
{
    static const uint64_t odd[] = {
        0,
        1,
        UINT64_MAX,
        INT64_MAX,
        UINT64_C(1) << 63,
        UINT64_C(0x7ff0000000000000),
        UINT64_C(0xfff0000000000000),
        UINT64_C(0x7ff8000000000000),
        UINT64_C(0xfff8000000000001),
        UINT64_C(0x7ff8000000000123),
        UINT64_C(0x3ff0000000000000),
        UINT64_C(0xbff0000000000000),
    };
    struct rng rng = {91};

    (void)state;
    for (enum mr_fold kind = MR_SUM_I64; kind <= MR_MAX_F64; kind++) {
        if (kind == MR_SUM_F64)
            continue; /* may differ in its last digits */
        for (int round = 0; round < 20000; round++) {
            uint64_t values[6], first, second, left;
            size_t n = 1 + rng_below(&rng, 6), half = rng_below(&rng, n);

            for (size_t i = 0; i < n; i++)
                values[i] = odd[rng_below(&rng, sizeof odd / sizeof *odd)];
            first = values[0];
            for (size_t i = 1; i < n; i++)
                first = join(kind, first, values[i]);
            for (size_t i = n; i > 1; i--) { /* shuffled */
                size_t k = rng_below(&rng, i);
                uint64_t moved = values[k];

                values[k] = values[i - 1];
                values[i - 1] = moved;
            }
            left = values[0];
            for (size_t i = 1; i < half; i++)
                left = join(kind, left, values[i]);
            second = values[n - 1];
            for (size_t i = n - 1; i-- > (half ? half : 1);)
                second = join(kind, values[i], second);
            if (n > 1)
                second = join(kind, second, left);
            assert_true(first == second);
        }
    }
}

static void counting_starts_at_one_and_other_lanes_start_as_they_are(void **state)
{
    static const struct fold fold = {4, false, {MR_SUM_I64, MR_COUNT, MR_MIN_I64, MR_COUNT}};
    int64_t value[5] = {7, 8, 9, 10, 11}, other[4] = {1, 1, 1, 1};

    (void)state;
    fold_start(&fold, value);
    assert_memory_equal(value, ((const int64_t[]){7, 1, 9, 1, 11}), sizeof value);
    fold_join(&fold, value, other);
    assert_memory_equal(value, ((const int64_t[]){8, 2, 1, 2, 11}), sizeof value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_joined_with_all_their_bits),
        cmocka_unit_test(nan_loses_against_any_number),
        cmocka_unit_test(minus_zero_is_below_zero),
        cmocka_unit_test(the_order_of_the_values_does_not_matter),
        cmocka_unit_test(counting_starts_at_one_and_other_lanes_start_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
