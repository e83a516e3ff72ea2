#include "worker/agent/sight.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "wire/bytes.h"

enum { CONTENT = 4096 };

struct sight {
    atomic_int holders; /* the agent and the thread: the last frees it */
    atomic_bool over;   /* then the rest is the agent's to read */
    uint64_t probe;
    char *path;
    uint64_t digest;
    char error[160];
};

static void let_go(struct sight *sight)
{
    if (atomic_fetch_sub(&sight->holders, 1) > 1)
        return;
    free(sight->path);
    free(sight);
}

static void look(struct sight *sight)
{
    cleanup_close int fd = open(sight->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char content[CONTENT], room[100];
    struct stat st;
    ssize_t n = -1;

    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
        n = pread(fd, content, sizeof content, 0);
    else if (fd >= 0)
        errno = EINVAL;
    if (n < 0)
        snprintf(sight->error, sizeof sight->error, "%s", strerror_r(errno, room, sizeof room));
    else
        sight->digest = XXH3_64bits(content, (size_t)n);
}

static void *run(void *argument)
{
    struct sight *sight = argument;

    look(sight);
    atomic_store(&sight->over, true);
    let_go(sight);
    return NULL;
}

/* Signals are the agent's. */
static int start(struct sight *sight)
{
    sigset_t all, before;
    pthread_t thread;
    int problem;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    problem = pthread_create(&thread, NULL, run, sight);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!problem)
        pthread_detach(thread);
    return problem ? -1 : 0;
}

void sight_look(struct sight **sight, const Mr__HeartbeatAck *ack)
{
    struct sight *next;

    if (!ack->probe || !ack->probe_path.len ||
        (*sight && ((*sight)->probe == ack->probe || !atomic_load(&(*sight)->over))))
        return;
    sight_close(*sight);
    next = *sight = memory_zeroed(1, sizeof *next);
    next->probe = ack->probe;
    next->path =
        memory_format("%.*s", (int)ack->probe_path.len, (const char *)ack->probe_path.data);
    atomic_store(&next->holders, 2);
    if (!start(next))
        return;
    /* No thread to be had: it will be asked again. */
    atomic_store(&next->holders, 1);
    let_go(next);
    *sight = NULL;
}

void sight_tell(const struct sight *sight, Mr__Heartbeat *heartbeat)
{
    if (!sight || !atomic_load(&sight->over))
        return;
    heartbeat->probe = sight->probe;
    heartbeat->probe_digest = sight->digest;
    heartbeat->probe_error = bytes_of(sight->error);
}

void sight_close(struct sight *sight)
{
    if (sight)
        let_go(sight);
}
