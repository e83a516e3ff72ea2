/* wc_pread: counts words and writes `word TAB count` lines in the order of the words' bytes.
 *
 *     wc_pread text1g.txt 2 counts.txt
 *
 * Words are what lies between bytes <= 0x20. Threads read chunks and count into tables of their
 * own, which are merged at the end. A vector comparison makes 64 bytes into a mask with a bit
 * for each separator, so the loop steps from word to word without looking at letters. A word of
 * up to 24 bytes is three integers, padded with zeros: it is loaded, hashed and compared
 * without a loop, and a table slot with its count fills half a cache line. Words wait in
 * batches of 32 while the slots that they will need are prefetched. Longer words are rare: they
 * live in chains beside the table. The result is sorted by radix on the first eight bytes. */
#define _GNU_SOURCE

#include "chunk.h"
#include <inttypes.h>
#include <omp.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define USAGE "FILE [THREADS [OUT]]"

enum {
    SHORT_MAX = 24,
    BATCH = 32,
    CHAINS = 1 << 18,
    SLOTS = 1 << 20,
    SLOTS_SMALL = 1 << 12,
    SMALL_FILE = 1 << 20,
    INSERTION_MAX = 24,
    BUFFER_BYTES = 1 << 20,
};

/* A word's bytes, then zeros. No word holds a zero byte. */
struct key {
    uint64_t part[SHORT_MAX / 8];
};

/* `tag` is the hash with its lowest bit set; 0: an empty slot. */
struct slot {
    struct key key;
    uint32_t count;
    uint32_t tag;
};

struct table {
    struct slot *slots;
    uint32_t mask;
    uint32_t used;
};

struct long_word {
    struct long_word *next;
    uint64_t count;
    size_t len;
    char bytes[];
};

/* What one thread counts into. */
struct counter {
    struct table table;
    struct long_word **chains;
    size_t long_words;
};

/* A line of the result; `prefix` is the word's first eight bytes as a number. */
struct word {
    uint64_t prefix;
    const char *bytes;
    size_t len;
    uint64_t count;
};

