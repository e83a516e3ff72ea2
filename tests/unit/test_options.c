/* Command lines: tables become values, and what is wrong is named on stderr. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/options.h"
#include "cli/submission.h"
#include "tests/lib/folder.h"

/* A verb with one option of each kind. */
struct verb {
    bool loud, quick, sync;
    const char *output;
    struct option_list inputs, params, words;
    uint64_t size, at_least, count;
    int result;
    char *err, *out; /* what was printed */
};

/* Sends stream `fd` into a new file; returns where it went before. */
static int divert(int fd, const char *path)
{
    int kept = dup(fd), file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(kept >= 0 && file >= 0);
    dup2(file, fd);
    close(file);
    return kept;
}

static void restore(int fd, int kept)
{
    dup2(kept, fd);
    close(kept);
}

/* Parses words that end with NULL. */
static struct verb parse(const char *const *argv)
{
    struct verb verb = {.count = 7, .sync = true};
    const struct option_row rows[] = {
        {"input", 'i', OPTION_LIST, "URI...", "files", &verb.inputs, .greedy = true},
        {"output", 'o', OPTION_TEXT, "URI", "a folder", &verb.output},
        {"output-format", 0, OPTION_TEXT, "NAME", "a format", &verb.output},
        {"param", 'p', OPTION_LIST, "NAME=VALUE", "a parameter", &verb.params},
        {"size", 's', OPTION_SIZE, "SIZE", "a size", &verb.size, 1024, 1 << 20},
        {"at-least", 0, OPTION_SIZE, "SIZE", "a size", &verb.at_least, 1},
        {"count", 'r', OPTION_COUNT, "N", "a number", &verb.count, 1, 100},
        {"loud", 'l', OPTION_FLAG, NULL, "a flag", &verb.loud},
        {"quick", 'q', OPTION_FLAG, NULL, "a flag", &verb.quick},
        {"sync", 0, OPTION_SWITCH, "on|off", "a switch", &verb.sync},
    };
    const struct option_table table = {"marram walk X", "Walks.", "Notes.", rows,
                                       sizeof rows / sizeof *rows};
    char *folder = folder_new();
    cleanup_free char *err = folder_path(folder, "err"), *out = folder_path(folder, "out");
    int argc = 0, kept_err = divert(2, err), kept_out = divert(1, out);

    while (argv[argc])
        argc++;
    verb.result = options_parse(&table, argc, (char **)argv, &verb.words);
    fflush(stdout);
    restore(2, kept_err);
    restore(1, kept_out);
    verb.err = folder_read(folder, "err", NULL);
    verb.out = folder_read(folder, "out", NULL);
    folder_remove(folder);
    return verb;
}

#define PARSE(...) parse((const char *const[]){"walk", __VA_ARGS__, NULL})

static void verb_done(struct verb *verb)
{
    option_list_done(&verb->inputs);
    option_list_done(&verb->params);
    option_list_done(&verb->words);
    free(verb->err);
    free(verb->out);
}

static void expect_list(const struct option_list *list, const char *const *expected)
{
    size_t n = 0;

    for (; expected[n]; n++) {
        assert_true(n < list->count);
        assert_string_equal(list->items[n], expected[n]);
    }
    assert_int_equal(list->count, n);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_good(const struct verb *verb)
{
    assert_int_equal(verb->result, 0);
    assert_string_equal(verb->err, "");
    assert_string_equal(verb->out, "");
}

static void words_after_an_input_are_inputs_until_the_next_option(void **state)
{
    struct verb verb = PARSE("job", "-i", "a", "b", "c", "-o", "out", "late");

    (void)state;
    expect_good(&verb);
    expect_list(&verb.inputs, LIST("a", "b", "c"));
    expect_list(&verb.words, LIST("job", "late"));
    assert_string_equal(verb.output, "out");
    verb_done(&verb);
}

static void every_way_to_write_an_argument_is_understood(void **state)
{
    struct verb verb = PARSE("-ia", "b", "--input=c", "d", "--input", "e", "--output=", "-r9",
                             "-lq", "--size=64K", "--sync=off", "--at-least", "2G");

    (void)state;
    expect_good(&verb);
    expect_list(&verb.inputs, LIST("a", "b", "c", "d", "e"));
    assert_int_equal(verb.words.count, 0);
    assert_string_equal(verb.output, "");
    assert_int_equal(verb.count, 9);
    assert_int_equal(verb.size, 65536);
    assert_int_equal(verb.at_least, UINT64_C(2) << 30);
    assert_true(verb.loud && verb.quick && !verb.sync);
    verb_done(&verb);
}

static void absent_options_keep_their_defaults(void **state)
{
    struct verb verb = PARSE("job");

    (void)state;
    expect_good(&verb);
    assert_int_equal(verb.count, 7);
    assert_true(verb.sync);
    assert_false(verb.loud);
    assert_null(verb.output);
    verb_done(&verb);
}

static void repeated_lists_grow_and_repeated_values_end_with_the_last(void **state)
{
    struct verb verb = PARSE("-p", "a=1", "x", "-p", "b=2", "-o", "one", "-i", "f", "-o", "two",
                             "-r", "3", "-r", "4", "-i", "g");

    (void)state;
    expect_good(&verb);
    expect_list(&verb.params, LIST("a=1", "b=2"));
    expect_list(&verb.inputs, LIST("f", "g"));
    expect_list(&verb.words, LIST("x")); /* -p is not greedy */
    assert_string_equal(verb.output, "two");
    assert_int_equal(verb.count, 4);
    verb_done(&verb);
}

static void two_dashes_end_the_options(void **state)
{
    struct verb verb = PARSE("-l", "--", "-i", "--loud", "-");

    (void)state;
    expect_good(&verb);
    expect_list(&verb.words, LIST("-i", "--loud", "-"));
    assert_int_equal(verb.inputs.count, 0);
    verb_done(&verb);
}

static void parsing_twice_gives_the_same_twice(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct verb bad = PARSE("-i", "a", "-z"), good = PARSE("-i", "a", "b");

        assert_int_equal(bad.result, -1);
        expect_good(&good);
        expect_list(&good.inputs, LIST("a", "b"));
        verb_done(&bad);
        verb_done(&good);
    }
}

