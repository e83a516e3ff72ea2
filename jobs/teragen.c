/* teragen: the records of the sort benchmarks.
 *
 *     marram run teragen -i range:10000000 -o tera
 *     head -c 10 tera/part-00000
 *     JimGrayRIP
 *
 * Record number i, of 100 bytes:
 *
 *     0    10    key: the high bytes of random number i
 *     10   2     00 11
 *     12   32    i in hexadecimal digits
 *     44   4     88 99 AA BB
 *     48   48    the 12 low hexadecimal digits of random number i, each four times
 *     96   4     CC DD EE FF
 *
 * The random numbers are those of a 128-bit linear congruential generator, x' = a x + c from x
 * = 0, with P. L'Ecuyer's multiplier ("Tables of linear congruential generators of different
 * sizes and good lattice structure", 1999). Generator and layout are those of gensort (C.
 * Nyberg, for Jim Gray's sort benchmark; rand16.c and gensort.c) and so of TeraGen in Hadoop's
 * examples (Random16.java, GenSort.java), byte for byte.
 *
 * The input is synthetic: range:N gives `map` the numbers 0 to N - 1 as records of 8 bytes.
 * Each call gets many of them that follow one another, so that the generator is taken to its
 * place once and then steps. Nothing is shared between calls: any part of the file can be made
 * anywhere. */
#include <mr/job.h>

__extension__ typedef unsigned __int128 uint128;

enum { NUMBER = 8, KEY = 10, VALUE = 90, ROW = 2, FILLER = 38, DIGITS = 32 };

#define WORDS(high, low) ((uint128)UINT64_C(high) << 64 | UINT64_C(low))
static const uint128 multiplier = WORDS(0x2360ED051FC65DA4, 0x4385DF649FCCF645);
static const uint128 increment = WORDS(0x4A696D4772617952, 0x4950202020202001);

static const char digits[] = "0123456789ABCDEF";

static uint128 step(uint128 x)
{
    return multiplier * x + increment;
}

/* The generator after n steps from 0: the step is composed with itself for each bit of n. */
static uint128 skip(uint64_t n)
{
    uint128 x = 0, a = multiplier, c = increment;

    for (; n; n >>= 1) {
        if (n & 1)
            x = a * x + c;
        c = a * c + c;
        a = a * a;
    }
    return x;
}

static void put_high_bytes(char *key, uint128 x)
{
    uint64_t high = __builtin_bswap64((uint64_t)(x >> 64));
    uint16_t next = __builtin_bswap16((uint16_t)(x >> 48));

    memcpy(key, &high, sizeof high);
    memcpy(key + sizeof high, &next, sizeof next);
}

static void put_row(char *row, uint64_t number)
{
    for (int i = DIGITS - 1; i >= DIGITS - 16; i--, number >>= 4)
        row[i] = digits[number & 15];
}

static void put_filler(char *filler, uint128 x)
{
    uint64_t low = (uint64_t)x;

    for (int i = 0; i < 12; i++) {
        uint32_t four = (uint32_t)digits[low >> (44 - 4 * i) & 15] * 0x01010101U;

        memcpy(filler + 4 * i, &four, sizeof four);
    }
}

static void generate(struct mr_task *task, struct mr_bytes numbers)
{
    char key[KEY], value[VALUE + 1] = "\x00\x11"
                                      "00000000000000000000000000000000"
                                      "\x88\x99\xAA\xBB"
                                      "................................................"
                                      "\xCC\xDD\xEE\xFF";
    uint64_t number, last = 0;
    bool stepping = false;
    uint128 x = 0;

    for (struct mr_bytes record; mr_next_record(&numbers, NUMBER, &record); last = number) {
        memcpy(&number, record.ptr, sizeof number);
        x = step(stepping && number == last + 1 ? x : skip(number));
        stepping = true;
        put_high_bytes(key, x);
        put_row(value + ROW, number);
        put_filler(value + FILLER, x);
        mr_emit(task, ((struct mr_bytes){key, KEY}), ((struct mr_bytes){value, VALUE}));
    }
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "teragen",
    .about = "the records of the sort benchmarks: -i range:N makes N of them",
    .input_format = "fixed:8",
    .output_format = "raw",
    .input = MR_BLOCKS,
    .map = generate,
};
