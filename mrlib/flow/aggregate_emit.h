/* The path of an emit of one lane, inlined where the job's calls arrive: the key's words are
 * loaded and hashed, its slot is fetched ahead, and 64 of them are looked up together, because
 * a table larger than the caches costs a memory access for each emit, and 64 at a time cost
 * little more than one. */
#ifndef FLOW_AGGREGATE_EMIT_H
#define FLOW_AGGREGATE_EMIT_H

#include "flow/aggregate_internal.h"

/* Appends a key of at most TABLE_INLINE bytes to the batch. */
static inline int aggregate_push(struct aggregate *table, struct table_key key, int64_t value)
{
    struct aggregate_pending *pending = &table->pending[table->pending_count];
    uint64_t hash = table_hash(key.a, key.b, key.c);

    pending->key = key;
    pending->hash = hash;
    pending->value = value;
    __builtin_prefetch(&table->slots[hash >> table->shift], 1);
    return ++table->pending_count == AGGREGATE_BATCH ? aggregate_settle(table) : 0;
}

/* aggregate_add for a fold of one lane, whose 8 bytes come as an integer. */
static inline int aggregate_emit(struct aggregate *table, struct mr_bytes key, bool padded,
                                 int64_t value)
{
    if (__builtin_expect(!padded || key.len > TABLE_INLINE, 0))
        return aggregate_add(table, key, padded, &value);
    return aggregate_push(table, table_key_padded(key), value);
}

#endif
