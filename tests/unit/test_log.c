/* Log lines, read back from the descriptor that they are written to. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/rng.h"

/* Standard error is a pipe between begin and end; cmocka writes nothing in between. */
struct capture {
    int old, from;
};

static struct capture begin(enum log_level level, bool json)
{
    struct capture capture;
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    capture.old = dup(2);
    capture.from = ends[0];
    dup2(ends[1], 2);
    close(ends[1]);
    log_configure(level, json);
    return capture;
}

/* What was written; caller frees. */
static char *end(struct capture *capture)
{
    char *text = memory_zeroed(1, (1 << 20) + 1);
    size_t used = 0;
    ssize_t n;

    log_configure(LOG_NOTHING, false);
    dup2(capture->old, 2);
    close(capture->old);
    while ((n = read(capture->from, text + used, (1 << 20) - used)) > 0)
        used += (size_t)n;
    close(capture->from);
    return text;
}

static bool is_time(const char *text)
{
    int year, month, day, hour, minute, second, ms, used = 0;

    return sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &year, &month, &day, &hour, &minute,
                  &second, &ms, &used) == 7 &&
           used == 24;
}

/* The one line that was written is text: a time, and `rest`. */
static void expect_text(struct capture *capture, const char *rest)
{
    cleanup_free char *text = end(capture);

    assert_true(is_time(text));
    assert_int_equal(text[24], ' ');
    assert_string_equal(text + 25, rest);
}

/* The one line that was written, as JSON; the caller drops it. */
static json_t *expect_json(struct capture *capture)
{
    cleanup_free char *text = end(capture);
    char *newline = strchr(text, '\n');
    json_error_t error;
    json_t *line;

    assert_non_null(newline);
    assert_int_equal(newline[1], 0);
    line = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!line)
        fail_msg("%s in: %s", error.text, text);
    assert_true(json_is_object(line));
    assert_true(is_time(json_string_value(json_object_get(line, "time"))));
    return line;
}

static const char *text_of(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static void a_line_of_text_reads_well(void **state)
{
    struct capture capture = begin(LOG_INFO, false);

    (void)state;
    log_event(LOG_INFO, "job finished", LOG_ID("job", 0x6b0435f0a1c2),
              LOG_TEXT("state", "done"), LOG_NUMBER("maps", -3),
              LOG_SECONDS("seconds", 1.2041));
    expect_text(&capture,
                "info job finished job=6b0435f0a1c2 state=done maps=-3 seconds=1.204\n");
}

static void a_line_of_json_has_types(void **state)
{
    struct capture capture = begin(LOG_INFO, true);
    json_t *line;

    (void)state;
    log_event(LOG_WARNINGS, "worker lost", LOG_ID("worker", 7), LOG_TEXT("name", "w 1"),
              LOG_NUMBER("tasks", INT64_MIN), LOG_SECONDS("silent", 10.5));
    line = expect_json(&capture);
    assert_string_equal(text_of(line, "level"), "warning");
    assert_string_equal(text_of(line, "event"), "worker lost");
    assert_string_equal(text_of(line, "worker"), "000000000007");
    assert_string_equal(text_of(line, "name"), "w 1");
    assert_true(json_integer_value(json_object_get(line, "tasks")) == INT64_MIN);
    assert_true(json_real_value(json_object_get(line, "silent")) == 10.5);
    assert_int_equal(json_object_size(line), 7);
    json_decref(line);
}

static void text_is_quoted_where_it_could_be_misread(void **state)
{
    struct capture capture = begin(LOG_DETAIL, false);

    (void)state;
    log_event(LOG_ERRORS, "odd", LOG_TEXT("a", ""), LOG_TEXT("b", "two words"),
              LOG_TEXT("c", "x=y"), LOG_TEXT("d", "say \"no\\yes\""),
              LOG_TEXT("e", "/plain,;{}"), LOG_TEXT("f", "line\nforged\tinfo"),
              LOG_TEXT("g", "gr\xc3\xbc\x7f"));
    expect_text(&capture,
                "error odd a=\"\" b=\"two words\" c=\"x=y\" d=\"say \\\"no\\\\yes\\\"\" "
                "e=/plain,;{} f=\"line forged info\" g=\"gr\?\?\?\"\n");
}

static void what_is_no_number_is_still_json(void **state)
{
    const double odd[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct capture capture = begin(LOG_INFO, true);
        json_t *line;

        log_event(LOG_INFO, "odd", LOG_SECONDS("seconds", odd[i]));
        line = expect_json(&capture);
        assert_true(json_is_null(json_object_get(line, "seconds")));
        json_decref(line);
    }
}

static void random_bytes_are_a_line_of_json(void **state)
{
    struct rng rng = {9};

    (void)state;
    for (int round = 0; round < 500; round++) {
        struct capture capture = begin(LOG_INFO, true);
        char bytes[600];
        size_t size = (size_t)rng_below(&rng, sizeof bytes);
        json_t *line;

        for (size_t i = 0; i < size; i++) {
            bytes[i] = (char)(1 + rng_below(&rng, 255));
            if (rng_below(&rng, 4) == 0)
                bytes[i] = rng_below(&rng, 2) ? '"' : '\\';
        }
        bytes[size] = 0;
        log_event(LOG_INFO, "noise", LOG_TEXT("text", bytes), LOG_NUMBER("after", round));
        line = expect_json(&capture);
        assert_int_equal(strlen(text_of(line, "text")), size);
        for (size_t i = 0; i < size; i++)
            if (bytes[i] >= ' ' && bytes[i] < 0x7f)
                assert_int_equal(text_of(line, "text")[i], bytes[i]);
        assert_int_equal(json_integer_value(json_object_get(line, "after")), round);
        json_decref(line);
    }
}

/* Of every length around the limits, made of plain bytes or of such as are escaped. */
static void a_text_that_is_too_long_is_cut_and_the_line_is_whole(void **state)
{
    cleanup_free char *text = memory_zeroed(1, 9001);

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        for (size_t size = 900; size <= 9000; size += size < 4200 ? 7 : 1200) {
            struct capture capture;
            json_t *line;

            memset(text, kind % 2 ? '"' : 'x', size);
            text[size] = 0;
            capture = begin(LOG_INFO, true);
            log_event(LOG_INFO, "long", LOG_TEXT("first", text), LOG_NUMBER("number", 5),
                      LOG_TEXT("second", kind < 2 ? "short" : text), LOG_NUMBER("last", 6));
            line = expect_json(&capture);
            assert_int_equal(strncmp(text_of(line, "first"), text, 900), 0);
            assert_int_equal(json_integer_value(json_object_get(line, "number")), 5);
            if (kind < 2) {
                assert_string_equal(text_of(line, "second"), "short");
                assert_int_equal(json_integer_value(json_object_get(line, "last")), 6);
            }
            json_decref(line);
        }
    }
}

