/* Reads /proc and /sys/fs/cgroup; what cannot be read does not limit. */
#include "base/resources.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Reads up to two numbers from a file; returns how many it found ("max" is none). */
static int read_numbers(const char *path, long long *first, long long *second)
{
    FILE *file = fopen(path, "re");
    int n;

    if (!file)
        return 0;
    n = fscanf(file, "%lld %lld", first, second);
    fclose(file);
    return n < 0 ? 0 : n;
}

static int quota_threads(void)
{
    long long quota = 0, period = 0;

    if (read_numbers("/sys/fs/cgroup/cpu.max", &quota, &period) != 2) {
        read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", &quota, &period);
        read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", &period, &(long long){0});
    }
    if (quota <= 0 || period <= 0)
        return 0;
    return (int)((quota + period - 1) / period);
}

int resources_threads(void)
{
    cpu_set_t set;
    int threads = (int)sysconf(_SC_NPROCESSORS_ONLN), quota = quota_threads();

    if (!sched_getaffinity(0, sizeof set, &set) && CPU_COUNT(&set) < threads)
        threads = CPU_COUNT(&set);
    if (quota && quota < threads)
        threads = quota;
    return threads < 1 ? 1 : threads;
}

uint64_t resources_memory(void)
{
    static const char *const limits[] = {"/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    for (int i = 0; i < 2; i++) {
        long long limit = 0, unused;

        if (read_numbers(limits[i], &limit, &unused) >= 1 && limit > 0 &&
            (uint64_t)limit < memory)
            memory = (uint64_t)limit;
    }
    return memory;
}

void resources_kernel(char text[RESOURCES_KERNEL])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!file || fscanf(file, "%36s", text) != 1)
        *text = '\0';
    if (file)
        fclose(file);
}
