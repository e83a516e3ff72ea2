/* What this process may use: processors and memory, as the machine, the affinity mask and the
 * cgroups (v1 and v2) allow. What cannot be read does not limit. */
#ifndef BASE_RESOURCES_H
#define BASE_RESOURCES_H

#include <stdint.h>

enum { RESOURCES_PATH = 256 };

struct resources {
    int online;                      /* processors of the machine */
    int affinity;                    /* of these, those that the mask allows */
    int cpuset;                      /* and the cgroup; 0: it does not say */
    uint64_t quota_milli;            /* thousandths of a processor; 0: no quota */
    char quota_path[RESOURCES_PATH]; /* whose it is */
    uint64_t installed;              /* bytes of memory */
    uint64_t memory_limit;           /* 0: none */
    char memory_path[RESOURCES_PATH];
};

/* Looks below `root`, "" but in tests. Limits are the smallest of the cgroup of this process
 * and of all that it is in. */
void resources_look(const char *root, struct resources *ret);
/* What follows from that: processors, at least 1 (a quota of 1.5 counts as 2), and bytes. */
int resources_threads_of(const struct resources *resources);
uint64_t resources_memory_of(const struct resources *resources);

/* The same of this process. */
int resources_threads(void);
uint64_t resources_memory(void);

enum { RESOURCES_KERNEL = 37 };

/* Names the running kernel: the same text in two processes says that they share its page cache.
 * "" where it has no name. */
void resources_kernel(char text[RESOURCES_KERNEL]);

#endif
