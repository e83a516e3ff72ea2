/* The hash table of one thread's aggregation: open addressing, linear probing, at most half
 * full.
 *
 * A slot is 32 bytes, so that two share a cache line. Keys of up to 19 bytes lie in it, as two
 * words and three bytes, with their length behind them in the same word: comparing 20 bytes
 * compares keys and lengths at once. A longer key is kept in an arena; its slot holds its hash,
 * its address and the mark LONG. */
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
    int64_t value;  /* the accumulator of one lane; of several: where they are */
};

/* A key's words, as a slot holds them, and their hash. */
struct table_key {
    uint64_t a, b;
    uint32_t c;
    uint64_t hash;
};

struct table_long_key {
    size_t len;
    char bytes[];
};

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

/* The key of a slot; the slot must stay where it is. */
static inline struct mr_bytes table_slot_key(const struct table_slot *slot)
{
    if (table_slot_long(slot)) {
        const struct table_long_key *key = (const struct table_long_key *)(uintptr_t)slot->b;

        return (struct mr_bytes){key->bytes, key->len};
    }
    return (struct mr_bytes){(const char *)slot, (slot->c >> 24) - 1};
}

/* The words of a key of at most TABLE_INLINE bytes. `padded`: 24 bytes may be read at key.ptr.
 */
static inline struct table_key table_key_of(struct mr_bytes key, bool padded)
{
    struct table_key words;

    if (padded) {
        /* Whole words are loaded, and what is beyond the key is masked away. */
        size_t n = key.len;

        memcpy(&words.a, key.ptr, 8);
        if (n <= 8) {
            words.a &= n == 8 ? ~UINT64_C(0) : ~(~UINT64_C(0) << (8 * n));
            words.b = words.c = 0;
        } else {
            memcpy(&words.b, key.ptr + 8, 8);
            words.c = 0;
            if (n <= 16) {
                words.b &= n == 16 ? ~UINT64_C(0) : ~(~UINT64_C(0) << (8 * (n - 8)));
            } else {
                memcpy(&words.c, key.ptr + 16, 4);
                words.c &= ~(~UINT32_C(0) << (8 * (n - 16)));
            }
        }
    } else {
        char bytes[24] = {0};

        if (key.len)
            memcpy(bytes, key.ptr, key.len);
        memcpy(&words.a, bytes, 8);
        memcpy(&words.b, bytes + 8, 8);
        memcpy(&words.c, bytes + 16, 4);
    }
    words.c |= (uint32_t)(key.len + 1) << 24;
    words.hash = table_hash(words.a, words.b, words.c);
    return words;
}

#endif
