/* Lines: however a file is cut into ranges, each line is given exactly once and whole. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "record/lines.h"
#include "tests/lib/folder.h"

/* What is read behind a range at once, and then: reads end there. */
enum { AHEAD = 2 << 10, MORE = 32 << 10 };

/* A text, on disk and in memory. */
struct text {
    char *folder, *path, *bytes;
    size_t size;
    struct lines_file file;
    struct lines lines;
};

static void text_open(struct text *text)
{
    *text = (struct text){.folder = folder_new()};
    text->path = folder_path(text->folder, "text");
    folder_text(text->folder, "text", "");
    text->file.path = text->path;
    text->file.fd = open(text->path, O_RDWR | O_CLOEXEC);
    assert_true(text->file.fd >= 0);
    lines_init(&text->lines);
}

static void text_close(struct text *text)
{
    lines_done(&text->lines);
    close(text->file.fd);
    free(text->bytes);
    free(text->path);
    folder_remove(text->folder);
}

/* The file becomes `size` bytes, which the text then owns. */
static void text_set(struct text *text, char *bytes, size_t size)
{
    free(text->bytes);
    text->bytes = bytes;
    text->size = text->file.size = size;
    assert_int_equal(ftruncate(text->file.fd, 0), 0);
    assert_int_equal(pwrite(text->file.fd, bytes, size, 0), size);
}

/* The definition: a line begins at 0 and behind each newline, and ends behind its newline or
 * with the text. */
static bool begins_line(const struct text *text, size_t at)
{
    return at < text->size && (at == 0 || text->bytes[at - 1] == '\n');
}

static struct mr_bytes lines_of_range(const struct text *text, size_t from, size_t to)
{
    size_t first = from, end;

    while (first < to && !begins_line(text, first))
        first++;
    if (first == to)
        return (struct mr_bytes){NULL, 0};
    for (end = to; end < text->size && !begins_line(text, end);)
        end++;
    return (struct mr_bytes){text->bytes + first, end - first};
}

/* Reads one range and compares; returns the number of bytes. */
static size_t expect_range(struct text *text, size_t from, size_t to)
{
    struct mr_bytes expected = lines_of_range(text, from, to), found;
    uint64_t offset;
    struct error err;

    if (lines_read(&text->lines, &text->file, from, to - from, &found, &offset, &err))
        fail_msg("%s", err.text);
    assert_int_equal(found.len, expected.len);
    if (!found.len)
        return 0;
    assert_int_equal(offset, expected.ptr - text->bytes);
    assert_true(!memcmp(found.ptr, expected.ptr, found.len));
    for (int i = 0; i < MR_PADDING; i++)
        assert_int_equal(found.ptr[found.len + i], ' ');
    return found.len;
}

/* All ranges of a cut together give each byte, and so each line, once. */
static void expect_cut(struct text *text, const size_t *cuts, size_t n)
{
    size_t from = 0, total = 0;

    for (size_t i = 0; i <= n; i++) {
        size_t to = i < n ? cuts[i] : text->size;

        total += expect_range(text, from, to);
        from = to;
    }
    assert_int_equal(total, text->size);
}

static void every_short_text_is_cut_rightly_everywhere(void **state)
{
    enum { LENGTH = 8 };
    struct text text;

    (void)state;
    text_open(&text);
    for (size_t n = 0; n <= LENGTH; n++)
        for (unsigned pattern = 0; pattern < 1U << n; pattern++) {
            char *bytes = memory_new(n);

            for (size_t i = 0; i < n; i++)
                bytes[i] = (char)(pattern >> i & 1 ? '\n' : 'a' + i);
            text_set(&text, bytes, n);
            for (size_t a = 0; a <= n; a++)
                for (size_t b = a; b <= n; b++)
                    expect_cut(&text, (const size_t[]){a, b}, 2);
        }
    text_close(&text);
}

