/* tsort: sorts a file of 100-byte records by their 10-byte keys, in memory.
 *
 *     tsort tera.bin sorted.bin 2
 *
 * Sorts entries of 16 bytes (the key, and where its record lies) and moves each record once, at
 * the end. The threads deal the entries into 2048 buckets by the key's top 11 bits, then sort
 * buckets one by one: a bucket fits into the second-level cache. Within a bucket it is a radix
 * sort by 8 bits, and an insertion sort below 40 entries. Records are fetched in key order,
 * which is random in memory, so the loop asks for them 16 records ahead. Equal keys keep their
 * order. */
#define _GNU_SOURCE

#include "yardstick.h"
#include <omp.h>
#include <stdbool.h>
#include <string.h>

#define USAGE "IN OUT [THREADS]"

enum {
    RECORD_BYTES = 100,
    READ_BYTES = 4 << 20,
    BUCKET_BITS = 11,
    BUCKETS = 1 << BUCKET_BITS,
    RADIX_BITS = 8,
    INSERTION_MAX = 40,
    WRITE_RECORDS = 40000,
    PREFETCH_AHEAD = 16,
};

/* The key's first eight bytes as a number; then its last two and the record's position, which
 * makes every entry differ from every other. */
struct entry {
    uint64_t high;
    uint64_t low;
};

#define POSITION_BITS 48
#define POSITION_MASK (((uint64_t)1 << POSITION_BITS) - 1)

struct sorter {
    size_t records;
    size_t threads;
    uint8_t *bytes;
    struct entry *entries;
    struct entry *buckets;
    /* For each thread: the records it has for each bucket, then where it puts the next one. */
    size_t (*places)[BUCKETS];
    size_t starts[BUCKETS + 1];
};

static inline bool precedes(const struct entry *left, const struct entry *right)
{
    return left->high < right->high || (left->high == right->high && left->low < right->low);
}

static int compare(const void *left, const void *right)
{
    return precedes(left, right) ? -1 : precedes(right, left);
}

static void insertion_sort(struct entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct entry moving = entries[i];
        size_t at = i;

        for (; at && precedes(&moving, entries + at - 1); at--)
            entries[at] = entries[at - 1];
        entries[at] = moving;
    }
}

/* Sorts by the bits of `high` below shift + RADIX_BITS; `spare` is as large as `entries`. */
static void radix_sort(struct entry *entries, struct entry *spare, size_t count, int shift)
{
    size_t bounds[257] = {0}, next[256];

    if (count <= INSERTION_MAX) {
        insertion_sort(entries, count);
        return;
    }
    /* So many keys that agree in 59 bits are no random keys. */
    if (shift < 0) {
        qsort(entries, count, sizeof *entries, compare);
        return;
    }
    for (size_t i = 0; i < count; i++)
        bounds[(entries[i].high >> shift & 255) + 1]++;
    for (int i = 0; i < 256; i++)
        bounds[i + 1] += bounds[i];
    memcpy(next, bounds, sizeof next);
    for (size_t i = 0; i < count; i++)
        spare[next[entries[i].high >> shift & 255]++] = entries[i];
    memcpy(entries, spare, count * sizeof *entries);
    for (int i = 0; i < 256; i++)
        if (bounds[i + 1] - bounds[i] > 1)
            radix_sort(entries + bounds[i], spare + bounds[i], bounds[i + 1] - bounds[i],
                       shift - RADIX_BITS);
}

/* Reads one thread's share of the records, and counts what each bucket will get of it. */
static void read_share(struct sorter *sorter, int fd, const char *path, size_t from, size_t to,
                       size_t *counts)
{
    size_t end = to * RECORD_BYTES;

    for (size_t at = from * RECORD_BYTES, len; at < end; at += len) {
        len = end - at < READ_BYTES ? end - at : READ_BYTES;
        if (read_at(fd, sorter->bytes + at, len, at, path) != len)
            fail("read '%s': it has become shorter", path);
    }
    for (size_t i = from; i < to; i++) {
        const uint8_t *record = sorter->bytes + i * RECORD_BYTES;
        uint64_t high;
        uint16_t low;

        memcpy(&high, record, sizeof high);
        memcpy(&low, record + sizeof high, sizeof low);
        high = __builtin_bswap64(high);
        sorter->entries[i].high = high;
        sorter->entries[i].low = (uint64_t)__builtin_bswap16(low) << POSITION_BITS | i;
        counts[high >> (64 - BUCKET_BITS)]++;
    }
}

