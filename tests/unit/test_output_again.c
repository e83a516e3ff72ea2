/* Commits that are made again after a restart, from wherever the first one got to. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "coordinator/output.h"
#include "tests/lib/folder.h"

static void expect_text(const char *folder, const char *name, const char *expected)
{
    size_t size = 0;
    cleanup_free char *text = folder_read(folder, name, &size);

    assert_non_null(text);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(text, expected, size);
}

static void expect_absent(const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);

    assert_int_not_equal(access(path, F_OK), 0);
}

/* What the names of parts end with, but for those of attempts. */
static const char *suffix = "";

static char *named(const char *name)
{
    return memory_format("%s%s", name, strchr(name + strlen("out.marram"), '.') ? "" : suffix);
}

static void put_part(const char *folder, const char *name, const char *text)
{
    cleanup_free char *full = named(name);

    folder_write(folder, full, text, strlen(text));
}

static void expect_part(const char *folder, const char *name, const char *text)
{
    cleanup_free char *full = named(name);

    expect_text(folder, full, text);
}

static void remove_file(const char *folder, const char *name)
{
    cleanup_free char *path = folder_path(folder, name);

    assert_int_equal(unlink(path), 0);
}

/* A commit that may have been made by a life that ended in the midst of it. */
struct former {
    char *folder;
    struct output before, after;
};

static const struct output_part two[] = {{1, 3, 1, 0, false}, {2, 3, 1, 0, false}};

static struct former former(bool overwrite, bool mounted)
{
    struct former f = {.folder = folder_new()};
    cleanup_free char *target = folder_path(f.folder, "out");
    struct error err = {0};

    if (mounted || overwrite)
        assert_int_equal(mkdir(target, 0777), 0);
    f.before = (struct output){.overwrite = overwrite, .mounted = mounted};
    output_restore(&f.before, target, "7", &f.before);
    f.before.again = false;
    f.before.suffix = suffix;
    if (output_stage(&f.before, &err))
        fail_msg("%s", err.text);
    for (int i = 0; i < 2; i++) {
        cleanup_free char *part =
            memory_format("%s/part-%05d.%d", f.before.staging + strlen(f.folder) + 1, i, i + 1);

        folder_write(f.folder, part, i ? "new" : "NEW", 3);
    }
    return f;
}

/* The next life knows of the former one what the journal knows. */
static void commit_again_in(struct former *f)
{
    struct output like = {.overwrite = f->before.overwrite,
                          .mounted = f->before.mounted,
                          .staged = true,
                          .folder = f->before.folder};
    struct error err = {0};

    output_restore(&f->after, f->before.target, "7", &like);
    f->after.suffix = suffix;
    if (output_commit(&f->after, two, 2, "{}", &err))
        fail_msg("%s", err.text);
    expect_text(f->folder, "out/_SUCCESS", "{}");
    expect_part(f->folder, "out/part-00000", "NEW");
    expect_part(f->folder, "out/part-00001", "new");
    expect_absent(f->folder, "out/part-00009");
    expect_absent(f->folder, "out/.marram-7");
    expect_absent(f->folder, "out.marram-7");
    output_done(&f->before);
    output_done(&f->after);
}

static void commit_again(struct former *f)
{
    commit_again_in(f);
    folder_remove(f->folder);
}

static void a_commit_that_was_not_begun_is_made_again(void **state)
{
    struct former f = former(false, false);

    (void)state;
    commit_again(&f);
}

static void a_commit_that_was_made_is_left_as_it_is(void **state)
{
    struct former f = former(false, false);
    struct error err = {0};

    (void)state;
    assert_int_equal(output_commit(&f.before, two, 2, "{}", &err), 0);
    commit_again(&f);
}

/* The folders were exchanged, and what was there before was not yet removed: with files of the
 * same names and sizes. */
static void an_exchange_is_not_made_twice(void **state)
{
    struct former f = former(true, false);
    struct error err = {0};

    (void)state;
    put_part(f.folder, "out/part-00000", "OLD");
    assert_int_equal(output_commit(&f.before, two, 2, "{}", &err), 0);
    assert_int_equal(mkdir(f.before.staging, 0777), 0);
    put_part(f.folder, "out.marram-7/part-00000", "OLD");
    put_part(f.folder, "out.marram-7/part-00001", "old");
    folder_write(f.folder, "out.marram-7/_SUCCESS", "{}", 2);
    commit_again(&f);
}

static void a_commit_goes_on_with_parts_that_have_their_names(void **state)
{
    struct former f = former(false, false);

    (void)state;
    remove_file(f.folder, "out.marram-7/part-00000.1");
    put_part(f.folder, "out.marram-7/part-00000", "NEW");
    put_part(f.folder, "out.marram-7/part-00001.1", "losing");
    commit_again(&f);
}

/* Of what lay there before one part is left, one has been replaced. */
static void a_mount_point_is_filled_from_where_it_was(void **state)
{
    struct former f = former(true, true);

    (void)state;
    put_part(f.folder, "out/part-00000", "NEW");
    put_part(f.folder, "out/part-00001", "OLD");
    put_part(f.folder, "out/part-00009", "OLD");
    remove_file(f.folder, "out/.marram-7/part-00000.1");
    commit_again(&f);
}

static void a_mount_point_that_was_filled_is_left_as_it_is(void **state)
{
    struct former f = former(true, true);
    struct error err = {0};

    (void)state;
    assert_int_equal(output_commit(&f.before, two, 2, "{}", &err), 0);
    commit_again(&f);
}

/* Its names are not those of our parts, though they begin alike; or with a suffix that is none
 * of ours. */
static void what_lay_in_a_mount_point_uncompressed_goes(void **state)
{
    struct former f = former(true, true);

    (void)state;
    folder_write(f.folder, *suffix ? "out/part-00000" : "out/part-00000.gz", "OLD", 3);
    folder_write(f.folder, "out/part-00001.zst", "OLD", 3);
    commit_again_in(&f);
    expect_absent(f.folder, *suffix ? "out/part-00000" : "out/part-00000.gz");
    expect_absent(f.folder, "out/part-00001.zst");
    folder_remove(f.folder);
}

/* After a power failure, a part that nobody synced may be anything of its size. */
static void a_part_that_was_lost_with_its_machine_is_named(void **state)
{
    struct former f = former(false, false);
    const struct output_part unsynced[] = {{1, 3, 1, 0, true}, two[1]};
    struct output like = {.staged = true, .folder = f.before.folder};
    struct error err = {0};

    (void)state;
    output_restore(&f.after, f.before.target, "7", &like);
    assert_int_equal(output_commit(&f.after, unsynced, 2, "{}", &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_non_null(strstr(err.text, "part-00000"));
    expect_absent(f.folder, "out");
    output_done(&f.before);
    output_done(&f.after);
    folder_remove(f.folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_that_was_not_begun_is_made_again),
        cmocka_unit_test(a_commit_that_was_made_is_left_as_it_is),
        cmocka_unit_test(an_exchange_is_not_made_twice),
        cmocka_unit_test(a_commit_goes_on_with_parts_that_have_their_names),
        cmocka_unit_test(a_mount_point_is_filled_from_where_it_was),
        cmocka_unit_test(a_part_that_was_lost_with_its_machine_is_named),
        cmocka_unit_test(a_mount_point_that_was_filled_is_left_as_it_is),
        cmocka_unit_test(what_lay_in_a_mount_point_uncompressed_goes),
    };
    int failed = cmocka_run_group_tests_name("plain parts", tests, NULL, NULL);

    suffix = ".gz";
    return failed + cmocka_run_group_tests_name("compressed parts", tests, NULL, NULL);
}
