/* Fields by name, and solid files: whatever the codec and the size of the texts, records are
 * those of the whole file, and offsets are theirs. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/rng.h"
#include "record/fields.h"
#include "record/solid.h"
#include "tests/lib/encode.h"

static struct input_format format_of(const char *name)
{
    struct input_format format;
    struct error err;

    if (format_parse_input(name, &format, &err))
        fail_msg("%s", err.text);
    return format;
}

/* A reader of a file that is this text; its records begin at *ret_text. */
static struct fields *open_text(const char *format, const char *const *wanted, const char *text,
                                struct mr_bytes *ret_text)
{
    struct input_format parsed = format_of(format);
    struct fields *fields = fields_new(parsed, wanted);
    struct mr_bytes first = {NULL, 0}, whole = mr_text(text);
    size_t skipped = parsed.kind == INPUT_CSV ? fields_preamble(parsed, whole, &first) : 0;
    struct error err;

    *ret_text = (struct mr_bytes){text + skipped, whole.len - skipped};
    if (fields_file(fields, 0, "the file", first, &err))
        fail_msg("%s", err.text);
    return fields;
}

/* The wanted fields of all records: "a|b/c|-/" with "-" for one that is absent; a record that
 * is refused is "!". */
static void expect_fields(const char *format, const char *const *wanted, const char *text,
                          const char *want)
{
    struct mr_bytes rest, whole, record;
    struct fields *fields = open_text(format, wanted, text, &rest);
    char found[1000] = "";
    size_t used = 0;
    struct error err;
    int result;

    while ((result = fields_next(fields, &rest, &whole, &record, &err))) {
        for (uint32_t i = 0; result > 0 && i < fields_count(fields); i++) {
            struct mr_bytes field = fields_get(fields, i), again;

            assert_int_equal(fields_find(fields, wanted[i], &again, &err), 0);
            assert_int_equal(field.len, again.len);
            assert_true(!field.len || !memcmp(field.ptr, again.ptr, field.len));
            used +=
                (size_t)snprintf(found + used, sizeof found - used, "%s%.*s", i ? "|" : "",
                                 field.ptr ? (int)field.len : 1, field.ptr ? field.ptr : "-");
        }
        used +=
            (size_t)snprintf(found + used, sizeof found - used, "%s/", result < 0 ? "!" : "");
    }
    if (strcmp(found, want))
        fail_msg("%s: %s, not %s", format, found, want);
    fields_free(fields);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void fields_are_found_by_name(void **state)
{
    (void)state;
    expect_fields("keyval", NAMES("value", "key"), "a\tb\tc\n\t\nd\n\n", "b\tc|a/|/-|d/-|/");
    expect_fields("keyval:=", NAMES("key", "value"), "a=b=c\nd\r\ne=", "a|b=c/d\r|-/e|/");
    expect_fields("csv", NAMES("c", "a"), "a,b,c\n1,2,3\n\"x\",,\"\"\"y\"\"\n\"\n",
                  "3|1/\"y\"\n|x/");
    expect_fields("csv", NAMES("b c"), "\xef\xbb\xbf\"a\",\"b c\"\r\n1,2\r\n3,4", "2/4/");
    expect_fields("csv:noheader", NAMES("2", "1"), "a,b\nc,d\n", "b|a/d|c/");
    expect_fields("csv:noheader:;", NAMES("1"),
                  "\xef\xbb\xbf"
                  "a;b\nc;d",
                  "a/c/");
    expect_fields("csv:tab", NAMES("a"), "a\tb\n1\t2\n", "1/");
    expect_fields("csv", NAMES("a"), "a\n\n\"\"\n", "//");
    expect_fields("csv", NAMES("a"), "a,b\n1,2\n3\n4,5,6\n\n7,8\n9,\"x\"y\n0,1\n",
                  "1/!/!/!/7/!/0/");
    expect_fields("csv:lines", NAMES("a"), "a,b\n1,\"2\n3,4\n5,\"6\"\n", "!/3/5/");
    expect_fields("csv", NAMES("a"), "a,b\n1,2\n3,\"4\n", "1/!/");
    expect_fields("jsonl", NAMES("a", "b"),
                  "{\"a\":1,\"b\":\"x\\ny\"}\n{\"b\":null}\n7\n[{\"a\":1}]\n"
                  "{\"a\":{\"c\":[1, 2]},\"\\u0062\":true,\"a\":-1.50}",
                  "1|x\ny/-|-/-|-/-|-/-1.50|true/");
    expect_fields("jsonl", NAMES("a.b", "a.c.d", "a"),
                  "{\"a\":{\"b\":\"1\",\"c\":{\"d\":[2]}}}\n{\"a.b\":3,\"a\":{\"b\":4}}\n"
                  "{\"a\":\"{}\"}\n{\"a\":[0]}\n{\"a\":{\"c.d\":5}}\n",
                  "1|[2]|{\"b\":\"1\",\"c\":{\"d\":[2]}}/3|-|{\"b\":4}/-|-|{}/-|-|[0]/"
                  "-|5|{\"c.d\":5}/");
    expect_fields("jsonl", NAMES("a"), "{\"a\":1}\r\n\n{\"a\":\n2}\n {\"a\":\"\"} \n{} {}\n",
                  "1/!/!/!//!/");
}

static void expect_refused(const char *format, const char *const *wanted, const char *words)
{
    struct error err = {0};

    assert_int_equal(fields_check(format_of(format), wanted, &err), words ? -1 : 0);
    if (words && !strstr(err.text, words))
        fail_msg("'%s' is not in: %s", words, err.text);
}

static void names_that_a_format_cannot_have_are_refused(void **state)
{
    (void)state;
    expect_refused("lines", NULL, NULL);
    expect_refused("lines", NAMES("a"), "'a' in the input format lines");
    expect_refused("fixed:3", NAMES("a"), "csv and jsonl");
    expect_refused("keyval", NAMES("key", "value"), NULL);
    expect_refused("keyval", NAMES("key", "Value"), "'Value'");
    expect_refused("csv", NAMES("any", "1"), NULL);
    expect_refused("csv", NAMES("any", ""), "without a name");
    expect_refused("csv:noheader", NAMES("1", "20"), NULL);
    expect_refused("csv:noheader", NAMES("1", "0"), "'0'");
    expect_refused("csv:noheader", NAMES("1x"), "'1x'");
    expect_refused("jsonl", NAMES("a.b..c"), NULL);
}

static void expect_no_file(const char *format, const char *const *wanted, const char *row,
                           const char *words)
{
    struct fields *fields = fields_new(format_of(format), wanted);
    struct error err;

    assert_int_equal(fields_file(fields, 0, "/the/file", mr_text(row), &err), -1);
    assert_int_equal(err.code, ERROR_FORMAT);
    if (!strstr(err.text, words) || !strstr(err.text, "/the/file"))
        fail_msg("'%s' is not in: %s", words, err.text);
    fields_free(fields);
}

static void columns_that_a_file_lacks_are_told_with_what_it_has(void **state)
{
    (void)state;
    expect_no_file("csv", NAMES("x"), "a,\"b \"\"c\"\n",
                   "no column 'x': its header names a, b \"c");
    expect_no_file("csv", NAMES("a"), "a,b,a\n", "two columns 'a'");
    expect_no_file("csv", NAMES("a"), "a,b\"\n", "header of");
    expect_no_file("csv:noheader", NAMES("3"), "a,b\n", "no column '3': it has 1 to 2");
}

static void find_names_what_no_record_can_have(void **state)
{
    static const char *const formats[] = {"csv", "keyval"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct mr_bytes rest, whole, record, field;
        struct fields *fields = open_text(formats[i], NULL, "a,b\n1,2\n", &rest);
        struct error err;

        assert_int_equal(fields_next(fields, &rest, &whole, &record, &err), 1);
        assert_int_equal(fields_find(fields, "x", &field, &err), -1);
        assert_int_equal(err.code, ERROR_FORMAT);
        assert_non_null(strstr(err.text, "'x'"));
        fields_free(fields);
    }
}

/* ---- Solid files
 * -------------------------------------------------------------------------------- */

static void put(struct encoded *text, const char *bytes)
{
    encoded_add(text, bytes, strlen(bytes));
}

/* Rows with fields of every kind, one of them long now and then. */
static void make_rows(struct encoded *text, const char *format, struct rng *rng)
{
    size_t rows = rng_below(rng, 60);
    bool csv = !strncmp(format, "csv", 3), jsonl = !strcmp(format, "jsonl");

    if (csv && rng_below(rng, 2))
        put(text, "\xef\xbb\xbf");
    for (size_t i = 0; i < rows; i++) {
        size_t n = rng_below(rng, 20) ? rng_below(rng, 12) : rng_below(rng, 3000);

        put(text, jsonl ? "{\"a\":\"" : csv ? "x,\"" : "");
        for (; n; n--)
            put(text, !rng_below(rng, 4) && !jsonl && csv && !strstr(format, "lines")
                          ? (rng_below(rng, 2) ? "\n" : "\"\"")
                          : (rng_below(rng, 9) ? "y" : ","));
        put(text, jsonl ? "\"}" : csv ? "\"" : "");
        if (i + 1 < rows || rng_below(rng, 2))
            put(text, csv && rng_below(rng, 2) ? "\r\n" : "\n");
    }
}

static int file_of(const struct encoded *bytes)
{
    int fd = memfd_create("file", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes->bytes, bytes->size), bytes->size);
    return fd;
}