static void a_long_line_of_text_ends_with_a_whole_field(void **state)
{
    struct log_field fields[400] = {{.name = NULL}};
    struct capture capture = begin(LOG_INFO, false);
    cleanup_free char *text = NULL;

    (void)state;
    for (int i = 0; i < 399; i++)
        fields[i] = (struct log_field)LOG_TEXT("field", "value_of_it");
    log_write(LOG_INFO, "many", fields);
    text = end(&capture);
    assert_in_range(strlen(text), 4000, 4096);
    assert_string_equal(text + strlen(text) - 19, " field=value_of_it\n");
}

static void only_what_was_asked_for_is_written(void **state)
{
    (void)state;
    for (int level = LOG_NOTHING; level <= LOG_DETAIL; level++) {
        struct capture capture = begin((enum log_level)level, false);
        cleanup_free char *text = NULL;
        int lines = 0;

        for (int of = LOG_ERRORS; of <= LOG_DETAIL; of++)
            log_event((enum log_level)of, "event", LOG_NUMBER("of", of));
        text = end(&capture);
        for (const char *at = text; (at = strchr(at, '\n')); at++)
            lines++;
        assert_int_equal(lines, level);
    }
}

static void levels_have_names(void **state)
{
    static const char *const names[] = {"error", "warning", "info", "detail"};
    static const char *const others[] = {"", "nothing", "errors", "INFO", "debug"};
    enum log_level level = LOG_NOTHING;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_true(log_parse(names[i], &level));
        assert_int_equal(level, LOG_ERRORS + i);
    }
    for (int i = 0; i < 5; i++) {
        level = LOG_INFO;
        assert_false(log_parse(others[i], &level));
        assert_int_equal(level, LOG_INFO);
    }
}

static void *log_many(void *context)
{
    char text[300];

    memset(text, 'a' + *(int *)context, sizeof text);
    text[sizeof text - 1] = 0;
    for (int i = 0; i < 30; i++)
        log_event(LOG_INFO, "thread", LOG_TEXT("text", text));
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    struct capture capture = begin(LOG_INFO, true);
    int numbers[4] = {0, 1, 2, 3}, lines = 0;
    cleanup_free char *text = NULL;
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, &numbers[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    text = end(&capture);
    for (char *at = text, *newline; (newline = strchr(at, '\n')); at = newline + 1) {
        json_t *line;

        *newline = 0;
        line = json_loads(at, 0, NULL);
        assert_non_null(line);
        assert_int_equal(strlen(text_of(line, "text")), 299);
        assert_int_equal(text_of(line, "text")[0], text_of(line, "text")[298]);
        json_decref(line);
        lines++;
    }
    assert_int_equal(lines, 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_text_reads_well),
        cmocka_unit_test(a_line_of_json_has_types),
        cmocka_unit_test(text_is_quoted_where_it_could_be_misread),
        cmocka_unit_test(what_is_no_number_is_still_json),
        cmocka_unit_test(random_bytes_are_a_line_of_json),
        cmocka_unit_test(a_text_that_is_too_long_is_cut_and_the_line_is_whole),
        cmocka_unit_test(a_long_line_of_text_ends_with_a_whole_field),
        cmocka_unit_test(only_what_was_asked_for_is_written),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
