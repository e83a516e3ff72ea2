/* Output folders: staged beside their target, committed whole or not at all. */
#include "tests/lib/cmocka_all.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "coordinator/output.h"
#include "tests/lib/folder.h"

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted, with a blank behind each; caller frees. */
static char *names_in(const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);
    char *names[64], *text = memory_text("");
    struct dirent *entry;
    DIR *open = opendir(path);
    size_t n = 0;

    assert_non_null(open);
    while ((entry = readdir(open)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..")) {
            assert_true(n < 64);
            names[n++] = memory_text(entry->d_name);
        }
    closedir(open);
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++) {
        char *longer = memory_format("%s%s ", text, names[i]);

        free(text);
        free(names[i]);
        text = longer;
    }
    return text;
}

static void expect_names(const char *folder, const char *name, const char *expected)
{
    cleanup_free char *names = names_in(folder, name);

    assert_string_equal(names, expected);
}

static void expect_text(const char *folder, const char *name, const char *expected)
{
    cleanup_free char *text = folder_read(folder, name, NULL);

    assert_non_null(text);
    assert_string_equal(text, expected);
}

static struct output open_output(const char *folder, const char *name, bool overwrite)
{
    cleanup_free char *target = folder_path(folder, name);
    struct output output;
    struct error err = {0};

    if (output_open(&output, target, "7", overwrite, false, &err))
        fail_msg("%s", err.text);
    return output;
}

static struct output stage(const char *folder, const char *name, bool overwrite)
{
    struct output output = open_output(folder, name, overwrite);
    struct error err = {0};

    if (output_stage(&output, &err))
        fail_msg("%s", err.text);
    return output;
}

/* Attempt `attempt` of part `part` leaves `text`. */
static void leave(const struct output *output, uint32_t part, uint32_t attempt,
                  const char *text)
{
    char name[40];

    snprintf(name, sizeof name, "part-%05u.%u", part, attempt);
    folder_text(output->staging, name, text);
}

static void abandon(struct output *output)
{
    output_abandon(output);
    output_done(output);
}

/* Two parts, of which the second was attempted three times. */
static int commit_two(struct output *output, struct error *err)
{
    const struct output_part parts[] = {{.attempt = 1, .size = 5}, {.attempt = 2, .size = 6}};

    leave(output, 0, 1, "zero\n");
    leave(output, 1, 1, "lost\n");
    leave(output, 1, 2, "right\n");
    leave(output, 1, 3, "right but late\n");
    return output_commit(output, parts, 2, "the manifest", err);
}

static void expect_two(const char *folder, const char *name)
{
    cleanup_free char *zero = memory_format("%s/part-00000", name),
                      *one = memory_format("%s/part-00001", name),
                      *success = memory_format("%s/_SUCCESS", name);

    expect_names(folder, name, "_SUCCESS part-00000 part-00001 ");
    expect_text(folder, zero, "zero\n");
    expect_text(folder, one, "right\n");
    expect_text(folder, success, "the manifest");
}

static void opening_touches_nothing(void **state)
{
    char *folder = folder_new();
    struct output output = open_output(folder, "new/er/out", false);

    (void)state;
    expect_names(folder, ".", "");
    abandon(&output);
    expect_names(folder, ".", "");
    folder_remove(folder);
}

static void a_commit_keeps_the_accepted_attempts_alone(void **state)
{
    for (int sync = 0; sync < 2; sync++) {
        char *folder = folder_new();
        struct output output = stage(folder, "out", false);
        struct error err = {0};

        (void)state;
        output.sync = sync;
        expect_names(folder, ".", "out.marram-7 "); /* beside the target, on its file system */
        assert_int_equal(commit_two(&output, &err), 0);
        abandon(&output);
        expect_names(folder, ".", "out ");
        expect_two(folder, "out");
        folder_remove(folder);
    }
}

/* An attempt's number and a codec both stand behind a dot. */
static void compressed_parts_keep_their_suffix_and_attempts_go(void **state)
{
    static const char *const suffixes[] = {".gz", ".zst"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        char *folder = folder_new();
        struct output output = stage(folder, "out", false);
        cleanup_free char *names =
            memory_format("_SUCCESS part-00000%s part-00001%s ", suffixes[i], suffixes[i]);
        cleanup_free char *one = memory_format("out/part-00001%s", suffixes[i]);
        struct error err = {0};

        output.suffix = suffixes[i];
        assert_int_equal(commit_two(&output, &err), 0);
        abandon(&output);
        expect_names(folder, "out", names);
        expect_text(folder, one, "right\n");
        folder_remove(folder);
    }
}

static void a_commit_of_no_parts_is_a_folder_with_a_manifest(void **state)
{
    char *folder = folder_new();
    struct output output = stage(folder, "out///", false);
    struct error err = {0};

    (void)state;
    assert_int_equal(output_commit(&output, NULL, 0, "{}", &err), 0);
    abandon(&output);
    expect_names(folder, "out", "_SUCCESS ");
    folder_remove(folder);
}

