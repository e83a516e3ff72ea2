/* Sorted streams as one: a loser tree (Knuth, TAOCP 3, 5.4.1) over 8-byte key prefixes. A
 * stream is a segment of a run, read block by block, or a list of sorted entries in memory.
 * Equal keys come in the order of the streams.
 *
 * Records come in batches, and stay where they are while a batch is in use: a batch ends when a
 * stream's next block must be read. As ties go to the earlier stream, a stream that wins with a
 * key wins until that key ends: many records of one key cost no matches.
 *
 * One thread owns a tournament. */
#ifndef FLOW_TOURNAMENT_H
#define FLOW_TOURNAMENT_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/sort.h"
#include "record/run.h"

enum { TOURNAMENT_BATCH = 128 };

struct tournament_record {
    struct mr_bytes key, value;
    bool same; /* its key is that of the record before */
};

struct tournament;

/* For n streams, which the add functions then bring in order. `value_width` as in run_shape. */
struct tournament *tournament_new(size_t n, uint32_t value_width);
/* Takes NULL. */
void tournament_free(struct tournament *tournament);
void tournament_add_run(struct tournament *tournament, struct run_file *run,
                        const struct run_segment *segment);
/* `count` sorted entries over records in the encoding of runs; both stay the caller's. */
void tournament_add_list(struct tournament *tournament, const struct sort_entry *entries,
                         size_t count);

/* The next 1 .. TOURNAMENT_BATCH records, valid until the next call; 0 at the end, -1. */
int tournament_next(struct tournament *tournament, const struct tournament_record **ret,
                    struct error *err);

#endif
