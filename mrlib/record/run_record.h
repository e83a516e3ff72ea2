/* One record in the payload of a run's block (run.h): varint key_length, [varint value_length
 * where the run's value_width is 0], key, value. Varints are LEB128. Inline, because every
 * record that is not folded away passes here at least twice. */
#ifndef RECORD_RUN_RECORD_H
#define RECORD_RUN_RECORD_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

#endif
