/* membw: how many bytes a second the memory, or a file in the page cache, gives.
 *
 *     membw copy 2                    from one GiB to another
 *     membw read 2                    sums one GiB
 *     membw readfile 2 FILE [mmap]    sums a file, through small buffers or a mapping
 *
 * Of nine rounds the first two warm up; the median, slowest and fastest of the others are
 * printed. Buffers of one MiB stay in the second-level cache, so a read costs one pass over
 * memory. The sum is printed, in part, so that the compiler cannot leave it out. */
#define _GNU_SOURCE

#include "yardstick.h"
#include <omp.h>
#include <stdbool.h>
#include <string.h>

#define USAGE "copy|read|readfile THREADS [FILE [mmap]]"

enum { WARM_UPS = 2, ROUNDS = 7, BUFFER_BYTES = 1 << 20 };

static uint64_t sum_words(const uint64_t *words, size_t count)
{
    uint64_t sum = 0;

#pragma omp parallel for reduction(+ : sum) schedule(static)
    for (size_t i = 0; i < count; i++)
        sum += words[i];
    return sum;
}

static void copy(char *to, const char *from, size_t bytes, size_t parts)
{
#pragma omp parallel for schedule(static, 1)
    for (size_t part = 0; part < parts; part++)
        memcpy(to + bytes / parts * part, from + bytes / parts * part, bytes / parts);
}

static uint64_t sum_mapped(int fd, size_t bytes, const char *path)
{
    uint64_t *words = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);

    if (words == MAP_FAILED)
        fail_io("map", path);
    uint64_t sum = sum_words(words, bytes / sizeof *words);
    munmap(words, bytes);
    return sum;
}

/* The bytes [from, to) of the file, a buffer at a time. */
static uint64_t sum_range(int fd, size_t from, size_t to, const char *path)
{
    uint64_t *buffer = aligned_alloc(4096, BUFFER_BYTES);
    uint64_t sum = 0;

    if (!buffer)
        fail("out of memory");
    for (size_t got; from < to; from += got) {
        got = read_at(fd, buffer, to - from < BUFFER_BYTES ? to - from : BUFFER_BYTES, from,
                      path);
        if (!got)
            break;
        for (size_t i = 0; i < got / sizeof *buffer; i++)
            sum += buffer[i];
    }
    free(buffer);
    return sum;
}

static uint64_t sum_read(int fd, size_t bytes, size_t parts, const char *path)
{
    uint64_t sum = 0;

#pragma omp parallel for reduction(+ : sum) schedule(static, 1)
    for (size_t part = 0; part < parts; part++)
        sum += sum_range(fd, bytes / parts * part,
                         part == parts - 1 ? bytes : bytes / parts * (part + 1), path);
    return sum;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

int main(int argc, char **argv)
{
    size_t bytes = 1 << 30;
    char *from = NULL, *to = NULL;
    double seconds[WARM_UPS + ROUNDS], *kept = seconds + WARM_UPS;
    uint64_t sum = 0;

    if (argc < 3)
        usage(USAGE);
    bool copies = !strcmp(argv[1], "copy"), reads_file = !strcmp(argv[1], "readfile");
    size_t threads = number(argv[2], 1, THREADS_MAX, USAGE);
    bool maps = argc == 5 && !strcmp(argv[4], "mmap");
    if (reads_file ? argc != 4 && !maps : argc != 3 || (!copies && strcmp(argv[1], "read")))
        usage(USAGE);
    omp_set_num_threads((int)threads);
    if (!reads_file) {
        from = allocate_huge(bytes);
        to = allocate_huge(bytes);
        memset(from, 1, bytes);
        memset(to, 2, bytes);
    }

    for (int round = 0; round < WARM_UPS + ROUNDS; round++) {
        double start = omp_get_wtime();

        if (reads_file) {
            int fd = open_input(argv[3], &bytes);

            if (!bytes)
                fail("'%s' is empty", argv[3]);
            sum +=
                maps ? sum_mapped(fd, bytes, argv[3]) : sum_read(fd, bytes, threads, argv[3]);
            close(fd);
        } else if (copies) {
            copy(to, from, bytes, threads);
        } else {
            sum += sum_words((const uint64_t *)from, bytes / sizeof(uint64_t));
        }
        seconds[round] = omp_get_wtime() - start;
    }
    qsort(kept, ROUNDS, sizeof *kept, ascending);
    printf("%s %s threads=%zu median %.2f GB/s (min %.2f max %.2f) [%x]\n", argv[1],
           maps ? "mmap" : "", threads, (double)bytes / kept[ROUNDS / 2] / 1e9,
           (double)bytes / kept[ROUNDS - 1] / 1e9, (double)bytes / kept[0] / 1e9,
           (unsigned)(sum & 15));
    return 0;
}
