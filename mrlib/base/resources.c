/* /proc/self/cgroup says in which cgroup we are, /proc/self/mountinfo where the files of a
 * hierarchy are. Inside a container the first may name a path of the host, of which the second
 * shows a part. */
#include "base/resources.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

/* A hierarchy that is mounted. */
struct hierarchy {
    bool v2;
    char *options; /* v1: "rw,cpu,cpuacct" */
    char *top;     /* what of it is mounted */
    char *folder;  /* where */
};

static FILE *open_file(const char *folder, const char *name)
{
    cleanup_free char *path = memory_format("%s/%s", folder, name);

    return fopen(path, "re");
}

/* Reads up to two numbers from a file; returns how many it found ("max" is none). */
static int read_numbers(const char *folder, const char *name, long long *first,
                        long long *second)
{
    FILE *file = open_file(folder, name);
    int n;

    if (!file)
        return 0;
    n = fscanf(file, "%lld %lld", first, second);
    fclose(file);
    return n < 0 ? 0 : n;
}

static void limit_quota(struct resources *r, const char *folder, bool v2)
{
    long long quota = 0, period = 0, unused;
    uint64_t milli;

    if (v2)
        read_numbers(folder, "cpu.max", &quota, &period);
    else if (read_numbers(folder, "cpu.cfs_quota_us", &quota, &unused))
        read_numbers(folder, "cpu.cfs_period_us", &period, &unused);
    if (quota <= 0 || period <= 0)
        return;
    milli = (uint64_t)quota * 1000 / (uint64_t)period;
    milli = milli ? milli : 1;
    if (r->quota_milli && r->quota_milli <= milli)
        return;
    r->quota_milli = milli;
    snprintf(r->quota_path, sizeof r->quota_path, "%s", folder);
}

static void limit_memory(struct resources *r, const char *folder, const char *name)
{
    long long limit = 0, unused;

    if (read_numbers(folder, name, &limit, &unused) < 1 || limit <= 0 ||
        (uint64_t)limit >= r->installed ||
        (r->memory_limit && r->memory_limit <= (uint64_t)limit))
        return;
    r->memory_limit = (uint64_t)limit;
    snprintf(r->memory_path, sizeof r->memory_path, "%s", folder);
}

/* Processors in a list such as "0-3,8"; 0 when there is none. */
static int count_list(const char *folder, const char *name)
{
    FILE *file = open_file(folder, name);
    int count = 0, first, last;
    char next = ',';

    if (!file)
        return 0;
    while (next == ',' && fscanf(file, "%d", &first) == 1) {
        last = first;
        next = (char)getc(file);
        if (next == '-' && fscanf(file, "%d", &last) == 1)
            next = (char)getc(file);
        count += last >= first ? last - first + 1 : 0;
    }
    fclose(file);
    return count;
}

static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (; *list; list += strcspn(list, ","), list += *list == ',')
        if (strcspn(list, ",") == n && !memcmp(list, word, n))
            return true;
    return false;
}

/* The limits of one cgroup; of the one that we are in itself (`own`) also its processors. */
static void look_at(struct resources *r, const struct hierarchy *h, const char *folder,
                    bool own)
{
    if (h->v2 || has_word(h->options, "cpu"))
        limit_quota(r, folder, h->v2);
    if (h->v2 || has_word(h->options, "memory")) {
        limit_memory(r, folder, h->v2 ? "memory.max" : "memory.limit_in_bytes");
        if (h->v2)
            limit_memory(r, folder, "memory.high"); /* above it a process hardly moves */
    }
    if (own && (h->v2 || has_word(h->options, "cpuset"))) {
        int count =
            count_list(folder, h->v2 ? "cpuset.cpus.effective" : "cpuset.effective_cpus");

        if (count && (!r->cpuset || count < r->cpuset))
            r->cpuset = count;
    }
}

