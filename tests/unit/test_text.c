/* The text format: numbers read back as what they were, and lines are put together as
 * documented. */
#include "tests/lib/cmocka_all.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "record/text.h"
#include "tests/lib/records.h"

/* ---- Numbers ---- */

static void expect_i64(int64_t value)
{
    char found[TEXT_NUMBER + 1], expected[TEXT_NUMBER];
    size_t n = text_i64(found, value);

    assert_true(n <= TEXT_NUMBER);
    found[n] = '\0';
    snprintf(expected, sizeof expected, "%" PRId64, value);
    assert_string_equal(found, expected);
}

static void integers_are_written_as_printf_writes_them(void **state)
{
    struct rng rng = {41};
    int64_t power = 1;

    (void)state;
    expect_i64(0);
    expect_i64(INT64_MIN);
    expect_i64(INT64_MAX);
    for (int i = 0; i < 19; i++, power = i < 19 ? power * 10 : power)
        for (int64_t near = -1; near <= 1; near++) {
            expect_i64(power + near);
            expect_i64(-power + near);
        }
    for (int i = 0; i < 64; i++) {
        expect_i64((int64_t)(UINT64_C(1) << i));
        expect_i64((int64_t)((UINT64_C(1) << i) - 1));
        expect_i64((int64_t) ~(UINT64_C(1) << i));
    }
    for (int i = 0; i < 20000; i++)
        expect_i64((int64_t)(rng_next(&rng) >> rng_below(&rng, 64)));
}

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

/* Digits from the first to the last that is not 0. */
static int significant_digits(const char *number)
{
    int digits = 0, zeros = 0;

    for (; *number && *number != 'e'; number++)
        if (*number > '0' && *number <= '9') {
            digits += zeros + 1;
            zeros = 0;
        } else if (*number == '0' && digits) {
            zeros++;
        }
    return digits;
}

/* Reads back bit for bit, and no rounding to fewer digits does. */
static void expect_f64(double value)
{
    char found[TEXT_NUMBER + 1], shorter[TEXT_NUMBER];
    size_t n = text_f64(found, value);

    assert_true(n <= TEXT_NUMBER);
    found[n] = '\0';
    assert_true(bits_of(strtod(found, NULL)) == bits_of(value));
    for (int digits = significant_digits(found) - 1; digits > 0; digits--) {
        snprintf(shorter, sizeof shorter, "%.*e", digits - 1, value);
        assert_true(strtod(shorter, NULL) != value);
    }
}

static void doubles_read_back_the_same_from_the_fewest_digits(void **state)
{
    static const double known[] = {
        0.0,
        1.0,
        0.1,
        0.2,
        0.1 + 0.2,
        1.0 / 3,
        2.0 / 3,
        1e15,
        1e16,
        1e17,
        123456789.0,
        9007199254740993.0,
        5e-324,
        1e-323,
        DBL_MIN,
        -DBL_MIN,
        DBL_MAX,
        -DBL_MAX,
        DBL_EPSILON,
        1e22,
        1e23,
        1e308,
        1e-308,
        1.5e-310,
        3.141592653589793,
        299792458.0,
        100000.0,
        1e-5,
    };
    struct rng rng = {42};

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        expect_f64(known[i]);
        expect_f64(-known[i]);
    }
    for (int i = 0; i < 20000; i++) {
        double value = double_of(rng_next(&rng));

        if (isfinite(value))
            expect_f64(value);
        expect_f64((double)(int64_t)rng_next(&rng) / 1000);
        expect_f64((double)rng_below(&rng, 1000000) / 100);
    }
    for (int i = 0; i < 5000; i++) /* below DBL_MIN there are fewer digits to tell apart */
        expect_f64(double_of(rng_next(&rng) >> (12 + rng_below(&rng, 52))));
}

static void expect_text_of_f64(double value, const char *expected)
{
    char found[TEXT_NUMBER + 1];

    found[text_f64(found, value)] = '\0';
    assert_string_equal(found, expected);
}

static void doubles_look_as_people_write_them(void **state)
{
    (void)state;
    expect_text_of_f64(0.0, "0");
    expect_text_of_f64(-0.0, "-0");
    expect_text_of_f64(0.1, "0.1");
    expect_text_of_f64(-2.5, "-2.5");
    expect_text_of_f64(42.0, "42");
    expect_text_of_f64(1e100, "1e+100");
    expect_text_of_f64(INFINITY, "inf");
    expect_text_of_f64(-INFINITY, "-inf");
    expect_text_of_f64(NAN, "nan");
    expect_text_of_f64(-NAN, "nan");
    expect_text_of_f64(double_of(UINT64_C(0xfff0000000000001)), "nan");
}

