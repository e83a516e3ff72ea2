/* What the kernel and its limits are like here. */
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/resources.h"
#include "base/size.h"
#include "cli/daemon.h"
#include "cli/doctor.h"

enum { LINE = 256, FILES_LEAST = 1024, FILES_GOOD = 4096 };
#define MIB ((uint64_t)1 << 20)

/* The first line of a file, "" when there is none. */
static void read_line(const char *root, const char *path, char line[LINE])
{
    cleanup_free char *whole = memory_format("%s%s", root, path);
    FILE *file = fopen(whole, "re");

    if (!file || !fgets(line, LINE, file))
        *line = '\0';
    line[strcspn(line, "\n")] = '\0';
    if (file)
        fclose(file);
}

static void check_files(struct findings *findings)
{
    unsigned long files = daemon_files_max();

    if (files < FILES_LEAST)
        findings_add(findings, "files", FINDING_FAILED,
                     "raise 'ulimit -Hn' (LimitNOFILE= in systemd, ulimits: in compose)",
                     "at most %lu files may be open, a coordinator needs %d", files,
                     FILES_LEAST);
    else if (files < FILES_GOOD)
        findings_add(findings, "files", FINDING_WARNING,
                     "raise 'ulimit -Hn' (LimitNOFILE= in systemd, ulimits: in compose)",
                     "at most %lu files may be open: room for about %lu workers and clients",
                     files, files - 256);
    else
        findings_add(findings, "files", FINDING_OK, NULL, "%lu files may be open", files);
}

static void check_processors(struct findings *findings, const struct resources *r)
{
    int threads = resources_threads_of(r);

    if (r->quota_milli && r->quota_milli < 1000)
        findings_add(findings, "processors", FINDING_WARNING,
                     "give it at least one (cpus: in compose)",
                     "a quota of %.2f of a processor in %s: tasks will stutter",
                     (double)r->quota_milli / 1000, r->quota_path);
    else
        findings_add(findings, "processors", FINDING_OK, NULL, "%d of %d may be used%s%s",
                     threads, r->online, r->quota_milli ? ", by the quota in " : "",
                     r->quota_milli ? r->quota_path : "");
}

static void check_memory(struct findings *findings, const struct resources *r)
{
    uint64_t memory = resources_memory_of(r);
    char text[32];

    size_format(memory, text, sizeof text);
    if (memory < 64 * MIB)
        findings_add(findings, "memory", FINDING_FAILED, "raise the limit to 256 MiB or more",
                     "%s, by %s: a worker cannot work with it", text, r->memory_path);
    else if (memory < 256 * MIB)
        findings_add(findings, "memory", FINDING_WARNING, "raise the limit to 256 MiB or more",
                     "%s, by %s, is little", text, r->memory_path);
    else
        findings_add(findings, "memory", FINDING_OK, NULL, "%s%s%s", text,
                     r->memory_limit ? ", by the limit in " : "",
                     r->memory_limit ? r->memory_path : "");
}

static void check_clock(struct findings *findings, const char *root)
{
    char source[LINE];
    struct timespec now;

    read_line(root, "/sys/devices/system/clocksource/clocksource0/current_clocksource", source);
    if (clock_gettime(CLOCK_BOOTTIME, &now))
        findings_add(findings, "clock", FINDING_FAILED, "run a kernel of 2.6.39 or later",
                     "there is no CLOCK_BOOTTIME, by which leases count");
    else if (!strcmp(source, "jiffies") || !strcmp(source, "hpet") ||
             !strcmp(source, "acpi_pm"))
        findings_add(findings, "clock", FINDING_WARNING,
                     "see whether the kernel trusts a better one (available_clocksource)",
                     "the clock source is %s, which is slow to read", source);
    else
        findings_add(findings, "clock", FINDING_OK, NULL, "the clock source is %s",
                     *source ? source : "not told");
}

