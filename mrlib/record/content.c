#include "record/content.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { VARINT_MAX = 10, PART_MAX = 2 * VARINT_MAX + 4 };

uint32_t content_fold(uint64_t digest)
{
    return (uint32_t)((digest ^ digest >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

void content_add(struct content *to, const struct content *more)
{
    to->pairs += more->pairs;
    to->records += more->records;
    to->digest += more->digest;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static bool take_varint(struct mr_bytes *bytes, uint64_t *ret)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 64 && bytes->len; shift += 7) {
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

uint8_t *content_encode(const struct content *parts, uint32_t count, size_t *ret_size)
{
    uint8_t *bytes = memory_new((size_t)count * PART_MAX + 1), *at = bytes;

    for (uint32_t i = 0, n; i < count; i += n) {
        for (n = 0; i + n < count && !parts[i + n].pairs; n++)
            ;
        at = put_varint(at, n ? 0 : parts[i].pairs);
        at = put_varint(at, n ? n : parts[i].records);
        if (n)
            continue;
        memcpy(at, &parts[i].digest, sizeof parts[i].digest);
        at += sizeof parts[i].digest;
        n = 1;
    }
    *ret_size = (size_t)(at - bytes);
    return bytes;
}

int content_decode(struct mr_bytes bytes, uint32_t count, struct content *ret_parts)
{
    uint64_t n;

    for (uint32_t i = 0; i < count; i += (uint32_t)n) {
        struct content part = {0};

        if (!take_varint(&bytes, &part.pairs) || !take_varint(&bytes, &n))
            return -1;
        if (!part.pairs) {
            if (!n || n > count - i)
                return -1;
            memset(ret_parts + i, 0, n * sizeof *ret_parts);
            continue;
        }
        part.records = n;
        n = 1;
        if (bytes.len < sizeof part.digest)
            return -1;
        memcpy(&part.digest, bytes.ptr, sizeof part.digest);
        bytes.ptr += sizeof part.digest;
        bytes.len -= sizeof part.digest;
        ret_parts[i] = part;
    }
    return bytes.len ? -1 : 0;
}
