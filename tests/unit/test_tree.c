/* Folders as wholes: made with their parents, removed without following links. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "store/tree.h"
#include "tests/lib/folder.h"

static bool exists(const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);
    struct stat st;

    return !lstat(path, &st);
}

static void expect_removed(const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);
    struct error err = {0};

    if (tree_remove(path, &err))
        fail_msg("%s", err.text);
    assert_false(exists(folder, name));
}

static void link_to(const char *target, const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);

    assert_int_equal(symlink(target, path), 0);
}

static void removing_a_tree_leaves_what_its_links_point_to(void **state)
{
    char *folder = folder_new();
    cleanup_free char *keep = folder_path(folder, "keep"),
                      *file = folder_path(folder, "keep/file");
    cleanup_free char *text = NULL;

    (void)state;
    folder_text(folder, "keep/file", "precious");
    folder_text(folder, "tree/a/b/c", "x");
    link_to(keep, folder, "tree/to_folder");
    link_to(file, folder, "tree/a/to_file");
    link_to("/none/at/all", folder, "tree/a/b/dangling");
    link_to("..", folder, "tree/a/loop");
    expect_removed(folder, "tree");
    text = folder_read(folder, "keep/file", NULL);
    assert_string_equal(text, "precious");
    folder_remove(folder);
}

static void removing_a_link_to_a_folder_removes_the_link(void **state)
{
    char *folder = folder_new();
    cleanup_free char *keep = folder_path(folder, "keep");

    (void)state;
    folder_text(folder, "keep/file", "precious");
    link_to(keep, folder, "link");
    expect_removed(folder, "link");
    assert_true(exists(folder, "keep/file"));
    folder_remove(folder);
}

static void files_and_odd_names_and_deep_trees_are_removed(void **state)
{
    char *folder = folder_new();
    cleanup_free char *fifo = folder_path(folder, "tree/fifo");
    char deep[400] = "tree";

    (void)state;
    folder_text(folder, "file", "x");
    expect_removed(folder, "file");
    /* Deeper than the descriptors that the walk may hold. */
    for (int i = 0; i < 150; i++)
        strcat(deep, "/d");
    strcat(deep, "/end");
    folder_text(folder, deep, "x");
    folder_text(folder, "tree/.hidden", "x");
    folder_text(folder, "tree/new\nline *?", "x");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    expect_removed(folder, "tree");
    folder_remove(folder);
}

static void removing_what_is_not_there_is_fine(void **state)
{
    char *folder = folder_new();

    (void)state;
    expect_removed(folder, "nothing");
    expect_removed(folder, "no/such/path");
    folder_remove(folder);
}

static char *make(const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);
    struct error err = {0};
    char *made = NULL;

    if (tree_make(path, &made, &err))
        fail_msg("%s", err.text);
    return made;
}

static void making_a_folder_says_where_it_began(void **state)
{
    static const struct {
        const char *name, *top;
    } steps[] = {{"a", "a"},       {"a", NULL},    {"a/b/c", "a/b"},
                 {"a/b/c/", NULL}, {"d//e/", "d"}, {"", NULL}};
    char *folder = folder_new();

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        cleanup_free char *made = make(folder, steps[i].name);
        cleanup_free char *top = steps[i].top ? folder_path(folder, steps[i].top) : NULL;

        assert_true(exists(folder, steps[i].name));
        assert_int_equal(!made, !top);
        if (top)
            assert_string_equal(made, top);
    }
    folder_remove(folder);
}

static void folders_may_be_reached_through_links(void **state)
{
    char *folder = folder_new();
    cleanup_free char *real = folder_path(folder, "real"), *made = NULL;

    (void)state;
    folder_text(folder, "real/file", "x");
    link_to(real, folder, "link");
    free(make(folder, "link"));
    made = make(folder, "link/new");
    assert_true(exists(folder, "real/new"));
    folder_remove(folder);
}

static void expect_no_folder(const char *folder, const char *name, const char *words)
{
    cleanup_free char *path = folder_path(folder, name);
    char *made = path;
    struct error err = {0};

    assert_int_equal(tree_make(path, &made, &err), -1);
    assert_ptr_equal(made, path);
    assert_int_equal(err.code, ERROR_IO);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
}

static void a_file_in_the_way_is_an_error(void **state)
{
    char *folder = folder_new();

    (void)state;
    folder_text(folder, "file", "x");
    expect_no_folder(folder, "file/a", "file/a': Not a directory");
    folder_remove(folder);
}

