#include "worker/agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "wire/frame.h"
#include "worker/agent/revoked.h"
#include "worker/agent/strays.h"

extern char **environ;

/* Processes and threads that user code may have beside our threads. */
enum { TASKS_SPARE = 512 };

/* In the executor: 3 is the channel, 4 the slots, 5 the door. Others must not lie there when
 * they are moved. */
enum { CHANNEL_FD = 3, SLOTS_FD = 4, DOOR_FD = 5, FD_BASE = 10 };

/* The environment of ours, with OpenMP's settings replaced. Threads that wait for work do not
 * spin: an executor shares its processors. Caller frees the array and its first SETTINGS texts.
 */
enum { SETTINGS = 6 };
static char **child_environment(uint32_t threads, const char *cgroup)
{
    size_t n = 0, used = SETTINGS;
    char **list;

    while (environ[n])
        n++;
    list = memory_new((n + SETTINGS + 1) * sizeof *list);
    list[0] = memory_format("OMP_NUM_THREADS=%u", threads);
    list[1] = memory_text("OMP_WAIT_POLICY=passive");
    list[2] = memory_text("OMP_DYNAMIC=false");
    list[3] = memory_text("OMP_STACKSIZE=8M");
    list[4] = memory_format("MARRAM_AGENT_PID=%d", (int)getpid());
    list[5] = memory_format("MARRAM_CGROUP=%s", cgroup);
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "OMP_", 4) && strncmp(environ[i], "MARRAM_AGENT_PID=", 17) &&
            strncmp(environ[i], "MARRAM_CGROUP=", 14))
            list[used++] = environ[i];
    list[used] = NULL;
    return list;
}

static int move_up(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, FD_BASE);

    close(fd);
    return high;
}

struct ends {
    int channel, slots, door, output; /* the executor's ends */
};

static int open_ends(struct child *child, struct ends *ends, struct error *err)
{
    int pair[2], pipes[2], slots;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return error_errno(err, ERROR_IO, "socketpair");
    channel_init(&child->channel, pair[0]);
    child->channel.patience_ms = CHILD_PATIENCE_MS;
    ends->channel = move_up(pair[1]);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return error_errno(err, ERROR_IO, "socketpair");
    child->door = pair[0];
    ends->door = move_up(pair[1]);
    if (pipe2(pipes, O_CLOEXEC))
        return error_errno(err, ERROR_IO, "pipe");
    child->output = pipes[0];
    fcntl(child->output, F_SETFL, O_NONBLOCK);
    ends->output = move_up(pipes[1]);
    slots = memfd_create("slots", MFD_CLOEXEC);
    if (slots < 0 || ftruncate(slots, sizeof *child->slots))
        return error_errno(err, ERROR_IO, "memfd");
    ends->slots = move_up(slots);
    child->slots =
        mmap(NULL, sizeof *child->slots, PROT_READ | PROT_WRITE, MAP_SHARED, ends->slots, 0);
    if (child->slots == MAP_FAILED) {
        child->slots = NULL;
        return error_errno(err, ERROR_IO, "map the slots");
    }
    child->slots->version = SLOTS_VERSION;
    child->slots->count = LIMIT_THREADS;
    return 0;
}

struct start {
    const char *program;
    char **environment;
    const struct ends *ends;
    int error;
};

static pid_t start(void *context)
{
    struct start *how = context;
    const struct ends *ends = how->ends;
    char *argv[] = {(char *)"marram-executor", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    pid_t pid;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends->output, 1);
    posix_spawn_file_actions_adddup2(&actions, ends->output, 2);
    posix_spawn_file_actions_adddup2(&actions, ends->channel, CHANNEL_FD);
    posix_spawn_file_actions_adddup2(&actions, ends->slots, SLOTS_FD);
    posix_spawn_file_actions_adddup2(&actions, ends->door, DOOR_FD);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    how->error = posix_spawn(&pid, how->program, &actions, &attributes, argv, how->environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return how->error ? -1 : pid;
}

static int spawn(struct child *child, const char *program, uint32_t threads, const char *cgroup,
                 const struct ends *ends, struct error *err)
{
    struct start how = {program, child_environment(threads, cgroup), ends, 0};

    child->pid = strays_start(start, &how);
    for (int i = 0; i < SETTINGS; i++)
        free(how.environment[i]);
    free(how.environment);
    if (child->pid < 0) {
        errno = how.error;
        return error_errno(err, ERROR_IO, "start '%s'", program);
    }
    child->leader = child->pid;
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    return child->pidfd < 0 ? error_errno(err, ERROR_IO, "pidfd_open") : 0;
}

int child_spawn(const char *program, uint32_t threads, struct cgroup_base *groups,
                struct child **ret, struct error *err)
{
    struct child *child = memory_zeroed(1, sizeof *child);
    struct ends ends = {-1, -1, -1, -1};
    cleanup_free char *cgroup = NULL;
    int result;

    child->pid = child->pidfd = child->output = child->door = child->ended_slot = -1;
    child->channel.fd = -1;
    child->group = cgroup_new(groups, threads + TASKS_SPARE);
    cgroup = cgroup_words(groups, child->group);
    result = open_ends(child, &ends, err);
    if (!result)
        result = spawn(child, program, threads, cgroup, &ends, err);
    memory_cleanup_close(&ends.channel);
    memory_cleanup_close(&ends.output);
    memory_cleanup_close(&ends.slots);
    memory_cleanup_close(&ends.door);
    if (result) {
        child_kill(child, NULL);
        child_free(child);
        return -1;
    }
    *ret = child;
    return 0;
}

void child_kill(struct child *child, int *ret_status)
{
    int status = 0;

    if (!child || child->pid < 0)
        return;
    kill(-child->pid, SIGKILL);
    kill(child->pid, SIGKILL);
    cgroup_kill(child->group);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    strays_forget(child->pid);
    strays_kill();
    child->pid = -1;
    if (ret_status)
        *ret_status = status;
}

void child_free(struct child *child)
{
    if (!child)
        return;
    check(child->pid < 0);
    for (size_t i = 0; i < child->held_count; i++)
        frame_free(&child->held[i]->base);
    free(child->held);
    revoked_done(child);
    channel_done(&child->channel);
    memory_cleanup_close(&child->pidfd);
    memory_cleanup_close(&child->output);
    memory_cleanup_close(&child->door);
    cgroup_free(child->group);
    if (child->slots)
        munmap(child->slots, sizeof *child->slots);
    free(child);
}

void child_hold(struct child *child, Mr__Assign *assign)
{
    memory_reserve(&child->held, &child->held_capacity, child->held_count + 1,
                   sizeof *child->held);
    child->held[child->held_count++] = assign;
}

bool child_drop(struct child *child, Mr__TaskKind kind, uint32_t task, uint32_t attempt)
{
    for (size_t i = 0; i < child->held_count; i++) {
        Mr__Assign *held = child->held[i];

        if (held->kind != kind || held->task != task || held->attempt != attempt)
            continue;
        frame_free(&held->base);
        memmove(&child->held[i], &child->held[i + 1],
                (--child->held_count - i) * sizeof *child->held);
        return true;
    }
    return false;
}

uint64_t child_resident(const struct child *child)
{
    char path[48];
    unsigned long long size, resident = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/statm", (int)child->pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}
