/* What aggregate.c (filling tables) and aggregate_flush.c (emptying them) share. */
#ifndef FLOW_AGGREGATE_INTERNAL_H
#define FLOW_AGGREGATE_INTERNAL_H

#include "flow/aggregate.h"
#include "flow/table.h"

enum { AGGREGATE_BATCH = 32 };

/* Emits whose slots are on their way into the cache. Only for one integer lane. */
struct aggregate_pending {
    struct table_key key;
    int64_t value;
};

/* A slot that stood for 2^32 pairs, and starts counting anew. */
struct aggregate_carry {
    struct table_slot slot;
};

struct aggregate {
    struct fold fold;
    bool plain; /* one integer lane that sums or counts: the batched path */
    struct table_slot *slots;
    size_t capacity, used; /* slots; capacity is a power of two */
    struct aggregate_pending pending[AGGREGATE_BATCH];
    unsigned pending_count;
    char *lanes; /* of several lanes: accumulators, used * width bytes */
    size_t lanes_capacity;
    struct arena_block *arena; /* long keys */
    size_t arena_bytes;
    struct aggregate_carry *carries;
    size_t carry_count, carry_capacity;
};

/* Resolves what is pending; -1 without memory. */
int aggregate_settle(struct aggregate *table);
/* Forgets all keys and gives their memory back. */
void aggregate_clear(struct aggregate *table);

static inline void *aggregate_lanes(struct aggregate *table, struct table_slot *slot)
{
    if (table->fold.lanes == 1)
        return &slot->value;
    return table->lanes + (size_t)slot->value * 8 * table->fold.lanes;
}

#endif
