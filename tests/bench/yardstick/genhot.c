/* genhot: lines `key TAB digit` of 10 bytes, of which a share has one key; and what the job
 * keysum must make of them.
 *
 *     genhot hot.txt want.txt 100000000 90 3
 *
 * Of 100,000 keys number 0 gets the share (in percent), the others what remains, at random. The
 * second file gets a line `key TAB values sum` for each key that occurs, in order. */
#define _GNU_SOURCE

#include "rng.h"
#include "yardstick.h"
#include <inttypes.h>

#define USAGE "OUT WANT RECORDS PERCENT SEED"

enum { KEYS = 100000 };

static uint64_t counts[KEYS], sums[KEYS];

int main(int argc, char **argv)
{
    if (argc != 6)
        usage(USAGE);
    uint64_t records = number(argv[3], 0, INT64_MAX / 16, USAGE);
    uint64_t percent = number(argv[4], 0, 100, USAGE);
    uint64_t state = number(argv[5], 0, UINT64_MAX, USAGE);
    FILE *file = create_stream(argv[1]), *want;

    for (uint64_t i = 0; i < records; i++) {
        uint64_t random = rng_next(&state);
        unsigned key = random % 100 < percent ? 0 : (unsigned)(random >> 32) % KEYS;
        unsigned digit = (unsigned)(random >> 8 & 0xFFFF) % 10;
        char line[10] = {'k', 0, 0, 0, 0, 0, 0, '\t', (char)('0' + digit), '\n'};

        counts[key]++;
        sums[key] += digit;
        for (int k = 6; k > 0; k--, key /= 10)
            line[k] = (char)('0' + key % 10);
        put(line, sizeof line, file, argv[1]);
    }
    close_stream(file, argv[1]);
    want = create_stream(argv[2]);
    for (int key = 0; key < KEYS; key++)
        if (counts[key])
            fprintf(want, "k%06d\t%" PRIu64 " %" PRIu64 "\n", key, counts[key], sums[key]);
    close_stream(want, argv[2]);
    return 0;
}
