/* <mr/text.h>: slices of bytes, and what cuts them into lines, records and words. <mr/job.h>
 * includes it: a job need not. */
#ifndef MR_TEXT_H
#define MR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes readable behind every input text, so that helpers may load 64 at a time. */
#define MR_PADDING 64

/* A slice of bytes, not terminated; NUL and any other byte may occur. `ptr` NULL: no value at
 * all. */
struct mr_bytes {
    const char *ptr;
    size_t len;
};

/* A slice of a terminated string. */
static inline struct mr_bytes mr_text(const char *text)
{
    struct mr_bytes b = {text, strlen(text)};

    return b;
}

/* Takes the next line off *rest, without its '\n'; false at the end. For blocks:
 *     for (struct mr_bytes line; mr_next_line(&block, &line);) */
static inline bool mr_next_line(struct mr_bytes *rest, struct mr_bytes *ret_line)
{
    const char *end;

    if (!rest->len)
        return false;
    end = (const char *)memchr(rest->ptr, '\n', rest->len);
    ret_line->ptr = rest->ptr;
    ret_line->len = end ? (size_t)(end - rest->ptr) : rest->len;
    rest->len -= ret_line->len + (end ? 1 : 0);
    rest->ptr += ret_line->len + (end ? 1 : 0);
    return true;
}

/* Takes the next record of n bytes off *rest; false at the end. For blocks of the input format
 * fixed:N:
 *     for (struct mr_bytes record; mr_next_record(&block, 100, &record);) */
static inline bool mr_next_record(struct mr_bytes *rest, size_t n, struct mr_bytes *ret_record)
{
    if (!n || rest->len < n)
        return false;
    ret_record->ptr = rest->ptr;
    ret_record->len = n;
    rest->ptr += n;
    rest->len -= n;
    return true;
}

/* One bit for each of the 64 bytes at p that is <= ' '. Reads 64 bytes: what `map` is given is
 * padded. */
static inline uint64_t mr_blank_mask(const char *p)
{
    uint64_t mask = 0;
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(' ');
    for (int i = 0; i < 4; i++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        __m128i le = _mm_cmpeq_epi8(_mm_min_epu8(x, space), x);
        mask |= (uint64_t)(uint16_t)_mm_movemask_epi8(le) << (16 * i);
    }
#else
    for (int i = 0; i < 64; i++)
        mask |= (uint64_t)((unsigned char)p[i] <= ' ') << i;
#endif
    return mask;
}

/* The words of a text: what lies between bytes <= ' '.
 *     for (struct mr_words w = mr_words_in(text); mr_next_word(&w);) use(w.word);
 * mr_words_in is for text that `map` was given (it reads up to 64 bytes past the end);
 * mr_words_bounded is its twin for any other text. */
struct mr_words {
    struct mr_bytes word;
    const char *start, *base, *end;
    uint64_t mask;
    bool bounded;
};

/* The blanks of the 64 bytes at `base`; what lies beyond `end` counts as blank and closes the
 * last word. */
static inline uint64_t mr_words_mask(const char *base, const char *end, bool bounded)
{
    ptrdiff_t left = end - base;

    if (left >= 64)
        return mr_blank_mask(base);
    if (bounded) {
        char last[64];

        memset(last, ' ', sizeof last);
        memcpy(last, base, (size_t)left);
        return mr_blank_mask(last);
    }
    return mr_blank_mask(base) | ~UINT64_C(0) << left;
}

static inline struct mr_words mr_words_from(struct mr_bytes text, bool bounded)
{
    const char *end = text.ptr + text.len;

    struct mr_words w = {{text.ptr, 0},
                         text.ptr,
                         text.ptr,
                         end,
                         text.len ? mr_words_mask(text.ptr, end, bounded) : 0,
                         bounded};
    return w;
}

static inline struct mr_words mr_words_in(struct mr_bytes text)
{
    return mr_words_from(text, false);
}

static inline struct mr_words mr_words_bounded(struct mr_bytes text)
{
    return mr_words_from(text, true);
}

static inline bool mr_next_word(struct mr_words *w)
{
    for (;;) {
        while (w->mask) {
            const char *stop = w->base + __builtin_ctzll(w->mask), *start = w->start;

            w->mask &= w->mask - 1;
            w->start = stop + 1;
            if (stop > start && stop <= w->end) {
                w->word.ptr = start;
                w->word.len = (size_t)(stop - start);
                return true;
            }
        }
        w->base += 64;
        if (w->base > w->end)
            return false;
        w->mask = mr_words_mask(w->base, w->end, w->bounded);
    }
}

#ifdef __cplusplus
}
#endif
#endif