static void an_empty_target_is_taken_over(void **state)
{
    char *folder = folder_new();
    cleanup_free char *target = folder_path(folder, "out");
    struct error err = {0};
    struct output output;

    (void)state;
    assert_int_equal(mkdir(target, 0755), 0);
    output = stage(folder, "out", false);
    assert_int_equal(commit_two(&output, &err), 0);
    abandon(&output);
    expect_names(folder, ".", "out ");
    expect_two(folder, "out");
    folder_remove(folder);
}

static void expect_refusal(const char *target, bool overwrite, const char *words)
{
    struct output output;
    struct error err = {0};

    assert_int_equal(output_open(&output, target, "7", overwrite, false, &err), -1);
    assert_int_equal(err.code, ERROR_OUTPUT);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
    abandon(&output);
}

static void what_exists_is_refused_by_name(void **state)
{
    char *folder = folder_new();
    cleanup_free char *full = folder_path(folder, "full"),
                      *file = folder_path(folder, "full/file"),
                      *below = folder_path(folder, "full/file/out"),
                      *dangling = folder_path(folder, "dangling");

    (void)state;
    folder_text(folder, "full/file", "x");
    assert_int_equal(symlink("/none/at/all", dangling), 0);
    expect_refusal(full, false,
                   "/full' exists and is not empty: choose another, or add --overwrite");
    expect_refusal(file, false, "/full/file' exists and is not a folder");
    expect_refusal(file, true, "is not a folder");
    expect_refusal(dangling, false, "is not a folder");
    expect_refusal(below, false, "Not a directory");
    expect_refusal("/", true, "'/' is not a folder for a job");
    expect_refusal("///", true, "'/' is not a folder for a job");
    expect_text(folder, "full/file", "x");
    folder_remove(folder);
}

static void a_relative_target_is_refused(void **state)
{
    (void)state;
    expect_refusal("out", false, "'out' is not an absolute path");
    expect_refusal("", false, "'' is not an absolute path");
}

static void parents_are_made_and_unmade(void **state)
{
    char *folder = folder_new();
    struct output output = stage(folder, "new/er/out", false);
    struct error err = {0};

    (void)state;
    expect_names(folder, "new/er", "out.marram-7 ");
    leave(&output, 0, 1, "half");
    abandon(&output);
    expect_names(folder, ".", "");

    output = stage(folder, "new/er/out", false);
    assert_int_equal(commit_two(&output, &err), 0);
    abandon(&output);
    expect_names(folder, ".", "new ");
    expect_two(folder, "new/er/out");
    folder_remove(folder);
}

static void an_abandoned_output_leaves_what_was_there(void **state)
{
    char *folder = folder_new();
    struct output output;

    (void)state;
    folder_text(folder, "out/part-00000", "old");
    output = stage(folder, "out", true);
    leave(&output, 0, 1, "new");
    folder_text(output.staging, "deep/er/file", "x");
    output_abandon(&output);
    output_abandon(&output);
    output_done(&output);
    expect_names(folder, ".", "out ");
    expect_text(folder, "out/part-00000", "old");
    folder_remove(folder);
}

static void staging_that_fails_leaves_no_parents(void **state)
{
    char *folder = folder_new();
    char name[300] = "new/er/";
    struct error err = {0};
    struct output output;

    (void)state;
    /* The target's name may just be so long, that of its staging folder not. */
    memset(name + strlen(name), 'n', 250);
    output = open_output(folder, name, false);
    assert_int_equal(output_stage(&output, &err), -1);
    assert_int_equal(err.code, ERROR_OUTPUT);
    assert_non_null(strstr(err.text, "File name too long"));
    abandon(&output);
    expect_names(folder, ".", "");
    folder_remove(folder);
}

