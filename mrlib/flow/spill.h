/* Sorted runs that a merge writes because its memory does not suffice. Their names are removed
 * as soon as they are open: they live as long as the merge. One thread owns a spill. */
#ifndef FLOW_SPILL_H
#define FLOW_SPILL_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/merge.h"
#include "record/run.h"

/* All runs that one merge spilled. */
struct spills {
    const char *scratch; /* path prefix */
    struct codec_choice compression;
    uint32_t count;
    uint64_t bytes;
    struct run_file **runs; /* open */
    size_t run_count, run_capacity;
};
void spills_done(struct spills *spills);

/* What cannot be read, as *err says: if that is one of them, *err names it as our own disk's
 * fault, ERROR_FETCH, else it stays as it is. */
void spills_judge(const struct spills *spills, struct error *err);

/* One of them in the making. */
struct spill {
    struct run_writer *writer;
    struct run_builder *builder;
    char *path;
    uint64_t id;
};
/* spill_close must follow, also when spill_open failed. */
int spill_open(struct spills *spills, uint32_t value_width, struct spill *spill,
               struct error *err);
int spill_add(struct spill *spill, struct mr_bytes key, struct mr_bytes value,
              struct error *err);
/* With `good`, finishes the run and opens it as *ret; without, removes it and returns -1. */
int spill_close(struct spills *spills, struct spill *spill, bool good, struct merge_source *ret,
                struct error *err);

#endif
