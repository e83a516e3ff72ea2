/* gendistinct: words that all differ, one a line of 17 bytes, and the check of their count.
 *
 *     gendistinct make words.txt 63161283
 *     gendistinct check 63161283 out/part-*
 *
 * Word number i is a one-to-one mix of i in 16 hexadecimal digits. `check` reads lines `word
 * TAB 1`, undoes the mix, and ticks each number off in a bit map: status 1 unless all were
 * there once. */
#define _GNU_SOURCE

#include "yardstick.h"
#include <string.h>

#define USAGE "make OUT WORDS | check WORDS FILE..."

enum { WORD = 16, LINE = WORD + 3 };

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static uint64_t unmix(uint64_t x)
{
    x = (x ^ (x >> 31) ^ (x >> 62)) * 0x319642B2D24D8EC3u;
    x = (x ^ (x >> 27) ^ (x >> 54)) * 0x96DE1B173F119089u;
    return x ^ (x >> 30) ^ (x >> 60);
}

static void make(const char *path, uint64_t words)
{
    static const char digits[] = "0123456789abcdef";
    FILE *file = create_stream(path);

    for (uint64_t i = 0; i < words; i++) {
        uint64_t value = mix(i);
        char line[WORD + 1];

        for (int k = WORD; k-- > 0; value >>= 4)
            line[k] = digits[value & 15];
        line[WORD] = '\n';
        put(line, sizeof line, file, path);
    }
    close_stream(file, path);
}

static uint64_t word_of(const char line[LINE], const char *path)
{
    uint64_t value = 0;

    for (int k = 0; k < WORD; k++) {
        int digit = line[k] >= 'a' && line[k] <= 'f'   ? line[k] - 'a' + 10
                    : line[k] >= '0' && line[k] <= '9' ? line[k] - '0'
                                                       : -1;

        if (digit < 0)
            fail("'%s': a line does not begin with a word", path);
        value = value << 4 | (uint64_t)digit;
    }
    if (memcmp(line + WORD, "\t1\n", 3))
        fail("'%s': a word is not counted once", path);
    return unmix(value);
}

static uint64_t tick_off(const char *path, unsigned char *seen, uint64_t words)
{
    FILE *file = fopen(path, "rb");
    char line[LINE];
    uint64_t count = 0;
    size_t got;

    if (!file)
        fail_io("open", path);
    setvbuf(file, NULL, _IOFBF, 1 << 20);
    while ((got = fread(line, 1, LINE, file)) == LINE) {
        uint64_t i = word_of(line, path);

        if (i >= words || seen[i / 8] & 1 << i % 8)
            fail("'%s': a word that is not of the input, or stands twice", path);
        seen[i / 8] |= (unsigned char)(1 << i % 8);
        count++;
    }
    if (got || ferror(file))
        fail("'%s' ends within a line", path);
    fclose(file);
    return count;
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "make")) {
        make(argv[2], number(argv[3], 0, INT64_MAX, USAGE));
    } else if (argc > 3 && !strcmp(argv[1], "check")) {
        uint64_t words = number(argv[2], 0, INT64_MAX, USAGE), found = 0;
        unsigned char *seen = calloc(words / 8 + 1, 1);

        if (!seen)
            fail("out of memory");
        for (int i = 3; i < argc; i++)
            found += tick_off(argv[i], seen, words);
        if (found != words)
            fail("%llu words of %llu are there", (unsigned long long)found,
                 (unsigned long long)words);
        free(seen);
    } else {
        usage(USAGE);
    }
    return 0;
}
