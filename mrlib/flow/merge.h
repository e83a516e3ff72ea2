/* The reducer's view of a part: all its segments from all runs, as one stream in (key, input
 * order).
 *
 * Sorted segments are merged with a loser tree (Knuth, TAOCP 3, 5.4.1) over 8-byte key
 * prefixes. Segments in emission order are loaded, radix sorted (stable) within `memory` bytes,
 * spilled as sorted runs under `scratch` when they do not fit, and then merged. Ties go to the
 * source that comes first in the list: the caller lists segments by (split, round). With a
 * fold, equal keys arrive as one joined record.
 *
 * One thread owns a merge; several merges may share run files. */
#ifndef FLOW_MERGE_H
#define FLOW_MERGE_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/fold.h"
#include "record/run.h"

struct merge_source {
    struct run_file *run;
    const struct run_segment *segment;
};

struct merge_options {
    size_t memory;           /* bytes that this merge may use */
    const char *scratch;     /* path prefix for spills; files are removed by merge_close */
    const struct fold *fold; /* NULL or lanes 0: keep every record */
};

struct merge;
int merge_open(const struct merge_source *sources, size_t n,
               const struct merge_options *options, struct merge **ret, struct error *err);
void merge_close(struct merge *merge);

/* 1 with the next record, 0 at the end, -1. The key and value are valid until the next call. */
int merge_next(struct merge *merge, struct mr_bytes *ret_key, struct mr_bytes *ret_value,
               struct error *err);

/* Totals: records in the sources, pairs they represent, bytes spilled so far. */
struct merge_totals {
    uint64_t records, pairs, spilled_bytes;
};
struct merge_totals merge_totals(const struct merge *merge);

#endif
