/* The layout of bundles, shared by bundle_writer.c and bundle_reader.c. See bundle.h. */
#ifndef RECORD_BUNDLE_FORMAT_H
#define RECORD_BUNDLE_FORMAT_H

#include <stdint.h>

#include "record/bundle.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bundles are little-endian, and so must the machine be"
#endif

struct bundle_header {
    char magic[8];
    uint32_t part, zero;
    uint64_t id;
};

struct bundle_entry {
    uint32_t task, round;
    uint64_t offset, size, records, pairs, digest, raw_size;
    uint32_t flags, zero;
};

struct bundle_trailer {
    uint64_t index_offset, count;
    uint32_t value_width, flags;
    uint64_t checksum; /* of the header, the index, and what comes before */
    char magic[8];
};

_Static_assert(sizeof(struct bundle_header) == 24 && sizeof(struct bundle_entry) == 64 &&
                   sizeof(struct bundle_trailer) == 40,
               "the structs of a bundle have no holes");

static const char bundle_header_magic[8] = {'M', 'R', 'B', 'N', 'D', 'L', '\0', '\3'};
static const char bundle_trailer_magic[8] = {'M', 'R', 'B', 'N', 'D', 'E', 'N', 'D'};

/* The checksum in the trailer. */
uint64_t bundle_checksum(const struct bundle_header *header, const struct bundle_entry *entries,
                         const struct bundle_trailer *trailer);

#endif