static void a_missing_part_or_one_of_another_size_is_not_committed(void **state)
{
    char *folder = folder_new();
    struct output output = stage(folder, "out", false);
    const struct output_part missing[] = {{.attempt = 2, .size = 4}};
    const struct output_part shorter[] = {{.attempt = 1, .size = 5}};
    struct error err = {0};

    (void)state;
    leave(&output, 0, 1, "four");
    assert_int_equal(output_commit(&output, missing, 1, "{}", &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.text, "part-00000.2"));
    assert_int_equal(output_commit(&output, shorter, 1, "{}", &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_non_null(strstr(err.text, "holds 4 bytes, its writer reported 5"));
    expect_names(folder, ".", "out.marram-7 ");
    abandon(&output);
    expect_names(folder, ".", "");
    folder_remove(folder);
}

static void a_commit_that_was_interrupted_can_be_done_again(void **state)
{
    char *folder = folder_new();
    struct output output = stage(folder, "out", false);
    struct error err = {0};

    (void)state;
    folder_text(output.staging, "part-00000", "zero\n"); /* renamed before the restart */
    folder_text(output.staging, "_SUCCESS", "a longer text, of which a part was written");
    leave(&output, 1, 2, "right\n");
    assert_int_equal(output_commit(&output,
                                   (const struct output_part[]){{.attempt = 1, .size = 5},
                                                                {.attempt = 2, .size = 6}},
                                   2, "the manifest", &err),
                     0);
    abandon(&output);
    expect_two(folder, "out");
    folder_remove(folder);
}

static void a_target_filled_meanwhile_is_not_replaced_unasked(void **state)
{
    char *folder = folder_new();
    struct output output = stage(folder, "out", false);
    struct error err = {0};

    (void)state;
    folder_text(folder, "out/theirs", "x");
    assert_int_equal(commit_two(&output, &err), -1);
    assert_int_equal(err.code, ERROR_OUTPUT);
    assert_non_null(strstr(err.text, "was filled by someone else"));
    abandon(&output);
    expect_names(folder, ".", "out ");
    expect_names(folder, "out", "theirs ");
    folder_remove(folder);
}

struct watcher {
    char *success;
    atomic_bool stop;
    int missing;
};

static void *watch_target(void *context)
{
    struct watcher *watcher = context;

    while (!watcher->stop)
        watcher->missing += access(watcher->success, F_OK) != 0;
    return NULL;
}

static void overwriting_leaves_no_moment_without_a_whole_output(void **state)
{
    char *folder = folder_new();
    struct watcher watcher = {.success = folder_path(folder, "out/_SUCCESS")};
    pthread_t thread;

    (void)state;
    folder_text(folder, "out/_SUCCESS", "old");
    folder_text(folder, "out/part-00000", "old");
    folder_text(folder, "out/part-00009", "of more parts than now");
    folder_text(folder, "out/deep/er/notes", "old");
    assert_int_equal(pthread_create(&thread, NULL, watch_target, &watcher), 0);
    for (int i = 0; i < 100; i++) {
        struct output output = stage(folder, "out", true);
        struct error err = {0};

        assert_int_equal(commit_two(&output, &err), 0);
        abandon(&output);
    }
    watcher.stop = true;
    pthread_join(thread, NULL);
    assert_int_equal(watcher.missing, 0);
    expect_names(folder, ".", "out ");
    expect_two(folder, "out");
    free(watcher.success);
    folder_remove(folder);
}

/* Runs in a mount namespace of its own, where one is allowed. */
static void a_mount_point_is_filled_in_place_with_its_manifest_last(void **state)
{
    char *folder = folder_new();
    cleanup_free char *target = folder_path(folder, "disk");
    struct error err = {0};
    struct output output;

    (void)state;
    assert_int_equal(mkdir(target, 0755), 0);
    if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
        mount("none", target, "tmpfs", 0, NULL)) {
        folder_remove(folder);
        free(target);
        target = NULL; /* skip() does not come back */
        print_message("skipped: mounting a file system is not allowed here\n");
        skip();
    }
    output = stage(folder, "disk", false);
    expect_names(folder, ".", "disk ");
    expect_names(folder, "disk", ".marram-7 ");
    assert_int_equal(commit_two(&output, &err), 0);
    abandon(&output);
    expect_two(folder, "disk");

    expect_refusal(target, false, "is not empty");
    folder_text(folder, "disk/part-00009", "of more parts than now");
    output = stage(folder, "disk", true);
    assert_int_equal(commit_two(&output, &err), 0);
    abandon(&output);
    expect_two(folder, "disk");
    assert_int_equal(umount(target), 0);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_touches_nothing),
        cmocka_unit_test(a_commit_keeps_the_accepted_attempts_alone),
        cmocka_unit_test(compressed_parts_keep_their_suffix_and_attempts_go),
        cmocka_unit_test(a_commit_of_no_parts_is_a_folder_with_a_manifest),
        cmocka_unit_test(an_empty_target_is_taken_over),
        cmocka_unit_test(what_exists_is_refused_by_name),
        cmocka_unit_test(a_relative_target_is_refused),
        cmocka_unit_test(parents_are_made_and_unmade),
        cmocka_unit_test(an_abandoned_output_leaves_what_was_there),
        cmocka_unit_test(staging_that_fails_leaves_no_parents),
        cmocka_unit_test(a_missing_part_or_one_of_another_size_is_not_committed),
        cmocka_unit_test(a_commit_that_was_interrupted_can_be_done_again),
        cmocka_unit_test(a_target_filled_meanwhile_is_not_replaced_unasked),
        cmocka_unit_test(overwriting_leaves_no_moment_without_a_whole_output),
        cmocka_unit_test(a_mount_point_is_filled_in_place_with_its_manifest_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
