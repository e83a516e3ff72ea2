#include "worker/agent/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "worker/agent/strays.h"

enum { ANSWER_MAX = 16 << 10 };

extern char **environ;

struct start {
    char *program;
    char **argv;
    int end; /* its stdin and stdout */
};

static pid_t start(void *context)
{
    const struct start *how = context;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;
    int error;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, how->end, 0);
    posix_spawn_file_actions_adddup2(&actions, how->end, 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    error = posix_spawn(&pid, how->program, &actions, &attributes, how->argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error ? -1 : pid;
}

/* What it answers until it is done; false: it does not end in time. */
static bool listen_to(int fd, char answer[ANSWER_MAX])
{
    int64_t end_ms = clock_ms() + SYMBOLS_MS;
    size_t used = 0;

    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int64_t left_ms = end_ms - clock_ms();
        ssize_t n;

        if (left_ms <= 0 || used == ANSWER_MAX - 1)
            return false;
        if (poll(&wait, 1, (int)left_ms) <= 0)
            continue;
        n = read(fd, answer + used, ANSWER_MAX - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            answer[used] = '\0';
            return n == 0;
        }
        used += (size_t)n;
    }
}

/* "PATH/marram-symbols" for "PATH/marram-executor". Caller frees. */
static char *program_beside(const char *executor)
{
    const char *slash = strrchr(executor, '/');

    return memory_format("%.*smarram-symbols", slash ? (int)(slash - executor) + 1 : 0,
                         executor);
}

/* Whether the process came to a good end; it is gone then or killed now. */
static bool reap(pid_t pid, bool ended)
{
    int status = 0;

    if (!ended)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    strays_forget(pid);
    return ended && WIFEXITED(status) && !WEXITSTATUS(status);
}

char *symbols_name(const char *executor, const char *trace, const char *object,
                   const char *name)
{
    cleanup_free char *program = program_beside(executor);
    cleanup_free char *answer = memory_new(ANSWER_MAX);
    char *argv[] = {program, (char *)(uintptr_t)object, (char *)(uintptr_t)name, NULL};
    struct start how = {program, argv, -1};
    size_t size = strlen(trace);
    bool sent, good;
    pid_t pid;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return memory_text(trace);
    how.end = pair[1];
    pid = strays_start(start, &how);
    close(pair[1]);
    /* A trace is smaller than the socket's buffer: this does not block. */
    sent = pid >= 0 && send(pair[0], trace, size, MSG_NOSIGNAL) == (ssize_t)size;
    shutdown(pair[0], SHUT_WR);
    good = pid >= 0 && reap(pid, sent && listen_to(pair[0], answer));
    close(pair[0]);
    return memory_text(good && *answer ? answer : trace);
}
