/* What confines executors: what the agent does for it, and what it knows of it. */
#ifndef AGENT_FENCES_H
#define AGENT_FENCES_H

#include "base/error.h"
#include "wire/mr.pb-c.h"
#include "worker/agent/child.h"

struct agent;

/* As the executor reported last. */
struct fences {
    bool known, limits, capabilities;
    char cgroup[160], seccomp[160], landlock[160];
};

/* An executor says what is in force there. What comes when user code may run is not believed.
 */
void fences_told(struct agent *agent, struct child *child, const Mr__Confinement *said);

/* Limits the memory of the executor's group as it gets a job whose parts are staged there. */
void fences_bind(const struct agent *agent, struct child *child, ProtobufCBinaryData staging);

/* Says so in child->ended_by if the kernel ended the executor at that limit; `status` as of
 * waitpid. */
void fences_judge(struct child *child, int status);

/* Nothing in the message is owned. */
void fences_describe(const struct fences *fences, Mr__Confinement *ret);

#endif