static void expect_refusal(struct verb verb, const char *words)
{
    assert_int_equal(verb.result, -1);
    if (!strstr(verb.err, words) || strncmp(verb.err, "marram walk: ", 13))
        fail_msg("'%s' does not say '%s'", verb.err, words);
    /* One line. */
    assert_ptr_equal(strchr(verb.err, '\n'), verb.err + strlen(verb.err) - 1);
    verb_done(&verb);
}

static void unknown_options_are_named(void **state)
{
    (void)state;
    expect_refusal(PARSE("job", "-z", "more"), "unknown option -z ");
    expect_refusal(PARSE("job", "--zebra", "more"), "unknown option --zebra ");
    expect_refusal(PARSE("job", "--zebra=3"), "unknown option --zebra");
}

static void an_unknown_letter_within_others_is_named(void **state)
{
    (void)state;
    expect_refusal(PARSE("job", "-zl"), "unknown option -z ");
    expect_refusal(PARSE("job", "-lzq"), "unknown option -z ");
}

static void an_argument_for_a_flag_is_called_that(void **state)
{
    (void)state;
    expect_refusal(PARSE("job", "--loud=yes"), "--loud takes no argument");
}

static void an_abbreviation_of_several_options_is_refused(void **state)
{
    (void)state;
    expect_refusal(PARSE("job", "--s=1"), "option --s");
}

static void missing_arguments_are_named(void **state)
{
    (void)state;
    expect_refusal(PARSE("job", "-o"), "-o: an argument is missing");
    expect_refusal(PARSE("job", "--output"), "--output: an argument is missing");
    expect_refusal(PARSE("job", "-lo"), "an argument is missing");
}

static void arguments_out_of_bounds_are_named_with_the_bounds(void **state)
{
    (void)state;
    expect_refusal(PARSE("-r", "0"), "--count '0': a number from 1 to 100 is wanted");
    expect_refusal(PARSE("-r", "101"), "--count '101'");
    expect_refusal(PARSE("-r", "-1"), "--count '-1'");
    expect_refusal(PARSE("--count=many"), "--count 'many'");
    expect_refusal(PARSE("--count="), "--count ''");
    expect_refusal(PARSE("-s", "1023"),
                   "--size '1023': a size from 1.0 KiB to 1.0 MiB is wanted");
    expect_refusal(PARSE("-s", "2M"), "--size '2M'");
    expect_refusal(PARSE("-s", "12Q"), "--size '12Q'");
    expect_refusal(PARSE("--at-least=0"), "--at-least '0': a size of at least 1 B is wanted");
    expect_refusal(PARSE("--sync=maybe"), "--sync 'maybe': on or off is wanted");
    expect_refusal(PARSE("--sync="), "--sync '': on or off");
}

static void help_lists_every_option_on_stdout(void **state)
{
    static const char *const spellings[] = {"-h", "--help"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct verb verb = PARSE("-l", spellings[i], "--zebra");

        assert_int_equal(verb.result, 1);
        assert_string_equal(verb.err, "");
        assert_int_equal(strncmp(verb.out, "Usage: marram walk X\n\nWalks.\n", 29), 0);
        assert_non_null(strstr(verb.out, "\n  -i, --input URI... "));
        assert_non_null(strstr(verb.out, "\n      --sync on|off "));
        assert_non_null(strstr(verb.out, "\n  -q, --quick "));
        assert_non_null(strstr(verb.out, "\n  -h, --help "));
        assert_non_null(strstr(verb.out, "\nNotes.\n"));
        verb_done(&verb);
    }
}

static void the_table_of_a_submission_has_no_name_or_letter_twice(void **state)
{
    struct submission submission = {0};
    struct option_row rows[SUBMISSION_ROWS];

    (void)state;
    submission_rows(&submission, rows);
    for (int a = 0; a < SUBMISSION_ROWS; a++) {
        assert_non_null(rows[a].name);
        assert_non_null(rows[a].value);
        assert_true((rows[a].kind == OPTION_FLAG) == (rows[a].argument == NULL));
        assert_int_not_equal(rows[a].letter, 'h');
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(rows[a].name, rows[b].name);
            assert_true(!rows[a].letter || rows[a].letter != rows[b].letter);
        }
    }
    submission_done(&submission);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_after_an_input_are_inputs_until_the_next_option),
        cmocka_unit_test(every_way_to_write_an_argument_is_understood),
        cmocka_unit_test(absent_options_keep_their_defaults),
        cmocka_unit_test(repeated_lists_grow_and_repeated_values_end_with_the_last),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(parsing_twice_gives_the_same_twice),
        cmocka_unit_test(unknown_options_are_named),
        cmocka_unit_test(an_unknown_letter_within_others_is_named),
        cmocka_unit_test(an_argument_for_a_flag_is_called_that),
        cmocka_unit_test(an_abbreviation_of_several_options_is_refused),
        cmocka_unit_test(missing_arguments_are_named),
        cmocka_unit_test(arguments_out_of_bounds_are_named_with_the_bounds),
        cmocka_unit_test(help_lists_every_option_on_stdout),
        cmocka_unit_test(the_table_of_a_submission_has_no_name_or_letter_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
