/* Newlines, 64 bytes at a time.
 *
 * A block of 64 bytes becomes a mask with a bit for each newline, and the mask is then taken
 * apart bit by bit: short lines cost a few instructions each, and no call. Counting is compiled
 * for several instruction sets from the same lines; the processor's best is chosen at run time.
 */
#ifndef RECORD_NEWLINES_H
#define RECORD_NEWLINES_H

#include <mr/job.h>
#include <stdint.h>

/* How many newlines a text holds. It need not be padded. */
uint64_t newlines_count(struct mr_bytes text);

/* The same in every way but speed: on any machine, a byte at a time. What the others are
 * compared with. */
uint64_t newlines_count_plain(struct mr_bytes text);
uint64_t newlines_mask_plain(const char *block);

/* Bit i: whether byte i of the 64 at `block` is a newline. */
static inline uint64_t newlines_mask(const char *block)
{
#ifdef __SSE2__
    const __m128i newline = _mm_set1_epi8('\n');
    uint64_t mask = 0;

    for (int i = 0; i < 4; i++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(block + 16 * i));

        mask |= (uint64_t)(uint16_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, newline)) << (16 * i);
    }
    return mask;
#else
    return newlines_mask_plain(block);
#endif
}

/* A walk over the newlines of a text that is padded by MR_PADDING readable bytes:
 *     for (struct newlines n = newlines_in(text); (at = newlines_next(&n));) */
struct newlines {
    const char *block, *end;
    uint64_t mask; /* of the block, what was not given yet */
};

static inline struct newlines newlines_in(struct mr_bytes text)
{
    struct newlines walk = {text.ptr, text.ptr + text.len, 0};

    if (text.len)
        walk.mask = newlines_mask(text.ptr);
    return walk;
}

/* The next newline; NULL behind the last. */
static inline const char *newlines_next(struct newlines *walk)
{
    const char *at;

    while (!walk->mask) {
        if (walk->end - walk->block <= 64)
            return NULL;
        walk->block += 64;
        walk->mask = newlines_mask(walk->block);
    }
    at = walk->block + __builtin_ctzll(walk->mask);
    walk->mask &= walk->mask - 1;
    return at < walk->end ? at : NULL;
}

#endif
