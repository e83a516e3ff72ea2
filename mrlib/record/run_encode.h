/* The encoding of one record in a run's block, for those who fill blocks: see run.h. Inline,
 * because each emitted pair goes through it. */
#ifndef RECORD_RUN_ENCODE_H
#define RECORD_RUN_ENCODE_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What a record takes at most beyond its key and value. */
enum { RUN_LENGTHS_MAX = 20 };

static inline char *run_put_varint(char *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (char)(value | 0x80);
    *at++ = (char)value;
    return at;
}

/* memcpy for the few bytes that most keys and values have: pieces of a fixed size, of which the
 * last ones overlap. */
static inline void run_copy(char *to, const char *from, size_t size)
{
    if (size > 128) {
        memcpy(to, from, size);
    } else if (size >= 16) {
        for (size_t at = 0; at < size - 16; at += 16)
            memcpy(to + at, from + at, 16);
        memcpy(to + size - 16, from + size - 16, 16);
    } else if (size >= 8) {
        memcpy(to, from, 8);
        memcpy(to + size - 8, from + size - 8, 8);
    } else if (size >= 4) {
        memcpy(to, from, 4);
        memcpy(to + size - 4, from + size - 4, 4);
    } else if (size) {
        to[0] = from[0];
        to[size / 2] = from[size / 2];
        to[size - 1] = from[size - 1];
    }
}

/* Writes a record to `at`, where there is room for key, value and RUN_LENGTHS_MAX; returns its
 * end. */
static inline char *run_encode(char *at, struct mr_bytes key, struct mr_bytes value,
                               uint32_t value_width)
{
    at = run_put_varint(at, key.len);
    if (!value_width)
        at = run_put_varint(at, value.len);
    run_copy(at, key.ptr, key.len);
    run_copy(at + key.len, value.ptr, value.len);
    return at + key.len + value.len;
}

#endif
