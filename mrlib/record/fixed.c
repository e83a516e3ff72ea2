#include "record/fixed.h"

#include <string.h>

static uint64_t round_up(uint64_t offset, uint64_t width)
{
    uint64_t behind = offset % width;

    return behind ? offset - behind + width : offset;
}

/* The records that begin in the range: their first byte and the byte behind the last. */
static void bounds(uint64_t size, uint32_t width, uint64_t offset, uint64_t length,
                   uint64_t *ret_first, uint64_t *ret_end)
{
    uint64_t end = offset + length < size ? round_up(offset + length, width) : size;

    *ret_first = round_up(offset, width);
    *ret_end = end > *ret_first ? end : *ret_first;
}

static void give(const struct lines *buffer, uint64_t first, uint64_t end,
                 struct mr_bytes *ret_text, uint64_t *ret_offset)
{
    size_t size = (size_t)(end - first);

    if (size)
        memset(buffer->buffer + size, ' ', MR_PADDING);
    *ret_text = (struct mr_bytes){buffer->buffer, size};
    *ret_offset = first;
}

int fixed_read(struct lines *buffer, const struct lines_file *file, uint32_t width,
               uint64_t offset, uint64_t length, struct mr_bytes *ret_text,
               uint64_t *ret_offset, struct error *err)
{
    uint64_t first, end;

    bounds(file->size, width, offset, length, &first, &end);
    if (end > first && lines_fill(buffer, file, first, (size_t)(end - first), err))
        return -1;
    give(buffer, first, end, ret_text, ret_offset);
    return 0;
}

int fixed_numbers(struct lines *buffer, uint64_t count, uint64_t offset, uint64_t length,
                  struct mr_bytes *ret_text, uint64_t *ret_offset, struct error *err)
{
    uint64_t first, end;

    bounds(count * FIXED_NUMBER, FIXED_NUMBER, offset, length, &first, &end);
    if (lines_room(buffer, (size_t)(end - first), err))
        return -1;
    for (uint64_t number = first / FIXED_NUMBER; number < end / FIXED_NUMBER; number++)
        memcpy(buffer->buffer + (number * FIXED_NUMBER - first), &number, FIXED_NUMBER);
    give(buffer, first, end, ret_text, ret_offset);
    return 0;
}
