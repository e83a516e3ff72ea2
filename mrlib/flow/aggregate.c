/* Filling a thread's table. Emits of one lane come in batches (aggregate_emit.h) and are looked
 * up here, a batch at a time; keys longer than a slot and folds of several lanes are looked up
 * one by one. */
#include "flow/aggregate.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "flow/aggregate_emit.h"

#define BYTES(n) ((n) >= 8 ? ~UINT64_C(0) : (UINT64_C(1) << (8 * ((n)&7))) - 1)
#define MASK(n)                                                                       \
    {                                                                                 \
        BYTES(n), (n) > 8 ? BYTES((n)-8) : 0, (n) > 16 ? (uint32_t)BYTES((n)-16) : 0, \
            (uint32_t)((n) + 1) << 24                                                 \
    }
const struct table_mask table_masks[TABLE_INLINE + 1] = {
    MASK(0),  MASK(1),  MASK(2),  MASK(3),  MASK(4),  MASK(5),  MASK(6),
    MASK(7),  MASK(8),  MASK(9),  MASK(10), MASK(11), MASK(12), MASK(13),
    MASK(14), MASK(15), MASK(16), MASK(17), MASK(18), MASK(19)};

/* Counts one more pair of a slot: 0 pairs mark a slot that is new. Before the count would wrap
 * it moves to the carries, but for one. */
static inline void count_pair(struct aggregate *table, struct table_slot *slot)
{
    if (__builtin_expect(++slot->pairs == UINT32_MAX, 0)) {
        memory_reserve(&table->carries, &table->carry_capacity, table->carry_count + 1,
                       sizeof *table->carries);
        slot->pairs = UINT32_MAX - 1;
        table->carries[table->carry_count++] = *slot;
        slot->pairs = 1;
    }
}

static inline bool differ(const struct table_slot *slot, const struct table_key *key)
{
    return (slot->a ^ key->a) | (slot->b ^ key->b) | (slot->c ^ key->c);
}

static inline struct table_slot *home(const struct aggregate *table, uint64_t hash)
{
    return table->slots + (hash >> aggregate_shift(table->capacity));
}

/* The slot after `slot` in the order of probing. */
static inline struct table_slot *next_slot(const struct aggregate *table,
                                           struct table_slot *slot)
{
    return slot == table->slots + table->capacity - 1 ? table->slots : slot + 1;
}

/* A slot for a new key. Its place is `slot`, where probing ended, or another one once the table
 * has grown; NULL, or a table that may not grow, sends it to the log. NULL without memory. */
static struct table_slot *claim(struct aggregate *table, const struct table_key *key,
                                uint64_t hash, struct table_slot *slot)
{
    if (slot && table->used == table->room) {
        aggregate_make_room(table);
        slot = table->state == AGGREGATE_FILLING ? home(table, hash) : NULL;
        while (slot && slot->c)
            slot = next_slot(table, slot);
    }
    if (slot)
        table->used++;
    else
        slot = aggregate_log(table);
    if (slot) {
        slot->a = key->a;
        slot->b = key->b;
        slot->c = key->c;
    }
    return slot;
}

/* The slot of a short key: its own, or a new one. NULL without memory. */
static __attribute__((noinline)) struct table_slot *
find_short(struct aggregate *table, const struct table_key *key, uint64_t hash)
{
    struct table_slot *slot;

    if (__builtin_expect(table->state == AGGREGATE_LOGGING, 0))
        return claim(table, key, hash, NULL);
    for (slot = home(table, hash); slot->c; slot = next_slot(table, slot))
        if (!differ(slot, key))
            return slot;
    return claim(table, key, hash, slot);
}

/* The same for a long key, which is copied if it is new. */
static struct table_slot *find_long(struct aggregate *table, struct mr_bytes key)
{
    uint64_t hash = XXH3_64bits(key.ptr, key.len);
    struct table_key words = {hash, 0, (uint32_t)TABLE_LONG << 24};
    struct table_slot *slot = NULL;
    struct table_long_key *copy;

    if (table->state != AGGREGATE_LOGGING)
        for (slot = home(table, hash); slot->c; slot = next_slot(table, slot)) {
            struct mr_bytes there;

            if (slot->c != words.c || slot->a != hash)
                continue;
            there = table_slot_key(slot);
            if (there.len == key.len && !memcmp(there.ptr, key.ptr, key.len))
                return slot;
        }
    copy = aggregate_take(table, sizeof *copy + key.len);
    if (!copy)
        return NULL;
    copy->len = key.len;
    memcpy(copy->bytes, key.ptr, key.len);
    words.b = (uint64_t)(uintptr_t)copy;
    return claim(table, &words, hash, slot);
}

/* Joins a value into a slot, or makes it the slot's first. -1 without memory. */
static int join(struct aggregate *table, struct table_slot *slot, const void *value)
{
    size_t width = 8 * (size_t)table->fold.lanes;
    char start[8 * MR_LANES_MAX];
    void *lanes;

    memcpy(start, value, width);
    fold_start(&table->fold, start);
    if (slot->pairs) {
        fold_join(&table->fold, aggregate_lanes(&table->fold, slot), start);
    } else {
        if (table->fold.lanes > 1) {
            lanes = aggregate_take(table, width);
            if (!lanes)
                return -1;
            slot->value = (int64_t)(uintptr_t)lanes;
        }
        memcpy(aggregate_lanes(&table->fold, slot), start, width);
    }
    count_pair(table, slot);
    return 0;
}

/* Looks up a batch. Most find their key at once; sums start at the 0 of a new slot. */
static inline __attribute__((always_inline)) int settle(struct aggregate *table, bool sums,
                                                        bool counts)
{
    const struct aggregate_pending *end = table->pending + table->pending_count;

    for (const struct aggregate_pending *pending = table->pending; pending < end; pending++) {
        struct table_slot *slot = table->slots + (pending->hash >> table->shift);

        if (__builtin_expect(differ(slot, &pending->key), 0)) {
            slot = find_short(table, &pending->key, pending->hash);
            if (!slot)
                return -1;
        }
        if (sums) {
            slot->value =
                (int64_t)((uint64_t)slot->value + (uint64_t)(counts ? 1 : pending->value));
            count_pair(table, slot);
        } else if (join(table, slot, &pending->value)) {
            return -1;
        }
    }
    return 0;
}

int aggregate_settle(struct aggregate *table)
{
    int result;

    if (table->fold.lane[0] == MR_SUM_I64)
        result = settle(table, true, false);
    else if (table->fold.lane[0] == MR_COUNT)
        result = settle(table, true, true);
    else
        result = settle(table, false, false);
    aggregate_added(table, table->pending_count);
    table->pending_count = 0;
    return result;
}

int aggregate_add(struct aggregate *table, struct mr_bytes key, bool padded, const void *value)
{
    struct table_slot *slot;

    if (key.len > LIMIT_RECORD)
        return -1;
    if (key.len <= TABLE_INLINE) {
        struct table_key words = padded ? table_key_padded(key) : table_key_exact(key);
        int64_t lane;

        if (table->fold.lanes == 1) {
            memcpy(&lane, value, sizeof lane);
            return aggregate_push(table, words, lane);
        }
        slot = find_short(table, &words, table_hash(words.a, words.b, words.c));
    } else {
        slot = find_long(table, key);
    }
    if (!slot || join(table, slot, value))
        return -1;
    aggregate_added(table, 1);
    return 0;
}
