#include "worker/executor/skips.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "wire/culprit.h"

static int compare_places(const void *a, const void *b)
{
    const struct skips_place *x = a, *y = b;

    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, SLOT_DIGEST);
}

/* Places of `width` numbers each: file, offset and, in three, length. */
static struct skips_place *take_places(const uint64_t *flat, size_t n, size_t width,
                                       size_t *ret_count)
{
    struct skips_place *places = memory_zeroed(n / width + 1, sizeof *places);

    for (size_t i = 0; i < n / width; i++)
        places[i] = (struct skips_place){(uint32_t)flat[width * i], flat[width * i + 1],
                                         width > 2 ? flat[width * i + 2] : 0};
    *ret_count = n / width;
    qsort(places, n / width, sizeof *places, compare_places);
    return places;
}

void skips_open(struct skips *skips, const Mr__Assign *assign)
{
    size_t size = assign->skip_keys.len / SLOT_DIGEST * SLOT_DIGEST;

    *skips = (struct skips){.key_count = size / SLOT_DIGEST};
    skips->records =
        take_places(assign->skip_records, assign->n_skip_records, 2, &skips->record_count);
    skips->narrow = take_places(assign->narrow, assign->n_narrow, 3, &skips->narrow_count);
    skips->keys = memory_new(size + 1);
    if (size)
        memcpy(skips->keys, assign->skip_keys.data, size);
    qsort(skips->keys, skips->key_count, SLOT_DIGEST, compare_keys);
}

void skips_close(struct skips *skips)
{
    free(skips->records);
    free(skips->narrow);
    free(skips->keys);
    *skips = (struct skips){0};
}

/* The first record at or behind a place. */
static const struct skips_place *next_record(const struct skips *skips, uint32_t file,
                                             uint64_t offset)
{
    struct skips_place place = {file, offset, 0};
    size_t low = 0, high = skips->record_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_places(&skips->records[middle], &place) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < skips->record_count ? &skips->records[low] : NULL;
}

enum skips_how skips_at(const struct skips *skips, uint32_t file, uint64_t offset, uint64_t end,
                        uint64_t *ret_until)
{
    const struct skips_place *record = next_record(skips, file, offset);
    enum skips_how how = SKIPS_FEED;

    *ret_until = end;
    if (record && record->file == file && record->offset < end)
        *ret_until = record->offset;
    if (*ret_until == offset)
        return SKIPS_LEAVE_OUT;
    for (size_t i = 0; i < skips->narrow_count; i++) {
        const struct skips_place *place = &skips->narrow[i];
        uint64_t behind = place->offset + place->length;

        if (place->file != file || behind <= offset || place->offset >= *ret_until)
            continue;
        if (place->offset > offset) {
            *ret_until = place->offset;
        } else {
            how = SKIPS_SINGLY;
            if (behind < *ret_until)
                *ret_until = behind;
        }
        if (how == SKIPS_FEED)
            break;
    }
    return how;
}

bool skips_passed(const struct skips *skips, uint32_t file, uint64_t end)
{
    return skips && skips->sifts &&
           (file < skips->from.file || (file == skips->from.file && end <= skips->from.offset));
}

bool skips_key(const struct skips *skips, const char *key, size_t length)
{
    uint8_t digest[SLOT_DIGEST];

    if (!skips || !skips->key_count)
        return false;
    culprit_digest(key, length, digest);
    return bsearch(digest, skips->keys, skips->key_count, SLOT_DIGEST, compare_keys);
}
