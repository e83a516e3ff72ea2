/* Filling a thread's table. The commonest job, one integer that is summed, takes a path of its
 * own: emits are gathered in batches of 32 whose slots are prefetched, because a table larger
 * than the caches costs a memory access for each emit, and 32 at a time cost little more than
 * one. */
#include "flow/aggregate.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "flow/aggregate_internal.h"

enum { CAPACITY_MIN = 1024, ARENA_BLOCK = 64 << 10 };

struct arena_block {
    struct arena_block *next;
    size_t used, capacity;
    char bytes[];
};

struct aggregate *aggregate_new(const struct fold *fold)
{
    struct aggregate *table = memory_zeroed(1, sizeof *table);

    check(fold->lanes >= 1 && fold->lanes <= MR_LANES_MAX);
    table->fold = *fold;
    table->plain =
        fold->lanes == 1 && (fold->lane[0] == MR_SUM_I64 || fold->lane[0] == MR_COUNT);
    return table;
}

static void free_arena(struct aggregate *table)
{
    while (table->arena) {
        struct arena_block *next = table->arena->next;

        free(table->arena);
        table->arena = next;
    }
    table->arena_bytes = 0;
}

void aggregate_clear(struct aggregate *table)
{
    memory_unmap(table->slots, table->capacity * sizeof *table->slots);
    free(table->lanes);
    free_arena(table);
    table->slots = NULL;
    table->lanes = NULL;
    table->capacity = table->used = table->lanes_capacity = table->carry_count = 0;
}

void aggregate_free(struct aggregate *table)
{
    if (!table)
        return;
    aggregate_clear(table);
    free(table->carries);
    free(table);
}

size_t aggregate_bytes(const struct aggregate *table)
{
    size_t lanes = table->fold.lanes > 1 ? table->lanes_capacity : 0;

    return table->capacity * sizeof *table->slots + table->arena_bytes + lanes;
}

static uint64_t slot_hash(const struct table_slot *slot)
{
    return table_slot_long(slot) ? slot->a : table_hash(slot->a, slot->b, slot->c);
}

/* Doubles the table when one more key would fill more than half of it. */
static int make_room(struct aggregate *table)
{
    size_t capacity = table->capacity ? table->capacity * 2 : CAPACITY_MIN, mask = capacity - 1;
    struct table_slot *slots;

    if ((table->used + 1) * 2 <= table->capacity)
        return 0;
    slots = memory_map(capacity * sizeof *slots);
    if (!slots)
        return -1;
    for (size_t i = 0; i < table->capacity; i++) {
        size_t at;

        if (!table->slots[i].c)
            continue;
        for (at = slot_hash(&table->slots[i]) & mask; slots[at].c;)
            at = (at + 1) & mask;
        slots[at] = table->slots[i];
    }
    memory_unmap(table->slots, table->capacity * sizeof *slots);
    table->slots = slots;
    table->capacity = capacity;
    return 0;
}

/* Counts one more pair of a slot. At 2^32 - 1 the count moves to the carries. */
static inline void count_pair(struct aggregate *table, struct table_slot *slot)
{
    if (__builtin_expect(++slot->pairs == UINT32_MAX, 0)) {
        memory_reserve(&table->carries, &table->carry_capacity, table->carry_count + 1,
                       sizeof *table->carries);
        table->carries[table->carry_count++].slot = *slot;
        slot->pairs = 0;
    }
}

/* The slot of a short key, claimed if it is new; NULL without memory. A claimed slot has pairs
 * 0. */
static inline struct table_slot *find_short(struct aggregate *table,
                                            const struct table_key *key, bool *ret_new)
{
    size_t mask = table->capacity - 1;
    struct table_slot *slot;

    for (size_t at = key->hash & mask;; at = (at + 1) & mask) {
        slot = &table->slots[at];
        if (slot->c == key->c && slot->a == key->a && slot->b == key->b) {
            *ret_new = false;
            return slot;
        }
        if (!slot->c)
            break;
    }
    *ret_new = true;
    if ((table->used + 1) * 2 > table->capacity) {
        if (make_room(table))
            return NULL;
        mask = table->capacity - 1;
        for (size_t at = key->hash & mask;; at = (at + 1) & mask) {
            slot = &table->slots[at];
            if (!slot->c)
                break;
        }
    }
    table->used++;
    slot->a = key->a;
    slot->b = key->b;
    slot->c = key->c;
    return slot;
}