static inline uint64_t mix(uint64_t left, uint64_t right)
{
    __uint128_t product = (__uint128_t)left * right;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint32_t key_tag(struct key key)
{
    uint64_t tail = mix(key.part[1] ^ 0xD6E8FEB86659FD93u, key.part[2] ^ 0xA0761D6478BD642Fu);

    return (uint32_t)mix(key.part[0] ^ 0x9E3779B97F4A7C15u, tail) | 1;
}

static inline struct slot *home_slot(const struct table *table, uint32_t tag)
{
    return table->slots + ((tag >> 1) & table->mask);
}

static void table_init(struct table *table, uint32_t slots)
{
    table->slots = allocate_huge(slots * sizeof *table->slots);
    table->mask = slots - 1;
    table->used = 0;
}

static void table_grow(struct table *table);

__attribute__((always_inline)) static inline void table_add(struct table *table, struct key key,
                                                            uint32_t tag, uint32_t count)
{
    struct slot *slot = home_slot(table, tag);

    for (;;) {
        if (slot->tag == tag && slot->key.part[0] == key.part[0] &&
            slot->key.part[1] == key.part[1] && slot->key.part[2] == key.part[2]) {
            slot->count += count;
            return;
        }
        if (!slot->tag) {
            *slot = (struct slot){key, count, tag};
            if (++table->used * 2 > table->mask)
                table_grow(table);
            return;
        }
        slot = slot == table->slots + table->mask ? table->slots : slot + 1;
    }
}

static void table_merge(struct table *to, const struct table *from)
{
    for (size_t i = 0; from->used && i <= from->mask; i++) {
        const struct slot *slot = from->slots + i;

        if (slot->tag)
            table_add(to, slot->key, slot->tag, slot->count);
    }
}

__attribute__((noinline)) static void table_grow(struct table *table)
{
    struct table old = *table;
    size_t slots = (size_t)old.mask + 1;

    /* The tag's upper 31 bits are what places a slot. */
    if (slots >= (size_t)1 << 31)
        fail("more than %zu different words", slots / 2);
    table_init(table, (uint32_t)slots * 2);
    table_merge(table, &old);
    munmap(old.slots, slots * sizeof *old.slots);
}

static void long_word_add(struct counter *counter, const char *bytes, size_t len,
                          uint64_t count)
{
    uint64_t hash = len;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 1099511628211u;
    struct long_word **chain = counter->chains + hash % CHAINS;
    for (struct long_word *word = *chain; word; word = word->next)
        if (word->len == len && !memcmp(word->bytes, bytes, len)) {
            word->count += count;
            return;
        }
    struct long_word *word = malloc(sizeof *word + len);
    if (!word)
        fail("out of memory");
    *word = (struct long_word){.next = *chain, .count = count, .len = len};
    memcpy(word->bytes, bytes, len);
    *chain = word;
    counter->long_words++;
}

static bool ends_word(unsigned char byte)
{
    return byte <= ' ';
}

/* A bit for each of 64 bytes, set where the byte is a separator. */
static inline uint64_t separators(const char *at)
{
#if defined(__AVX512BW__)
    return _mm512_cmple_epu8_mask(_mm512_loadu_si512(at), _mm512_set1_epi8(' '));
#elif defined(__AVX2__)
    const __m256i highest = _mm256_set1_epi8(' ');
    __m256i low = _mm256_loadu_si256((const void *)at);
    __m256i high = _mm256_loadu_si256((const void *)(at + 32));

    low = _mm256_cmpeq_epi8(_mm256_max_epu8(low, highest), highest);
    high = _mm256_cmpeq_epi8(_mm256_max_epu8(high, highest), highest);
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
#else
    uint64_t mask = 0;

    for (int i = 0; i < 64; i++)
        mask |= (uint64_t)ends_word((unsigned char)at[i]) << i;
    return mask;
#endif
}

/* The key of a word of 1 to SHORT_MAX bytes. */
static inline struct key load_key(const char *bytes, size_t len)
{
    struct key key;
#if defined(__AVX512BW__) && defined(__AVX512VL__)
    __m256i word = _mm256_maskz_loadu_epi8((1u << len) - 1, bytes);

    key.part[0] = (uint64_t)_mm256_extract_epi64(word, 0);
    key.part[1] = (uint64_t)_mm256_extract_epi64(word, 1);
    key.part[2] = (uint64_t)_mm256_extract_epi64(word, 2);
#else
    /* Loads all 24 bytes, which the chunk's padding allows, and drops what follows the word. */
    memcpy(&key, bytes, sizeof key);
    for (size_t i = 0; i < SHORT_MAX / 8; i++) {
        size_t kept = len > 8 * i ? len - 8 * i : 0;
        uint64_t mask = kept < 8 ? ((uint64_t)1 << (8 * kept)) - 1 : UINT64_MAX;

        key.part[i] &= mask;
    }
#endif
    return key;
}

/* Counts the words in [text, end). Separators are written behind the end, so that the last word
 * ends like any other. */
static void count_words(struct counter *counter, const char *text, char *end)
{
    struct {
        struct key key;
        uint32_t tag;
    } batch[BATCH];
    struct table *table = &counter->table;
    size_t waiting = 0;
    const char *start = text;

    memset(end, ' ', CHUNK_PADDING);
    for (const char *block = text; block <= end; block += 64)
        for (uint64_t mask = separators(block); mask; mask &= mask - 1) {
            const char *stop = block + __builtin_ctzll(mask);
            const char *word = start;
            size_t len = (size_t)(stop - start);

            start = stop + 1;
            if (!len)
                continue;
            if (__builtin_expect(len > SHORT_MAX, 0)) {
                long_word_add(counter, word, len, 1);
                continue;
            }
            batch[waiting].key = load_key(word, len);
            batch[waiting].tag = key_tag(batch[waiting].key);
            __builtin_prefetch(home_slot(table, batch[waiting].tag), 1);
            if (++waiting == BATCH) {
                for (size_t i = 0; i < BATCH; i++)
                    table_add(table, batch[i].key, batch[i].tag, 1);
                waiting = 0;
            }
        }
    for (size_t i = 0; i < waiting; i++)
        table_add(table, batch[i].key, batch[i].tag, 1);
}

static void count_file(struct counter *counters, const struct chunk_file *file, size_t threads)
{
    size_t share = file->size / (threads * 4) + 4096;
    size_t size = share < CHUNK_BYTES ? share : CHUNK_BYTES;

#pragma omp parallel
    {
        struct counter counter = {.chains = allocate(CHAINS * sizeof *counter.chains)};
        struct chunk chunk = {0};

        table_init(&counter.table, file->size < SMALL_FILE ? SLOTS_SMALL : SLOTS);
#pragma omp for schedule(dynamic, 1)
        for (size_t offset = 0; offset < file->size; offset += size)
            if (chunk_load(&chunk, file, offset, size))
                count_words(&counter, chunk.begin, chunk.end);
        free(chunk.buffer);
        counters[omp_get_thread_num()] = counter;
    }
}

static void merge(struct counter *to, const struct counter *from)
{
    table_merge(&to->table, &from->table);
    for (size_t i = 0; from->long_words && i < CHAINS; i++)
        for (const struct long_word *word = from->chains[i]; word; word = word->next)
            long_word_add(to, word->bytes, word->len, word->count);
}

static struct word make_word(const char *bytes, size_t len, uint64_t count)
{
    struct word word = {.bytes = bytes, .len = len, .count = count};

    memcpy(&word.prefix, bytes, len < 8 ? len : 8);
    word.prefix = __builtin_bswap64(word.prefix);
    return word;
}

static struct word *list_words(const struct counter *counter, size_t *ret_count)
{
    const struct table *table = &counter->table;
    struct word *words = allocate((table->used + counter->long_words) * sizeof *words);
    size_t count = 0;

    for (size_t i = 0; i <= table->mask; i++) {
        const struct slot *slot = table->slots + i;
        const char *bytes = (const char *)&slot->key;

        if (slot->tag)
            words[count++] = make_word(bytes, strnlen(bytes, SHORT_MAX), slot->count);
    }
    for (size_t i = 0; i < CHAINS; i++)
        for (const struct long_word *word = counter->chains[i]; word; word = word->next)
            words[count++] = make_word(word->bytes, word->len, word->count);
    *ret_count = count;
    return words;
}

static inline bool precedes(const struct word *left, const struct word *right)
{
    if (left->prefix != right->prefix)
        return left->prefix < right->prefix;
    int order =
        memcmp(left->bytes, right->bytes, left->len < right->len ? left->len : right->len);
    return order ? order < 0 : left->len < right->len;
}

static int compare(const void *left, const void *right)
{
    return precedes(left, right) ? -1 : precedes(right, left);
}

static void insertion_sort(struct word *words, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct word moving = words[i];
        size_t at = i;

        for (; at && precedes(&moving, words + at - 1); at--)
            words[at] = words[at - 1];
        words[at] = moving;
    }
}

