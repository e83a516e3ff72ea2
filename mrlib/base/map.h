/* A hash map from 64-bit keys to pointers: open addressing, linear probing. Zero-initialise;
 * one thread. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
    struct map_slot {
        uint64_t key;
        void *value; /* NULL: empty */
    } * slots;
    size_t capacity, count;
};

void map_done(struct map *map);
/* The key's value, or NULL. */
void *map_get(const struct map *map, uint64_t key);
/* Sets the key's value, which may not be NULL. */
void map_put(struct map *map, uint64_t key, void *value);
/* Removes the key; returns its value, or NULL. */
void *map_remove(struct map *map, uint64_t key);

#endif
