#include "worker/agent/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static const char prefix[] = "marram-";
static const char supervisor[] = "marram-agent";

/* A group in which something forks and dies is killed in rounds; nothing new starts meanwhile.
 */
enum { ROUNDS_MAX = 50 };

static int write_text(const char *folder, const char *file, const char *text)
{
    cleanup_free char *path = memory_format("%s/%s", folder, file);
    cleanup_close int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static int write_number(const char *folder, const char *file, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, number);
    return write_text(folder, file, text);
}

/* ---- Ours
 * ----------------------------------------------------------------------------------------- */

/* Whether a word is in a list with this separator. */
static bool has_word(const char *list, const char *word, char separator)
{
    size_t n = strlen(word);

    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == separator) &&
            (at[n] == separator || !at[n] || at[n] == '\n'))
            return true;
    return false;
}

/* The line of our group in /proc/self/cgroup, "4:memory:/path" or "0::/path"; "" if there is
 * none. Caller frees. */
static char *own_path(const char *proc, const char *controller)
{
    cleanup_free char *name = memory_format("%s/cgroup", proc);
    FILE *file = fopen(name, "re");
    char *line = NULL, *found = NULL;
    size_t size = 0;

    while (file && !found && getline(&line, &size, file) > 0) {
        char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

        if (!path)
            continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        if (controller ? has_word(list + 1, controller, ',') : !list[1])
            found = memory_text(path);
    }
    free(line);
    if (file)
        fclose(file);
    return found ? found : memory_text("");
}

/* Where a hierarchy is mounted, and which of its groups is the root there. Of the line of
 * mountinfo "36 35 98:0 /root /point options - type source superoptions". */
static bool find_mount(const char *proc, const char *controller, char root[512],
                       char point[512])
{
    cleanup_free char *name = memory_format("%s/mountinfo", proc);
    FILE *file = fopen(name, "re");
    char *line = NULL, type[32], super[256];
    size_t size = 0;
    bool found = false;

    while (file && !found && getline(&line, &size, file) > 0) {
        const char *rest = strstr(line, " - ");

        if (!rest || sscanf(line, "%*s %*s %*s %511s %511s", root, point) != 2 ||
            sscanf(rest, " - %31s %*s %255s", type, super) != 2)
            continue;
        found = controller ? !strcmp(type, "cgroup") && has_word(super, controller, ',')
                           : !strcmp(type, "cgroup2");
    }
    free(line);
    if (file)
        fclose(file);
    return found;
}

/* The folder of our group, or NULL. NULL for a controller: that of version 2. Caller frees. */
static char *own_folder(const char *proc, const char *controller)
{
    cleanup_free char *path = own_path(proc, controller);
    char root[512], point[512];
    const char *below = path;
    size_t n;

    if (!*path || !find_mount(proc, controller, root, point))
        return NULL;
    /* In a container the mount may show a part of the tree alone. */
    n = strcmp(root, "/") ? strlen(root) : 0;
    if (n && !strncmp(path, root, n) && (!path[n] || path[n] == '/'))
        below = path + n;
    return memory_format("%s%s", point, strcmp(below, "/") ? below : "");
}

static bool holds(const char *folder, const char *file, const char *word)
{
    cleanup_free char *path = memory_format("%s/%s", folder, file);
    FILE *list = fopen(path, "re");
    char text[512] = "";
    size_t n = list ? fread(text, 1, sizeof text - 1, list) : 0;

    text[n] = '\0';
    if (list)
        fclose(list);
    return has_word(text, word, ' ');
}

/* Whether this process alone is in the group. */
static bool is_alone(const char *folder)
{
    cleanup_free char *path = memory_format("%s/cgroup.procs", folder);
    FILE *list = fopen(path, "re");
    bool alone = true;
    int pid;

    while (list && alone && fscanf(list, "%d", &pid) == 1)
        alone = pid == (int)getpid();
    if (list)
        fclose(list);
    return alone;
}

/* Version 2: groups below ours get controllers once ours has no process. */
static int divide(const char *folder, char *why, size_t size)
{
    cleanup_free char *below = memory_format("%s/%s", folder, supervisor);

    if (holds(folder, "cgroup.subtree_control", "memory") &&
        holds(folder, "cgroup.subtree_control", "pids"))
        return 0;
    if (!holds(folder, "cgroup.controllers", "memory") ||
        !holds(folder, "cgroup.controllers", "pids"))
        return snprintf(why, size, "memory and pids are not delegated to '%.80s'", folder);
    if (access(folder, W_OK) || !is_alone(folder))
        return snprintf(why, size,
                        access(folder, W_OK) ? "'%.80s' may not be written"
                                             : "other processes are in '%.80s'",
                        folder);
    if ((mkdir(below, 0755) && errno != EEXIST) ||
        write_number(below, "cgroup.procs", (uint64_t)getpid()) ||
        write_text(folder, "cgroup.subtree_control", "+memory +pids"))
        return snprintf(why, size, "'%.80s' cannot be divided: %s", folder, strerror(errno));
    return 0;
}

/* Another agent of this process may have moved it below already. */
static void step_up(char *folder)
{
    size_t length = strlen(folder), n = strlen(supervisor);

    if (length > n && folder[length - n - 1] == '/' && !strcmp(folder + length - n, supervisor))
        folder[length - n - 1] = '\0';
}

