/* What run_builder.c and run_writer.c share. See run.h. */
#ifndef RECORD_RUN_BUILDER_H
#define RECORD_RUN_BUILDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "record/run.h"

/* Blocks lie one behind the other in `bytes`, each with room for its header in front. */
struct run_builder {
    uint32_t value_width;
    char *bytes;
    size_t used, capacity;
    size_t block; /* where the open block begins */
    uint32_t block_records;
    uint64_t records, pairs;
    struct run_segment segment; /* that is being written ... */
    bool open;                  /* ... if one is */
    uint64_t room;              /* bytes that are reserved for it, or 0 */
    XXH3_state_t *digest;
};

/* Closes the open block and completes them all: packed, where there is a packer; their headers,
 * with where they belong, and their checksums, which go into the digest. Returns what they
 * would take unpacked. */
uint64_t run_builder_seal(struct run_builder *builder, struct packer *packer);

/* Forgets the blocks, but not the segment. */
void run_builder_empty(struct run_builder *builder);

#endif
