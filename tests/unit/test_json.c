/* JSON: what jansson takes is taken, what it refuses is refused, and members say the same. */
#include "tests/lib/cmocka_all.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "record/json.h"

/* What a member's raw value is by jansson's reading of it. */
static void expect_member(const struct json_member *member, const json_t *want)
{
    cleanup_free char *plain = memory_new(member->value.len + 1);
    json_error_t error;
    json_t *again;

    assert_int_equal(member->string, json_is_string(want));
    if (member->string) {
        size_t size = json_unescape(plain, member->value);

        assert_int_equal(size, json_string_length(want));
        assert_memory_equal(plain, json_string_value(want), size);
        if (!member->escaped)
            assert_int_equal(size, member->value.len);
        return;
    }
    again = json_loadb(member->value.ptr, member->value.len, JSON_DECODE_ANY | JSON_ALLOW_NUL,
                       &error);
    assert_non_null(again);
    assert_true(json_equal(again, want));
    json_decref(again);
}

static void expect_members(const struct json_object *object, json_t *want)
{
    const char *name;
    json_t *value;

    if (!json_is_object(want)) {
        assert_int_equal(object->count, 0);
        return;
    }
    assert_true(object->count >= json_object_size(want)); /* names may be double */
    json_object_foreach(want, name, value)
    {
        const struct json_member *member = json_find(object, mr_text(name));

        assert_non_null(member);
        expect_member(member, value);
    }
}

/* 1: valid, 0: not, -1: jansson has a limit that JSON does not. */
static int try_text(struct json_object *object, const char *text, size_t size)
{
    json_error_t error;
    json_t *want = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    bool valid = json_scan(object, (struct mr_bytes){text, size});

    if (!want && (json_error_code(&error) == json_error_numeric_overflow ||
                  json_error_code(&error) == json_error_null_byte_in_key))
        return -1;
    if (valid != (want != NULL))
        fail_msg("'%.*s': %s, jansson: %s", (int)size, text, valid ? "valid" : object->problem,
                 want ? "valid" : error.text);
    if (valid) {
        expect_members(object, want);
        json_decref(want);
        return 1;
    }
    assert_true(object->place >= text && object->place <= text + size);
    return 0;
}

/* Of a block of its own: what reads beyond it is seen by a sanitizer. */
static int try_copy(struct json_object *object, const char *text, size_t size)
{
    char *copy = memory_new(size ? size : 1);
    int result;

    memcpy(copy, text, size);
    result = try_text(object, copy, size);
    free(copy);
    return result;
}

static void every_short_text_is_judged_as_jansson_does(void **state)
{
    static const char letters[] = "{}[]:,\"01-.e \\u";
    enum { LETTERS = sizeof letters - 1, LENGTH = 5 };
    struct json_object object = {0};
    size_t valid = 0;
    char text[LENGTH];

    (void)state;
    for (size_t n = 0, all = 1; n <= LENGTH; n++, all *= LETTERS)
        for (size_t number = 0; number < all; number++) {
            size_t rest = number;

            for (size_t i = 0; i < n; i++, rest /= LETTERS)
                text[i] = letters[rest % LETTERS];
            valid += try_text(&object, text, n) > 0;
        }
    assert_true(valid > 1000);
    json_object_done(&object);
}

struct made {
    char bytes[4000];
    size_t size;
};

static void put(struct made *made, const char *text)
{
    size_t n = strlen(text);

    if (made->size + n > sizeof made->bytes)
        return;
    memcpy(made->bytes + made->size, text, n);
    made->size += n;
}

static const char *one_of(struct rng *rng, const char *const *words, size_t n)
{
    return words[rng_below(rng, n)];
}
#define ONE_OF(rng, ...)                            \
    one_of(rng, (const char *const[]){__VA_ARGS__}, \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static void put_string(struct made *made, struct rng *rng)
{
    put(made, "\"");
    for (size_t n = rng_below(rng, 5); n; n--)
        put(made, ONE_OF(rng, "a", "b", "abcdefghijklmnopqrstuvwxyz", "\\n", "\\\"", "\\\\",
                         "\\/", "\\u0041", "\\u00e9", "\\u20AC", "\\ud83d\\ude00", "\xc3\xa9",
                         "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\x7f", " ", "\\b\\f\\r\\t"));
    put(made, "\"");
}

static void put_value(struct made *made, struct rng *rng, int depth)
{
    uint64_t kind = rng_below(rng, depth ? 8 : 6);

    put(made, ONE_OF(rng, "", "", "", " ", "\t\r\n"));
    if (kind < 2) {
        put_string(made, rng);
    } else if (kind < 6) {
        put(made, ONE_OF(rng, "0", "-0", "1", "-12", "3.25", "1e3", "-1.5E-2", "2e+2",
                         "123456789", "true", "false", "null"));
    } else {
        put(made, kind == 6 ? "[" : "{");
        for (size_t n = rng_below(rng, 4), i = 0; i < n; i++) {
            put(made, i ? "," : "");
            if (kind == 7) {
                put_string(made, rng);
                put(made, ONE_OF(rng, ":", " : ", ":\t"));
            }
            put_value(made, rng, depth - 1);
        }
        put(made, kind == 6 ? "]" : "}");
    }
    put(made, ONE_OF(rng, "", "", "", " ", "\t\r\n"));
}

static void made_and_broken_texts_are_judged_as_jansson_does(void **state)
{
    static const char letters[] = "{}[]:,\"019-+.eEtrufalsn \\\n\t\x80\xc3\xa9\xed\xa0\xff";
    struct json_object object = {0};
    struct rng rng = {41};
    size_t counts[3] = {0};

    (void)state;
    for (int round = 0; round < 60000; round++) {
        struct made made = {.size = 0};

        put_value(&made, &rng, 4);
        for (size_t n = rng_below(&rng, 3); n && made.size; n--) {
            size_t at = rng_below(&rng, made.size);

            if (rng_below(&rng, 2))
                made.bytes[at] = letters[rng_below(&rng, sizeof letters - 1)];
            else
                memmove(made.bytes + at, made.bytes + at + 1, --made.size - at);
        }
        counts[1 + try_copy(&object, made.bytes, made.size)]++;
    }
    assert_true(counts[1] > 10000 && counts[2] > 20000);
    json_object_done(&object);
}

/* jansson takes a zero for the end. */
static void zeros_are_refused(void **state)
{
    struct json_object object = {0};

    (void)state;
    assert_false(json_scan(&object, (struct mr_bytes){"1\0", 2}));
    assert_false(json_scan(&object, (struct mr_bytes){"\"a\0b\"", 5}));
    assert_false(json_scan(&object, (struct mr_bytes){"\"\\\0\"", 4}));
    assert_false(json_scan(&object, (struct mr_bytes){"\0{}", 3}));
    json_object_done(&object);
}

static void nesting_has_a_limit(void **state)
{
    char text[2 * JSON_DEPTH + 2];
    struct json_object object = {0};

    (void)state;
    memset(text, '[', JSON_DEPTH + 1);
    memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    assert_false(json_scan(&object, (struct mr_bytes){text, sizeof text}));
    assert_non_null(strstr(object.problem, "too deep"));
    assert_true(json_scan(&object, (struct mr_bytes){text + 1, sizeof text - 2}));
    json_object_done(&object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_text_is_judged_as_jansson_does),
        cmocka_unit_test(made_and_broken_texts_are_judged_as_jansson_does),
        cmocka_unit_test(zeros_are_refused),
        cmocka_unit_test(nesting_has_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
