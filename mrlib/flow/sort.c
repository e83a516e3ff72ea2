#include "flow/sort.h"

#include "base/check.h"
#include "record/run.h"
#include "record/run_record.h"

enum { SMALL = 32, DIGITS = 10 };

struct mr_bytes sort_record_key(const void *place, uint32_t value_width)
{
    /* The record lies whole in its memory, so no bound is needed. */
    struct mr_bytes rest = {place, SIZE_MAX / 2}, key, value;

    check(run_decode(&rest, value_width, &key, &value) == 1);
    return key;
}

static struct mr_bytes key_of(const struct sort_entry *entry, const struct sort_keys *keys)
{
    return keys->key(sort_place(entry), keys->value_width);
}

/* 0 where the ten bytes are equal. */
static inline int compare_words(const struct sort_entry *a, const struct sort_entry *b)
{
    uint64_t x = a->place >> 48, y = b->place >> 48;

    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    return x < y ? -1 : x > y;
}

static int compare(const struct sort_entry *a, const struct sort_entry *b,
                   const struct sort_keys *keys)
{
    int order = compare_words(a, b);

    return order ? order : sort_compare(key_of(a, keys), key_of(b, keys));
}

static void insertion_sort(struct sort_entry *entries, size_t n, const struct sort_keys *keys)
{
    for (size_t i = 1; i < n; i++) {
        struct sort_entry moving = entries[i];
        size_t at = i;

        for (; at && compare(&moving, &entries[at - 1], keys) < 0; at--)
            entries[at] = entries[at - 1];
        entries[at] = moving;
    }
}

static void merge_sort(struct sort_entry *entries, struct sort_entry *scratch, size_t n,
                       const struct sort_keys *keys)
{
    size_t half = n / 2, left = 0, right = half;

    if (n <= SMALL) {
        insertion_sort(entries, n, keys);
        return;
    }
    merge_sort(entries, scratch, half, keys);
    merge_sort(entries + half, scratch, n - half, keys);
    if (compare(&entries[half], &entries[half - 1], keys) >= 0)
        return;
    memcpy(scratch, entries, half * sizeof *entries);
    for (size_t out = 0; left < half; out++)
        entries[out] = right < n && compare(&entries[right], &scratch[left], keys) < 0
                           ? entries[right++]
                           : scratch[left++];
}

/* Entries that agree in all ten bytes: most often one key many times, which one pass
 * recognises. */
static void sort_ties(struct sort_entry *entries, struct sort_entry *scratch, size_t n,
                      const struct sort_keys *keys)
{
    struct mr_bytes first = key_of(&entries[0], keys);

    for (size_t i = 1; i < n; i++)
        if (sort_compare(first, key_of(&entries[i], keys))) {
            merge_sort(entries, scratch, n, keys);
            return;
        }
}

static inline unsigned digit_of(const struct sort_entry *entry, int digit)
{
    return digit < 8 ? entry->prefix >> (56 - 8 * digit) & 255
                     : entry->place >> (56 - 8 * (digit - 8)) & 255;
}

static void radix_sort(struct sort_entry *entries, struct sort_entry *scratch, size_t n,
                       int digit, const struct sort_keys *keys)
{
    size_t start[257], at[256];

    /* Digits that all entries share are passed over without moving anything. */
    for (;; digit++) {
        if (n <= SMALL) {
            insertion_sort(entries, n, keys);
            return;
        }
        if (digit == DIGITS) {
            sort_ties(entries, scratch, n, keys);
            return;
        }
        memset(start, 0, sizeof start);
        for (size_t i = 0; i < n; i++)
            start[digit_of(&entries[i], digit) + 1]++;
        if (start[digit_of(&entries[0], digit) + 1] != n)
            break;
    }
    for (int i = 0; i < 256; i++)
        start[i + 1] += start[i];
    memcpy(at, start, sizeof at);
    for (size_t i = 0; i < n; i++)
        scratch[at[digit_of(&entries[i], digit)]++] = entries[i];
    memcpy(entries, scratch, n * sizeof *entries);
    for (int i = 0; i < 256; i++)
        if (start[i + 1] - start[i] > 1)
            radix_sort(entries + start[i], scratch + start[i], start[i + 1] - start[i],
                       digit + 1, keys);
}

void sort_entries(struct sort_entry *entries, struct sort_entry *scratch, size_t n,
                  const struct sort_keys *keys)
{
    if (n > 1)
        radix_sort(entries, scratch, n, 0, keys);
}
