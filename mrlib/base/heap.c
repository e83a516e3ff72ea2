#include "base/heap.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"

void heap_done(struct heap *heap)
{
    free(heap->items);
    *heap = (struct heap){0};
}

void heap_push(struct heap *heap, uint32_t item)
{
    size_t at = heap->count++;

    memory_reserve(&heap->items, &heap->capacity, heap->count, sizeof *heap->items);
    for (; at && heap->items[(at - 1) / 2] > item; at = (at - 1) / 2)
        heap->items[at] = heap->items[(at - 1) / 2];
    heap->items[at] = item;
}

/* Takes out what stands at `at`; the last item takes its place. */
static void take_out(struct heap *heap, size_t at)
{
    uint32_t last = heap->items[--heap->count];
    size_t child;

    for (; at && heap->items[(at - 1) / 2] > last; at = (at - 1) / 2)
        heap->items[at] = heap->items[(at - 1) / 2];
    while ((child = 2 * at + 1) < heap->count) {
        if (child + 1 < heap->count && heap->items[child + 1] < heap->items[child])
            child++;
        if (last <= heap->items[child])
            break;
        heap->items[at] = heap->items[child];
        at = child;
    }
    heap->items[at] = last;
}

uint32_t heap_pop(struct heap *heap)
{
    uint32_t top;

    check(heap->count);
    top = heap->items[0];
    take_out(heap, 0);
    return top;
}

void heap_remove(struct heap *heap, uint32_t item)
{
    size_t at = 0;

    while (at < heap->count && heap->items[at] != item)
        at++;
    check(at < heap->count);
    take_out(heap, at);
}
