/* grep: the lines that match a pattern, in input order.
 *
 *     marram run grep -p pattern='free(dom)?' -i /usr/share/common-licenses -o lines
 *     head -1 lines/part-00000
 *     The Artistic License ... the package, while giving the users of the package the right to
 * use ...
 *
 * A map-only job: what `map` emits is the output. It takes blocks of lines. A pattern without
 * special characters is looked for in the whole block at once; any other is matched line by
 * line, because anchors and look-arounds must see a line alone. Each thread compiles the
 * pattern once, in `setup`. */
#define _GNU_SOURCE
#define PCRE2_CODE_UNIT_WIDTH 8

#include <mr/job.h>
#include <pcre2.h>
#include <stdlib.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

struct params {
    const char *pattern;
    bool ignore_case;
    bool invert;
};

/* One thread's compiled pattern; `code` NULL: plain text. */
struct matcher {
    pcre2_code *code;
    pcre2_match_data *match;
    struct mr_bytes text;
};

static void compile(struct mr_task *task, struct matcher *matcher, const struct params *params)
{
    uint32_t options = PCRE2_NEVER_UTF | (params->ignore_case ? PCRE2_CASELESS : 0);
    PCRE2_UCHAR8 message[128];
    PCRE2_SIZE offset;
    int error;

    matcher->code = pcre2_compile((PCRE2_SPTR8)params->pattern, PCRE2_ZERO_TERMINATED, options,
                                  &error, &offset, NULL);
    if (!matcher->code) {
        pcre2_get_error_message(error, message, sizeof message);
        mr_fail(task, "pattern '%s', character %zu: %s", params->pattern, (size_t)offset + 1,
                (const char *)message);
        return;
    }
    pcre2_jit_compile(matcher->code, PCRE2_JIT_COMPLETE);
    matcher->match = pcre2_match_data_create_from_pattern(matcher->code, NULL);
}

static void setup(struct mr_task *task)
{
    const struct params *params = mr_params(task);
    struct matcher *matcher = calloc(1, sizeof *matcher);

    task->state = matcher;
    if (!matcher)
        mr_fail(task, "out of memory");
    else if (params->ignore_case || strpbrk(params->pattern, "\\^$.[|()?*+{"))
        compile(task, matcher, params);
    else
        matcher->text = mr_text(params->pattern);
}

static void teardown(struct mr_task *task)
{
    struct matcher *matcher = task->state;

    if (!matcher)
        return;
    pcre2_match_data_free(matcher->match);
    pcre2_code_free(matcher->code);
    free(matcher);
}

static bool matches(const struct matcher *matcher, struct mr_bytes line)
{
    if (!matcher->code)
        return memmem(line.ptr, line.len, matcher->text.ptr, matcher->text.len) != NULL;
    return pcre2_match(matcher->code, (PCRE2_SPTR8)line.ptr, line.len, 0, 0, matcher->match,
                       NULL) >= 0;
}

#ifdef __x86_64__
/* Tests 64 places at once for the first byte of what is wanted and, its length further, for the
 * last; only where both agree are the bytes between compared. The generic SIMD search of W.
 * Mula, http://0x80.pl/articles/simd-strfind.html. */
__attribute__((target("avx2"))) static const char *find_avx2(const char *at, const char *end,
                                                             struct mr_bytes wanted)
{
    const __m256i first = _mm256_set1_epi8(wanted.ptr[0]),
                  last = _mm256_set1_epi8(wanted.ptr[wanted.len - 1]);

    for (; (size_t)(end - at) >= wanted.len + 63; at += 64) {
        const __m256i *heads = (const void *)at, *tails = (const void *)(at + wanted.len - 1);
        __m256i low = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_loadu_si256(heads), first),
                                       _mm256_cmpeq_epi8(_mm256_loadu_si256(tails), last)),
                high = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_loadu_si256(heads + 1), first),
                                        _mm256_cmpeq_epi8(_mm256_loadu_si256(tails + 1), last));
        uint64_t mask = (uint32_t)_mm256_movemask_epi8(low) |
                        (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;

        for (; mask; mask &= mask - 1)
            if (!memcmp(at + __builtin_ctzll(mask), wanted.ptr, wanted.len))
                return at + __builtin_ctzll(mask);
    }
    return memmem(at, (size_t)(end - at), wanted.ptr, wanted.len);
}
#endif

/* As memmem, which it is where the processor has nothing better. `wanted` is not empty. */
static const char *find(const char *at, const char *end, struct mr_bytes wanted)
{
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2"))
        return find_avx2(at, end, wanted);
#endif
    return memmem(at, (size_t)(end - at), wanted.ptr, wanted.len);
}

/* Jumps from hit to hit, and looks for a line's ends only around one. */
static void grep_text(struct mr_task *task, struct mr_bytes text, struct mr_bytes wanted)
{
    const char *end = text.ptr + text.len;

    for (const char *at = text.ptr, *hit; at < end && (hit = find(at, end, wanted));) {
        const char *before = memrchr(at, '\n', (size_t)(hit - at));
        const char *start = before ? before + 1 : at;
        const char *stop = memchr(hit, '\n', (size_t)(end - hit));
        struct mr_bytes line = {start, (size_t)((stop ? stop : end) - start)};

        mr_emit_key(task, line);
        at = stop ? stop + 1 : end;
    }
}

static void grep(struct mr_task *task, struct mr_bytes text)
{
    const struct params *params = mr_params(task);
    const struct matcher *matcher = task->state;

    if (!matcher->code && !params->invert && matcher->text.len) {
        grep_text(task, text, matcher->text);
        return;
    }
    for (struct mr_bytes line; mr_next_line(&text, &line);)
        if (matches(matcher, line) != params->invert)
            mr_emit_key(task, line);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "grep",
    .about = "the lines that match a pattern, in input order",
    .input = MR_BLOCKS,
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, pattern, NULL,
                     "a Perl-compatible regular expression, of bytes"),
            MR_PARAM(struct params, ignore_case, "false", "whether 'a' matches 'A'"),
            MR_PARAM(struct params, invert, "false",
                     "print the lines that do not match instead"),
            {0},
        },
    .setup = setup,
    .teardown = teardown,
    .map = grep,
};
