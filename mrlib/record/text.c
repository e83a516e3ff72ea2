#include "record/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t text_i64(char *at, int64_t value)
{
    char digits[24];
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    size_t n = 0, sign = value < 0;

    do {
        digits[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (sign)
        *at++ = '-';
    for (size_t i = 0; i < n; i++)
        at[i] = digits[n - 1 - i];
    return n + sign;
}

size_t text_f64(char *at, double value)
{
    int n = 0;

    if (isnan(value))
        return (size_t)snprintf(at, TEXT_NUMBER, "nan");
    if (isinf(value))
        return (size_t)snprintf(at, TEXT_NUMBER, value < 0 ? "-inf" : "inf");
    /* Up to 15 digits are always told apart, but for the tiniest numbers; 17 always suffice. */
    for (int digits = isnormal(value) ? 15 : 1; digits <= 17; digits++) {
        n = snprintf(at, TEXT_NUMBER, "%.*g", digits, value);
        if (strtod(at, NULL) == value)
            break;
    }
    for (int i = 0; i < n; i++)
        if (at[i] == ',')
            at[i] = '.'; /* a job may have set a locale */
    return (size_t)n;
}

size_t text_room(struct mr_bytes key, struct mr_bytes value, enum mr_type type)
{
    return key.len + 2 + (type == MR_BYTES ? value.len : value.len / 8 * (TEXT_NUMBER + 1));
}

static size_t put_lanes(char *at, struct mr_bytes value, enum mr_type type)
{
    char *start = at;

    for (size_t i = 0; i < value.len; i += 8) {
        int64_t integer;
        double number;

        if (i)
            *at++ = '\t';
        memcpy(&integer, value.ptr + i, 8);
        memcpy(&number, value.ptr + i, 8);
        at += type == MR_I64 ? text_i64(at, integer) : text_f64(at, number);
    }
    return (size_t)(at - start);
}

size_t text_pair(char *at, struct mr_bytes key, struct mr_bytes value, enum mr_type type)
{
    char *start = at;

    if (key.len)
        memcpy(at, key.ptr, key.len);
    at += key.len;
    if (value.ptr) {
        *at++ = '\t';
        if (type == MR_BYTES) {
            memcpy(at, value.ptr, value.len);
            at += value.len;
        } else {
            at += put_lanes(at, value, type);
        }
    }
    *at++ = '\n';
    return (size_t)(at - start);
}