/* Copies the words to `to` in the order of one byte of the prefix; bounds[b] becomes the place
 * of the first word with byte b. */
static void scatter(const struct word *words, struct word *to, size_t count, int shift,
                    size_t bounds[257])
{
    size_t next[256];

    memset(bounds, 0, 257 * sizeof *bounds);
    for (size_t i = 0; i < count; i++)
        bounds[(words[i].prefix >> shift & 255) + 1]++;
    for (int i = 0; i < 256; i++)
        bounds[i + 1] += bounds[i];
    memcpy(next, bounds, sizeof next);
    for (size_t i = 0; i < count; i++)
        to[next[words[i].prefix >> shift & 255]++] = words[i];
}

static void radix_sort(struct word *words, struct word *spare, size_t count, int shift)
{
    size_t bounds[257];

    if (count <= INSERTION_MAX) {
        insertion_sort(words, count);
        return;
    }
    if (shift < 0) {
        qsort(words, count, sizeof *words, compare);
        return;
    }
    scatter(words, spare, count, shift, bounds);
    memcpy(words, spare, count * sizeof *words);
    for (int i = 0; i < 256; i++)
        if (bounds[i + 1] - bounds[i] > 1)
            radix_sort(words + bounds[i], spare + bounds[i], bounds[i + 1] - bounds[i],
                       shift - 8);
}

