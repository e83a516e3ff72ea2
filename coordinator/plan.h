/* The plan of a job: its input files, cut into splits for the map tasks. Nothing here depends
 * on the cluster but the size of the splits, and no output depends on that. */
#ifndef COORDINATOR_PLAN_H
#define COORDINATOR_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "record/format.h"
#include "store/expand.h"

/* Records that begin in [offset, offset + length) of a file: of a solid one (record/format.h)
 * all, whatever it decompresses to. */
struct extent {
    uint32_t file;
    uint64_t offset, length;
};

/* One map task: extents first .. first + count - 1, in input order. */
struct split {
    uint32_t first, count;
    uint32_t part; /* of a map-only job: where its output goes */
};

struct plan {
    struct input_files files;
    uint64_t bytes; /* of all files, as they lie there */
    struct input_format format;
    uint32_t parts;
    struct extent *extents;
    size_t extent_count, extent_capacity;
    struct split *splits;
    size_t split_count, split_capacity;
    struct extent *sample; /* of a job whose parts are cut by a sample: what to look at */
    size_t sample_count;
};

/* Expands the inputs and settles the number of parts: `reducers`, or one for each 64 MiB of
 * input. */
int plan_inputs(struct plan *plan, const char *const *inputs, size_t n, uint32_t reducers,
                struct error *err);

/* Settles the input format ("": lines). ERROR_INPUT names a file that cannot be of it. */
int plan_format(struct plan *plan, const char *format, struct error *err);

/* Cuts the splits. split_size in bytes, 0 to choose one that keeps `workers` busy. A split of a
 * map-only job never crosses from one of `parts` equal byte ranges into the next. Small files
 * share splits. A solid file is never torn: it belongs to one split, and to the part in which
 * its first byte lies. */
void plan_splits(struct plan *plan, uint64_t split_size, uint32_t workers, bool map_only);

/* Whether there are no more than LIMIT_MAPS splits, beyond which plan_splits cuts no more. */
int plan_check(const struct plan *plan, uint64_t split_size, struct error *err);

/* Chooses what a sample of the input looks at: pieces of 16 KiB, 16 for each part but between
 * 64 and 2048, evenly spread over all files one behind the other; the whole input where that is
 * less than twice as much. One extent for each piece of each file, at most 4096 of them, and no
 * more than fits into one message with their paths: of a piece that lies in many small files
 * the first ones. Of a solid file its beginning is looked at, as many bytes of its text as the
 * pieces that lie in it have. Depends on files and number of parts alone, for so do the ranges
 * of the parts. */
void plan_sample(struct plan *plan);

/* Frees the splits and the sample: the plan came to nothing, and nothing of it is to be kept.
 */
void plan_drop(struct plan *plan);

void plan_done(struct plan *plan);

#endif
