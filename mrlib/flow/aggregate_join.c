/* Joining the threads' tables, one range of hashes at a time: as slots lie in the order of
 * their hashes, a range is a piece of each table, and few enough keys that the index over them
 * stays in the cache. Different ranges have different keys, so threads join them side by side.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "flow/aggregate_internal.h"

enum { RANGE_KEYS = 2048 };

void aggregate_joiner_done(struct aggregate_joiner *joiner)
{
    free(joiner->found);
    free(joiner->index);
}

size_t aggregate_ranges(struct aggregate *const *tables, int n)
{
    size_t keys = 0, most = SIZE_MAX, ranges = 1;

    for (int i = 0; i < n; i++) {
        keys += tables[i]->used;
        if (tables[i]->capacity < most)
            most = tables[i]->capacity;
    }
    while (ranges < most && ranges * RANGE_KEYS < keys)
        ranges *= 2;
    return ranges;
}

/* Slots of the range, wherever collisions put them: at their homes, behind the range's end, or
 * around the table's. */
static void gather(struct aggregate_joiner *joiner, const struct aggregate *table, size_t range,
                   size_t ranges)
{
    size_t mask = table->capacity - 1, size = table->capacity / ranges, first = range * size;
    unsigned shift = aggregate_shift(table->capacity);

    for (size_t i = first;; i++) {
        struct table_slot *slot = &table->slots[i & mask];
        uint64_t hash;
        size_t home;

        if (!slot->c) {
            if (i >= first + size)
                break;
            continue;
        }
        hash = table_slot_hash(slot);
        home = hash >> shift;
        if (home - first >= size || (i <= mask ? home > i : home <= (i & mask)))
            continue;
        if (joiner->count == joiner->capacity)
            memory_reserve(&joiner->found, &joiner->capacity, joiner->count + 1,
                           sizeof *joiner->found);
        joiner->found[joiner->count++] = (struct aggregate_found){slot, hash, slot->pairs};
    }
}

static void join_equal(struct aggregate_joiner *joiner, const struct fold *fold)
{
    size_t need = 16, kept = 0, mask;

    check(joiner->count < UINT32_MAX / 4);
    while (need < 2 * joiner->count)
        need *= 2;
    if (need > joiner->index_capacity) {
        free(joiner->index);
        joiner->index = memory_new(need * sizeof *joiner->index);
        joiner->index_capacity = need;
    }
    memset(joiner->index, 0, need * sizeof *joiner->index);
    mask = need - 1;
    for (size_t k = 0; k < joiner->count; k++) {
        struct aggregate_found *found = &joiner->found[k], *other = NULL;
        size_t at = found->hash & mask;

        for (; joiner->index[at]; at = (at + 1) & mask) {
            other = &joiner->found[joiner->index[at] - 1];
            if (other->hash == found->hash && table_slots_alike(other->slot, found->slot))
                break;
        }
        if (joiner->index[at]) {
            fold_join(fold, aggregate_lanes(fold, other->slot),
                      aggregate_lanes(fold, found->slot));
            other->pairs += found->pairs;
        } else {
            joiner->found[kept++] = *found;
            joiner->index[at] = (uint32_t)kept;
        }
    }
    joiner->count = kept;
}

void aggregate_join(struct aggregate_joiner *joiner, struct aggregate *const *tables, int n,
                    size_t range, size_t ranges)
{
    size_t first = 0; /* found in the tables before the last one */

    joiner->count = 0;
    for (int i = 0; i < n; i++) {
        first = joiner->count;
        gather(joiner, tables[i], range, ranges);
    }
    if (first)
        join_equal(joiner, &tables[0]->fold);
}
