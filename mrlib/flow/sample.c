#include "flow/sample.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "flow/sort.h"

enum {
    BLOCK = 256 << 10,
    POINT_OVERHEAD = 4, /* bytes around a point in its message: its tag and its length */
    RANGES_OVERHEAD = 64
};

struct block {
    struct block *before;
    size_t used;
    char bytes[BLOCK];
};

/* A key in a block: its length in two bytes, then its bytes. */
struct sample {
    struct block *last;
    struct sort_entry *entries;
    size_t count, capacity;
    size_t left; /* bytes that the piece may still take */
};

struct sample *sample_new(void)
{
    return memory_zeroed(1, sizeof(struct sample));
}

void sample_free(struct sample *sample)
{
    if (!sample)
        return;
    while (sample->last) {
        struct block *block = sample->last;

        sample->last = block->before;
        free(block);
    }
    free(sample->entries);
    free(sample);
}

void sample_piece(struct sample *sample, size_t pieces)
{
    check(pieces > 0);
    sample->left = SAMPLE_BYTES / pieces;
}

void sample_add(struct sample *sample, struct mr_bytes key)
{
    uint16_t length = key.len < SAMPLE_KEY ? (uint16_t)key.len : SAMPLE_KEY;
    size_t need = sizeof length + length, cost = need + 2 * sizeof(struct sort_entry);
    struct block *block = sample->last;
    char *at;

    if (!sample->left)
        return;
    sample->left -= cost < sample->left ? cost : sample->left;
    if (!block || BLOCK - block->used < need) {
        block = memory_new(sizeof *block);
        block->before = sample->last;
        block->used = 0;
        sample->last = block;
    }
    at = block->bytes + block->used;
    block->used += need;
    memcpy(at, &length, sizeof length);
    if (length)
        memcpy(at + sizeof length, key.ptr, length);
    memory_reserve(&sample->entries, &sample->capacity, sample->count + 1,
                   sizeof *sample->entries);
    sample->entries[sample->count++] =
        sort_entry_of((struct mr_bytes){at + sizeof length, length}, at);
}

/* ---- Cutting ---- */

static struct mr_bytes key_at(const void *place, uint32_t unused)
{
    uint16_t length;

    (void)unused;
    memcpy(&length, place, sizeof length);
    return (struct mr_bytes){(const char *)place + sizeof length, length};
}

static struct mr_bytes key_of(const struct sort_entry *entry)
{
    return key_at(sort_place(entry), 0);
}

/* The keys of all containers in order; the caller frees. */
static struct sort_entry *sort_all(struct sample *const *all, int n, size_t *ret_count)
{
    const struct sort_keys keys = {key_at, 0};
    cleanup_free struct sort_entry *scratch = NULL;
    struct sort_entry *entries;
    size_t count = 0;

    for (int i = 0; i < n; i++)
        count += all[i]->count;
    entries = memory_new((count + 1) * sizeof *entries);
    scratch = memory_new((count + 1) * sizeof *scratch);
    count = 0;
    for (int i = 0; i < n; i++) {
        if (all[i]->count)
            memcpy(entries + count, all[i]->entries, all[i]->count * sizeof *entries);
        count += all[i]->count;
    }
    sort_entries(entries, scratch, count, &keys);
    *ret_count = count;
    return entries;
}

static size_t common_length(struct mr_bytes a, struct mr_bytes b)
{
    size_t n = 0;

    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

/* The key at a rank, as short as it may be: what is below it must stay below. `floor` is a rank
 * whose key is below it or equal; none before it need be looked at. */
static struct mr_bytes shortened(const struct sort_entry *entries, size_t rank, size_t floor)
{
    struct mr_bytes key = key_of(&entries[rank]);

    for (size_t i = rank; i-- > floor;) {
        struct mr_bytes below = key_of(&entries[i]);

        if (sort_compare(below, key)) {
            key.len = common_length(below, key) + 1;
            break;
        }
    }
    return key;
}

/* Cuts off what all have in common, and from the longest ones what is too much for a message.
 */
static void fit(struct sample_points *points)
{
    size_t room = SAMPLE_RANGES_MAX - RANGES_OVERHEAD - points->count * POINT_OVERHEAD;
    size_t low = 0, high = SAMPLE_KEY, common;

    if (!points->count)
        return;
    common = common_length(points->points[0], points->points[points->count - 1]);
    points->prefix = (struct mr_bytes){points->points[0].ptr, common};
    room -= common;
    for (size_t i = 0; i < points->count; i++)
        points->points[i] =
            (struct mr_bytes){points->points[i].ptr + common, points->points[i].len - common};
    /* The largest length for which there is room. */
    while (low < high) {
        size_t length = low + (high - low + 1) / 2, sum = 0;

        for (size_t i = 0; i < points->count; i++)
            sum += points->points[i].len < length ? points->points[i].len : length;
        if (sum <= room)
            low = length;
        else
            high = length - 1;
    }
    for (size_t i = 0; i < points->count; i++)
        if (points->points[i].len > low)
            points->points[i].len = low;
}

void sample_cut(struct sample *const *all, int n, uint32_t parts, struct sample_points *ret)
{
    size_t count, before = 0;
    cleanup_free struct sort_entry *entries = sort_all(all, n, &count);

    check(parts > 0);
    *ret = (struct sample_points){.count = parts - 1};
    ret->points = memory_zeroed(parts, sizeof *ret->points);
    for (size_t i = 0; i < ret->count; i++) {
        size_t rank = (size_t)((uint64_t)count * (i + 1) / parts);

        if (!count)
            ret->points[i] = (struct mr_bytes){"", 0};
        else if (i && !sort_compare(key_of(&entries[before]), key_of(&entries[rank])))
            ret->points[i] = ret->points[i - 1];
        else
            ret->points[i] = shortened(entries, rank, before);
        before = rank;
    }
    fit(ret);
}