/* One thread deals the words by their first byte; the threads share what follows. */
static void sort_words(struct word *words, size_t count)
{
    struct word *spare = allocate(count * sizeof *spare);
    size_t bounds[257];

    scatter(words, spare, count, 56, bounds);
#pragma omp parallel for schedule(dynamic, 1)
    for (int i = 0; i < 256; i++) {
        size_t begin = bounds[i], len = bounds[i + 1] - begin;

        memcpy(words + begin, spare + begin, len * sizeof *words);
        radix_sort(words + begin, spare + begin, len, 48);
    }
    free(spare);
}

static char *put_count(char *to, uint64_t count)
{
    char digits[20];
    size_t first = sizeof digits;

    do
        digits[--first] = (char)('0' + count % 10);
    while (count /= 10);
    memcpy(to, digits + first, sizeof digits - first);
    return to + (sizeof digits - first);
}

static void write_words(const struct word *words, size_t count, const char *path)
{
    char *buffer = allocate(BUFFER_BYTES);
    size_t used = 0, written = 0;
    int fd = create_output(path);

    for (size_t i = 0; i < count; i++) {
        size_t len = words[i].len;

        if (used + len + 32 > BUFFER_BYTES) {
            write_at(fd, buffer, used, written, path);
            written += used;
            used = 0;
        }
        if (len + 32 > BUFFER_BYTES) {
            write_at(fd, words[i].bytes, len, written, path);
            written += len;
        } else {
            memcpy(buffer + used, words[i].bytes, len);
            used += len;
        }
        buffer[used++] = '\t';
        used = (size_t)(put_count(buffer + used, words[i].count) - buffer);
        buffer[used++] = '\n';
    }
    write_at(fd, buffer, used, written, path);
    close_output(fd, path);
    free(buffer);
}

int main(int argc, char **argv)
{
    double start = omp_get_wtime();
    struct chunk_file file = {.separates = ends_word};
    uint64_t total = 0;
    size_t distinct;

    if (argc < 2 || argc > 4)
        usage(USAGE);
    size_t threads = argc > 2 ? number(argv[2], 1, THREADS_MAX, USAGE) : 2;
    omp_set_num_threads((int)threads);
    file.path = argv[1];
    file.fd = open_input(file.path, &file.size);
    struct counter *counters = allocate(threads * sizeof *counters);

    count_file(counters, &file, threads);
    double counted = omp_get_wtime();
    for (size_t i = 1; i < threads; i++)
        merge(&counters[0], &counters[i]);
    double merged = omp_get_wtime();
    struct word *words = list_words(&counters[0], &distinct);
    for (size_t i = 0; i < distinct; i++)
        total += words[i].count;
    sort_words(words, distinct);
    if (argc == 4)
        write_words(words, distinct, argv[3]);
    double done = omp_get_wtime();

    printf("words %" PRIu64
           " distinct %zu | map %.3f merge %.3f sort+write %.3f total %.3f s = %.0f MB/s\n",
           total, distinct, counted - start, merged - counted, done - merged, done - start,
           (double)file.size / (done - start) / 1e6);
    return 0;
}
