#include "worker/agent/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "worker/agent/strays.h"

enum { FOLDER_MAX = 1500, ROUNDS = 100, ROUND_MS = 20 };

/* What goes through the pipe, whole: it is shorter than PIPE_BUF. */
struct note {
    pid_t executor;
    bool gone;
    char memory[FOLDER_MAX], pids[FOLDER_MAX]; /* folders of the control group; "": none */
};
_Static_assert(sizeof(struct note) <= 4096, "a note is written at once");

struct guard {
    pid_t pid;
    int pipe; /* our end */
};

/* ---- The process of its own. It was forked from one that may have threads: nothing in here
 * takes a lock, and so nothing allocates. ---- */

static struct note watched[GUARDED_MAX];
static int watched_count;

static void take_note(const struct note *note)
{
    for (int i = 0; i < watched_count; i++)
        if (watched[i].executor == note->executor) {
            watched[i] = watched[--watched_count];
            break;
        }
    if (!note->gone && watched_count < GUARDED_MAX)
        watched[watched_count++] = *note;
}

static void write_into(const char *folder, const char *name, const char *text)
{
    char path[FOLDER_MAX + 40];
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, text, strlen(text)) < 0)
        errno = 0; /* what the kernel does not offer is not there */
    close(fd);
}

/* Kills who is in a control group; those that do not fit into the buffer are next. */
static void kill_members(const char *folder)
{
    char path[FOLDER_MAX + 40], text[8192], *at = text;
    ssize_t n;
    int fd;

    snprintf(path, sizeof path, "%s/cgroup.procs", folder);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    for (char *end; (end = strchr(at, '\n')); at = end + 1)
        kill((pid_t)strtol(at, NULL, 10), SIGKILL);
}

static bool remove_folder(const char *folder)
{
    return !*folder || !rmdir(folder) || errno == ENOENT;
}

/* Whether nothing is left of the executor's groups. Who is in a process group when it is killed
 * is killed, and none who forks then escapes: once is enough, and another group may get the
 * number. */
static bool end_groups(struct note *note)
{
    bool no_memory;

    if (note->executor)
        kill(-note->executor, SIGKILL);
    note->executor = 0;
    if (*note->pids) {
        write_into(note->pids, "pids.max", "0");
        kill_members(note->pids);
    }
    if (*note->memory)
        kill_members(note->memory);
    no_memory = remove_folder(note->memory);
    return remove_folder(note->pids) && no_memory;
}

static void end_all(void)
{
    const struct timespec pause = {0, ROUND_MS * 1000000L};

    for (int round = 0; round < ROUNDS && watched_count; round++) {
        for (int i = watched_count - 1; i >= 0; i--)
            if (end_groups(&watched[i]))
                watched[i] = watched[--watched_count];
        if (watched_count)
            nanosleep(&pause, NULL);
    }
}

static _Noreturn void stand_guard(int pipe)
{
    struct note note;
    sigset_t all;
    ssize_t n;

    /* In the foreground of a terminal it would be interrupted with its agent. */
    setsid();
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    /* Not by prctl(): where a sanitizer stands in for it, it takes a lock. */
    write_into("/proc/self", "comm", "marram-guard");
    /* What others wait for the end of must not stay open in here. */
    if (pipe)
        close_range(0, (unsigned)pipe - 1, 0);
    close_range((unsigned)pipe + 1, ~0U, 0);
    while ((n = read(pipe, &note, sizeof note)) != 0)
        if (n == (ssize_t)sizeof note)
            take_note(&note);
        else if (n > 0 || errno != EINTR)
            break;
    end_all();
    _exit(0);
}

/* ---- In the agent ---- */

static pid_t start(void *context)
{
    const int *ends = context;
    pid_t pid = fork();

    if (!pid)
        stand_guard(ends[0]);
    return pid;
}

int guard_open(struct guard **ret, struct error *err)
{
    struct guard *guard = memory_zeroed(1, sizeof *guard);
    int ends[2], saved;

    if (pipe2(ends, O_CLOEXEC)) {
        free(guard);
        return error_errno(err, ERROR_IO, "pipe");
    }
    guard->pid = strays_start(start, ends);
    saved = errno;
    close(ends[0]);
    guard->pipe = ends[1];
    if (guard->pid < 0) {
        close(ends[1]);
        free(guard);
        errno = saved;
        return error_errno(err, ERROR_IO, "fork");
    }
    *ret = guard;
    return 0;
}

void guard_close(struct guard *guard)
{
    if (!guard)
        return;
    close(guard->pipe);
    while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    strays_forget(guard->pid);
    free(guard);
}

/* A guard that somebody killed is missed when it is needed, and not before. */
static void tell(const struct guard *guard, const struct note *note)
{
    sigset_t broken, before;
    struct timespec now = {0, 0};

    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, &before);
    if (write(guard->pipe, note, sizeof *note) < 0 && errno == EPIPE)
        sigtimedwait(&broken, NULL, &now);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void put_folder(char to[FOLDER_MAX], const char *folder)
{
    if (folder && strlen(folder) < FOLDER_MAX)
        strcpy(to, folder);
}

void guard_watch(struct guard *guard, pid_t executor, const struct cgroup *group)
{
    struct note note = {.executor = executor};

    if (!guard)
        return;
    put_folder(note.memory, group ? group->memory : NULL);
    put_folder(note.pids, group ? group->pids : NULL);
    tell(guard, &note);
}

void guard_forget(struct guard *guard, pid_t executor)
{
    struct note note = {.executor = executor, .gone = true};

    if (guard && executor > 0)
        tell(guard, &note);
}
