/* Command lines: tables become values, and what is wrong is named on stderr. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/verbs.h"
#include "tests/lib/folder.h"

/* A verb with one option of each kind. */
struct walk {
    bool loud, quick, sync;
    const char *output, *colour;
    struct option_list inputs, params;
    uint64_t size, at_least, count;
};

struct verb_seen {
    bool loud, quick, sync;
    const char *output, *colour;
    struct option_list inputs, params, words; /* copies */
    uint64_t size, at_least, count;
    bool ran;
    int status;
    char *err, *out; /* what was printed */
};

static struct verb_seen *seen;

static void add_options(void *into, struct option_table *table)
{
    struct walk *walk = into;
    const struct option_row rows[] = {
        {"input", 'i', OPTION_LIST, "URI...", "files", &walk->inputs, .greedy = true},
        {"output", 'o', OPTION_TEXT, "URI", "a folder", &walk->output},
        {"output-format", 0, OPTION_TEXT, "NAME", "a format", &walk->output},
        {"param", 'p', OPTION_LIST, "NAME=VALUE", "a parameter", &walk->params},
        {"size", 's', OPTION_SIZE, "SIZE", "a size", &walk->size, 1024, 1 << 20,
         .unset = "as it comes"},
        {"at-least", 0, OPTION_SIZE, "SIZE", "a size", &walk->at_least, 1},
        {"count", 'r', OPTION_COUNT, "N", "a number", &walk->count, 1, 100},
        {"loud", 'l', OPTION_FLAG, NULL, "a flag", &walk->loud},
        {"quick", 'q', OPTION_FLAG, NULL, "a flag", &walk->quick},
        {"sync", 0, OPTION_SWITCH, "on|off", "a switch", &walk->sync},
        {"colour", 0, OPTION_CHOICE, "NAME", "a choice", &walk->colour,
         .choices = "red|green|blue"},
        {"a-name-that-is-long", 0, OPTION_COUNT, "WITH-ITS-ARGUMENT",
         "a text that is longer than what a line has room for, and so it goes on in the next "
         "line, below where it began",
         &walk->count, 1, 100},
    };

    walk->count = 7;
    walk->sync = true;
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static void copy_list(struct option_list *to, const struct option_list *from)
{
    for (size_t i = 0; i < from->count; i++)
        option_list_add(to, from->items[i]);
}

static int run(void *into, const struct option_list *words)
{
    const struct walk *walk = into;

    seen->ran = true;
    seen->loud = walk->loud;
    seen->quick = walk->quick;
    seen->sync = walk->sync;
    seen->output = walk->output;
    seen->colour = walk->colour;
    seen->size = walk->size;
    seen->at_least = walk->at_least;
    seen->count = walk->count;
    copy_list(&seen->inputs, &walk->inputs);
    copy_list(&seen->params, &walk->params);
    copy_list(&seen->words, words);
    return 0;
}

static const struct verb walk = {.name = "walk",
                                 .usage = "X",
                                 .about = "Walks.",
                                 .notes = "Notes.",
                                 .size = sizeof(struct walk),
                                 .options = add_options,
                                 .run = run};

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
static struct verb_seen parse(const char *const *argv)
{
    struct verb_seen verb = {.ran = false};
    char *folder = folder_new();
    cleanup_free char *err = folder_path(folder, "err"), *out = folder_path(folder, "out");
    int argc = 0, kept_err = divert(2, err), kept_out = divert(1, out);

    while (argv[argc])
        argc++;
    seen = &verb;
    verb.status = verb_run(&walk, argc, (char **)argv);
    fflush(stdout);
    restore(2, kept_err);
    restore(1, kept_out);
    verb.err = folder_read(folder, "err", NULL);
    verb.out = folder_read(folder, "out", NULL);
    folder_remove(folder);
    return verb;
}

#define PARSE(...) parse((const char *const[]){"walk", __VA_ARGS__, NULL})

static void verb_done(struct verb_seen *verb)
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

static void expect_good(const struct verb_seen *verb)
{
    assert_int_equal(verb->status, 0);
    assert_true(verb->ran);
    assert_string_equal(verb->err, "");
    assert_string_equal(verb->out, "");
}

static void words_after_an_input_are_inputs_until_the_next_option(void **state)
{
    struct verb_seen verb = PARSE("job", "-i", "a", "b", "c", "-o", "out", "late");

    (void)state;
    expect_good(&verb);
    expect_list(&verb.inputs, LIST("a", "b", "c"));
    expect_list(&verb.words, LIST("job", "late"));
    assert_string_equal(verb.output, "out");
    verb_done(&verb);
}

static void every_way_to_write_an_argument_is_understood(void **state)
{
    struct verb_seen verb =
        PARSE("-ia", "b", "--input=c", "d", "--input", "e", "--output=", "-r9", "-lq",
              "--size=64K", "--sync=off", "--at-least", "2G");

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
    struct verb_seen verb = PARSE("job");

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
    struct verb_seen verb = PARSE("-p", "a=1", "x", "-p", "b=2", "-o", "one", "-i", "f", "-o",
                                  "two", "-r", "3", "-r", "4", "-i", "g");

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
    struct verb_seen verb = PARSE("-l", "--", "-i", "--loud", "-");

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
        struct verb_seen bad = PARSE("-i", "a", "-z"), good = PARSE("-i", "a", "b");

        assert_int_equal(bad.status, 2);
        expect_good(&good);
        expect_list(&good.inputs, LIST("a", "b"));
        verb_done(&bad);
        verb_done(&good);
    }
}

