/* Formats by name; fixed records and numbers: however a file is cut into ranges, each record is
 * given exactly once and whole. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "record/fixed.h"
#include "record/format.h"
#include "tests/lib/folder.h"

/* A file of any bytes, on disk and in memory; `path` NULL: the numbers of a range. */
struct data {
    char *folder, *path, *bytes;
    size_t size;
    uint32_t width;
    struct lines_file file;
    struct lines buffer;
};

static struct data data_of(size_t size, uint32_t width)
{
    struct data data = {.folder = folder_new(), .size = size, .width = width};
    struct rng rng = {size + 1};

    data.bytes = memory_new(size + 1);
    for (size_t i = 0; i < size; i++)
        data.bytes[i] = (char)rng_below(&rng, 256);
    data.path = folder_path(data.folder, "data");
    folder_text(data.folder, "data", "");
    data.file = (struct lines_file){open(data.path, O_RDWR | O_CLOEXEC), data.path, size};
    assert_int_equal(pwrite(data.file.fd, data.bytes, size, 0), size);
    lines_init(&data.buffer);
    return data;
}

static struct data numbers_of(uint64_t count)
{
    struct data data = {.size = count * FIXED_NUMBER, .width = FIXED_NUMBER};

    data.bytes = memory_new(data.size + 1);
    for (size_t i = 0; i < data.size; i++)
        data.bytes[i] = (char)(i / 8 >> 8 * (i % 8));
    lines_init(&data.buffer);
    return data;
}

static void data_done(struct data *data)
{
    lines_done(&data->buffer);
    if (data->path) {
        close(data->file.fd);
        folder_remove(data->folder);
    }
    free(data->path);
    free(data->bytes);
}

static int read_range(struct data *data, size_t from, size_t to, struct mr_bytes *ret,
                      uint64_t *ret_offset, struct error *err)
{
    struct input_format format = {.kind = INPUT_FIXED, .width = data->width};

    if (!data->path)
        return fixed_numbers(&data->buffer, data->size / FIXED_NUMBER, from, to - from, ret,
                             ret_offset, err);
    return format_read(format, &data->buffer, &data->file, from, to - from, ret, ret_offset,
                       err);
}

/* The definition: byte i belongs to the range if the first byte of its record does. */
static size_t expect_range(struct data *data, size_t from, size_t to)
{
    size_t first = 0, n = 0;
    struct mr_bytes found;
    uint64_t offset;
    struct error err;

    for (size_t i = 0; i < data->size; i++) {
        size_t begin = i / data->width * data->width;

        if (begin >= from && begin < to) {
            first = n ? first : i;
            n++;
        }
    }
    if (read_range(data, from, to, &found, &offset, &err))
        fail_msg("%s", err.text);
    assert_int_equal(found.len, n);
    if (!n)
        return 0;
    assert_int_equal(offset, first);
    assert_memory_equal(found.ptr, data->bytes + first, n);
    for (int i = 0; i < MR_PADDING; i++)
        assert_int_equal(found.ptr[n + (size_t)i], ' ');
    return n;
}

static void expect_every_cut(struct data *data)
{
    for (size_t a = 0; a <= data->size; a++)
        for (size_t b = a; b <= data->size; b++)
            assert_int_equal(expect_range(data, 0, a) + expect_range(data, a, b) +
                                 expect_range(data, b, data->size),
                             data->size);
}

static void every_cut_of_short_files_gives_each_record_once(void **state)
{
    (void)state;
    for (uint32_t width = 1; width <= 9; width++)
        for (size_t records = 0; records * width <= 24; records++) {
            struct data data = data_of(records * width, width);

            expect_every_cut(&data);
            data_done(&data);
        }
}

static void every_cut_of_a_range_gives_each_number_once(void **state)
{
    (void)state;
    for (uint64_t count = 0; count <= 4; count++) {
        struct data data = numbers_of(count);

        expect_every_cut(&data);
        data_done(&data);
    }
}

