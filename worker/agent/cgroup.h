/* Control groups: one below ours for each executor, with all that it starts. Where we have none
 * of our own to divide, there are none, and the reason is known. */
#ifndef AGENT_CGROUP_H
#define AGENT_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Where our own group lies, for each controller that can be divided; version 2 has one folder
 * for both. */
struct cgroup_base {
    int version;         /* 0: none */
    char *memory, *pids; /* owned; NULL: not there */
    char why[160];       /* what is missing, or "" */
};

/* Finds it. `proc` is /proc/self, but for tests. In version 2 it moves this process into a
 * group of its own below, if it is alone in the present one: only groups without processes have
 * limits for those below them. */
void cgroup_find(const char *proc, struct cgroup_base *ret);
void cgroup_base_done(struct cgroup_base *base);

/* One executor's. */
struct cgroup {
    int version;
    char *memory, *pids; /* owned; the same folder in version 2 */
    uint64_t limit;      /* bytes; 0: none */
};

/* Makes the folders, where at most `tasks` processes and threads may be; NULL if there is no
 * base, or nothing could be made: then base->why says so from now on. */
struct cgroup *cgroup_new(struct cgroup_base *base, uint32_t tasks);

/* What the executor is told, so that it joins: "v1" and folders, a line each, or "none: why".
 * Caller frees. */
char *cgroup_words(const struct cgroup_base *base, const struct cgroup *group);

/* Takes NULL. */
void cgroup_limit_memory(struct cgroup *group, uint64_t bytes);

/* How many processes the kernel ended in it because its memory was used up. */
uint64_t cgroup_oom_kills(const struct cgroup *group);

/* Lets nothing new start in it, and kills all that is there. Takes NULL. */
void cgroup_kill(const struct cgroup *group);

/* Removes the folders, which are empty but for what is reaped later. Takes NULL. */
void cgroup_free(struct cgroup *group);

#endif
