/* Unsorted segments on their way into a merge: loaded into memory and sorted; what does not fit
 * is spilled as sorted runs. Also the spills of merge passes. One thread owns a load. */
#ifndef FLOW_LOAD_H
#define FLOW_LOAD_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/merge.h"
#include "record/run.h"

/* Sorted records in memory, handed out one by one. */
struct load_list;

struct load {
    const char *scratch; /* path prefix of spills */
    uint32_t spill_count;
    uint64_t spilled_bytes;
    struct run_file **runs; /* spills, open; their files are removed at the end */
    size_t run_count, run_capacity;
    struct merge_source *spilled; /* what load_sources spilled, in input order */
    size_t spilled_count, spilled_capacity;
    struct load_list *list; /* what it kept in memory, if it spilled nothing */
};

void load_init(struct load *load, const char *scratch);
void load_done(struct load *load);

/* Reads and sorts the n sources: all of them in load->list if they fit into `memory` bytes,
 * else all in load->spilled. */
int load_sources(struct load *load, const struct merge_source *sources, size_t n, size_t memory,
                 struct error *err);

/* 1 with the next record, 0 at the end. */
int load_list_next(struct load_list *list, struct mr_bytes *ret_key,
                   struct mr_bytes *ret_value);
uint64_t load_list_records(const struct load_list *list);

/* A sorted run being spilled. */
struct load_spill {
    struct run_writer *writer;
    struct run_builder *builder;
    char *path;
    uint64_t id;
};
int load_spill_open(struct load *load, uint32_t value_width, struct load_spill *spill,
                    struct error *err);
int load_spill_add(struct load_spill *spill, struct mr_bytes key, struct mr_bytes value,
                   struct error *err);
/* With `good`, finishes the run and opens it as *ret; without, removes it and returns -1. */
int load_spill_close(struct load *load, struct load_spill *spill, bool good,
                     struct merge_source *ret, struct error *err);

#endif