static void long_files_and_wide_records_are_cut_rightly(void **state)
{
    static const uint32_t widths[] = {1, 100, 4096, 99991, LIMIT_FIXED};
    struct rng rng = {5};

    (void)state;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        size_t size = 3 * (size_t)LIMIT_CHUNK / widths[w] * widths[w], total = 0;
        struct data data = data_of(size, widths[w]);

        for (size_t from = 0; from < size;) {
            size_t to = from + 1 + rng_below(&rng, LIMIT_CHUNK);

            to = to < size ? to : size;
            total += expect_range(&data, from, to);
            from = to;
        }
        assert_int_equal(total, size);
        data_done(&data);
    }
    {
        struct data data = numbers_of(70000);

        assert_int_equal(expect_range(&data, 1, 400000) + expect_range(&data, 400000, 560000) +
                             expect_range(&data, 0, 1),
                         560000);
        data_done(&data);
    }
}

static void a_file_that_shrank_or_does_not_fit_is_named(void **state)
{
    struct data data = data_of(60, 10);
    struct mr_bytes found;
    uint64_t offset;
    struct error err;

    (void)state;
    assert_int_equal(ftruncate(data.file.fd, 45), 0);
    assert_int_equal(read_range(&data, 40, 60, &found, &offset, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, data.path));
    data.width = 7;
    assert_int_equal(read_range(&data, 0, 60, &found, &offset, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, data.path));
    assert_non_null(strstr(err.text, "60 bytes"));
    assert_non_null(strstr(err.text, "fixed:7"));
    data_done(&data);
}

static void records_are_counted_and_taken_one_by_one(void **state)
{
    struct input_format fixed = {INPUT_FIXED, 3}, lines = {INPUT_LINES, 0};
    struct mr_bytes text = {"ab\ncd\n", 6}, rest = text, record;

    (void)state;
    assert_int_equal(format_count(fixed, text), 2);
    assert_int_equal(format_count(lines, text), 2);
    assert_int_equal(format_count(fixed, (struct mr_bytes){NULL, 0}), 0);
    assert_true(mr_next_record(&rest, 3, &record));
    assert_true(record.ptr == text.ptr && record.len == 3);
    assert_true(mr_next_line(&rest, &record));
    assert_true(record.ptr == text.ptr + 3 && record.len == 2);
    assert_false(mr_next_record(&rest, 3, &record));
    assert_false(mr_next_record(&text, 7, &record));
    assert_false(mr_next_record(&text, 0, &record));
    assert_int_equal(text.len, 6);
}

static void names_are_understood_or_refused_with_what_is_known(void **state)
{
    static const char *const wrong[] = {
        "",          "tsv",       "fixed",   "fixed:",           "fixed:0",      "fixed:x",
        "fixed:10 ", "fixed:-1",  "lines:",  "fixed:1048577",    "keyval:",      "keyval:ab",
        "keyval::x", "keyval:\"", "csv:no",  "csv:\"",           "csv:\xc3\xa9", "csv:lines,",
        "jsonl:x",   "plain:",    "plain:x", "plain:plain:lines"};
    struct input_format format;
    static const char *const wrong_outputs[] = {"csv",      "",         "text:",    "raw:none",
                                                "text:lz4", "textgzip", "rawr:zstd"};
    static const struct {
        const char *name, *suffix;
        enum output_format format;
        enum output_codec codec;
    } outputs[] = {{"text", "", OUTPUT_TEXT, OUTPUT_PLAIN},
                   {"raw", "", OUTPUT_RAW, OUTPUT_PLAIN},
                   {"text:gzip", ".gz", OUTPUT_TEXT, OUTPUT_GZIP},
                   {"text:zstd", ".zst", OUTPUT_TEXT, OUTPUT_ZSTD},
                   {"raw:gzip", ".gz", OUTPUT_RAW, OUTPUT_GZIP},
                   {"raw:zstd", ".zst", OUTPUT_RAW, OUTPUT_ZSTD}};
    enum output_format output;
    enum output_codec codec;
    struct error err;

    (void)state;
    assert_int_equal(format_parse_input("lines", &format, &err), 0);
    assert_int_equal(format.kind, INPUT_LINES);
    assert_int_equal(format_parse_input("fixed:1048576", &format, &err), 0);
    assert_int_equal(format.kind, INPUT_FIXED);
    assert_int_equal(format.width, 1048576);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(format_parse_input(wrong[i], &format, &err), -1);
        assert_int_equal(err.code, ERROR_USAGE);
        assert_non_null(strstr(err.text, wrong[i]));
    }
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        assert_int_equal(format_parse_output(outputs[i].name, &output, &codec, &err), 0);
        assert_int_equal(output, outputs[i].format);
        assert_int_equal(codec, outputs[i].codec);
        assert_string_equal(format_suffix(codec), outputs[i].suffix);
    }
    for (size_t i = 0; i < sizeof wrong_outputs / sizeof *wrong_outputs; i++) {
        assert_int_equal(format_parse_output(wrong_outputs[i], &output, &codec, &err), -1);
        assert_int_equal(err.code, ERROR_USAGE);
        assert_non_null(strstr(err.text, "text and raw, alone or with :gzip or :zstd"));
    }
}