/* Lines of very different lengths, many of them empty; the last one may lack its newline. */
static char *made_up_text(struct rng *rng, size_t size, size_t line_max)
{
    char *bytes = memory_new(size);
    size_t at = 0;

    while (at < size) {
        size_t n = rng_below(rng, 3) ? rng_below(rng, 1 + rng_below(rng, line_max)) : 0;

        for (; n && at < size; n--)
            bytes[at++] = (char)(rng_below(rng, 20) ? 'a' + rng_below(rng, 26) : '\0');
        if (at < size)
            bytes[at++] = '\n';
    }
    if (size && rng_below(rng, 2))
        bytes[size - 1] = '\n';
    return bytes;
}

static int compare_sizes(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;

    return x < y ? -1 : x > y;
}

static void random_texts_are_cut_rightly_anywhere(void **state)
{
    struct text text;
    struct rng rng = {31};

    (void)state;
    text_open(&text);
    for (int round = 0; round < 400; round++) {
        size_t size = rng_below(&rng, 20) ? rng_below(&rng, 3000) : rng_below(&rng, 200000),
               cuts[12], n = rng_below(&rng, 13);

        text_set(&text, made_up_text(&rng, size, round % 2 ? 20 : 4000), size);
        for (size_t i = 0; i < n; i++)
            cuts[i] = rng_below(&rng, size + 1);
        qsort(cuts, n, sizeof *cuts, compare_sizes);
        expect_cut(&text, cuts, n);
    }
    text_close(&text);
}

static void every_single_cut_of_a_text_gives_all_lines(void **state)
{
    struct text text;
    struct rng rng = {32};

    (void)state;
    text_open(&text);
    text_set(&text, made_up_text(&rng, 2000, 100), 2000);
    for (size_t at = 0; at <= text.size; at++)
        expect_cut(&text, &at, 1);
    text_close(&text);
}

/* Longer than what is read ahead, than a chunk, and than several. */
static void lines_longer_than_chunks_are_given_whole(void **state)
{
    static const size_t lengths[] = {
        AHEAD - 1,   AHEAD,           AHEAD + 1,       LIMIT_CHUNK - 1,
        LIMIT_CHUNK, LIMIT_CHUNK + 1, 3 * LIMIT_CHUNK, 5 * LIMIT_CHUNK + 7,
    };
    struct text text;
    struct rng rng = {33};

    (void)state;
    text_open(&text);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (int end = 0; end < 2; end++) {
            size_t before = rng_below(&rng, 3000), size = before + lengths[i] + (end ? 500 : 0);
            char *bytes = made_up_text(&rng, size, 50);
            size_t cuts[8];

            if (before)
                bytes[before - 1] = '\n';
            memset(bytes + before, 'L', lengths[i]);
            if (end)
                bytes[before + lengths[i] - 1] = '\n';
            text_set(&text, bytes, size);
            for (int k = 0; k < 8; k++)
                cuts[k] = k % 2 ? rng_below(&rng, size + 1)
                                : (before + lengths[i] - 2 + (size_t)k / 2) % size;
            qsort(cuts, 8, sizeof *cuts, compare_sizes);
            expect_cut(&text, cuts, 8);
            /* Most ranges lie inside the line, and are empty. */
            for (size_t at = 0; at < size; at += LIMIT_CHUNK / 2)
                expect_range(&text, at,
                             at + LIMIT_CHUNK / 2 < size ? at + LIMIT_CHUNK / 2 : size);
        }
    text_close(&text);
}

/* Newlines just before, at and behind the places where one read ends and the next begins. */
static void newlines_are_found_wherever_reads_end(void **state)
{
    enum { RANGE = 100, FIRST = RANGE + AHEAD, SECOND = FIRST + MORE };
    struct text text;

    (void)state;
    text_open(&text);
    for (int second = 0; second < 2; second++)
        for (size_t at = (second ? SECOND : FIRST) - 3; at < (second ? SECOND : FIRST) + 3U;
             at++) {
            char *bytes = memory_new(SECOND + 50);

            memset(bytes, 'n', SECOND + 50);
            bytes[7] = bytes[at] = '\n';
            text_set(&text, bytes, SECOND + 50);
            for (size_t from = 0; from < 8; from += 7) /* one byte more is read if from > 0 */
                expect_range(&text, from, from + RANGE);
        }
    text_close(&text);
}

