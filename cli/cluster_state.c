#include "cli/cluster_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/resources.h"
#include "cli/locate.h"
#include "store/tree.h"

enum { PATIENCE_MS = 1000, LOOK_US = 10000 };

char *cluster_dir(const char *option)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");

    if (option)
        return locate_absolute(option);
    if (state && state[0] == '/')
        return memory_format("%s/marram/cluster", state);
    if (home && home[0] == '/')
        return memory_format("%s/.local/state/marram/cluster", home);
    return memory_format("/tmp/marram-%u/cluster", (unsigned)geteuid());
}

/* Start time and state of a process: 0, or -1 when there is none. */
static int read_stat(pid_t pid, uint64_t *ret_started, char *ret_state)
{
    cleanup_free char *path = memory_format("/proc/%d/stat", (int)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[1024], *at;
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (n <= 0)
        return -1;
    text[n] = '\0';
    /* The name, in brackets, may hold anything. Fields 3 and 22 follow. */
    at = strrchr(text, ')');
    if (!at || sscanf(at,
                      ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                      "%*s %*s %*s %" SCNu64,
                      ret_state, ret_started) != 2)
        return -1;
    return 0;
}

bool process_lives(const struct process *process)
{
    uint64_t started;
    char state;

    return !read_stat(process->pid, &started, &state) && started == process->started &&
           state != 'Z' && state != 'X';
}

int process_open(const struct process *process)
{
    int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);

    /* Looked at once it is held: then it is this process or none. */
    if (fd >= 0 && process_lives(process))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static char *file_of(const struct cluster *cluster)
{
    return memory_format("%s/cluster.json", cluster->dir);
}

static struct process *append(struct cluster *cluster)
{
    memory_reserve(&cluster->processes, &cluster->capacity, cluster->count + 1,
                   sizeof *cluster->processes);
    return memset(&cluster->processes[cluster->count++], 0, sizeof *cluster->processes);
}

static int parse(struct cluster *cluster, json_t *root)
{
    const char *boot = json_string_value(json_object_get(root, "boot"));
    const char *endpoint = json_string_value(json_object_get(root, "endpoint"));
    json_t *list = json_object_get(root, "processes"), *item;
    char current[RESOURCES_KERNEL];
    size_t i;

    if (!boot || !endpoint || !json_is_array(list))
        return -1;
    /* Start times count from the boot: after another one they mean nothing. */
    resources_kernel(current);
    snprintf(cluster->endpoint, sizeof cluster->endpoint, "%s", endpoint);
    cluster->threads = (uint64_t)json_integer_value(json_object_get(root, "threads"));
    cluster->memory = (uint64_t)json_integer_value(json_object_get(root, "memory"));
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        struct process *process;

        if (!name)
            return -1;
        process = append(cluster);
        snprintf(process->name, sizeof process->name, "%s", name);
        process->pid = (pid_t)json_integer_value(json_object_get(item, "pid"));
        process->started = (uint64_t)json_integer_value(json_object_get(item, "started"));
        process->leaves = json_is_true(json_object_get(item, "leaves"));
        if (strcmp(boot, current))
            process->started = UINT64_MAX;
    }
    return 0;
}

/* 1, 0 when there is no file, -1. */
static int load(struct cluster *cluster, struct error *err)
{
    cleanup_free char *path = file_of(cluster);
    json_t *root;
    int result;

    if (access(path, F_OK))
        return errno == ENOENT ? 0 : error_errno(err, ERROR_IO, "read '%s'", path);
    root = json_load_file(path, 0, NULL);
    result = root ? parse(cluster, root) : -1;
    json_decref(root);
    if (result)
        return error_set(err, ERROR_DAMAGE, "'%s' is none that 'marram cluster up' wrote",
                         path);
    return 1;
}

/* Patient with who only looks, and with processes that are about to let go. */
static int lock_folder(int fd, int how)
{
    int64_t until_ms = clock_ms() + PATIENCE_MS;

    while (flock(fd, how | LOCK_NB)) {
        if (clock_ms() > until_ms)
            return -1;
        usleep(LOOK_US);
    }
    return 0;
}

