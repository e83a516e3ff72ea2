/* One executor as its agent sees it: a process with a channel, a page of progress slots and an
 * output pipe. The agent's thread owns it. */
#ifndef AGENT_CHILD_H
#define AGENT_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "wire/channel.h"
#include "wire/mr.pb-c.h"
#include "wire/slots.h"
#include "worker/agent/cgroup.h"
#include "worker/agent/tail.h"

/* For so long an agent waits for an executor that takes no messages: well within a lease. */
enum { CHILD_PATIENCE_MS = 4000 };

struct child {
    pid_t pid;    /* -1: it is reaped ... */
    pid_t leader; /* ... and this was it */
    int pidfd;
    int output; /* read end of stdout and stderr, non-blocking; -1 once closed */
    struct channel channel;
    int door;             /* where it asks for files */
    struct cgroup *group; /* owned; NULL: none */
    int reports;          /* of what confines it */
    struct slots *slots;
    struct tail tail;
    uint64_t job;      /* 0: a spare */
    uint64_t memory;   /* bytes that it was told to use */
    Mr__Assign **held; /* tasks given and not yet answered, owned, in order of arrival */
    size_t held_count, held_capacity;
    struct {
        uint64_t ticks;
        int64_t since_ms; /* when ticks last moved */
    } watch[LIMIT_THREADS];
    struct revoked *revoked; /* running attempts that were told to stop */
    size_t revoked_count, revoked_capacity;
    uint32_t task_timeout; /* seconds */
    struct error ended_by; /* why we killed it, if we did: TIMEOUT or MEMORY */
    int ended_slot;        /* the slot to blame for it, or -1 */
};

/* Starts `program` in a session of its own with `threads` OpenMP threads to come, and tells it
 * the control group to join, which is made below `groups` (NULL: none). */
int child_spawn(const char *program, uint32_t threads, struct cgroup_base *groups,
                struct child **ret, struct error *err);

/* Kills the process and all that it started, reaps the process (*ret_status as of waitpid),
 * frees everything that the child holds. Takes NULL; ret_status may be NULL. */
void child_kill(struct child *child, int *ret_status);
void child_free(struct child *child);

/* Keeps a task as held; takes it over. */
void child_hold(struct child *child, Mr__Assign *assign);
/* Forgets a held task; false if it was not held. */
bool child_drop(struct child *child, Mr__TaskKind kind, uint32_t task, uint32_t attempt);

/* Resident bytes; 0 when unknown. */
uint64_t child_resident(const struct child *child);

#endif