static void what_cannot_be_made_whole_is_not_made_in_part(void **state)
{
    char *folder = folder_new();
    char name[400] = "new/er/";

    (void)state;
    memset(name + strlen(name), 'n', 300); /* no name may be so long */
    expect_no_folder(folder, name, "File name too long");
    assert_false(exists(folder, "new"));
    folder_remove(folder);
}

static void a_file_is_no_folder_that_exists(void **state)
{
    char *folder = folder_new();

    (void)state;
    folder_text(folder, "file", "x");
    link_to("/none/at/all", folder, "dangling");
    expect_no_folder(folder, "file", "file': Not a directory");
    expect_no_folder(folder, "dangling", "dangling': No such file");
    folder_remove(folder);
}

static void unmaking_stops_at_the_top_and_at_the_first_folder_in_use(void **state)
{
    char *folder = folder_new();
    cleanup_free char *made = make(folder, "stay/a/b/c"),
                      *path = folder_path(folder, "stay/a/b/c"),
                      *top = folder_path(folder, "stay/a"), *other = NULL;

    (void)state;
    folder_text(folder, "stay/a/b/other", "x");
    tree_unmake(path, made);
    assert_false(exists(folder, "stay/a/b/c"));
    assert_true(exists(folder, "stay/a/b/other"));
    other = folder_path(folder, "stay/a/b/other");
    assert_int_equal(unlink(other), 0);
    tree_unmake(path, top); /* c is gone already */
    assert_false(exists(folder, "stay/a"));
    assert_true(exists(folder, "stay"));
    folder_remove(folder);
}

static void emptiness_counts_hidden_names(void **state)
{
    char *folder = folder_new();
    cleanup_free char *hidden = folder_path(folder, ".hidden"),
                      *none = folder_path(folder, "none");

    (void)state;
    assert_int_equal(tree_empty(folder), 1);
    folder_text(folder, ".hidden", "");
    assert_int_equal(tree_empty(folder), 0);
    assert_int_equal(tree_empty(none), -1);
    assert_int_equal(tree_empty(hidden), -1);
    folder_remove(folder);
}

static void syncing_takes_files_and_folders(void **state)
{
    char *folder = folder_new();
    cleanup_free char *file = folder_path(folder, "file"), *none = folder_path(folder, "none");
    struct error err = {0};

    (void)state;
    folder_text(folder, "file", "x");
    assert_int_equal(tree_sync(folder, &err), 0);
    assert_int_equal(tree_sync(file, &err), 0);
    assert_int_equal(tree_sync(none, &err), -1);
    assert_non_null(strstr(err.text, none));
    folder_remove(folder);
}

static void syncing_many_at_once_names_one_that_failed(void **state)
{
    enum { FILES = 40 };
    char *folder = folder_new(), *paths[FILES];
    cleanup_free char *none = folder_path(folder, "none");
    struct error err = {0};

    (void)state;
    for (int i = 0; i < FILES; i++) {
        cleanup_free char *name = memory_format("file-%d", i);

        folder_text(folder, name, "x");
        paths[i] = folder_path(folder, name);
    }
    for (size_t n = 0; n <= FILES; n++)
        assert_int_equal(tree_sync_all((const char *const *)paths, n, &err), 0);
    for (int i = 0; i < FILES; i += 13) {
        char *path = paths[i];

        paths[i] = none;
        assert_int_equal(tree_sync_all((const char *const *)paths, FILES, &err), -1);
        assert_non_null(strstr(err.text, none));
        paths[i] = path;
    }
    for (int i = 0; i < FILES; i++)
        free(paths[i]);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(removing_a_tree_leaves_what_its_links_point_to),
        cmocka_unit_test(removing_a_link_to_a_folder_removes_the_link),
        cmocka_unit_test(files_and_odd_names_and_deep_trees_are_removed),
        cmocka_unit_test(removing_what_is_not_there_is_fine),
        cmocka_unit_test(making_a_folder_says_where_it_began),
        cmocka_unit_test(folders_may_be_reached_through_links),
        cmocka_unit_test(a_file_in_the_way_is_an_error),
        cmocka_unit_test(what_cannot_be_made_whole_is_not_made_in_part),
        cmocka_unit_test(a_file_is_no_folder_that_exists),
        cmocka_unit_test(unmaking_stops_at_the_top_and_at_the_first_folder_in_use),
        cmocka_unit_test(emptiness_counts_hidden_names),
        cmocka_unit_test(syncing_takes_files_and_folders),
        cmocka_unit_test(syncing_many_at_once_names_one_that_failed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
