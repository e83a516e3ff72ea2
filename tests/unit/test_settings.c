/* Configuration files and the environment: what counts, and what is refused by name. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/settings.h"
#include "tests/lib/folder.h"

struct walk {
    uint64_t steps, size;
    const char *colour, *to;
    bool loud, once;
};

static void add_options(void *into, struct option_table *table)
{
    struct walk *walk = into;
    const struct option_row rows[] = {
        {"steps", 0, OPTION_COUNT, "N", "how far", &walk->steps, 1, 100},
        {"how-big", 0, OPTION_SIZE, "SIZE", "how big", &walk->size, 1024},
        {"colour", 0, OPTION_CHOICE, "NAME", "a colour", &walk->colour, .choices = "red|blue"},
        {"to", 0, OPTION_TEXT, "PLACE", "where to", &walk->to},
        {"loud", 0, OPTION_FLAG, NULL, "loud", &walk->loud},
        {"danger", 0, OPTION_FLAG, NULL, "dangerous", &walk->once, .once = true},
    };

    walk->steps = 7;
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static const struct verb walk = {
    .name = "walk", .size = sizeof(struct walk), .options = add_options};
static const struct verb slow_walk = {
    .name = "walk slowly", .size = sizeof(struct walk), .options = add_options};
static const struct verb *const known[] = {&walk, &slow_walk, NULL};

/* One file's text, or two of which the second wins; what `walk` gets of them. */
struct result {
    char *folder;
    struct settings settings;
    struct walk walk;
    struct option_source sources[OPTIONS_MAX];
    struct error err;
    int status;
};

static void read_files(struct result *result, const char *first, const char *second,
                       const struct verb *verb)
{
    struct option_table table = {.count = 0};

    *result = (struct result){.folder = folder_new()};
    for (int i = 0; i < 2 && !result->status; i++) {
        const char *text = i ? second : first, *name = i ? "second" : "first";
        cleanup_free char *path = folder_path(result->folder, name);

        if (!text)
            continue;
        folder_write(result->folder, name, text, strlen(text));
        result->status = settings_read(&result->settings, path, true, known, &result->err);
    }
    if (result->status)
        return;
    verb->options(&result->walk, &table);
    result->status =
        settings_apply(&result->settings, verb, &table, result->sources, &result->err);
}

static void done(struct result *result)
{
    settings_done(&result->settings);
    folder_remove(result->folder);
}

static void a_section_sets_the_options_of_its_verb(void **state)
{
    struct result r;

    (void)state;
    read_files(&r,
               "# a comment\n"
               "[walk]\n"
               "  steps = 12\n"
               "\thow-big=64K\n"
               "colour = red ; not blue\n"
               "to = over there\n"
               "loud = on\n"
               "[walk slowly]\n"
               "steps = 3\n",
               NULL, &walk);
    assert_int_equal(r.status, 0);
    assert_int_equal(r.walk.steps, 12);
    assert_int_equal(r.walk.size, 65536);
    assert_string_equal(r.walk.colour, "red");
    assert_string_equal(r.walk.to, "over there");
    assert_true(r.walk.loud);
    assert_int_equal(r.sources[0].origin, ORIGIN_FILE);
    assert_int_equal(r.sources[0].line, 3);
    assert_int_equal(r.sources[4].line, 7);
    assert_int_equal(r.sources[5].origin, ORIGIN_DEFAULT);
    done(&r);
    read_files(&r, "[walk]\nsteps = 12\n[walk slowly]\nsteps = 3\n", NULL, &slow_walk);
    assert_int_equal(r.walk.steps, 3);
    assert_int_equal(r.sources[0].line, 4);
    done(&r);
}

static void
the_verbs_own_section_wins_over_that_of_all_and_the_later_file_over_both(void **state)
{
    struct result r;

    (void)state;
    read_files(&r, "[walk]\nsteps = 1\n[marram]\nsteps = 2\nhow-big = 2K\n", NULL, &walk);
    assert_int_equal(r.walk.steps, 1);
    assert_int_equal(r.walk.size, 2048);
    done(&r);
    read_files(&r, "[walk]\nsteps = 1\nhow-big = 2K\n", "[marram]\nsteps = 2\n", &walk);
    assert_int_equal(r.walk.steps, 2);
    assert_int_equal(r.walk.size, 2048);
    done(&r);
    read_files(&r, "[walk]\nsteps = 1\nsteps = 5\n", NULL, &walk);
    assert_int_equal(r.walk.steps, 5);
    done(&r);
}

static void the_environment_wins_over_files(void **state)
{
    struct result r;

    (void)state;
    setenv("MARRAM_HOW_BIG", "4K", 1);
    setenv("MARRAM_STEPS", "", 1); /* as if it were not there */
    read_files(&r, "[walk]\nhow-big = 2K\nsteps = 3\n", NULL, &walk);
    assert_int_equal(r.status, 0);
    assert_int_equal(r.walk.size, 4096);
    assert_int_equal(r.sources[1].origin, ORIGIN_ENVIRONMENT);
    assert_int_equal(r.walk.steps, 3);
    done(&r);
    setenv("MARRAM_HOW_BIG", "12", 1);
    read_files(&r, "", NULL, &walk);
    assert_int_equal(r.status, -1);
    assert_string_equal(r.err.text, "MARRAM_HOW_BIG=12: a size of at least 1.0 KiB is wanted, "
                                    "such as 512M");
    done(&r);
    unsetenv("MARRAM_HOW_BIG");
    unsetenv("MARRAM_STEPS");
}