static void a_job_that_sets_a_locale_does_not_change_numbers(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE",
                                        "fr_FR.UTF-8", "fr_FR.utf8", "fr_FR"};
    bool found = false;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++)
        found = setlocale(LC_ALL, names[i]) != NULL;
    if (!found) {
        print_message(
            "skipped: numbers under a locale with decimal commas: none is installed\n");
        skip();
    }
    expect_text_of_f64(0.1, "0.1");
    expect_text_of_f64(-1234567.25, "-1234567.25");
    expect_text_of_f64(1.0 / 3, "0.3333333333333333");
    setlocale(LC_ALL, "C");
}

/* ---- Lines ---- */

/* The line as its parts, one behind the other, with the help of stdio. */
static char *line_of(struct mr_bytes key, struct mr_bytes value, enum mr_type type,
                     size_t *ret_size)
{
    char *line;
    FILE *stream = open_memstream(&line, ret_size);

    assert_non_null(stream);
    fwrite(key.ptr, 1, key.len, stream);
    if (value.ptr && type == MR_BYTES) {
        fputc('\t', stream);
        fwrite(value.ptr, 1, value.len, stream);
    }
    for (size_t i = 0; value.ptr && type != MR_BYTES && i < value.len / 8; i++) {
        int64_t integer;
        char text[TEXT_NUMBER];

        memcpy(&integer, value.ptr + 8 * i, 8);
        if (type == MR_I64)
            fprintf(stream, "\t%" PRId64, integer);
        else
            fprintf(stream, "\t%.*s", (int)text_f64(text, double_of((uint64_t)integer)), text);
    }
    fputc('\n', stream);
    fclose(stream);
    return line;
}

static void expect_line(struct mr_bytes key, struct mr_bytes value, enum mr_type type)
{
    size_t room = text_room(key, value, type), expected_size, size;
    cleanup_free char *expected = line_of(key, value, type, &expected_size);
    cleanup_free char *found = memory_new(room);

    size = text_pair(found, key, value, type);
    assert_true(size <= room);
    expect_bytes((struct mr_bytes){found, size}, (struct mr_bytes){expected, expected_size});
}

static void a_pair_is_a_line_within_its_room(void **state)
{
    static char key[MADE_UP_KEY], value[200];
    struct rng rng = {43};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        struct mr_bytes k = made_up_key(&rng, key);

        expect_line(k, made_up_bytes(&rng, value, rng_below(&rng, sizeof value)), MR_BYTES);
        expect_line(k, made_up_bytes(&rng, value, 8 + 8 * rng_below(&rng, MR_LANES_MAX)),
                    MR_I64);
        expect_line(k, made_up_bytes(&rng, value, 8 + 8 * rng_below(&rng, MR_LANES_MAX)),
                    MR_F64);
    }
}

static void expect_text(struct mr_bytes key, struct mr_bytes value, enum mr_type type,
                        const char *expected)
{
    char found[200];

    expect_bytes((struct mr_bytes){found, text_pair(found, key, value, type)},
                 mr_text(expected));
}

static void keys_without_a_value_have_no_tab_and_empty_values_do(void **state)
{
    struct mr_bytes none = {NULL, 0}, empty = {"", 0};
    int64_t lanes[2] = {INT64_MIN, 0};
    double doubles[2] = {-0.5, INFINITY};

    (void)state;
    expect_text(mr_text("key"), none, MR_BYTES, "key\n");
    expect_text(mr_text("key"), none, MR_I64, "key\n");
    expect_text(mr_text("key"), empty, MR_BYTES, "key\t\n");
    expect_text(none, mr_text("value"), MR_BYTES, "\tvalue\n");
    expect_text(none, none, MR_BYTES, "\n");
    expect_text(mr_text("a\tb\nc\\"), mr_text("d\te"), MR_BYTES, "a\tb\nc\\\td\te\n");
    expect_text(mr_text("k"), (struct mr_bytes){(char *)lanes, 16}, MR_I64,
                "k\t-9223372036854775808\t0\n");
    expect_text(mr_text("k"), (struct mr_bytes){(char *)doubles, 16}, MR_F64, "k\t-0.5\tinf\n");
}

static void the_longest_numbers_fit_their_room(void **state)
{
    double widest[MR_LANES_MAX];
    int64_t lowest[MR_LANES_MAX];

    (void)state;
    for (int i = 0; i < MR_LANES_MAX; i++) {
        widest[i] = -2.2250738585072014e-308;
        lowest[i] = INT64_MIN;
    }
    expect_line(mr_text(""), (struct mr_bytes){(char *)widest, sizeof widest}, MR_F64);
    expect_line(mr_text(""), (struct mr_bytes){(char *)lowest, sizeof lowest}, MR_I64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_written_as_printf_writes_them),
        cmocka_unit_test(doubles_read_back_the_same_from_the_fewest_digits),
        cmocka_unit_test(doubles_look_as_people_write_them),
        cmocka_unit_test(a_job_that_sets_a_locale_does_not_change_numbers),
        cmocka_unit_test(a_pair_is_a_line_within_its_room),
        cmocka_unit_test(keys_without_a_value_have_no_tab_and_empty_values_do),
        cmocka_unit_test(the_longest_numbers_fit_their_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
