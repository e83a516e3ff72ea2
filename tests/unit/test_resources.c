/* What a container allows, from made-up folders of the kernel: cgroups v1 and v2, nested,
 * mounted whole or in part. Real ones are in tests/cluster/test_resources.sh. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/resources.h"
#include "tests/lib/folder.h"

#define MIB ((uint64_t)1 << 20)

/* Looks at a folder with what `write` puts there, then removes it. */
static struct resources look(void (*fill)(const char *folder))
{
    char *folder = folder_new();
    struct resources r;
    size_t n = strlen(folder);

    fill(folder);
    resources_look(folder, &r);
    /* For the test, without what changes. */
    if (!strncmp(r.quota_path, folder, n))
        memmove(r.quota_path, r.quota_path + n, strlen(r.quota_path + n) + 1);
    if (!strncmp(r.memory_path, folder, n))
        memmove(r.memory_path, r.memory_path + n, strlen(r.memory_path + n) + 1);
    folder_remove(folder);
    /* A machine that is large enough to be limited. */
    r.online = r.affinity = 16;
    return r;
}

static void fill_nothing(const char *folder)
{
    (void)folder;
}

static void without_cgroups_all_is_allowed(void **state)
{
    struct resources r = look(fill_nothing);

    (void)state;
    assert_int_equal(r.quota_milli, 0);
    assert_int_equal(r.memory_limit, 0);
    assert_int_equal(resources_threads_of(&r), 16);
    assert_int_equal(resources_memory_of(&r), r.installed);
    r.affinity = 3;
    assert_int_equal(resources_threads_of(&r), 3);
}

