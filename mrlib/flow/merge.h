/* The reducer's view of a part: all its segments from all runs, as one stream in (key, input
 * order).
 *
 * Sorted segments are read block by block and merged (tournament.h). Segments in order of
 * emission are loaded and sorted within `memory` bytes (load.h); what does not fit is spilled
 * as sorted runs under `scratch` (spill.h), and merged in as few passes as the memory allows.
 * Ties go to the source that comes first in the list: the caller lists segments by (split,
 * round). With a fold, equal keys arrive as one joined record.
 *
 * One thread owns a merge and its space; several merges may share run files. */
#ifndef FLOW_MERGE_H
#define FLOW_MERGE_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/fold.h"
#include "flow/load.h"
#include "flow/tournament.h"
#include "record/run.h"

struct merge_source {
    struct run_file *run;
    const struct run_segment *segment;
};

struct merge_options {
    size_t memory;            /* bytes that this merge may use */
    const char *scratch;      /* path prefix for spills; files are removed by merge_close */
    const struct fold *fold;  /* NULL or lanes 0: keep every record */
    struct load_space *space; /* the thread's, left there for the next merge */
    struct codec_choice compression; /* of spills */
};

/* What merge_next needs of a merge: the rest of the batch at hand. */
struct merge {
    const struct tournament_record *next, *end;
};

/* ERROR_DAMAGE or ERROR_IO: a source cannot be read. ERROR_FETCH, here and in merge_next: what
 * was spilled cannot, which is no fault of who merges. */
int merge_open(const struct merge_source *sources, size_t n,
               const struct merge_options *options, struct merge **ret, struct error *err);
/* Takes NULL. */
void merge_close(struct merge *merge);

/* Brings the next batch: 1, 0 at the end, -1. */
int merge_refill(struct merge *merge, struct error *err);

/* 1 with the next record, 0 at the end, -1. The key and value are valid until the next call. */
static inline int merge_next(struct merge *merge, struct mr_bytes *ret_key,
                             struct mr_bytes *ret_value, struct error *err)
{
    if (merge->next == merge->end) {
        int result = merge_refill(merge, err);

        if (result <= 0)
            return result;
    }
    *ret_key = merge->next->key;
    *ret_value = merge->next->value;
    merge->next++;
    return 1;
}

/* Whether the record that merge_next gave last has the key of the one before. */
static inline bool merge_same(const struct merge *merge)
{
    return merge->next[-1].same;
}

/* Totals: records in the sources, pairs they represent, bytes spilled so far. */
struct merge_totals {
    uint64_t records, pairs, spilled_bytes;
};
struct merge_totals merge_totals(const struct merge *merge);

#endif
