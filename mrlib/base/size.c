#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_prefix(const char *text, uint64_t *ret, const char **ret_rest)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return -1;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    *ret_rest = end;
    return errno ? -1 : 0;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
    static const char units[] = "kmgt";
    const char *rest, *unit;
    uint64_t value;
    int shift = 0;

    if (parse_prefix(text, &value, &rest))
        return -1;
    if (*rest) {
        unit = strchr(units, tolower((unsigned char)*rest));
        if (!unit)
            return -1;
        shift = 10 * (int)(unit - units + 1);
        rest++;
        if (!strcasecmp(rest, "iB") || !strcasecmp(rest, "B"))
            rest = "";
    }
    if (*rest || value > UINT64_MAX >> shift)
        return -1;
    *ret_bytes = value << shift;
    return 0;
}

int size_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    const char *rest;
    uint64_t value;

    if (parse_prefix(text, &value, &rest) || *rest || value < min || value > max)
        return -1;
    *ret = value;
    return 0;
}

const char *size_format(uint64_t bytes, char *buffer, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    int unit = 0;

    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    snprintf(buffer, size, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return buffer;
}
