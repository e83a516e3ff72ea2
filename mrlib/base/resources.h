/* What this process may use: processors and memory, as the machine, the affinity mask and the
 * cgroup (v1 and v2) allow. */
#ifndef BASE_RESOURCES_H
#define BASE_RESOURCES_H

#include <stdint.h>

/* Processors, at least 1. A quota of 1.5 counts as 2. */
int resources_threads(void);

/* Bytes of memory. */
uint64_t resources_memory(void);

#endif
