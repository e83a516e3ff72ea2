/* Control groups: where ours is found, in trees made of plain folders, and what is written
 * there. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "tests/lib/folder.h"
#include "worker/agent/cgroup.h"

/* A tree with what a process reads of itself. */
struct tree {
    char *folder, *proc;
};

static void make_folder(const struct tree *tree, const char *name)
{
    cleanup_free char *path = folder_path(tree->folder, name);

    assert_int_equal(mkdir(path, 0700), 0);
}

/* `cgroup` as it stands; in `mountinfo` @ is the folder of the tree. */
static void set_up(struct tree *tree, const char *cgroup, const char *mount, const char *root)
{
    cleanup_free char *text = NULL;

    tree->folder = folder_new();
    make_folder(tree, "proc");
    tree->proc = folder_path(tree->folder, "proc");
    text = memory_format("20 1 0:5 / /dev rw - devtmpfs dev rw\n"
                         "36 31 0:3 %s %s/%s rw,relatime - %s rw\n",
                         root, tree->folder, "mount", mount);
    folder_text(tree->folder, "proc/cgroup", cgroup);
    folder_text(tree->folder, "proc/mountinfo", text);
    make_folder(tree, "mount");
    make_folder(tree, "mount/ours");
}

static void tear_down(struct tree *tree, struct cgroup_base *base)
{
    cgroup_base_done(base);
    folder_remove(tree->folder);
    free(tree->proc);
}

static void expect_text(const char *folder, const char *file, const char *wanted)
{
    cleanup_free char *path = memory_format("%s/%s", folder, file);
    char got[256] = "";
    FILE *stream = fopen(path, "r");

    assert_non_null(stream);
    assert_true(fread(got, 1, sizeof got - 1, stream) > 0 || !*wanted);
    fclose(stream);
    assert_string_equal(got, wanted);
}

static void the_first_version_is_found_by_controller(void **state)
{
    struct cgroup_base base;
    struct tree tree;
    cleanup_free char *wanted = NULL;

    (void)state;
    set_up(&tree, "5:cpu,memory:/ours\n4:pids:/\n0::/\n", "cgroup cgroup rw,cpu,memory", "/");
    cgroup_find(tree.proc, &base);
    wanted = folder_path(tree.folder, "mount/ours");
    assert_int_equal(base.version, 1);
    assert_string_equal(base.memory, wanted);
    assert_null(base.pids);
    tear_down(&tree, &base);
}

/* The mount of a container shows a part of the tree: its root is the container's group. */
static void a_mount_that_shows_a_part_is_understood(void **state)
{
    struct cgroup_base base;
    struct tree tree;
    cleanup_free char *wanted = NULL;

    (void)state;
    set_up(&tree, "5:memory:/docker/abc/ours\n", "cgroup cgroup rw,memory", "/docker/abc");
    cgroup_find(tree.proc, &base);
    wanted = folder_path(tree.folder, "mount/ours");
    assert_string_equal(base.memory, wanted);
    tear_down(&tree, &base);
}

static void set_up_second(struct tree *tree, const char *controllers, const char *divided,
                          const char *processes)
{
    set_up(tree, "0::/ours\n", "cgroup2 cgroup rw", "/");
    folder_text(tree->folder, "mount/ours/cgroup.controllers", controllers);
    folder_text(tree->folder, "mount/ours/cgroup.subtree_control", divided);
    folder_text(tree->folder, "mount/ours/cgroup.procs", processes);
}

static void the_second_version_is_divided_when_we_are_alone(void **state)
{
    cleanup_free char *self = memory_format("%d\n", (int)getpid());
    cleanup_free char *number = memory_format("%d", (int)getpid());
    cleanup_free char *ours = NULL, *below = NULL;
    struct cgroup_base base;
    struct tree tree;

    (void)state;
    set_up_second(&tree, "cpu memory pids\n", "", self);
    make_folder(&tree, "mount/ours/marram-agent");
    folder_text(tree.folder, "mount/ours/marram-agent/cgroup.procs", "");
    cgroup_find(tree.proc, &base);
    ours = folder_path(tree.folder, "mount/ours");
    below = folder_path(tree.folder, "mount/ours/marram-agent");
    assert_int_equal(base.version, 2);
    assert_string_equal(base.memory, ours);
    assert_string_equal(base.pids, ours);
    expect_text(ours, "cgroup.subtree_control", "+memory +pids");
    expect_text(below, "cgroup.procs", number);
    tear_down(&tree, &base);
}

