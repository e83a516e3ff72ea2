#include "flow/range.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "flow/sort.h"

enum { FIRST = 1 << 16 }; /* values of a key's first two bytes */

struct range {
    size_t count;
    char *prefix; /* of all points; the rest of this struct is about what follows it */
    size_t prefix_length;
    char *bytes;
    struct mr_bytes *rests;
    uint64_t *words;           /* bytes 2 to 9, the first one most significant, zero-padded */
    uint16_t below[FIRST + 1]; /* points whose first two bytes are less than the index */
};

/* The first 8 bytes, zero-padded: as sort_prefix, without a loop. */
static inline uint64_t first_word(struct mr_bytes key)
{
    const unsigned char *p = (const unsigned char *)key.ptr;
    uint32_t four;
    uint64_t high, low;

    if (key.len >= 8)
        return sort_prefix(key);
    if (key.len >= 4) {
        memcpy(&four, p, 4);
        high = __builtin_bswap32(four);
        memcpy(&four, p + key.len - 4, 4); /* some bytes again, which are shifted away */
        low = __builtin_bswap32(four);
        return high << 32 | (uint32_t)(low << (64 - 8 * key.len));
    }
    if (!key.len)
        return 0;
    return (uint64_t)p[0] << 56 | (uint64_t)p[key.len / 2] << (56 - 8 * (key.len / 2)) |
           (uint64_t)p[key.len - 1] << (64 - 8 * key.len);
}

/* Bytes 2 to 9; `first` is first_word of the same key. */
static inline uint64_t second_word(struct mr_bytes key, uint64_t first)
{
    uint64_t word;

    if (key.len >= 10) {
        memcpy(&word, key.ptr + 2, 8);
        return __builtin_bswap64(word);
    }
    return first << 16 | (key.len > 8 ? (uint64_t)(uint8_t)key.ptr[8] << 8 : 0);
}

static size_t common_length(struct mr_bytes a, struct mr_bytes b)
{
    size_t n = 0;

    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

static void take_prefix(struct range *range, struct mr_bytes prefix, struct mr_bytes more)
{
    range->prefix_length = prefix.len + more.len;
    range->prefix = memory_new(range->prefix_length + 1);
    if (prefix.len)
        memcpy(range->prefix, prefix.ptr, prefix.len);
    if (more.len)
        memcpy(range->prefix + prefix.len, more.ptr, more.len);
}

/* Copies what follows the first `skip` bytes of each point. */
static void take_rests(struct range *range, const struct mr_bytes *points, size_t skip)
{
    size_t size = 0;
    char *at;

    for (size_t i = 0; i < range->count; i++)
        size += points[i].len - skip;
    range->bytes = at = memory_new(size + 1);
    for (size_t i = 0; i < range->count; i++) {
        struct mr_bytes *rest = &range->rests[i];
        uint64_t first;

        *rest = (struct mr_bytes){at, points[i].len - skip};
        if (rest->len)
            memcpy(at, points[i].ptr + skip, rest->len);
        at += rest->len;
        first = first_word(*rest);
        range->words[i] = second_word(*rest, first);
        range->below[(first >> 48) + 1]++;
    }
    for (int i = 0; i < FIRST; i++)
        range->below[i + 1] = (uint16_t)(range->below[i + 1] + range->below[i]);
}

int range_new(struct mr_bytes prefix, const struct mr_bytes *points, size_t n,
              struct range **ret, struct error *err)
{
    struct range *range;
    size_t skip = 0;

    if (n > RANGE_POINTS_MAX)
        return error_set(err, ERROR_INTERNAL, "%zu ranges of keys are too many", n);
    for (size_t i = 1; i < n; i++)
        if (sort_compare(points[i - 1], points[i]) > 0)
            return error_set(err, ERROR_INTERNAL, "the ranges of keys are not in order");
    if (n)
        skip = common_length(points[0], points[n - 1]);
    range = memory_zeroed(1, sizeof *range);
    range->count = n;
    range->rests = memory_zeroed(n + 1, sizeof *range->rests);
    range->words = memory_zeroed(n + 1, sizeof *range->words);
    take_prefix(range, prefix, (struct mr_bytes){n ? points[0].ptr : NULL, skip});
    take_rests(range, points, skip);
    *ret = range;
    return 0;
}

void range_free(struct range *range)
{
    if (!range)
        return;
    free(range->prefix);
    free(range->bytes);
    free(range->rests);
    free(range->words);
    free(range);
}

size_t range_points(const struct range *range)
{
    return range->count;
}

/* Among the points from `low` to `high`, of which the first ones agree with the key in ten
 * bytes: how many are not above it. */
static size_t pick_whole(const struct range *range, size_t low, size_t high, uint64_t word,
                         struct mr_bytes key)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (range->words[middle] > word || sort_compare(range->rests[middle], key) > 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

uint32_t range_pick(const struct range *range, struct mr_bytes key)
{
    const uint64_t *base;
    uint64_t first, word;
    size_t low, high, n;

    if (range->prefix_length) {
        size_t length = range->prefix_length < key.len ? range->prefix_length : key.len;
        int order = length ? memcmp(key.ptr, range->prefix, length) : 0;

        if (order)
            return order < 0 ? 0 : (uint32_t)range->count;
        if (length < range->prefix_length)
            return 0;
        key.ptr += length;
        key.len -= length;
    }
    first = first_word(key);
    low = range->below[first >> 48];
    high = range->below[(first >> 48) + 1];
    n = high - low;
    if (!n)
        return (uint32_t)low;
    word = second_word(key, first);
    for (base = range->words + low; n > 1; n -= n / 2)
        base += n / 2 & -(size_t)(base[n / 2 - 1] < word);
    low = (size_t)(base - range->words) + (*base < word);
    if (low < high && range->words[low] == word)
        low = pick_whole(range, low, high, word, key);
    return (uint32_t)low;
}
