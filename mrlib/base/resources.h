/* What this process may use: processors and memory, as the machine, the affinity mask and the
 * cgroup (v1 and v2) allow. */
#ifndef BASE_RESOURCES_H
#define BASE_RESOURCES_H

#include <stdint.h>

/* Processors, at least 1. A quota of 1.5 counts as 2. */
int resources_threads(void);

/* Bytes of memory. */
uint64_t resources_memory(void);

enum { RESOURCES_KERNEL = 37 };

/* Names the running kernel: the same text in two processes says that they share its page cache.
 * "" where it has no name. */
void resources_kernel(char text[RESOURCES_KERNEL]);

#endif
