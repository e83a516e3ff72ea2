/* gentera: records of 100 bytes with a random key of 10, as gensort makes them, for the tera
 * sort.
 *
 *     gentera tera.bin 10737418 7 0
 *
 * A binary record is key, 2 marker bytes, its number in 32 hexadecimal digits, 4 marker bytes,
 * 48 bytes of filler, 4 marker bytes. A record of text (last argument 1) has printable keys,
 * spaces for markers, 52 bytes of filler, and ends its line. The digits are written by hand:
 * printf would take most of the time. */
#define _GNU_SOURCE

#include "rng.h"
#include "yardstick.h"
#include <string.h>

#define USAGE "OUT RECORDS SEED TEXT(0|1)"

enum { RECORD_BYTES = 100 };

static const char digits[] = "0123456789ABCDEF";

static void put_number(char *to, uint64_t value)
{
    memset(to, '0', 16);
    for (int i = 31; i >= 16; i--, value >>= 4)
        to[i] = digits[value & 15];
}

static void put_filler(char *to, int groups, uint64_t low_key)
{
    uint64_t noise = low_key * 0x9E3779B97F4A7C15u;

    for (int i = 0; i < groups; i++)
        memset(to + 4 * i, digits[noise >> (4 * i) & 15], 4);
}

static void make_binary(char *record, uint64_t index, uint64_t high, uint64_t low)
{
    memcpy(record, &high, 8);
    memcpy(record + 8, &low, 2);
    memcpy(record + 10, "\x00\x11", 2);
    put_number(record + 12, index);
    memcpy(record + 44, "\x88\x99\xAA\xBB", 4);
    put_filler(record + 48, 12, low);
    memcpy(record + 96, "\xCC\xDD\xEE\xFF", 4);
}

static void make_text(char *record, uint64_t index, uint64_t high, uint64_t low)
{
    for (int i = 0; i < 10; i++) {
        uint64_t bits = (i < 5 ? high : low) >> (i % 5 * 12) & 0xFFF;

        record[i] = (char)(' ' + bits * 95 / 4096);
    }
    memcpy(record + 10, "  ", 2);
    put_number(record + 12, index);
    memcpy(record + 44, "  ", 2);
    put_filler(record + 46, 13, low);
    memcpy(record + 98, "\r\n", 2);
}

int main(int argc, char **argv)
{
    char record[RECORD_BYTES];

    if (argc != 5)
        usage(USAGE);
    uint64_t records = number(argv[2], 0, INT64_MAX / RECORD_BYTES, USAGE);
    uint64_t state = number(argv[3], 0, UINT64_MAX, USAGE);
    uint64_t text = number(argv[4], 0, 1, USAGE);
    FILE *file = create_stream(argv[1]);

    for (uint64_t i = 0; i < records; i++) {
        uint64_t high = rng_next(&state);
        uint64_t low = rng_next(&state);

        if (text)
            make_text(record, i, high, low);
        else
            make_binary(record, i, high, low);
        put(record, RECORD_BYTES, file, argv[1]);
    }
    close_stream(file, argv[1]);
    return 0;
}
