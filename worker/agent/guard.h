/* The guard: a process that ends what user code has started when its agent is killed.
 *
 * An agent that ends in order kills all that; one that is killed cannot, and while the kernel
 * kills its executors with it, what these forked lives on. The guard is a child in a session of
 * its own, without threads, which is told of each executor, and sleeps until the pipe from its
 * agent closes. Then it kills the groups of those executors that are left: process groups, and
 * control groups where there are any, which it removes as well. Who has left both is out of its
 * reach. The agent's main thread uses it. */
#ifndef AGENT_GUARD_H
#define AGENT_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "worker/agent/cgroup.h"

/* Executors that one guard knows at a time. */
enum { GUARDED_MAX = 128 };

struct guard;

/* Starts it. */
int guard_open(struct guard **ret, struct error *err);
/* Ends it; it is gone when this returns. What it was told of and not to forget, ends. Takes
 * NULL. */
void guard_close(struct guard *guard);

/* Tells it of an executor, the leader of a process group, and its control group (NULL: none);
 * and that nothing of it is left. Both take a guard that is NULL. */
void guard_watch(struct guard *guard, pid_t executor, const struct cgroup *group);
void guard_forget(struct guard *guard, pid_t executor);

#endif