/* Another agent of the process was here first. */
static void a_group_that_was_divided_is_used_as_it_is(void **state)
{
    cleanup_free char *ours = NULL;
    struct cgroup_base base;
    struct tree tree;

    (void)state;
    set_up_second(&tree, "memory pids\n", "memory pids\n", "");
    make_folder(&tree, "mount/ours/marram-agent");
    folder_text(tree.folder, "proc/cgroup", "0::/ours/marram-agent\n");
    cgroup_find(tree.proc, &base);
    ours = folder_path(tree.folder, "mount/ours");
    assert_int_equal(base.version, 2);
    assert_string_equal(base.memory, ours);
    tear_down(&tree, &base);
}

static void expect_none(const char *controllers, const char *divided, const char *processes,
                        const char *why)
{
    struct cgroup_base base;
    struct tree tree;
    cleanup_free char *words = NULL;

    set_up_second(&tree, controllers, divided, processes);
    cgroup_find(tree.proc, &base);
    assert_int_equal(base.version, 0);
    assert_null(cgroup_new(&base, 10));
    words = cgroup_words(&base, NULL);
    assert_int_equal(strncmp(words, "none: ", 6), 0);
    if (!strstr(words, why))
        fail_msg("'%s' does not say '%s'", words, why);
    tear_down(&tree, &base);
}

static void what_is_not_ours_is_left_alone_and_told(void **state)
{
    (void)state;
    expect_none("cpu pids\n", "", "", "memory and pids are not delegated");
    expect_none("memory pids\n", "", "1\n", "other processes are in");
    expect_none("", "", "", "not delegated");
}

static void groups_have_limits_and_are_removed(void **state)
{
    struct cgroup_base base;
    struct cgroup *group;
    struct tree tree;
    cleanup_free char *words = NULL, *path = NULL;

    (void)state;
    set_up_second(&tree, "memory pids\n", "memory pids\n", "");
    cgroup_find(tree.proc, &base);
    assert_int_equal(base.version, 2);
    group = cgroup_new(&base, 10);
    assert_non_null(group);
    words = cgroup_words(&base, group);
    path = memory_format("v2\n%s", group->memory);
    assert_string_equal(words, path);
    assert_int_equal(access(group->memory, F_OK), 0);
    assert_int_equal(cgroup_oom_kills(group), 0);
    {
        cleanup_free char *events = memory_format("%s/memory.events", group->memory);
        cleanup_free char *max = memory_format("%s/memory.max", group->memory);
        FILE *file = fopen(events, "w");

        assert_non_null(file);
        fputs("low 0\nmax 17\noom 3\noom_kill 2\noom_group_kill 1\n", file);
        fclose(file);
        file = fopen(max, "w");
        assert_non_null(file);
        fclose(file);
        cgroup_limit_memory(group, 1000);
        expect_text(group->memory, "memory.max", "1000");
        assert_int_equal(group->limit, 1000);
        assert_int_equal(cgroup_oom_kills(group), 2);
        unlink(events);
        unlink(max);
    }
    free(path);
    path = memory_text(group->memory);
    cgroup_free(group);
    assert_int_equal(access(path, F_OK), -1);
    tear_down(&tree, &base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_version_is_found_by_controller),
        cmocka_unit_test(a_mount_that_shows_a_part_is_understood),
        cmocka_unit_test(the_second_version_is_divided_when_we_are_alone),
        cmocka_unit_test(a_group_that_was_divided_is_used_as_it_is),
        cmocka_unit_test(what_is_not_ours_is_left_alone_and_told),
        cmocka_unit_test(groups_have_limits_and_are_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
