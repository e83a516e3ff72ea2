/* Who may ask by HTTP: names of hosts, tokens, and the file that a token is in. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "coordinator/http/guard.h"
#include "tests/lib/folder.h"

#define TOKEN "0123456789abcdef"

static void loopback_and_added_names_are_known_with_or_without_a_port(void **state)
{
    static const char *const added[] = {"mine.example", "[fe80::1]", "10.0.0.7"};
    static const char *const good[] = {
        "localhost",   "LOCALHOST:1",  "127.0.0.1",    "127.0.0.1:7080",
        "[::1]",       "[::1]:7080",   "mine.example", "Mine.Example",
        "10.0.0.7:80", "[FE80::1]:80", "[fe80::1]",    "mine.example:7080",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(guard_host(good[i], added, 3));
    assert_false(guard_host("mine.example", added, 0));
    assert_false(guard_host("10.0.0.7", added, 2));
}

static void other_names_are_not_known(void **state)
{
    static const char *const added[] = {"mine.example"};
    static const char *const bad[] = {
        "",
        ":80",
        "rebound.example",
        "127.0.0.1.example",
        "127.0.0.1:80.example",
        "127.0.0.1:80:80",
        "127.0.0.1@rebound.example",
        "localhost.rebound.example",
        "localhos",
        "localhost ",
        " localhost",
        "localhost/",
        "127.0.0.2",
        "127.1",
        "::1",
        "[::1",
        "[::1]x",
        "[::1]:x",
        "[",
        "]",
        "[]",
        "mine.example.rebound",
        "not-mine.example",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (guard_host(bad[i], added, 1))
            fail_msg("'%s' is known", bad[i]);
    assert_false(guard_host(NULL, added, 1));
}

static void only_the_whole_token_is_the_token(void **state)
{
    (void)state;
    assert_true(guard_token("Bearer " TOKEN, TOKEN));
    assert_true(guard_token("bearer " TOKEN, TOKEN)); /* schemes know no case */
    assert_false(guard_token(NULL, TOKEN));
    assert_false(guard_token("", TOKEN));
    assert_false(guard_token("Bearer", TOKEN));
    assert_false(guard_token("Bearer ", TOKEN));
    assert_false(guard_token(TOKEN, TOKEN));
    assert_false(guard_token("Basic " TOKEN, TOKEN));
    assert_false(guard_token("Bearer  " TOKEN, TOKEN));
    assert_false(guard_token("Bearer " TOKEN "0", TOKEN));
    assert_false(guard_token("Bearer 0123456789abcde", TOKEN));
    assert_false(guard_token("Bearer 0123456789ABCDEF", TOKEN));
    assert_false(guard_token("Bearer 1123456789abcdef", TOKEN));
}

/* What guard_load says of a file of this text and mode; 0: it gave `want`. */
static int load(const char *text, mode_t mode, const char *want)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "token");
    cleanup_free char *token = NULL;
    struct error err;
    int code = 0;

    folder_text(folder, "token", text);
    assert_int_equal(chmod(path, mode), 0);
    if (guard_load(path, &token, &err)) {
        assert_null(token);
        assert_non_null(strstr(err.text, path));
        code = (int)err.code;
    } else {
        assert_string_equal(token, want);
    }
    folder_remove(folder);
    return code;
}

static void a_token_is_the_first_line_of_its_file(void **state)
{
    char longest[257];

    (void)state;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(load(TOKEN, 0600, TOKEN), 0);
    assert_int_equal(load(TOKEN "\n", 0400, TOKEN), 0);
    assert_int_equal(load(TOKEN "\nanother line\n", 0600, TOKEN), 0);
    assert_int_equal(load(longest, 0600, longest), 0);
}

static void what_is_no_token_is_refused(void **state)
{
    char too_long[258];

    (void)state;
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    assert_int_equal(load("", 0600, NULL), ERROR_USAGE);
    assert_int_equal(load("\n" TOKEN "\n", 0600, NULL), ERROR_USAGE);
    assert_int_equal(load("0123456789abcde", 0600, NULL), ERROR_USAGE);
    assert_int_equal(load("0123456789 abcdef", 0600, NULL), ERROR_USAGE);
    assert_int_equal(load(TOKEN "\r\n", 0600, NULL), ERROR_USAGE);
    assert_int_equal(load("0123456789abcd\xc3\xa4", 0600, NULL), ERROR_USAGE);
    assert_int_equal(load(too_long, 0600, NULL), ERROR_USAGE);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    static const mode_t open[] = {0604, 0640, 0660, 0602, 0610, 0644, 0777};

    (void)state;
    for (size_t i = 0; i < sizeof open / sizeof *open; i++)
        assert_int_equal(load(TOKEN, open[i], NULL), ERROR_REFUSED);
}

static void what_is_no_file_is_named(void **state)
{
    char *folder = folder_new(), *token = NULL;
    cleanup_free char *pipe = folder_path(folder, "pipe"), *none = folder_path(folder, "none");
    struct error err;

    (void)state;
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(guard_load(pipe, &token, &err), -1);
    assert_non_null(strstr(err.text, pipe));
    assert_int_equal(guard_load(none, &token, &err), -1);
    assert_non_null(strstr(err.text, none));
    assert_int_equal(guard_load(folder, &token, &err), -1);
    assert_null(token);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_and_added_names_are_known_with_or_without_a_port),
        cmocka_unit_test(other_names_are_not_known),
        cmocka_unit_test(only_the_whole_token_is_the_token),
        cmocka_unit_test(a_token_is_the_first_line_of_its_file),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(a_file_that_others_may_read_is_refused),
        cmocka_unit_test(what_is_no_file_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