static void find_second(const char *proc, struct cgroup_base *base)
{
    char *folder = own_folder(proc, NULL);

    if (!folder) {
        snprintf(base->why, sizeof base->why, "no control groups are mounted");
        return;
    }
    step_up(folder);
    if (!divide(folder, base->why, sizeof base->why)) {
        base->version = 2;
        base->memory = memory_text(folder);
        base->pids = memory_text(folder);
    }
    free(folder);
}

/* Removes what an agent that was killed has left. */
static void sweep(const char *folder)
{
    DIR *list = folder ? opendir(folder) : NULL;
    struct dirent *entry;
    int pid;

    while (list && (entry = readdir(list))) {
        cleanup_free char *path = NULL;

        if (sscanf(entry->d_name, "marram-%d-", &pid) != 1 || !kill(pid, 0) || errno != ESRCH)
            continue;
        path = memory_format("%s/%s", folder, entry->d_name);
        rmdir(path);
    }
    if (list)
        closedir(list);
}

void cgroup_find(const char *proc, struct cgroup_base *ret)
{
    *ret = (struct cgroup_base){.memory = own_folder(proc, "memory"),
                                .pids = own_folder(proc, "pids")};
    if (ret->memory || ret->pids)
        ret->version = 1;
    else
        find_second(proc, ret);
    sweep(ret->memory);
    sweep(ret->pids);
}

void cgroup_base_done(struct cgroup_base *base)
{
    free(base->memory);
    free(base->pids);
    *base = (struct cgroup_base){0};
}

/* ---- An executor's
 * -------------------------------------------------------------------------------- */

/* A folder of that name below, or NULL. */
static char *make(struct cgroup_base *base, const char *folder, const char *name)
{
    char *path = folder ? memory_format("%s/%s", folder, name) : NULL;

    if (!path || !mkdir(path, 0755) || errno == EEXIST)
        return path;
    snprintf(base->why, sizeof base->why, "'%.80s' cannot be divided: %s", folder,
             strerror(errno));
    free(path);
    return NULL;
}

struct cgroup *cgroup_new(struct cgroup_base *base, uint32_t tasks)
{
    static _Atomic uint32_t numbers;
    cleanup_free char *name =
        memory_format("%s%d-%u", prefix, (int)getpid(), atomic_fetch_add(&numbers, 1));
    struct cgroup *group;

    if (!base || !base->version)
        return NULL;
    group = memory_zeroed(1, sizeof *group);
    group->version = base->version;
    group->memory = make(base, base->memory, name);
    group->pids = make(base, base->pids, name);
    if (group->pids)
        write_number(group->pids, "pids.max", tasks);
    if (group->memory || group->pids)
        return group;
    cgroup_free(group);
    base->version = 0;
    return NULL;
}

char *cgroup_words(const struct cgroup_base *base, const struct cgroup *group)
{
    if (!group)
        return memory_format("none: %s", base ? base->why : "nobody asked for it");
    if (group->version == 2)
        return memory_format("v2\n%s", group->memory);
    return memory_format("v1%s\n%s\n%s",
                         !group->pids     ? ", memory alone"
                         : !group->memory ? ", pids alone"
                                          : "",
                         group->memory ? group->memory : "", group->pids ? group->pids : "");
}

void cgroup_limit_memory(struct cgroup *group, uint64_t bytes)
{
    if (!group || !group->memory)
        return;
    if (group->version == 2) {
        if (!write_number(group->memory, "memory.max", bytes))
            group->limit = bytes;
        write_text(group->memory, "memory.swap.max", "0");
    } else if (!write_number(group->memory, "memory.limit_in_bytes", bytes)) {
        group->limit = bytes;
        write_number(group->memory, "memory.memsw.limit_in_bytes", bytes);
    }
}

uint64_t cgroup_oom_kills(const struct cgroup *group)
{
    cleanup_free char *path = NULL;
    unsigned long long count = 0, number;
    char word[32];
    FILE *file;

    if (!group || !group->memory)
        return 0;
    path = memory_format("%s/%s", group->memory,
                         group->version == 2 ? "memory.events" : "memory.oom_control");
    file = fopen(path, "re");
    while (file && fscanf(file, "%31s %llu", word, &number) == 2)
        if (!strcmp(word, "oom_kill"))
            count = number;
    if (file)
        fclose(file);
    return count;
}

/* Returns whether there was somebody. */
static bool kill_once(const char *folder)
{
    cleanup_free char *path = memory_format("%s/cgroup.procs", folder);
    FILE *list = fopen(path, "re");
    bool any = false;
    int pid;

    while (list && fscanf(list, "%d", &pid) == 1)
        any = !kill(pid, SIGKILL) || any;
    if (list)
        fclose(list);
    return any;
}

void cgroup_kill(const struct cgroup *group)
{
    const char *folder = !group ? NULL : group->pids ? group->pids : group->memory;

    if (!folder)
        return;
    if (group->pids)
        write_number(group->pids, "pids.max", 0);
    for (int i = 0; i < ROUNDS_MAX && kill_once(folder); i++)
        ;
}

void cgroup_free(struct cgroup *group)
{
    if (!group)
        return;
    if (group->memory)
        rmdir(group->memory);
    if (group->pids)
        rmdir(group->pids);
    free(group->memory);
    free(group->pids);
    free(group);
}
