/* grep_omp: counts the lines that hold a fixed string.
 *
 *     grep_omp text1g.txt freedom 2
 *     hits 1182 0.081 s 13256 MB/s
 *
 * Each thread takes chunks as it finishes them. A vector register full of positions is tested
 * at once for the needle's first byte and, the needle's length further, for its last; only
 * where both agree are the bytes between compared. Line ends are looked for around a hit alone.
 */
#define _GNU_SOURCE

#include "chunk.h"
#include <omp.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define USAGE "FILE NEEDLE THREADS"

struct needle {
    const char *bytes;
    size_t len;
};

#if defined(__AVX512BW__)
enum { STRIDE = 64 };

/* A bit for each of the STRIDE positions at which the needle can begin. */
static inline uint64_t candidates(const char *at, struct needle needle)
{
    __m512i first = _mm512_set1_epi8(needle.bytes[0]);
    __m512i last = _mm512_set1_epi8(needle.bytes[needle.len - 1]);

    return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(at), first) &
           _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(at + needle.len - 1), last);
}
#elif defined(__AVX2__)
enum { STRIDE = 32 };

static inline uint64_t candidates(const char *at, struct needle needle)
{
    __m256i first = _mm256_set1_epi8(needle.bytes[0]);
    __m256i last = _mm256_set1_epi8(needle.bytes[needle.len - 1]);
    __m256i begins = _mm256_cmpeq_epi8(_mm256_loadu_si256((const void *)at), first);
    __m256i ends =
        _mm256_cmpeq_epi8(_mm256_loadu_si256((const void *)(at + needle.len - 1)), last);

    return (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(begins, ends));
}
#else
/* memmem does all the work. */
enum { STRIDE = 0 };

static inline uint64_t candidates(const char *at, struct needle needle)
{
    (void)at, (void)needle;
    return 0;
}
#endif

static const char *find(const char *at, const char *end, struct needle needle)
{
    for (; STRIDE && (size_t)(end - at) >= needle.len + STRIDE; at += STRIDE)
        for (uint64_t mask = candidates(at, needle); mask; mask &= mask - 1) {
            const char *candidate = at + __builtin_ctzll(mask);

            if (!memcmp(candidate, needle.bytes, needle.len))
                return candidate;
        }
    return memmem(at, (size_t)(end - at), needle.bytes, needle.len);
}

static size_t count_lines(const char *at, const char *end, struct needle needle)
{
    size_t hits = 0;

    while (at < end && (at = find(at, end, needle))) {
        hits++;
        at = memchr(at, '\n', (size_t)(end - at));
        if (!at)
            break;
        at++;
    }
    return hits;
}

static bool ends_line(unsigned char byte)
{
    return byte == '\n';
}

int main(int argc, char **argv)
{
    double start = omp_get_wtime();
    size_t hits = 0;

    if (argc != 4 || !*argv[2] || strchr(argv[2], '\n'))
        usage(USAGE);
    struct needle needle = {argv[2], strlen(argv[2])};
    struct chunk_file file = {.path = argv[1], .separates = ends_line};
    omp_set_num_threads((int)number(argv[3], 1, THREADS_MAX, USAGE));
    file.fd = open_input(file.path, &file.size);

#pragma omp parallel reduction(+ : hits)
    {
        struct chunk chunk = {0};

#pragma omp for schedule(dynamic, 4)
        for (size_t offset = 0; offset < file.size; offset += CHUNK_BYTES)
            if (chunk_load(&chunk, &file, offset, CHUNK_BYTES))
                hits += count_lines(chunk.begin, chunk.end, needle);
        free(chunk.buffer);
    }
    double seconds = omp_get_wtime() - start;
    printf("hits %zu %.3f s %.0f MB/s\n", hits, seconds, (double)file.size / seconds / 1e6);
    return 0;
}