static void *arena_take(struct aggregate *table, size_t size)
{
    struct arena_block *block = table->arena;
    void *place;

    size = (size + 15) & ~(size_t)15;
    if (!block || block->capacity - block->used < size) {
        size_t capacity = size > ARENA_BLOCK ? size : ARENA_BLOCK;

        block = memory_new(sizeof *block + capacity);
        *block = (struct arena_block){.next = table->arena, .capacity = capacity};
        table->arena = block;
        table->arena_bytes += sizeof *block + capacity;
    }
    place = block->bytes + block->used;
    block->used += size;
    return place;
}

static struct table_slot *find_long(struct aggregate *table, struct mr_bytes key, bool *ret_new)
{
    uint64_t hash = XXH3_64bits(key.ptr, key.len);
    const uint32_t mark = (uint32_t)TABLE_LONG << 24;
    struct table_long_key *copy;
    struct table_slot *slot;
    size_t mask;

    if (make_room(table))
        return NULL;
    mask = table->capacity - 1;
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
        slot = &table->slots[at];
        if (!slot->c)
            break;
        if (slot->c == mark && slot->a == hash) {
            struct mr_bytes there = table_slot_key(slot);

            if (there.len == key.len && !memcmp(there.ptr, key.ptr, key.len)) {
                *ret_new = false;
                return slot;
            }
        }
    }
    copy = arena_take(table, sizeof *copy + key.len);
    copy->len = key.len;
    memcpy(copy->bytes, key.ptr, key.len);
    *ret_new = true;
    table->used++;
    slot->a = hash;
    slot->b = (uint64_t)(uintptr_t)copy;
    slot->c = mark;
    return slot;
}

/* Joins a value into a slot, or makes it the slot's first. */
static void join(struct aggregate *table, struct table_slot *slot, bool is_new,
                 const void *value)
{
    size_t width = 8 * (size_t)table->fold.lanes;
    char start[8 * MR_LANES_MAX];

    memcpy(start, value, width);
    fold_start(&table->fold, start);
    if (!is_new) {
        fold_join(&table->fold, aggregate_lanes(table, slot), start);
    } else {
        if (table->fold.lanes > 1) {
            slot->value = (int64_t)(table->used - 1);
            memory_reserve(&table->lanes, &table->lanes_capacity, table->used * width, 1);
        }
        memcpy(aggregate_lanes(table, slot), start, width);
    }
    count_pair(table, slot);
}

int aggregate_settle(struct aggregate *table)
{
    bool count = table->fold.lane[0] == MR_COUNT, is_new;

    for (unsigned i = 0; i < table->pending_count; i++) {
        const struct aggregate_pending *pending = &table->pending[i];
        struct table_slot *slot = find_short(table, &pending->key, &is_new);
        int64_t value = count ? 1 : pending->value;

        if (!slot) {
            table->pending_count = 0;
            return -1;
        }
        slot->value = (int64_t)((uint64_t)slot->value + (uint64_t)value);
        count_pair(table, slot);
    }
    table->pending_count = 0;
    return 0;
}

int aggregate_add(struct aggregate *table, struct mr_bytes key, bool padded, const void *value)
{
    struct table_slot *slot;
    bool is_new;

    if (table->plain && key.len <= TABLE_INLINE) {
        int64_t plain;

        memcpy(&plain, value, sizeof plain);
        return aggregate_add_i64(table, key, padded, plain);
    }
    if (key.len > LIMIT_RECORD || make_room(table))
        return -1;
    if (key.len <= TABLE_INLINE) {
        struct table_key words = table_key_of(key, padded);

        slot = find_short(table, &words, &is_new);
    } else {
        slot = find_long(table, key, &is_new);
    }
    if (!slot)
        return -1;
    join(table, slot, is_new, value);
    return 0;
}

int aggregate_add_i64(struct aggregate *table, struct mr_bytes key, bool padded, int64_t value)
{
    struct aggregate_pending *pending;

    if (__builtin_expect(!table->plain || key.len > TABLE_INLINE || !table->capacity, 0)) {
        if (make_room(table))
            return -1;
        if (!table->plain || key.len > TABLE_INLINE)
            return aggregate_add(table, key, padded, &value);
    }
    pending = &table->pending[table->pending_count++];
    pending->key = table_key_of(key, padded);
    pending->value = value;
    __builtin_prefetch(&table->slots[pending->key.hash & (table->capacity - 1)], 1);
    return table->pending_count == AGGREGATE_BATCH ? aggregate_settle(table) : 0;
}