/* All texts of the file in `most` bytes each, one behind the other, must be the records of the
 * whole. */
static void expect_solid(const struct encoded *text, const char *name, enum stream_codec codec,
                         size_t most)
{
    static const char *const ends[] = {"", ".gz", ".zst", ".lz4"};
    cleanup_free char *path = memory_format("f%s", ends[codec]);
    struct input_format format = format_of(name);
    struct encoded packed = {0}, found = {0};
    struct mr_bytes first = {NULL, 0}, all = {text->bytes, text->size}, part;
    size_t skipped = format.kind == INPUT_CSV ? fields_preamble(format, all, &first) : 0;
    uint64_t used_all = 0, offset, used;
    struct lines buffer;
    struct solid *solid;
    struct error err;
    int fd;

    encode(&packed, codec, text->bytes, text->size / 2);
    encode(&packed, codec, text->bytes + text->size / 2, text->size - text->size / 2);
    fd = file_of(&packed);
    lines_init(&buffer);
    solid = solid_new(format, &(struct lines_file){fd, path, packed.size}, 8 << 20);
    do {
        if (solid_next(solid, &buffer, most, &part, &offset, &used, &err))
            fail_msg("%s", err.text);
        used_all += used;
        if (part.len) {
            assert_int_equal(offset, skipped + found.size);
            assert_true(part.len <= most || format_cut(format, part) == part.len ||
                        solid_ended(solid));
            for (int i = 0; i < MR_PADDING; i++)
                assert_int_equal(part.ptr[part.len + i], ' ');
            if (!solid_ended(solid))
                assert_int_equal(format_cut(format, part), part.len);
            assert_int_equal(solid_first_row(solid).len, first.len);
        }
        encoded_add(&found, part.ptr, part.len);
    } while (part.len);
    assert_true(solid_ended(solid));
    assert_int_equal(used_all, packed.size);
    assert_int_equal(found.size, text->size - skipped);
    assert_true(!found.size || !memcmp(found.bytes, text->bytes + skipped, found.size));
    solid_free(solid);
    lines_done(&buffer);
    close(fd);
    encoded_done(&packed);
    encoded_done(&found);
}