int cluster_open(struct cluster *cluster, const char *dir, enum cluster_access how,
                 struct error *err)
{
    cleanup_free char *made = NULL;
    struct stat st;

    *cluster = (struct cluster){.dir = memory_text(dir), .lock = -1};
    if (how == CLUSTER_MAKE && tree_make(dir, &made, err))
        return -1;
    cluster->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (cluster->lock < 0 && errno == ENOENT && how != CLUSTER_MAKE)
        return 0;
    if (cluster->lock < 0)
        return error_errno(err, ERROR_IO, "open folder '%s'", dir);
    if (how == CLUSTER_PEEK)
        return load(cluster, err);
    /* A folder that goes just now belongs to a `down` that is not over yet. */
    if (lock_folder(cluster->lock, how == CLUSTER_LOOK ? LOCK_SH : LOCK_EX) ||
        fstat(cluster->lock, &st) || !st.st_nlink)
        return error_set(err, ERROR_IO, "another 'marram cluster' works in '%s' just now", dir);
    return load(cluster, err);
}

void cluster_close(struct cluster *cluster)
{
    free(cluster->dir);
    free(cluster->processes);
    memory_cleanup_close(&cluster->lock);
    *cluster = (struct cluster){.lock = -1};
}

int cluster_save(const struct cluster *cluster, struct error *err)
{
    cleanup_free char *path = file_of(cluster);
    cleanup_free char *draft = memory_format("%s.new", path);
    json_t *root = json_object(), *list = json_array();
    char boot[RESOURCES_KERNEL];
    int result;

    resources_kernel(boot);
    for (size_t i = 0; i < cluster->count; i++) {
        const struct process *process = &cluster->processes[i];
        json_t *item = json_object();

        json_object_set_new(item, "name", json_string(process->name));
        json_object_set_new(item, "pid", json_integer(process->pid));
        json_object_set_new(item, "started", json_integer((json_int_t)process->started));
        if (process->leaves)
            json_object_set_new(item, "leaves", json_true());
        json_array_append_new(list, item);
    }
    json_object_set_new(root, "threads", json_integer((json_int_t)cluster->threads));
    json_object_set_new(root, "memory", json_integer((json_int_t)cluster->memory));
    json_object_set_new(root, "boot", json_string(boot));
    json_object_set_new(root, "endpoint", json_string(cluster->endpoint));
    json_object_set_new(root, "processes", list);
    result = json_dump_file(root, draft, JSON_INDENT(2));
    json_decref(root);
    if (result || rename(draft, path))
        return error_errno(err, ERROR_IO, "write '%s'", path);
    return 0;
}

int cluster_add(struct cluster *cluster, const char *name, pid_t pid, struct error *err)
{
    struct process *process = append(cluster);
    char state;

    snprintf(process->name, sizeof process->name, "%s", name);
    process->pid = pid;
    if (read_stat(pid, &process->started, &state))
        return error_set(err, ERROR_IO, "process %d cannot be seen in /proc", (int)pid);
    return cluster_save(cluster, err);
}

void cluster_remove(struct cluster *cluster, size_t index)
{
    cleanup_free char *log = cluster_log(cluster, cluster->processes[index].name);

    unlink(log);
    cluster->count--;
    memmove(&cluster->processes[index], &cluster->processes[index + 1],
            (cluster->count - index) * sizeof *cluster->processes);
}

char *cluster_keys(const struct cluster *cluster)
{
    return memory_format("%s/keys", cluster->dir);
}

char *cluster_log(const struct cluster *cluster, const char *name)
{
    return memory_format("%s/%s.log", cluster->dir, name);
}

int cluster_clear(struct cluster *cluster, struct error *err)
{
    static const char *const names[] = {"state", "keys", "cluster.json.new", "cluster.json"};

    for (size_t i = 0; i < cluster->count; i++) {
        cleanup_free char *log = cluster_log(cluster, cluster->processes[i].name);

        unlink(log);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cleanup_free char *path = memory_format("%s/%s", cluster->dir, names[i]);

        if (tree_remove(path, err))
            return -1;
    }
    rmdir(cluster->dir);
    cluster->count = 0;
    return 0;
}