static void expect_refusal(struct verb_seen verb, const char *words)
{
    assert_int_equal(verb.status, 2);
    assert_false(verb.ran);
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
    expect_refusal(PARSE("--colour=yellow"), "--colour 'yellow': red, green or blue is wanted");
    expect_refusal(PARSE("--colour=re"), "--colour 're'");
    expect_refusal(PARSE("--colour=red|green"), "--colour");
    expect_refusal(PARSE("--sync=maybe"), "--sync 'maybe': on or off is wanted");
    expect_refusal(PARSE("--sync="), "--sync '': on or off");
}

static void help_lists_every_option_on_stdout(void **state)
{
    static const char *const spellings[] = {"-h", "--help"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct verb_seen verb = PARSE("-l", spellings[i], "--zebra");

        assert_int_equal(verb.status, 0);
        assert_false(verb.ran);
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

static void help_shows_defaults_from_the_table_within_96_columns(void **state)
{
    struct verb_seen verb = PARSE("--help");
    const char *line = verb.out;

    (void)state;
    assert_non_null(strstr(verb.out, "a number (default: 7)\n"));
    assert_non_null(strstr(verb.out, "a switch (default: on)\n"));
    assert_non_null(strstr(verb.out, "a size (default: as it comes)\n"));
    assert_non_null(strstr(verb.out, "a flag\n"));
    assert_non_null(strstr(verb.out, "a folder\n"));
    while (*line) {
        assert_true(strcspn(line, "\n") <= 96);
        line += strcspn(line, "\n") + 1;
    }
    verb_done(&verb);
}

static void an_error_about_an_option_says_where_it_was_set(void **state)
{
    struct error err;

    (void)state;
    /* Nothing runs: nothing was set. */
    error_set(&err, ERROR_USAGE, "--output here: it is taken");
    verb_blame(&err);
    assert_string_equal(err.text, "--output here: it is taken");
}

static bool has_option(const struct option_table *table, const struct option_row *row)
{
    return options_find(table, row->name) == row;
}

static void no_verb_has_a_name_or_letter_twice(void **state)
{
    (void)state;
    for (int v = 0; verbs[v]; v++) {
        cleanup_free void *into = memory_zeroed(1, verbs[v]->size);
        struct option_table table = {.count = 0};

        verbs[v]->options(into, &table);
        for (size_t a = 0; a < table.count; a++) {
            const struct option_row *row = &table.rows[a];

            assert_true(has_option(&table, row));
            assert_non_null(row->help);
            assert_non_null(row->value);
            assert_null(strstr(row->help, "default"));
            assert_true((row->kind == OPTION_FLAG) == (row->argument == NULL));
            assert_true(row->kind != OPTION_CHOICE || row->choices);
            assert_true(row->kind != OPTION_COUNT || row->max);
            assert_string_not_equal(row->name, "help");
            assert_string_not_equal(row->name, "config");
            assert_int_not_equal(row->letter, 'h');
            for (size_t b = 0; b < a; b++)
                assert_true(!row->letter || row->letter != table.rows[b].letter);
        }
    }
}

static void verbs_of_one_and_two_words_are_found(void **state)
{
    char *words[] = {(char *)"cluster", (char *)"up", (char *)"more"};
    char *one[] = {(char *)"run", (char *)"up"}, *none[] = {(char *)"cluste", (char *)"up"};
    int used;

    (void)state;
    assert_ptr_equal(verbs_find(3, words, &used), &verb_cluster_up);
    assert_int_equal(used, 2);
    assert_null(verbs_find(1, words, &used));
    assert_ptr_equal(verbs_find(2, one, &used), &verb_run_job);
    assert_int_equal(used, 1);
    assert_null(verbs_find(2, none, &used));
    assert_null(verbs_find(0, none, &used));
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
        cmocka_unit_test(help_shows_defaults_from_the_table_within_96_columns),
        cmocka_unit_test(an_error_about_an_option_says_where_it_was_set),
        cmocka_unit_test(no_verb_has_a_name_or_letter_twice),
        cmocka_unit_test(verbs_of_one_and_two_words_are_found),
    };

    /* Nothing that this machine has set. */
    setenv("MARRAM_CONFIG", "/dev/null", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
