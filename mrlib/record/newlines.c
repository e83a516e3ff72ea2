#include "record/newlines.h"

#include <string.h>

uint64_t newlines_mask_plain(const char *block)
{
    uint64_t mask = 0;

    for (int i = 0; i < 64; i++)
        mask |= (uint64_t)(block[i] == '\n') << i;
    return mask;
}

uint64_t newlines_count_plain(struct mr_bytes text)
{
    uint64_t count = 0;

    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    return count;
}

enum { WIDTH = 64, BLOCKS = 255 /* until a counter of one byte may be full */ };

typedef uint8_t vector __attribute__((vector_size(WIDTH)));

static inline __attribute__((always_inline)) uint64_t sum(const vector *counters)
{
    uint8_t bytes[WIDTH];
    uint64_t total = 0;

    memcpy(bytes, counters, WIDTH);
    for (int i = 0; i < WIDTH; i++)
        total += bytes[i];
    return total;
}

/* One counter of a byte for each column of 64 bytes; whole blocks only. */
static inline __attribute__((always_inline)) uint64_t count_blocks(const char *at, size_t n)
{
    uint64_t total = 0;

    while (n) {
        size_t most = n < BLOCKS ? n : BLOCKS;
        vector counters = {0};

        n -= most;
        for (; most; most--, at += WIDTH) {
            vector x;

            memcpy(&x, at, WIDTH);
            counters -= (vector)(x == '\n'); /* true is -1 */
        }
        total += sum(&counters);
    }
    return total;
}

typedef uint64_t counter(const char *at, size_t n);

#if defined __x86_64__ && defined __GNUC__
__attribute__((target("avx512bw"))) static uint64_t count_avx512(const char *at, size_t n)
{
    return count_blocks(at, n);
}

__attribute__((target("avx2"))) static uint64_t count_avx2(const char *at, size_t n)
{
    return count_blocks(at, n);
}

static uint64_t count_base(const char *at, size_t n)
{
    return count_blocks(at, n);
}

static counter *best(void)
{
    return __builtin_cpu_supports("avx512bw") ? count_avx512
           : __builtin_cpu_supports("avx2")   ? count_avx2
                                              : count_base;
}
#else
static counter *best(void)
{
    return count_blocks;
}
#endif

uint64_t newlines_count(struct mr_bytes text)
{
    size_t blocks = text.len / WIDTH;

    return best()(text.ptr, blocks) +
           newlines_count_plain((struct mr_bytes){text.ptr + blocks * WIDTH, text.len % WIDTH});
}
