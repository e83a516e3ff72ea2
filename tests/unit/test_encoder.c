/* Compressed parts: what the libraries' own readers make of them, and that their bytes depend
 * on nothing but what is in them. */
#include "tests/lib/cmocka_all.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/memory.h"
#include "base/rng.h"
#include "record/encoder.h"

enum { UNIT = 256 << 10, LONGEST = 3 * UNIT + 77 };

/* Words, digits and noise: what compresses well, and what does not. */
static char *made_up(size_t size)
{
    char *bytes = memory_new(size + 1);
    struct rng rng = {size + 1};

    for (size_t i = 0; i < size; i++) {
        bool noise = i / 5000 % 3 == 2;

        bytes[i] = noise ? (char)rng_next(&rng) : "marram grass\t12\n"[rng_below(&rng, 16)];
    }
    return bytes;
}

static void append(char **file, size_t *used, size_t *capacity, struct mr_bytes more)
{
    memory_reserve(file, capacity, *used + more.len + 1, 1);
    if (more.len)
        memcpy(*file + *used, more.ptr, more.len);
    *used += more.len;
}

/* Fed in pieces of up to `most` bytes, some of them empty; all at once if it is 0. */
static struct mr_bytes encoded(enum output_codec codec, const char *bytes, size_t size,
                               size_t most)
{
    struct encoder *encoder = encoder_new(codec);
    struct rng rng = {most};
    char *file = NULL;
    size_t used = 0, capacity = 0;

    for (size_t at = 0; at < size;) {
        size_t n = most ? rng_below(&rng, most + 1) : size;

        n = n < size - at ? n : size - at;
        append(&file, &used, &capacity, encoder_feed(encoder, bytes + at, n));
        at += n;
    }
    append(&file, &used, &capacity, encoder_end(encoder));
    encoder_free(encoder);
    return (struct mr_bytes){file, used};
}

/* Read by the library itself: a member or frame, and nothing behind it. */
static void expect_content(enum output_codec codec, struct mr_bytes file, const char *bytes,
                           size_t size)
{
    cleanup_free char *found = memory_new(size + 1);

    if (codec == OUTPUT_GZIP) {
        z_stream stream = {.next_in = (Bytef *)(uintptr_t)file.ptr,
                           .avail_in = (uInt)file.len,
                           .next_out = (Bytef *)found,
                           .avail_out = (uInt)size + 1};

        assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
        assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
        assert_int_equal(stream.avail_in, 0);
        assert_int_equal(stream.total_out, size);
        inflateEnd(&stream);
    } else {
        assert_int_equal(ZSTD_findFrameCompressedSize(file.ptr, file.len), file.len);
        assert_int_equal(ZSTD_decompress(found, size + 1, file.ptr, file.len), size);
    }
    assert_memory_equal(found, bytes, size);
}

static void what_goes_in_comes_out_in_one_member(void **state)
{
    static const size_t sizes[] = {0, 1, 2, UNIT - 1, UNIT, UNIT + 1, 2 * UNIT, LONGEST};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int codec = OUTPUT_GZIP; codec <= OUTPUT_ZSTD; codec++) {
            cleanup_free char *bytes = made_up(sizes[i]);
            struct mr_bytes file = encoded((enum output_codec)codec, bytes, sizes[i], 0);

            expect_content((enum output_codec)codec, file, bytes, sizes[i]);
            free((char *)(uintptr_t)file.ptr);
        }
}

static void the_pieces_that_it_came_in_do_not_show(void **state)
{
    static const size_t most[] = {1, 7, 1000, 65537, UNIT, UNIT + 1, LONGEST};
    cleanup_free char *bytes = made_up(LONGEST);

    (void)state;
    for (int codec = OUTPUT_GZIP; codec <= OUTPUT_ZSTD; codec++) {
        struct mr_bytes whole = encoded((enum output_codec)codec, bytes, LONGEST, 0);

        assert_true(whole.len < LONGEST * 9 / 10);
        for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
            struct mr_bytes file = encoded((enum output_codec)codec, bytes, LONGEST, most[i]);

            assert_int_equal(file.len, whole.len);
            assert_memory_equal(file.ptr, whole.ptr, whole.len);
            free((char *)(uintptr_t)file.ptr);
        }
        free((char *)(uintptr_t)whole.ptr);
    }
}

/* RFC 1952: no flags, and so no name; no time. RFC 8878: the descriptor's third bit is that of
 * the checksum. */
static void headers_say_nothing_of_when_and_where(void **state)
{
    struct mr_bytes gzip = encoded(OUTPUT_GZIP, "text", 4, 0);
    struct mr_bytes zstd = encoded(OUTPUT_ZSTD, "text", 4, 0);

    (void)state;
    assert_memory_equal(gzip.ptr, "\x1f\x8b\x08\0\0\0\0\0", 8);
    assert_memory_equal(zstd.ptr, "\x28\xb5\x2f\xfd", 4);
    assert_true(zstd.ptr[4] & 4);
    free((char *)(uintptr_t)gzip.ptr);
    free((char *)(uintptr_t)zstd.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out_in_one_member),
        cmocka_unit_test(the_pieces_that_it_came_in_do_not_show),
        cmocka_unit_test(headers_say_nothing_of_when_and_where),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
