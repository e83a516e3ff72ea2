/* Tables that are filled and flushed to a run, and a reference that folds a sorted list of what
 * was added. cmocka must be included first. */
#ifndef TESTS_FOLDING_H
#define TESTS_FOLDING_H

#include "flow/aggregate_emit.h"
#include "tests/lib/records.h"

enum { ID = 99, TABLES_MAX = 4, WIDTH_MAX = 8 * MR_LANES_MAX };

struct bench {
    char *folder, *path;
    struct fold fold;
    uint32_t parts;
    int n;
    struct aggregate *tables[TABLES_MAX];
    struct run_writer *run;
    uint64_t pairs, records; /* as aggregate_flush told, of all rounds */
    struct records emitted[TABLES_MAX];
};

/* n tables and a run of so many parts, in a folder of its own. */
void bench_open(struct bench *bench, const struct fold *fold, uint32_t parts, int n);
void bench_close(struct bench *bench);

/* aggregate_flush; tables must be empty behind it. */
int bench_flush(struct bench *bench, uint32_t round, struct error *err);

/* aggregate_add, of which the reference learns. */
void bench_add(struct bench *bench, int table, struct mr_bytes key, bool padded,
               const void *value);

/* Finishes the run and compares what it holds with what was added. */
void expect_reference(struct bench *bench);

#endif
