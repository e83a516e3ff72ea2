/* Sorting of keys: 16-byte entries, most significant digit first (McIlroy, Bostic, McIlroy:
 * Engineering Radix Sort, 1993), stable.
 *
 * An entry holds a key's first ten bytes, zero-padded, and a pointer of 48 bits to whatever
 * holds the whole key. Eight of the ten sort as one word, so that short keys are never fetched;
 * keys that agree in all ten are told apart by their bytes and lengths, and equal keys stay in
 * the order in which they came. */
#ifndef FLOW_SORT_H
#define FLOW_SORT_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct sort_entry {
    uint64_t prefix; /* bytes 0 to 7 of the key, the first one most significant */
    uint64_t place;  /* bytes 8 and 9 in the upper 16 bits, the pointer below */
};

/* How to get the whole key of an entry's pointer. `value_width` is handed through. */
struct sort_keys {
    struct mr_bytes (*key)(const void *place, uint32_t value_width);
    uint32_t value_width;
};

/* Keys of records that lie in memory in the encoding of runs, checked before. */
struct mr_bytes sort_record_key(const void *place, uint32_t value_width);

/* The first 8 bytes of a key, big-endian, zero-padded: comparing two of these as numbers
 * compares the keys as far as they go. */
static inline uint64_t sort_prefix(struct mr_bytes key)
{
    uint64_t word = 0;

    if (key.len >= 8)
        memcpy(&word, key.ptr, 8);
    else
        for (size_t i = 0; i < key.len; i++)
            word |= (uint64_t)(uint8_t)key.ptr[i] << (8 * i);
    return __builtin_bswap64(word);
}

static inline struct sort_entry sort_entry_of(struct mr_bytes key, const void *place)
{
    uint64_t next = key.len > 8 ? (uint64_t)(uint8_t)key.ptr[8] << 8 : 0;

    next |= key.len > 9 ? (uint8_t)key.ptr[9] : 0;
    return (struct sort_entry){sort_prefix(key), next << 48 | (uint64_t)(uintptr_t)place};
}

static inline const void *sort_place(const struct sort_entry *entry)
{
    return (const void *)(uintptr_t)(entry->place & UINT64_C(0xffffffffffff));
}

/* Bytewise order; a prefix comes before what it begins. */
static inline int sort_compare(struct mr_bytes a, struct mr_bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;

    return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

/* Sorts `entries` (n of them) with the help of `scratch`, as large. */
void sort_entries(struct sort_entry *entries, struct sort_entry *scratch, size_t n,
                  const struct sort_keys *keys);

#endif