static void a_line_of_a_gibibyte_passes_and_one_byte_more_does_not(void **state)
{
    struct text text;
    struct mr_bytes found;
    struct error err;
    uint64_t offset;

    (void)state;
    if (!getenv("MARRAM_BIG")) {
        print_message("skipped: lines of a gibibyte, without MARRAM_BIG=1\n");
        skip();
    }
    text_open(&text);
    for (size_t begin = 0; begin <= 500000; begin += 500000)
        for (size_t more = 0; more < 2; more++) {
            uint64_t size = begin + LIMIT_RECORD + more;

            assert_int_equal(ftruncate(text.file.fd, 0), 0);
            assert_int_equal(ftruncate(text.file.fd, (off_t)size + 1), 0);
            if (begin)
                assert_int_equal(pwrite(text.file.fd, "\n", 1, (off_t)begin - 1), 1);
            assert_int_equal(pwrite(text.file.fd, "\n", 1, (off_t)size), 1);
            text.file.size = size + 1;
            assert_int_equal(
                lines_read(&text.lines, &text.file, 0, LIMIT_CHUNK, &found, &offset, &err),
                more ? -1 : 0);
            if (more) {
                assert_int_equal(err.code, ERROR_MEMORY);
                assert_non_null(strstr(err.text, text.path));
                assert_non_null(strstr(err.text, "longer than the limit of 1 GiB"));
            } else {
                assert_int_equal(found.len, size + 1);
            }
        }
    text_close(&text);
}

/* A file of one line, which the range of its first byte asks for. */
static void set_line(struct text *text, size_t length)
{
    char *bytes = memory_new(length + 3);

    memset(bytes, 'l', length + 3);
    bytes[0] = bytes[length + 1] = '\n';
    text_set(text, bytes, length + 3);
}

static void a_line_above_the_limit_is_refused_by_name(void **state)
{
    static const uint64_t limits[] = {100, 4096, 64 << 10, 3 << 20};
    struct text text;
    struct mr_bytes found;
    struct error err;
    uint64_t offset;

    (void)state;
    text_open(&text);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        for (size_t more = 0; more < 2; more++) {
            text.lines.limit = limits[i];
            set_line(&text, limits[i] + more);
            assert_int_equal(lines_read(&text.lines, &text.file, 1, 7, &found, &offset, &err),
                             more ? -1 : 0);
            if (!more) {
                assert_int_equal(found.len, limits[i] + 1);
                continue;
            }
            assert_int_equal(err.code, ERROR_MEMORY);
            assert_non_null(strstr(err.text, text.path));
            assert_non_null(strstr(err.text, "begins at offset 1 is longer than "));
            assert_non_null(
                strstr(err.text, ", an eighth of a worker's memory: raise --memory"));
        }
    assert_non_null(strstr(err.text, " 3 MiB,"));
    text_close(&text);
}

static void what_a_long_line_took_is_given_back(void **state)
{
    struct text text;

    (void)state;
    text_open(&text);
    set_line(&text, 20 << 20);
    expect_range(&text, 0, 2);
    assert_true(text.lines.capacity >= 20 << 20);
    expect_range(&text, 0, 1);
    assert_true(text.lines.capacity <= LINES_KEPT);
    text_close(&text);
}

