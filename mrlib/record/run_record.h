/* One record in the payload of a run's block (run.h): varint key_length, [varint value_length
 * where the run's value_width is 0], key, value. Varints are LEB128. Inline, because every
 * record that is not folded away passes here at least twice. */
#ifndef RECORD_RUN_RECORD_H
#define RECORD_RUN_RECORD_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* ---- Decoding ------------------------------------------------------------------------------
 */

/* A LEB128 number of at most 35 bits; false when the bytes end first or it is larger. */
static inline bool run_take_varint(struct mr_bytes *bytes, size_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 35 && bytes->len; shift += 7) {
        uint8_t byte = (uint8_t)*bytes->ptr++;

        bytes->len--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

/* Takes one record off a block's payload: 1, 0 at its end, -1 if the bytes make no sense. Key
 * and value point into the payload. */
static inline int run_decode(struct mr_bytes *payload, uint32_t value_width,
                             struct mr_bytes *ret_key, struct mr_bytes *ret_value)
{
    size_t key, value = value_width;

    if (!payload->len)
        return 0;
    if (!run_take_varint(payload, &key) ||
        (!value_width && !run_take_varint(payload, &value)) || key > payload->len ||
        value > payload->len - key)
        return -1;
    *ret_key = (struct mr_bytes){payload->ptr, key};
    *ret_value = (struct mr_bytes){payload->ptr + key, value};
    payload->ptr += key + value;
    payload->len -= key + value;
    return 1;
}

/* ---- Encoding ------------------------------------------------------------------------------
 */

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
