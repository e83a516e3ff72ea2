/* What the files of aggregation share: aggregate.c (filling a table), aggregate_memory.c
 * (growing and emptying it), aggregate_flush.c and aggregate_join.c (writing it to a run), and
 * aggregate_emit.h (the path of an emit). */
#ifndef FLOW_AGGREGATE_INTERNAL_H
#define FLOW_AGGREGATE_INTERNAL_H

#include "flow/aggregate.h"
#include "flow/table.h"

enum {
    AGGREGATE_BATCH = 64,
    AGGREGATE_CAPACITY_MIN = 1024,     /* slots */
    AGGREGATE_CAPACITY_HUGE = 1 << 16, /* whose slots are one huge page */
    /* What a flush needs for each slot, beside the slots themselves: an entry to sort, its copy
     * and its part. */
    AGGREGATE_FLUSH_BYTES = 16 + 16 + 2,
};

/* An emit of one lane whose slot is on its way into the cache. */
struct aggregate_pending {
    struct table_key key;
    uint64_t hash;
    int64_t value;
};

/* What becomes of an emit. */
enum aggregate_state {
    AGGREGATE_FILLING, /* it joins its key's slot, or claims one */
    AGGREGATE_FULL,    /* as before, but new keys go to the log: the table may not grow */
    AGGREGATE_LOGGING, /* all go to the log: keys hardly repeat, looking them up is wasted */
};

/* Memory that is taken piece by piece, of long keys and lanes, or slot by slot, of the log. */
struct aggregate_block {
    struct aggregate_block *next;
    size_t size;   /* of the mapping */
    size_t used;   /* bytes of `bytes` */
    size_t unused; /* keeps `bytes` at a multiple of 32 */
    _Alignas(32) char bytes[];
};

struct aggregate {
    /* What each emit reads. */
    struct table_slot *slots;
    unsigned shift; /* slots[hash >> shift] is fetched ahead; 63 while all is logged */
    unsigned pending_count;
    struct aggregate_pending pending[AGGREGATE_BATCH];

    enum aggregate_state state;
    struct fold fold;
    size_t capacity, used, room; /* slots: a power of two, claimed, to be claimed at most */
    size_t limit;                /* bytes that the table may grow to */
    /* Since the last decision whether looking up pays: */
    uint64_t emits;
    size_t used_then;
    uint64_t log_until; /* emits at which logging ends; UINT64_MAX while not logging */
    struct aggregate_block *arena, *log, *spare;
    size_t block_bytes;         /* in all three */
    size_t logged;              /* slots in the log */
    struct table_slot *carries; /* copies of slots that stood for 2^32 - 1 pairs more */
    size_t carry_count, carry_capacity;
    void *scratch; /* of flushes, kept from one to the next; the first table's serves all */
    size_t scratch_bytes;
};

/* Resolves what is pending; -1 without memory. */
int aggregate_settle(struct aggregate *table);

/* Makes room for one more key, or changes the state so that it goes to the log. */
void aggregate_make_room(struct aggregate *table);
/* A slot of the log, all zero; NULL without memory. */
struct table_slot *aggregate_log(struct aggregate *table);
/* Ends a spell of logging. */
void aggregate_resume(struct aggregate *table);
/* `size` bytes that stay until the table is emptied, aligned to 8; NULL without memory. */
void *aggregate_take(struct aggregate *table, size_t size);
/* `size` bytes for a flush, with any contents; NULL without memory. */
void *aggregate_scratch(struct aggregate *table, size_t size);

/* Counts emits that were added. */
static inline void aggregate_added(struct aggregate *table, unsigned emits)
{
    table->emits += emits;
    if (__builtin_expect(table->emits >= table->log_until, 0))
        aggregate_resume(table);
}

static inline unsigned aggregate_shift(size_t capacity)
{
    return (unsigned)__builtin_clzll(capacity) + 1;
}

static inline void *aggregate_lanes(const struct fold *fold, struct table_slot *slot)
{
    return fold->lanes == 1 ? (void *)&slot->value : (void *)(uintptr_t)slot->value;
}

/* ---- Joining the tables of all threads (aggregate_join.c) ---- */

/* A slot on its way out. */
struct aggregate_found {
    struct table_slot *slot;
    uint64_t hash;
    uint64_t pairs; /* with those of equal keys that were joined into it */
};

/* What one thread joins with. Starts zeroed. */
struct aggregate_joiner {
    struct aggregate_found *found;
    size_t count, capacity;
    uint32_t *index;
    size_t index_capacity;
};
void aggregate_joiner_done(struct aggregate_joiner *joiner);

/* Into how many ranges of equal size the tables' hashes are best divided: a power of two. */
size_t aggregate_ranges(struct aggregate *const *tables, int n);

/* Gathers the slots of range `range` of `ranges` from all tables in joiner->found, each key
 * once: equal ones are folded into the first one's slot. */
void aggregate_join(struct aggregate_joiner *joiner, struct aggregate *const *tables, int n,
                    size_t range, size_t ranges);

#endif
