/* Segments in order of emission on their way into a merge: read into memory as they are,
 * checked there, and sorted by 16-byte entries that point at their records (sort.h).
 *
 *     space:  | payloads, block headers included | entries | as many, for sorting |
 *
 * A compressed segment's payloads are unpacked into the space, without headers.
 *
 * How the space is shared follows from what the segments' indexes promise, so that all of them
 * fit if they can at all. One thread owns a load and its space. */
#ifndef FLOW_LOAD_H
#define FLOW_LOAD_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/sort.h"
#include "record/run.h"

/* Memory that a thread keeps from merge to merge, because touching it first is dear. Zeroed to
 * begin with. */
struct load_space {
    char *bytes;
    size_t size;
};
void load_space_free(struct load_space *space);

struct load {
    struct load_space *space;
    uint32_t value_width;
    size_t payload_size, used; /* bytes: of the payloads' share, and of whole blocks in it */
    size_t tail;               /* bytes behind these, of a block that is not read to its end */
    struct sort_entry *entries;
    size_t capacity, count;
    size_t lacked, lacked_records; /* of the unpacked block that did not fit */
};

/* Shares out the space for segments of `bytes` and `records` in all, or for as much of them as
 * `memory` bytes take. ERROR_MEMORY. */
int load_open(struct load *load, struct load_space *space, uint64_t bytes, uint64_t records,
              size_t memory, uint32_t value_width, struct error *err);

/* A segment being loaded. */
struct load_reader {
    const struct run_file *run;
    const struct run_segment *segment;
    struct run_audit *audit;
    uint64_t fed;
    struct run_cursor *cursor; /* of a compressed segment, instead of both; else NULL */
    bool pending;              /* its block did not fit: */
    struct mr_bytes payload;
    uint32_t records;
};
void load_reader_open(struct load_reader *reader, const struct run_file *run,
                      const struct run_segment *segment);
void load_reader_close(struct load_reader *reader);

/* Appends blocks of the segment and entries for their records: 0 at the segment's end, checked
 * as a cursor checks it, 1 when the space is full. -1: ERROR_DAMAGE names the file. */
int load_read(struct load *load, struct load_reader *reader, struct error *err);

/* Forgets all records, and makes room for the block that did not fit. */
int load_empty(struct load *load, struct error *err);

/* Sorts `count` entries from `first` on. */
void load_sort(struct load *load, size_t first, size_t count);

#endif
