#include "base/map.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"

static size_t home(const struct map *map, uint64_t key)
{
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(key >> 32 ^ key) & (map->capacity - 1);
}

/* Where the key is, or where it would be put. */
static size_t find(const struct map *map, uint64_t key)
{
    size_t at = home(map, key);

    while (map->slots[at].value && map->slots[at].key != key)
        at = (at + 1) & (map->capacity - 1);
    return at;
}

void map_done(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}

void *map_get(const struct map *map, uint64_t key)
{
    return map->count ? map->slots[find(map, key)].value : NULL;
}

static void grow(struct map *map)
{
    struct map old = *map;

    map->capacity = old.capacity ? old.capacity * 2 : 16;
    map->slots = memory_zeroed(map->capacity, sizeof *map->slots);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].value)
            map->slots[find(map, old.slots[i].key)] = old.slots[i];
    free(old.slots);
}

void map_put(struct map *map, uint64_t key, void *value)
{
    struct map_slot *slot;

    check(value);
    if (map->count * 2 >= map->capacity)
        grow(map);
    slot = &map->slots[find(map, key)];
    map->count += !slot->value;
    *slot = (struct map_slot){key, value};
}

void *map_remove(struct map *map, uint64_t key)
{
    size_t mask = map->capacity - 1, hole, at;
    void *value;

    if (!map->count)
        return NULL;
    hole = find(map, key);
    value = map->slots[hole].value;
    if (!value)
        return NULL;
    map->count--;
    /* Knuth's algorithm R: those behind the hole move up unless they would pass their home. */
    for (at = (hole + 1) & mask; map->slots[at].value; at = (at + 1) & mask) {
        size_t want = home(map, map->slots[at].key);

        if (((at - want) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole].value = NULL;
    return value;
}
