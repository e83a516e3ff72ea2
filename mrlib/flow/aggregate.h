/* Aggregation on the map side, for jobs with a fold: one hash table a thread (table.h),
 * accumulators in place; at the end of a round the threads' tables are joined, sorted part by
 * part, and written to the run as sorted segments.
 *
 * Where keys hardly repeat, or a table may not grow further, emits go to a log beside it, an
 * array of slots that nobody looks up; equal keys meet when the round is sorted.
 *
 * Each thread owns its table; aggregate_flush is called by one thread while no other touches
 * the tables, and uses n OpenMP threads itself. */
#ifndef FLOW_AGGREGATE_H
#define FLOW_AGGREGATE_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "flow/fold.h"
#include "flow/partition.h"
#include "record/run.h"

struct aggregate;

/* A table for accumulators of `fold` (copied). Never NULL. */
struct aggregate *aggregate_new(const struct fold *fold);
void aggregate_free(struct aggregate *table);

/* From now on the slots grow only as long as aggregate_bytes, during the growth too, stays
 * within `limit`. Keys beyond go to the log, which grows on: whoever adds looks at
 * aggregate_bytes now and then, and flushes. */
void aggregate_limit(struct aggregate *table, size_t limit);

/* Folds one emitted value, fold.lanes words of 8 bytes, into the key's accumulator. The key is
 * copied. `padded` says that 24 bytes may be read from key.ptr whatever its length. The effect
 * may be delayed until the next call. -1 when there is no memory left or a key exceeds
 * LIMIT_RECORD. For one lane, aggregate_emit.h has the same inlined. */
int aggregate_add(struct aggregate *table, struct mr_bytes key, bool padded, const void *value);

/* Bytes of memory that the table holds, with what its share of a flush will take. */
size_t aggregate_bytes(const struct aggregate *table);

/* Forgets all keys. Memory is kept for the next ones. */
void aggregate_clear(struct aggregate *table);

/* Joins the n tables, writes them as round `round` of the run, and empties them, also when it
 * fails. *ret_pairs: emitted pairs represented; *ret_records: records written. partitioners[i]
 * is thread i's; a job's own that returns a part that does not exist is ERROR_JOB. */
int aggregate_flush(struct aggregate *const *tables, int n,
                    const struct partitioner *partitioners, uint32_t round,
                    struct run_writer *run, uint64_t *ret_pairs, uint64_t *ret_records,
                    struct error *err);

#endif
