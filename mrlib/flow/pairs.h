/* Pairs on the map side, for jobs without a fold: each thread appends records to an arena a
 * part, in the encoding of runs, in order of emission and chunk by chunk. At the end of a round
 * the threads' chunks are put back into input order and written to the run as they lie, without
 * a look at their records.
 *
 * A part that no reducer could sort in its memory is sorted here instead, and so is every part
 * of a job with a combiner, which gets the values of each key. Sorting takes a part in groups
 * of neighbouring chunks, as many as its scratch memory has room for: each is a sorted segment,
 * in rounds that follow one another. Readers take a part's segments in the order of their
 * rounds, so that equal keys stay in input order.
 *
 * Each thread owns its container; pairs_flush is called by one thread while no other touches
 * them, and uses n OpenMP threads itself. */
#ifndef FLOW_PAIRS_H
#define FLOW_PAIRS_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "record/run.h"

/* Rounds that one flush may use: pass multiples of this as `round`. */
#define PAIRS_ROUNDS (UINT32_C(1) << 16)

/* Bytes that sorting takes for each record, beside the record. */
enum { PAIRS_SORT_COST = 32 };

struct pairs;

/* value_width as in struct run_shape. Never NULL. */
struct pairs *pairs_new(uint32_t parts, uint32_t value_width);
void pairs_free(struct pairs *pairs);

/* What follows was emitted from chunk number `chunk` of the task; numbers grow from call to
 * call. */
void pairs_chunk(struct pairs *pairs, uint64_t chunk);

/* Appends a pair; key and value are copied. value.len must equal value_width where that is not
 * 0. -1 when one of them is above LIMIT_RECORD, or there is no memory. */
int pairs_add(struct pairs *pairs, uint32_t part, struct mr_bytes key, struct mr_bytes value);

/* The same, for a record that stands for `count` pairs, with a digest that is a sum over them.
 */
int pairs_add_many(struct pairs *pairs, uint32_t part, struct mr_bytes key,
                   struct mr_bytes value, uint64_t count, uint64_t digest);

/* Adds the digests of all pairs that were ever added to what `run` knows of its parts
 * (run_note). They depend neither on the order of pairs nor on what became of them. */
void pairs_note(const struct pairs *pairs, struct run_writer *run);

/* Memory in use, in bytes. */
size_t pairs_bytes(const struct pairs *pairs);

/* A key and its values on their way through the job's combiner. */
struct pairs_group;
bool pairs_group_next(struct pairs_group *group, struct mr_bytes *ret_value);
/* Emits a combined record for the group's key; the value is copied. */
int pairs_group_emit(struct pairs_group *group, struct mr_bytes value, struct error *err);

/* Calls the job's combiner for one key, once for each group of chunks that holds it; runs on
 * OpenMP thread `thread`. -1 with *err fails the flush. */
struct pairs_combiner {
    void *context;
    int (*combine)(void *context, int thread, struct mr_bytes key, struct pairs_group *group,
                   struct error *err);
};

struct pairs_options {
    const struct pairs_combiner *combiner; /* NULL: none */
    uint64_t sort_above; /* sort parts of more bytes, PAIRS_SORT_COST included; 0: none */
    size_t scratch;      /* bytes for sorting, of all threads; what one chunk needs is taken */
};

/* Writes the n containers as round `round` (and those behind it) of the run, and empties them.
 * *ret_in: pairs taken; *ret_out: records written. */
int pairs_flush(struct pairs *const *all, int n, const struct pairs_options *options,
                uint32_t round, struct run_writer *run, uint64_t *ret_in, uint64_t *ret_out,
                struct error *err);

#endif
