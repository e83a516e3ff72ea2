/* The layout of run files, shared by run_writer.c and run_reader.c. See run.h. */
#ifndef RECORD_RUN_FORMAT_H
#define RECORD_RUN_FORMAT_H

#include <stdint.h>

#include "base/limits.h"
#include "record/codec.h"
#include "record/run.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "run files are little-endian, and so must the machine be"
#endif

enum { RUN_BLOCK_MAGIC = 0x314b4c42 }; /* "BLK1" */

struct run_header {
    char magic[8];
    uint32_t parts, flags, value_width, zero;
    uint64_t id, checksum;
};

struct run_block {
    uint32_t magic, part, round, records;
    uint64_t raw_size, stored_size;
    uint32_t codec, zero;
    uint64_t checksum; /* of what comes before, and of the payload */
};

struct run_trailer {
    uint64_t index_offset, count, id, checksum;
    char magic[8];
};

_Static_assert(sizeof(struct run_header) == 40 && sizeof(struct run_block) == 48 &&
                   sizeof(struct run_trailer) == 40 && sizeof(struct run_segment) == 64,
               "the structs of a run file have no holes");

static const char run_header_magic[8] = {'M', 'R', 'R', 'U', 'N', '\0', '\0', '\3'};
/* What is wrong with a block's header, by itself; NULL: nothing. */
static inline const char *run_block_fault(const struct run_block *header)
{
    if (header->magic != RUN_BLOCK_MAGIC)
        return "this is not a block";
    if (header->codec >= CODECS || header->zero)
        return "a block of an unknown codec";
    if (header->codec
            ? header->stored_size >= header->raw_size || header->raw_size > LIMIT_PACKED
            : header->stored_size != header->raw_size)
        return "a block of impossible sizes";
    return NULL;
}

static const char run_trailer_magic[8] = {'M', 'R', 'R', 'U', 'N', 'E', 'N', 'D'};

#endif