static void fill_v2(const char *folder)
{
    folder_text(folder, "proc/self/cgroup", "0::/slice/unit/leaf\n");
    folder_text(folder, "proc/self/mountinfo",
                "22 1 0:21 / /proc rw - proc proc rw\n"
                "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
    folder_text(folder, "sys/fs/cgroup/slice/cpu.max", "150000 100000\n");
    folder_text(folder, "sys/fs/cgroup/slice/unit/cpu.max", "max 100000\n");
    folder_text(folder, "sys/fs/cgroup/slice/unit/leaf/cpu.max", "400000 100000\n");
    folder_text(folder, "sys/fs/cgroup/slice/unit/leaf/cpuset.cpus.effective", "0-2,8\n");
    folder_text(folder, "sys/fs/cgroup/slice/cpuset.cpus.effective", "0\n");
    folder_text(folder, "sys/fs/cgroup/slice/memory.max", "max\n");
    folder_text(folder, "sys/fs/cgroup/slice/unit/memory.max", "67108864\n");
    folder_text(folder, "sys/fs/cgroup/slice/unit/leaf/memory.max", "134217728\n");
    /* Another one's. */
    folder_text(folder, "sys/fs/cgroup/other/memory.max", "4096\n");
}

static void v2_limits_are_the_smallest_along_the_path(void **state)
{
    struct resources r = look(fill_v2);

    (void)state;
    assert_int_equal(r.quota_milli, 1500);
    assert_string_equal(r.quota_path, "/sys/fs/cgroup/slice");
    assert_int_equal(r.memory_limit, 64 * MIB);
    assert_string_equal(r.memory_path, "/sys/fs/cgroup/slice/unit");
    assert_int_equal(r.cpuset, 4);
    assert_int_equal(resources_threads_of(&r), 2);
    r.quota_milli = 0;
    assert_int_equal(resources_threads_of(&r), 4);
    assert_int_equal(resources_memory_of(&r), 64 * MIB);
}

static void fill_v2_high(const char *folder)
{
    fill_v2(folder);
    folder_text(folder, "sys/fs/cgroup/slice/memory.high", "33554432\n");
}

static void memory_above_which_a_cgroup_is_slowed_is_a_limit(void **state)
{
    struct resources r = look(fill_v2_high);

    (void)state;
    assert_int_equal(r.memory_limit, 32 * MIB);
}

/* As in a container with a cgroup namespace: the top is ours. */
static void fill_v2_namespace(const char *folder)
{
    folder_text(folder, "proc/self/cgroup", "0::/\n");
    folder_text(folder, "proc/self/mountinfo",
                "30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    folder_text(folder, "sys/fs/cgroup/cpu.max", "50000 100000\n");
    folder_text(folder, "sys/fs/cgroup/memory.max", "268435456\n");
}

static void v2_in_a_namespace_is_read_at_its_top(void **state)
{
    struct resources r = look(fill_v2_namespace);

    (void)state;
    assert_int_equal(r.quota_milli, 500);
    assert_int_equal(resources_threads_of(&r), 1);
    assert_int_equal(r.memory_limit, 256 * MIB);
    assert_string_equal(r.memory_path, "/sys/fs/cgroup");
}

static void fill_v1(const char *folder)
{
    folder_text(folder, "proc/self/cgroup",
                "9:name=systemd:/a\n6:cpuset:/a/b\n4:memory:/a/b\n3:cpu,cpuacct:/a/b\n0::/\n");
    folder_text(folder, "proc/self/mountinfo",
                "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
                "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                "33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
                "35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    folder_text(folder, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    folder_text(folder, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    folder_text(folder, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "120000\n");
    folder_text(folder, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n");
    folder_text(folder, "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "500000\n");
    folder_text(folder, "sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
    folder_text(folder, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    folder_text(folder, "sys/fs/cgroup/memory/a/memory.limit_in_bytes", "100663296\n");
    folder_text(folder, "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
                "9223372036854771712\n");
    folder_text(folder, "sys/fs/cgroup/cpuset/a/b/cpuset.effective_cpus", "1,3-4,7\n");
}

static void v1_limits_are_the_smallest_along_the_path(void **state)
{
    struct resources r = look(fill_v1);

    (void)state;
    assert_int_equal(r.quota_milli, 2400);
    assert_string_equal(r.quota_path, "/sys/fs/cgroup/cpu,cpuacct/a");
    assert_int_equal(r.memory_limit, 96 * MIB);
    assert_string_equal(r.memory_path, "/sys/fs/cgroup/memory/a");
    assert_int_equal(r.cpuset, 4);
    assert_int_equal(resources_threads_of(&r), 3);
}

/* As in a container without a cgroup namespace: paths are the host's, and of its hierarchy a
 * part is mounted. */
static void fill_v1_part(const char *folder)
{
    folder_text(folder, "proc/self/cgroup", "4:memory:/docker/abc/inner\n3:cpu:/elsewhere\n");
    folder_text(folder, "proc/self/mountinfo",
                "33 31 0:30 /docker/abc /sys/fs/cgroup/with\\040blank ro - cgroup cgroup "
                "rw,memory\n"
                "34 31 0:31 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
    folder_text(folder, "sys/fs/cgroup/with blank/memory.limit_in_bytes", "209715200\n");
    folder_text(folder, "sys/fs/cgroup/with blank/inner/memory.limit_in_bytes", "104857600\n");
    folder_text(folder, "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000\n");
    folder_text(folder, "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
}

static void a_part_that_is_mounted_is_found_by_its_top(void **state)
{
    struct resources r = look(fill_v1_part);

    (void)state;
    assert_int_equal(r.memory_limit, 100 * MIB);
    assert_string_equal(r.memory_path, "/sys/fs/cgroup/with blank/inner");
    assert_int_equal(r.quota_milli, 1000);
    assert_string_equal(r.quota_path, "/sys/fs/cgroup/cpu");
}

static void fill_nonsense(const char *folder)
{
    folder_text(folder, "proc/self/cgroup", "nonsense\n:\n0::\n0::/../../x\n4:memory:/a\n");
    folder_text(folder, "proc/self/mountinfo",
                "\n - \n1 2 3\n30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n"
                "31 23 0:26 / /m rw - cgroup cgroup\n1 2 3 4 5 - cgroup cgroup rw,memory\n");
    folder_text(folder, "cg/cpu.max", "-5 0\n");
    folder_text(folder, "cg/memory.max", "lots\n");
    folder_text(folder, "cg/cpuset.cpus.effective", "5-2,,x\n");
}

static void nonsense_limits_nothing(void **state)
{
    struct resources r = look(fill_nonsense);

    (void)state;
    assert_int_equal(r.quota_milli, 0);
    assert_int_equal(r.memory_limit, 0);
    assert_int_equal(r.cpuset, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_cgroups_all_is_allowed),
        cmocka_unit_test(v2_limits_are_the_smallest_along_the_path),
        cmocka_unit_test(memory_above_which_a_cgroup_is_slowed_is_a_limit),
        cmocka_unit_test(v2_in_a_namespace_is_read_at_its_top),
        cmocka_unit_test(v1_limits_are_the_smallest_along_the_path),
        cmocka_unit_test(a_part_that_is_mounted_is_found_by_its_top),
        cmocka_unit_test(nonsense_limits_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