static void the_buffer_stays_from_range_to_range(void **state)
{
    struct text text;
    const char *buffer;
    struct rng rng = {35};

    (void)state;
    text_open(&text);
    text_set(&text, made_up_text(&rng, 3 * LIMIT_PIECE, 100), 3 * LIMIT_PIECE);
    expect_range(&text, 0, LIMIT_PIECE);
    buffer = text.lines.buffer;
    for (size_t at = 0; at < 3 * LIMIT_PIECE; at += LIMIT_PIECE) {
        expect_range(&text, at, at + LIMIT_PIECE);
        expect_range(&text, at, at + 1);
        assert_ptr_equal(text.lines.buffer, buffer);
    }
    text_close(&text);
}

static void a_file_that_became_shorter_is_an_error_that_names_it(void **state)
{
    struct text text;
    struct mr_bytes found;
    struct error err;
    uint64_t offset;

    (void)state;
    text_open(&text);
    text_set(&text, memory_text("one\ntwo\nthree\n"), 14);
    text.file.size = 20;
    assert_int_equal(lines_read(&text.lines, &text.file, 8, 12, &found, &offset, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, text.path));
    assert_non_null(strstr(err.text, "ends at offset 14, not at 20"));
    text_close(&text);
}

static void what_was_appended_later_is_not_read(void **state)
{
    struct text text;
    struct mr_bytes found;
    struct error err;
    uint64_t offset;

    (void)state;
    text_open(&text);
    text_set(&text, memory_text("one\ntwo\nthree\n"), 14);
    text.file.size = 6;
    assert_int_equal(lines_read(&text.lines, &text.file, 0, 6, &found, &offset, &err), 0);
    assert_int_equal(found.len, 6);
    assert_memory_equal(found.ptr, "one\ntw", 6);
    text_close(&text);
}

static void what_cannot_be_read_is_named(void **state)
{
    struct text text;
    struct mr_bytes found;
    struct error err;
    uint64_t offset;
    int fd;

    (void)state;
    text_open(&text);
    text_set(&text, memory_text("one\n"), 4);
    fd = open(text.path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(lines_read(&text.lines, &(struct lines_file){fd, text.path, 4}, 0, 4,
                                &found, &offset, &err),
                     -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, text.path));
    close(fd);
    text_close(&text);
}

static void lines_are_counted_with_or_without_a_final_newline(void **state)
{
    struct rng rng = {34};

    (void)state;
    for (int round = 0; round < 2000; round++) {
        size_t size = rng_below(&rng, 300);
        cleanup_free char *bytes = made_up_text(&rng, size, 30);
        struct mr_bytes rest = {bytes, size}, line;
        struct text text = {.bytes = bytes, .size = size};
        uint64_t expected = 0, given = 0;

        for (size_t i = 0; i < size; i++)
            expected += begins_line(&text, i);
        assert_int_equal(lines_count(rest), expected);
        for (const char *at = bytes; mr_next_line(&rest, &line); given++) {
            assert_ptr_equal(line.ptr, at);
            assert_null(memchr(line.ptr, '\n', line.len));
            at += line.len + 1;
        }
        assert_int_equal(given, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_text_is_cut_rightly_everywhere),
        cmocka_unit_test(random_texts_are_cut_rightly_anywhere),
        cmocka_unit_test(every_single_cut_of_a_text_gives_all_lines),
        cmocka_unit_test(lines_longer_than_chunks_are_given_whole),
        cmocka_unit_test(newlines_are_found_wherever_reads_end),
        cmocka_unit_test(a_line_of_a_gibibyte_passes_and_one_byte_more_does_not),
        cmocka_unit_test(a_line_above_the_limit_is_refused_by_name),
        cmocka_unit_test(what_a_long_line_took_is_given_back),
        cmocka_unit_test(the_buffer_stays_from_range_to_range),
        cmocka_unit_test(a_file_that_became_shorter_is_an_error_that_names_it),
        cmocka_unit_test(what_was_appended_later_is_not_read),
        cmocka_unit_test(what_cannot_be_read_is_named),
        cmocka_unit_test(lines_are_counted_with_or_without_a_final_newline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
