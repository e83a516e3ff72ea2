#include "record/limit.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"

enum { SHARE = 8 };

uint64_t record_limit(uint64_t memory)
{
    return memory / SHARE < LIMIT_RECORD ? memory / SHARE : LIMIT_RECORD;
}

uint64_t record_window(uint64_t memory)
{
    const uint64_t least = (uint64_t)8 << 20;
    uint64_t window = memory / SHARE;

    return window < least ? least : window < LIMIT_WINDOW ? window : LIMIT_WINDOW;
}

/* "64 MiB": exact, in the largest unit that has no fraction. */
static void whole_units(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB"};
    int unit = 0;

    for (; bytes && !(bytes % 1024) && unit < 3; unit++)
        bytes /= 1024;
    snprintf(text, size, "%" PRIu64 " %s", bytes, units[unit]);
}

int record_too_long(struct error *err, enum error_code code, uint64_t limit, const char *format,
                    ...)
{
    char what[sizeof err->text], most[40];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    whole_units(limit, most, sizeof most);
    if (limit >= LIMIT_RECORD)
        return error_set(err, code, "%s is longer than the limit of %s", what, most);
    return error_set(err, code,
                     "%s is longer than %s, an eighth of a worker's memory: raise --memory",
                     what, most);
}