static void solid_files_give_each_record_once_and_whole(void **state)
{
    static const char *const formats[] = {"lines",     "keyval", "csv",     "csv:noheader",
                                          "csv:lines", "jsonl",  "fixed:1", "plain:csv"};
    struct rng rng = {51};

    (void)state;
    for (int round = 0; round < 400; round++) {
        const char *format = formats[round % 8];
        struct encoded text = {0};
        bool plain = strstr(format, "plain") != NULL;

        make_rows(&text, plain ? "csv" : format, &rng);
        for (int i = 0; i < 3; i++)
            expect_solid(&text, format,
                         plain ? STREAM_PLAIN : (enum stream_codec)(1 + rng_below(&rng, 3)),
                         i == 0 ? 1 + rng_below(&rng, 20) : 1 + rng_below(&rng, 4000));
        encoded_done(&text);
    }
}

static void a_mark_does_not_hide_the_quotes_of_a_header(void **state)
{
    struct encoded text = {0};

    (void)state;
    put(&text, "\xef\xbb\xbf\"a\nb\",c\n1,2\n");
    for (size_t most = 1; most < 20; most++)
        expect_solid(&text, "csv", STREAM_GZIP, most);
    encoded_done(&text);
}

static void expect_bad_solid(const char *text, const char *name, uint64_t limit,
                             enum error_code code, const char *words)
{
    const char *path = "f.gz";
    struct encoded packed = {0};
    struct mr_bytes part = {"", 1};
    uint64_t offset, used;
    struct lines buffer;
    struct solid *solid;
    struct error err = {0};
    int fd;

    encode(&packed, STREAM_GZIP, text, strlen(text));
    fd = file_of(&packed);
    lines_init(&buffer);
    buffer.limit = limit;
    solid = solid_new(format_of(name), &(struct lines_file){fd, path, packed.size}, 8 << 20);
    while (part.len && !err.code)
        solid_next(solid, &buffer, 8, &part, &offset, &used, &err);
    assert_int_equal(err.code, code);
    if (!strstr(err.text, words) || !strstr(err.text, path))
        fail_msg("'%s' is not in: %s", words, err.text);
    solid_free(solid);
    lines_done(&buffer);
    close(fd);
    encoded_done(&packed);
}

static void records_that_cannot_be_are_named(void **state)
{
    (void)state;
    expect_bad_solid("short\nlonger than it may be\n", "lines", 20, ERROR_MEMORY,
                     "begins at offset 6 of its decompressed text");
    expect_bad_solid("short\nlonger than it may be", "lines", 20, ERROR_MEMORY, "offset 6");
    expect_bad_solid("a\n\"not closed\n\n\n\n\n\n\n\n\n\n\n\n\n", "csv", 20, ERROR_MEMORY,
                     "quote that is not closed");
    expect_bad_solid("1234567890", "fixed:4", 20, ERROR_FORMAT, "10 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_found_by_name),
        cmocka_unit_test(names_that_a_format_cannot_have_are_refused),
        cmocka_unit_test(columns_that_a_file_lacks_are_told_with_what_it_has),
        cmocka_unit_test(find_names_what_no_record_can_have),
        cmocka_unit_test(solid_files_give_each_record_once_and_whole),
        cmocka_unit_test(a_mark_does_not_hide_the_quotes_of_a_header),
        cmocka_unit_test(records_that_cannot_be_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