static void options_of_formats_compose(void **state)
{
    static const struct {
        const char *name;
        struct input_format want;
    } rows[] = {
        {"keyval", {.kind = INPUT_KEYVAL, .separator = '\t'}},
        {"keyval:tab", {.kind = INPUT_KEYVAL, .separator = '\t'}},
        {"keyval::", {.kind = INPUT_KEYVAL, .separator = ':'}},
        {"keyval: ", {.kind = INPUT_KEYVAL, .separator = ' '}},
        {"csv", {.kind = INPUT_CSV, .separator = ','}},
        {"csv:;", {.kind = INPUT_CSV, .separator = ';'}},
        {"csv::", {.kind = INPUT_CSV, .separator = ':'}},
        {"csv:::lines", {.kind = INPUT_CSV, .separator = ':', .lines = true}},
        {"csv:noheader:tab", {.kind = INPUT_CSV, .separator = '\t', .no_header = true}},
        {"csv:lines:|:noheader",
         {.kind = INPUT_CSV, .separator = '|', .lines = true, .no_header = true}},
        {"jsonl", {.kind = INPUT_JSONL}},
        {"plain:jsonl", {.kind = INPUT_JSONL, .plain = true}},
        {"plain:fixed:7", {.kind = INPUT_FIXED, .width = 7, .plain = true}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct input_format *want = &rows[i].want;
        struct input_format got;
        struct error err;

        assert_int_equal(format_parse_input(rows[i].name, &got, &err), 0);
        assert_int_equal(got.kind, want->kind);
        assert_int_equal(got.width, want->width);
        assert_int_equal(got.separator, want->separator);
        assert_int_equal(got.no_header, want->no_header);
        assert_int_equal(got.lines, want->lines);
        assert_int_equal(got.plain, want->plain);
    }
}

static void raw_pairs_are_their_bytes_and_nothing_else(void **state)
{
    const int64_t lanes[2] = {-2, 258};
    struct mr_bytes none = {NULL, 0}, key = {"k\0y", 3},
                    value = {(const char *)lanes, sizeof lanes};
    char found[64];

    (void)state;
    assert_int_equal(format_room(OUTPUT_RAW, key, value, MR_I64), 19);
    assert_int_equal(format_pair(OUTPUT_RAW, found, key, value, MR_I64), 19);
    assert_memory_equal(found, "k\0y\xfe\xff\xff\xff\xff\xff\xff\xff\2\1\0\0\0\0\0\0", 19);
    assert_int_equal(format_pair(OUTPUT_RAW, found, key, none, MR_BYTES), 3);
    assert_int_equal(format_pair(OUTPUT_RAW, found, none, none, MR_BYTES), 0);
    assert_int_equal(format_pair(OUTPUT_TEXT, found, key, none, MR_BYTES), 4);
    assert_memory_equal(found, "k\0y\n", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_of_short_files_gives_each_record_once),
        cmocka_unit_test(every_cut_of_a_range_gives_each_number_once),
        cmocka_unit_test(long_files_and_wide_records_are_cut_rightly),
        cmocka_unit_test(a_file_that_shrank_or_does_not_fit_is_named),
        cmocka_unit_test(records_are_counted_and_taken_one_by_one),
        cmocka_unit_test(names_are_understood_or_refused_with_what_is_known),
        cmocka_unit_test(options_of_formats_compose),
        cmocka_unit_test(raw_pairs_are_their_bytes_and_nothing_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
