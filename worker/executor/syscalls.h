/* System calls that no map and no reduce needs. */
#ifndef EXECUTOR_SYSCALLS_H
#define EXECUTOR_SYSCALLS_H

#include <stddef.h>

/* From now on they fail with EPERM in this thread and all that it starts; so do signals to the
 * agent. Writes what is in force, "on" or "none: why". */
void syscalls_forbid(int agent_pid, char *ret, size_t size);

#endif
