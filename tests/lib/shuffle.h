/* Runs to be fetched, and what is needed to ask for them. cmocka must be included first. */
#ifndef TESTS_SHUFFLE_H
#define TESTS_SHUFFLE_H

#include <stddef.h>
#include <stdint.h>

#include "record/bundle.h"
#include "wire/mr.pb-c.h"

/* What run_make writes: `records` records with values of `value_size` bytes in each part of
 * each round. */
struct run_plan {
    uint32_t parts, rounds;
    size_t records, value_size;
};

/* Outputs to ask for; zero-initialise. */
struct wanted {
    Mr__PartWanted message;
    Mr__MapOutput *outputs;
    Mr__MapOutput **pointers;
    size_t count, capacity;
};

/* The id of the run of a map task, in these tests. */
uint64_t run_id_of(uint32_t task);

/* Writes the run of a map task to `path`. */
void run_make(const char *path, uint32_t task, const struct run_plan *plan);

/* Adds an output; the path and the endpoint are copied. wanted_done frees. */
void wanted_add(struct wanted *wanted, uint32_t task, uint64_t run_id, const char *path,
                const char *endpoint);
/* The message, for a part of a job; valid until the next change. */
const Mr__PartWanted *wanted_message(struct wanted *wanted, uint64_t job, uint32_t part);
void wanted_done(struct wanted *wanted);

/* The bundle holds just what the runs hold of the part. */
void expect_bundle(const char *path, struct wanted *wanted, uint32_t part);

#endif
