/* Pairs on the map side, for jobs without a fold: each thread appends to an arena a part, in order of
 * emission, chunk by chunk; at the end of a round the threads' chunks are put back into input order and
 * written to the run. With a combiner the round is sorted and combined part by part instead.
 *
 * Each thread owns its container; pairs_flush is called by one thread while no other touches them, and
 * uses OpenMP itself. */
#ifndef FLOW_PAIRS_H
#define FLOW_PAIRS_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "record/run.h"

struct pairs;

/* value_width as in struct run_shape. Never NULL. */
struct pairs *pairs_new(uint32_t parts, uint32_t value_width);
void pairs_free(struct pairs *pairs);

/* What follows was emitted from chunk number `chunk` of the task; numbers grow from call to call. */
void pairs_chunk(struct pairs *pairs, uint64_t chunk);

/* Appends a pair. value.len must equal value_width where that is not 0. -1: no memory, or too long. */
int pairs_add(struct pairs *pairs, uint32_t part, struct mr_bytes key, struct mr_bytes value);

size_t pairs_bytes(const struct pairs *pairs);

/* Calls the job's combiner for one key whose values the iterator hands out; the combiner's emits come back
 * through pairs_combined. Runs on OpenMP thread `thread`. -1 with *err fails the flush. */
struct pairs_group;
struct pairs_combiner {
    void *context;
    int (*combine)(void *context, int thread, struct mr_bytes key, struct pairs_group *group,
                   struct error *err);
};
bool pairs_group_next(struct pairs_group *group, struct mr_bytes *ret_value);
/* Emits a combined record for the group's key; its value is copied. */
int pairs_group_emit(struct pairs_group *group, struct mr_bytes value, struct error *err);

/* Writes the n containers as round `round` of the run and empties them (memory is kept). `combiner` may
 * be NULL: then the segments are in input order, else sorted. *ret_in: pairs taken; *ret_out: written. */
int pairs_flush(struct pairs *const *all, int n, const struct pairs_combiner *combiner, uint32_t round,
                struct run_writer *run, uint64_t *ret_in, uint64_t *ret_out, struct error *err);

#endif