static void what_is_for_the_command_line_alone_is_not_taken_from_elsewhere(void **state)
{
    struct result r;

    (void)state;
    setenv("MARRAM_DANGER", "on", 1);
    read_files(&r, "", NULL, &walk);
    assert_int_equal(r.status, 0);
    assert_false(r.walk.once);
    done(&r);
    unsetenv("MARRAM_DANGER");
}

static void expect_refusal(const char *text, const char *words)
{
    struct result r;

    read_files(&r, text, NULL, &walk);
    assert_int_equal(r.status, -1);
    assert_int_equal(r.err.code, ERROR_USAGE);
    if (!strstr(r.err.text, words) || !strstr(r.err.text, r.folder))
        fail_msg("'%s' does not say '%s' of the file", r.err.text, words);
    done(&r);
}

static void what_is_wrong_is_refused_with_file_and_line(void **state)
{
    char *line = memory_new(5000);

    (void)state;
    expect_refusal("[walk]\n\nsteps = x\n", "/first line 3: a number from 1 to 100 is wanted");
    expect_refusal("[walk]\n\nsteps = x\n", "steps = x in ");
    expect_refusal("[marram]\ncolour = green\n", "/first line 2: red or blue is wanted");
    expect_refusal("[walk]\nloud = yes\n", "/first line 2: on or off is wanted");
    expect_refusal("[walk]\nsteps =\n", "/first line 2: a number");
    expect_refusal("[walk]\nstep = 3\n",
                   "/first line 2: step in [walk]: there is no such option");
    expect_refusal("[marram]\nstep = 3\n", "line 2: step in [marram]: there is no such option");
    expect_refusal("\n\n[wlak]\n\nsteps = 3\n",
                   "/first line 3: [wlak] is none of the sections");
    expect_refusal("[walk]\ndanger = on\n",
                   "line 2: danger in [walk]: is for the command line");
    expect_refusal("[marram]\ndanger = on\n", "line 2: danger in [marram]: is for the command");
    expect_refusal("steps = 3\n", "line 1: a section such as");
    expect_refusal("[walk]\nsteps\n", "line 2: 'KEY = VALUE' or [SECTION] is wanted");
    expect_refusal("[walk\nsteps = 3\n", "line 1: 'KEY = VALUE' or [SECTION] is wanted");
    /* The first of several. */
    expect_refusal("[walk]\nstep = 3\nsteps = x\nnothing\n", "line 2: step");
    memset(line, 'a', 4999);
    line[4999] = '\0';
    memcpy(line, "[walk]\nto = ", 12);
    expect_refusal(line, "line 2: the line is too long");
    free(line);
}

static void long_lines_and_strange_ends_are_read_whole(void **state)
{
    char *text = memory_new(4000);
    struct result r;

    (void)state;
    memset(text, 'b', 3999);
    text[3999] = '\0';
    memcpy(text, "[walk]\r\nto = ", 13);
    read_files(&r, text, NULL, &walk);
    assert_int_equal(r.status, 0);
    assert_int_equal(strlen(r.walk.to), 3999 - 13);
    done(&r);
    free(text);
}

static void a_file_that_is_asked_for_must_be_there(void **state)
{
    struct settings settings = {.count = 0};
    struct error err;

    (void)state;
    assert_int_equal(settings_read(&settings, "/none/marram.conf", false, known, &err), 0);
    assert_int_equal(settings_read(&settings, "/none/marram.conf", true, known, &err), -1);
    assert_non_null(strstr(err.text, "'/none/marram.conf': No such file"));
    assert_int_equal(settings_read(&settings, "/proc", false, known, &err), -1);
    assert_non_null(strstr(err.text, "'/proc' is a folder"));
    settings_done(&settings);
}

static void ones_own_file_is_where_xdg_says(void **state)
{
    char *path;

    (void)state;
    setenv("HOME", "/home/me", 1);
    unsetenv("XDG_CONFIG_HOME");
    path = settings_own_file();
    assert_string_equal(path, "/home/me/.config/marram/config");
    free(path);
    setenv("XDG_CONFIG_HOME", "/elsewhere", 1);
    path = settings_own_file();
    assert_string_equal(path, "/elsewhere/marram/config");
    free(path);
    setenv("XDG_CONFIG_HOME", "relative", 1);
    unsetenv("HOME");
    assert_null(settings_own_file());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_sets_the_options_of_its_verb),
        cmocka_unit_test(
            the_verbs_own_section_wins_over_that_of_all_and_the_later_file_over_both),
        cmocka_unit_test(the_environment_wins_over_files),
        cmocka_unit_test(what_is_for_the_command_line_alone_is_not_taken_from_elsewhere),
        cmocka_unit_test(what_is_wrong_is_refused_with_file_and_line),
        cmocka_unit_test(long_lines_and_strange_ends_are_read_whole),
        cmocka_unit_test(a_file_that_is_asked_for_must_be_there),
        cmocka_unit_test(ones_own_file_is_where_xdg_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
