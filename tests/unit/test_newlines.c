/* Newlines: 64 bytes at a time, and as a processor's widest registers count them, they are
 * those that a look at every byte finds. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "record/newlines.h"

/* Bytes of which every `one_in`th is a newline, and others that differ from one by a bit. */
static void make_up(struct rng *rng, char *bytes, size_t size, uint64_t one_in)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(rng_below(rng, one_in) ? '\n' ^ (1 << rng_below(rng, 8)) : '\n');
}

/* The walk, the count and lines by mr_next_line, against a byte at a time. */
static void expect_all(const char *bytes, size_t size)
{
    struct mr_bytes text = {bytes, size}, rest = text, line = {NULL, 0};
    struct newlines walk = newlines_in(text);

    assert_int_equal(newlines_count(text), newlines_count_plain(text));
    for (size_t i = 0; i < size; i++)
        if (bytes[i] == '\n') {
            assert_ptr_equal(newlines_next(&walk), bytes + i);
            assert_true(mr_next_line(&rest, &line));
            assert_ptr_equal(line.ptr + line.len, bytes + i);
            assert_ptr_equal(rest.ptr, bytes + i + 1);
        }
    assert_null(newlines_next(&walk));
    assert_null(newlines_next(&walk));
    assert_int_equal(mr_next_line(&rest, &line), size && bytes[size - 1] != '\n');
    assert_int_equal(rest.len, 0);
}

static void texts_of_every_length_and_alignment_agree_with_the_plain_version(void **state)
{
    enum { LENGTH = 300, ALIGNMENTS = 64 };
    static const uint64_t one_in[] = {1, 2, 7, 40, 1000};
    char bytes[LENGTH + ALIGNMENTS + MR_PADDING];
    struct rng rng = {51};

    (void)state;
    for (size_t n = 0; n <= LENGTH; n++)
        for (size_t skip = 0; skip < ALIGNMENTS; skip++) {
            /* What lies behind the text is as likely to be a newline, and does not count. */
            make_up(&rng, bytes, sizeof bytes,
                    one_in[rng_below(&rng, sizeof one_in / sizeof *one_in)]);
            expect_all(bytes + skip, n);
        }
}

static void nothing_outside_a_text_is_read_by_what_needs_no_padding(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 300; n++) {
        char *bytes = memory_new(n); /* an exact allocation: sanitizers see a step too far */
        struct mr_bytes rest = {bytes, n}, line;
        uint64_t lines = 0;

        memset(bytes, n % 2 ? '\n' : 'x', n);
        assert_int_equal(newlines_count(rest), n % 2 ? n : 0);
        while (mr_next_line(&rest, &line))
            lines++;
        assert_int_equal(lines, n % 2 ? n : n > 0);
        free(bytes);
    }
}

/* Counters of one byte are emptied before they are full. */
static void a_mebibyte_of_newlines_is_counted(void **state)
{
    const size_t size = (1 << 20) + 7;
    cleanup_free char *bytes = memory_new(size);

    (void)state;
    memset(bytes, '\n', size);
    for (size_t skip = 0; skip < 3; skip++)
        assert_int_equal(newlines_count((struct mr_bytes){bytes + skip, size - skip}),
                         size - skip);
}

static void masks_agree_with_the_plain_version(void **state)
{
    char bytes[64 + 64];
    struct rng rng = {52};

    (void)state;
    for (int round = 0; round < 5000; round++) {
        make_up(&rng, bytes, sizeof bytes, 1 + rng_below(&rng, 70));
        assert_int_equal(newlines_mask(bytes + round % 64),
                         newlines_mask_plain(bytes + round % 64));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_every_length_and_alignment_agree_with_the_plain_version),
        cmocka_unit_test(nothing_outside_a_text_is_read_by_what_needs_no_padding),
        cmocka_unit_test(a_mebibyte_of_newlines_is_counted),
        cmocka_unit_test(masks_agree_with_the_plain_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
