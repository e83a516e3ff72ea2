/* The hash table of one thread's aggregation: open addressing, linear probing.
 *
 * A slot is 32 bytes, so that two share a cache line. Keys of up to 19 bytes lie in it, as two
 * words and three bytes, with their length behind them in the same word: comparing 20 bytes
 * compares keys and lengths at once. A longer key is kept in an arena; its slot holds its hash,
 * its address and the mark LONG.
 *
 * A hash's upper bits are its place. So slots lie in the order of their hashes but for what
 * collisions moved on: a table grows, and tables are joined, by walking through memory. */
#ifndef FLOW_TABLE_H
#define FLOW_TABLE_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { TABLE_INLINE = 19, TABLE_LONG = 0xff };

struct table_slot {
    uint64_t a, b; /* key bytes 0-7 and 8-15, zero-padded; of a long key: hash and address */
    uint32_t
        c; /* key bytes 16-18 and, on top, length + 1, or TABLE_LONG; 0: the slot is empty */
    uint32_t pairs; /* emitted values that the slot stands for; never wraps: aggregate.c carries
                       it */
    int64_t value;  /* the accumulator of one lane; of several: their address */
};

/* A key's words, as a slot holds them. */
struct table_key {
    uint64_t a, b;
    uint32_t c;
};

struct table_long_key {
    size_t len;
    char bytes[];
};

/* For each length of a key that lies in its slot: which bits of its words are the key's, and
 * the length as the third word holds it. */
struct table_mask {
    uint64_t a, b;
    uint32_t c, length;
};
extern const struct table_mask table_masks[TABLE_INLINE + 1];

static inline uint64_t table_mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t table_hash(uint64_t a, uint64_t b, uint32_t c)
{
    return table_mix(
        a ^ UINT64_C(0x9e3779b97f4a7c15),
        table_mix(b ^ UINT64_C(0xd6e8feb86659fd93), c ^ UINT64_C(0xa0761d6478bd642f)));
}

static inline bool table_slot_long(const struct table_slot *slot)
{
    return slot->c >> 24 == TABLE_LONG;
}

static inline uint64_t table_slot_hash(const struct table_slot *slot)
{
    return table_slot_long(slot) ? slot->a : table_hash(slot->a, slot->b, slot->c);
}

/* The key of a slot; the slot must stay where it is. */
static inline struct mr_bytes table_slot_key(const struct table_slot *slot)
{
    if (table_slot_long(slot)) {
        const struct table_long_key *key = (const struct table_long_key *)(uintptr_t)slot->b;

        return (struct mr_bytes){key->bytes, key->len};
    }
    return (struct mr_bytes){(const char *)slot, (slot->c >> 24) - 1};
}

/* Whether two slots, neither of them empty, have the same key. */
static inline bool table_slots_alike(const struct table_slot *x, const struct table_slot *y)
{
    struct mr_bytes p, q;

    if (x->a != y->a || x->c != y->c)
        return false;
    if (!table_slot_long(x))
        return x->b == y->b;
    p = table_slot_key(x);
    q = table_slot_key(y);
    return p.len == q.len && !memcmp(p.ptr, q.ptr, p.len);
}

/* The words of a key of at most TABLE_INLINE bytes behind which 24 bytes may be read from its
 * first one on: whole words are loaded, and what is not the key's is masked away. */
static inline struct table_key table_key_padded(struct mr_bytes key)
{
    const struct table_mask *mask = &table_masks[key.len];
    struct table_key words;

    memcpy(&words.a, key.ptr, 8);
    memcpy(&words.b, key.ptr + 8, 8);
    memcpy(&words.c, key.ptr + 16, 4);
    words.a &= mask->a;
    words.b &= mask->b;
    words.c = (words.c & mask->c) | mask->length;
    return words;
}

/* The same for a key behind which nothing may be read: words that overlap are shifted apart. */
static inline struct table_key table_key_exact(struct mr_bytes key)
{
    struct table_key words = {0, 0, 0};
    size_t n = key.len;
    uint32_t low, high;

    if (n > 16) {
        memcpy(&words.a, key.ptr, 8);
        memcpy(&words.b, key.ptr + 8, 8);
        memcpy(&words.c, key.ptr + n - 4, 4);
        words.c >>= 8 * (20 - n);
    } else if (n > 8) {
        memcpy(&words.a, key.ptr, 8);
        memcpy(&words.b, key.ptr + n - 8, 8);
        words.b >>= 8 * (16 - n);
    } else if (n >= 4) {
        memcpy(&low, key.ptr, 4);
        memcpy(&high, key.ptr + n - 4, 4);
        words.a = low | (uint64_t)high << (8 * (n - 4));
    } else {
        for (size_t i = 0; i < n; i++)
            words.a |= (uint64_t)(uint8_t)key.ptr[i] << (8 * i);
    }
    words.c |= (uint32_t)(n + 1) << 24;
    return words;
}

#endif