/* From the cgroup that we are in up to the top of what is mounted. */
static void climb(struct resources *r, const char *root, const struct hierarchy *h,
                  const char *path)
{
    size_t top = strcmp(h->top, "/") ? strlen(h->top) : 0, least;
    cleanup_free char *folder = NULL;
    bool own = true;
    char *slash;

    /* A path that is not below: what we see is ours. */
    if (strncmp(path, h->top, top) || (path[top] && path[top] != '/') || strstr(path, "/.."))
        path = "";
    else
        path += top;
    folder = memory_format("%s%s%s", root, h->folder, strcmp(path, "/") ? path : "");
    least = strlen(root) + strlen(h->folder);
    for (;; own = false) {
        look_at(r, h, folder, own);
        slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < least)
            return;
        *slash = '\0';
    }
}

/* Where the kernel writes a blank as \040. */
static void unescape(char *text)
{
    char *to = text;

    for (; *text; text++)
        if (text[0] == '\\' && text[1] && text[2] && text[3]) {
            *to++ = (char)((text[1] - '0') * 64 + (text[2] - '0') * 8 + (text[3] - '0'));
            text += 3;
        } else {
            *to++ = *text;
        }
    *to = '\0';
}

/* One line of mountinfo; false when it is about something else. The texts are parts of it. */
static bool parse_mount(char *line, struct hierarchy *ret)
{
    char *words[5], *rest = strstr(line, " - "), *save = NULL;
    const char *type;

    if (!rest)
        return false;
    *rest = '\0';
    for (int i = 0; i < 5; i++) {
        words[i] = strtok_r(i ? NULL : line, " ", &save);
        if (!words[i])
            return false;
    }
    type = strtok_r(rest + 3, " ", &save);
    ret->v2 = type && !strcmp(type, "cgroup2");
    if (!ret->v2 && (!type || strcmp(type, "cgroup")))
        return false;
    strtok_r(NULL, " ", &save);
    ret->options = strtok_r(NULL, " \n", &save);
    ret->top = words[3];
    ret->folder = words[4];
    unescape(ret->top);
    unescape(ret->folder);
    return ret->options;
}

/* The path of our cgroup in a hierarchy, from /proc/self/cgroup: "4:memory:/a/b", "0::/a". */
static char *path_in(const char *root, const struct hierarchy *h)
{
    FILE *file = open_file(root, "proc/self/cgroup");
    char *line = NULL, *found = NULL;
    size_t size = 0;

    while (file && !found && getline(&line, &size, file) > 0) {
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;

        if (!path)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        names++;
        if (h->v2 ? !*names : *names && has_word(h->options, strtok(names, ",")))
            found = memory_text(path);
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

static void look_at_cgroups(const char *root, struct resources *r)
{
    FILE *file = open_file(root, "proc/self/mountinfo");
    char *line = NULL;
    size_t size = 0;

    while (file && getline(&line, &size, file) > 0) {
        struct hierarchy h;
        cleanup_free char *path = parse_mount(line, &h) ? path_in(root, &h) : NULL;

        if (path)
            climb(r, root, &h, path);
    }
    free(line);
    if (file)
        fclose(file);
}

void resources_look(const char *root, struct resources *ret)
{
    cpu_set_t set;

    *ret = (struct resources){.online = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    ret->affinity = sched_getaffinity(0, sizeof set, &set) ? ret->online : (int)CPU_COUNT(&set);
    ret->installed = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    look_at_cgroups(root, ret);
}

int resources_threads_of(const struct resources *resources)
{
    int threads = resources->online;
    uint64_t quota = (resources->quota_milli + 999) / 1000;

    if (resources->affinity < threads)
        threads = resources->affinity;
    if (resources->cpuset && resources->cpuset < threads)
        threads = resources->cpuset;
    if (quota && quota < (uint64_t)threads)
        threads = (int)quota;
    return threads < 1 ? 1 : threads;
}

uint64_t resources_memory_of(const struct resources *resources)
{
    return resources->memory_limit ? resources->memory_limit : resources->installed;
}

int resources_threads(void)
{
    struct resources resources;

    resources_look("", &resources);
    return resources_threads_of(&resources);
}

uint64_t resources_memory(void)
{
    struct resources resources;

    resources_look("", &resources);
    return resources_memory_of(&resources);
}

void resources_kernel(char text[RESOURCES_KERNEL])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!file || fscanf(file, "%36s", text) != 1)
        *text = '\0';
    if (file)
        fclose(file);
}
