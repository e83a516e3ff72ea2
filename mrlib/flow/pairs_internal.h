/* What the files of pairs share. */
#ifndef FLOW_PAIRS_INTERNAL_H
#define FLOW_PAIRS_INTERNAL_H

#include "flow/pairs.h"

/* Neighbouring records of one part and one chunk, in one block. */
struct piece {
    uint64_t chunk;
    struct run_range range;
};

struct piece_list {
    struct piece *items;
    size_t count, capacity;
};

/* Where a part's next record goes. The piece that it is of is open: begins at `begin`. */
struct part_arena {
    char *at, *end; /* of the block */
    uint64_t chunk;
    char *begin;
    uint64_t pairs;
    uint64_t digest; /* of all pairs of the part, since the container was made */
    uint32_t records;
    uint32_t block; /* size that the last block was to have */
};

struct pairs {
    uint32_t parts, value_width;
    uint64_t chunk;
    struct part_arena *arenas;
    struct piece_list *lists; /* of each part, without its open piece */
    char *at, *end;           /* blocks are cut from here */
    char *first;              /* memory of small containers, before the first slab */
    struct slab {
        void *bytes;
        size_t size;
    } * slabs;
    size_t slab_count, slab_capacity;
    size_t slab_bytes, list_bytes;
};

/* Enters the part's open piece, if there is one, into its list. */
void pairs_close_piece(struct pairs *pairs, uint32_t part);

/* Forgets all records; gives the slabs back. */
void pairs_empty(struct pairs *pairs);

#endif
