/* Processes that user code left behind. The agent's process is a subreaper: descendants that
 * outlive their executor, even in sessions of their own, become its children and are found
 * there. */
#ifndef AGENT_STRAYS_H
#define AGENT_STRAYS_H

#include <sys/types.h>

/* Makes this process a subreaper; once a process. */
void strays_adopt(void);

/* Registers a child of our own while `start` runs under the lock, so that no other agent of
 * this process takes it for a stray; start returns the pid, or -1. */
pid_t strays_start(pid_t (*start)(void *), void *context);
/* The child has been reaped. */
void strays_forget(pid_t pid);

/* Kills and reaps every child of this process that is not registered, until none is left. */
void strays_kill(void);

#endif
