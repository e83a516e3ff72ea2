/* What user code may not do. The process confines itself in two steps: when it starts, and when
 * it learns its job, before any of the job's code and while it has one thread, so that every
 * later thread inherits all of it. What the system does not offer is left out and reported. */
#ifndef EXECUTOR_CONFINE_H
#define EXECUTOR_CONFINE_H

#include <stdbool.h>

#include "wire/mr.pb-c.h"

/* What is in force. */
struct confinement {
    bool on;     /* false: the operator said --sandbox off */
    bool limits; /* resource limits, no new privileges, no core file */
    bool capabilities;
    char cgroup[160], seccomp[160], landlock[160]; /* what is in force, or "none: why" */
};

/* Limits, capabilities, control groups, system calls. Ends the process when its agent is gone.
 */
void confine_start(struct confinement *confinement);

/* Files: the process reads the system, the job's object and what the operator allows, and
 * writes in the job's folder, where TMPDIR is from now on. */
void confine_job(struct confinement *confinement, const Mr__JobOpen *open);

/* Nothing in the message is owned. */
void confine_describe(struct confinement *confinement, Mr__Confinement *ret);

#endif