static size_t share_start(const struct sorter *sorter, size_t share)
{
    return share == sorter->threads ? sorter->records
                                    : sorter->records / sorter->threads * share;
}

static void read_records(struct sorter *sorter, const char *path)
{
    size_t size;
    int fd = open_input(path, &size);

    if (size % RECORD_BYTES)
        fail("'%s': %zu bytes are no whole number of records of %d", path, size, RECORD_BYTES);
    sorter->records = size / RECORD_BYTES;
    sorter->bytes = allocate_huge(size);
    sorter->entries = allocate_huge(sorter->records * sizeof *sorter->entries);
    sorter->buckets = allocate_huge(sorter->records * sizeof *sorter->buckets);
    sorter->places = allocate(sorter->threads * sizeof *sorter->places);
#pragma omp parallel for schedule(static, 1)
    for (size_t share = 0; share < sorter->threads; share++)
        read_share(sorter, fd, path, share_start(sorter, share), share_start(sorter, share + 1),
                   sorter->places[share]);
    close(fd);
}

/* Turns counts into places: bucket after bucket, and in each one share after share. */
static void place_buckets(struct sorter *sorter)
{
    size_t place = 0;

    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        sorter->starts[bucket] = place;
        for (size_t share = 0; share < sorter->threads; share++) {
            size_t count = sorter->places[share][bucket];

            sorter->places[share][bucket] = place;
            place += count;
        }
    }
    sorter->starts[BUCKETS] = place;
}

static void sort_records(struct sorter *sorter)
{
    place_buckets(sorter);
#pragma omp parallel for schedule(static, 1)
    for (size_t share = 0; share < sorter->threads; share++) {
        size_t *places = sorter->places[share], end = share_start(sorter, share + 1);

        for (size_t i = share_start(sorter, share); i < end; i++)
            sorter->buckets[places[sorter->entries[i].high >> (64 - BUCKET_BITS)]++] =
                sorter->entries[i];
    }
#pragma omp parallel for schedule(dynamic, 8)
    for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
        size_t start = sorter->starts[bucket];

        radix_sort(sorter->buckets + start, sorter->entries + start,
                   sorter->starts[bucket + 1] - start, 64 - BUCKET_BITS - RADIX_BITS);
    }
}

static const uint8_t *record_at(const struct sorter *sorter, size_t rank)
{
    return sorter->bytes + (sorter->buckets[rank].low & POSITION_MASK) * RECORD_BYTES;
}

/* Copies the records of the given ranks one after the other. */
static void gather(uint8_t *to, const struct sorter *sorter, size_t from_rank, size_t to_rank)
{
    for (size_t rank = from_rank; rank < to_rank; rank++, to += RECORD_BYTES) {
        if (rank + PREFETCH_AHEAD < to_rank) {
            const uint8_t *later = record_at(sorter, rank + PREFETCH_AHEAD);

            __builtin_prefetch(later);
            __builtin_prefetch(later + 64);
        }
        memcpy(to, record_at(sorter, rank), RECORD_BYTES);
    }
}

static void write_records(const struct sorter *sorter, const char *path)
{
    int fd = create_output(path);

#pragma omp parallel
    {
        uint8_t *block = allocate((size_t)WRITE_RECORDS * RECORD_BYTES);

#pragma omp for schedule(static)
        for (size_t from = 0; from < sorter->records; from += WRITE_RECORDS) {
            size_t to =
                sorter->records - from < WRITE_RECORDS ? sorter->records : from + WRITE_RECORDS;

            gather(block, sorter, from, to);
            write_at(fd, block, (to - from) * RECORD_BYTES, from * RECORD_BYTES, path);
        }
        free(block);
    }
    close_output(fd, path);
}

int main(int argc, char **argv)
{
    struct sorter sorter = {.threads = 1};
    double start = omp_get_wtime();

    if (argc != 3 && argc != 4)
        usage(USAGE);
    if (argc == 4)
        sorter.threads = number(argv[3], 1, THREADS_MAX, USAGE);
    omp_set_num_threads((int)sorter.threads);

    read_records(&sorter, argv[1]);
    double read = omp_get_wtime();
    sort_records(&sorter);
    double sorted = omp_get_wtime();
    write_records(&sorter, argv[2]);
    double written = omp_get_wtime();

    printf("read+key %.3f sort %.3f gather+write %.3f total %.3f s = %.0f MB/s\n", read - start,
           sorted - read, written - sorted, written - start,
           (double)(sorter.records * RECORD_BYTES) / (written - start) / 1e6);
    return 0;
}
