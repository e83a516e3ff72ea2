/* A part file being written by one reduce attempt: buffered, checksummed, all or nothing. One
 * thread owns it. */
#ifndef EXECUTOR_PART_H
#define EXECUTOR_PART_H

#include <mr/job.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "record/format.h"

struct part;

/* Creates the file anew, for pairs of a format, compressed by a codec. */
int part_open(const char *path, enum output_format format, enum output_codec codec,
              struct part **ret, struct error *err);

/* Appends one pair, or bytes as they are. */
int part_pair(struct part *part, struct mr_bytes key, struct mr_bytes value, enum mr_type type,
              struct error *err);
int part_bytes(struct part *part, struct mr_bytes bytes, struct error *err);

struct part_result {
    uint64_t size, checksum; /* XXH3 of the file */
    uint64_t raw_size;       /* of what it holds, before that was compressed */
};

/* Bytes so far, before they are compressed. */
uint64_t part_size(const struct part *part);

/* Flushes (to disk, with `sync`) and closes; on failure the file is removed. Frees the part
 * either way. */
int part_finish(struct part *part, bool sync, struct part_result *ret, struct error *err);

/* Closes and removes the file. Takes NULL. */
void part_abandon(struct part *part);

#endif
