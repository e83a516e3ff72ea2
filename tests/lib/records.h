/* Records for tests of the data path: kept in memory, made up from a seed, and sorted by a
 * reference that shares nothing with the code under test. Each key and value has an allocation
 * of its own, so that the address sanitizer sees a read beyond it. cmocka must be included
 * first. */
#ifndef TESTS_RECORDS_H
#define TESTS_RECORDS_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "record/run.h"

struct record {
    struct mr_bytes key, value;
    size_t order; /* in which it was added */
};

struct records {
    struct record *items;
    size_t count, capacity;
};

/* Copies both. records_done frees everything. */
void records_add(struct records *records, struct mr_bytes key, struct mr_bytes value);
void records_done(struct records *records);

/* Bytewise order, byte by byte. */
int bytes_order(struct mr_bytes a, struct mr_bytes b);

/* By key; equal keys in the order in which they were added. */
void records_sort(struct records *records);

void expect_bytes(struct mr_bytes found, struct mr_bytes expected);
/* Both hold the same keys and values, in the same order. */
void expect_records(const struct records *found, const struct records *expected);

/* Keys that are likely to be told apart wrongly: empty, of NULs, prefixes of each other, equal
 * in their first bytes, as long as what fits into a slot of the hash table and a little more.
 * Written to `at`, which has room for MADE_UP_KEY bytes. */
enum { MADE_UP_KEY = 320 };
struct mr_bytes made_up_key(struct rng *rng, char *at);

/* `size` random bytes at `at`. */
struct mr_bytes made_up_bytes(struct rng *rng, char *at, size_t size);

/* Writes the records as one segment: round 0 of part 0 of a run of one part. */
void run_of(const char *path, const struct run_shape *shape, const struct records *records);

/* Adds a segment's records to `ret`, also those before an error; 0, or -1 with *err. */
int read_segment(struct run_file *run, const struct run_segment *segment, struct records *ret,
                 struct error *err);

#endif