static void check_pages(struct findings *findings, const char *root)
{
    char line[LINE];

    read_line(root, "/sys/kernel/mm/transparent_hugepage/enabled", line);
    if (strstr(line, "[never]"))
        findings_add(findings, "huge pages", FINDING_WARNING,
                     "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled",
                     "they are off: large tables are slower");
    else
        findings_add(findings, "huge pages", FINDING_OK, NULL, "%s", *line ? line : "not told");
    read_line(root, "/proc/sys/vm/overcommit_memory", line);
    if (!strcmp(line, "2"))
        findings_add(findings, "overcommit", FINDING_WARNING,
                     "sysctl vm.overcommit_memory=0, or give workers a small --memory",
                     "the kernel promises no memory that it does not have: executors may "
                     "fail to start");
    else
        findings_add(findings, "overcommit", FINDING_OK, NULL, "mode %s",
                     *line ? line : "not told");
}

static void check_confinement(struct findings *findings, const char *root)
{
    char seccomp[LINE];
    long landlock = -1;

    read_line(root, "/proc/sys/kernel/seccomp/actions_avail", seccomp);
#ifdef SYS_landlock_create_ruleset
    landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* the version */);
#endif
    if (landlock < 1 || !*seccomp)
        findings_add(findings, "confinement", FINDING_WARNING,
                     "run a kernel of 5.13 or later with both, if jobs are not to be trusted",
                     "this kernel has %s%s%s", landlock < 1 ? "no Landlock" : "",
                     landlock < 1 && !*seccomp ? " and " : "", *seccomp ? "" : "no seccomp");
    else
        findings_add(findings, "confinement", FINDING_OK, NULL, "Landlock of ABI %ld, seccomp",
                     landlock);
}

void doctor_kernel(struct findings *findings, const char *root)
{
    struct resources resources;

    resources_look(root, &resources);
    check_files(findings);
    check_processors(findings, &resources);
    check_memory(findings, &resources);
    check_clock(findings, root);
    check_pages(findings, root);
    check_confinement(findings, root);
}

void doctor_scratch(struct findings *findings, const char *folder)
{
    const char *usual = getenv("TMPDIR");
    cleanup_free char *probe = NULL;
    struct statvfs st;
    struct statfs fs;
    uint64_t free_bytes;
    char text[32];

    if (!folder)
        folder = usual && *usual ? usual : "/tmp";
    probe = memory_format("%s/marram-doctor-XXXXXX", folder);
    if (!mkdtemp(probe)) {
        findings_add(findings, "scratch", FINDING_FAILED,
                     "make the folder, or name another one with --scratch or TMPDIR",
                     "no temporary files in '%s': %s", folder, strerror(errno));
        return;
    }
    rmdir(probe);
    if (statvfs(folder, &st) || statfs(folder, &fs)) {
        findings_add(findings, "scratch", FINDING_FAILED, "name another one with --scratch",
                     "'%s' cannot be looked at: %s", folder, strerror(errno));
        return;
    }
    free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    size_format(free_bytes, text, sizeof text);
    if (free_bytes < 64 * MIB)
        findings_add(findings, "scratch", FINDING_FAILED,
                     "make room, or name another one with --scratch or TMPDIR",
                     "%s are free in '%s'", text, folder);
    else if (fs.f_type == TMPFS_MAGIC)
        findings_add(findings, "scratch", FINDING_WARNING,
                     "name a folder on a disk with --scratch or TMPDIR",
                     "'%s' lies in memory (tmpfs, %s free): what is spilled there frees none",
                     folder, text);
    else if (free_bytes < 1024 * MIB)
        findings_add(findings, "scratch", FINDING_WARNING,
                     "make room, or name another one with --scratch or TMPDIR",
                     "only %s are free in '%s'", text, folder);
    else
        findings_add(findings, "scratch", FINDING_OK, NULL, "%s are free in '%s'", text,
                     folder);
}
