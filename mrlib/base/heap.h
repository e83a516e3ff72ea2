/* A binary heap of 32-bit numbers, the lowest on top. Zero-initialise; one thread. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

struct heap {
    uint32_t *items;
    size_t count, capacity;
};

void heap_done(struct heap *heap);
void heap_push(struct heap *heap, uint32_t item);
/* Removes and returns the lowest; the heap is not empty. */
uint32_t heap_pop(struct heap *heap);
/* Removes an item that is there, wherever it stands; in time linear in their number. */
void heap_remove(struct heap *heap, uint32_t item);

#endif
