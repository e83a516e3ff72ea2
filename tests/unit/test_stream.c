/* Streams: what a codec's own library wrote comes back, however it is read; what is not whole,
 * or not what its name says, is found and its place told. */
#include "tests/lib/cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/rng.h"
#include "record/stream.h"
#include "tests/lib/encode.h"

#define WINDOW ((uint64_t)8 << 20)

enum { MEMBERS_MAX = 4 };

static const enum stream_codec codecs[] = {STREAM_GZIP, STREAM_ZSTD, STREAM_LZ4};

/* A file with these bytes, open. */
struct file {
    const char *path;
    int fd;
    uint64_t size;
};

static struct file file_of(const struct encoded *bytes)
{
    struct file file = {"the file", memfd_create("file", MFD_CLOEXEC), bytes->size};

    assert_true(file.fd >= 0);
    assert_int_equal(write(file.fd, bytes->bytes, bytes->size), bytes->size);
    return file;
}

static void file_done(struct file *file)
{
    close(file->fd);
}

/* Reads all in pieces of `piece` bytes; 0, or -1 with the error. */
static int read_all(const struct file *file, enum stream_codec codec, size_t piece,
                    struct encoded *ret, struct error *err)
{
    struct stream *stream = stream_new(file->fd, file->path, file->size, codec, WINDOW);
    uint64_t consumed = 0;
    size_t n = piece;
    int result = 0;

    *ret = (struct encoded){0};
    while (!result && n == piece) {
        cleanup_free char *buffer = memory_new(piece);

        result = stream_read(stream, buffer, piece, &n, err);
        assert_true(stream_consumed(stream) >= consumed);
        consumed = stream_consumed(stream);
        if (!result)
            encoded_add(ret, buffer, n);
    }
    if (!result)
        assert_int_equal(consumed, file->size);
    stream_free(stream);
    return result;
}

static char *sample_text(size_t size, struct rng *rng)
{
    char *text = memory_new(size + 1);

    for (size_t i = 0; i < size; i++)
        text[i] = (char)(rng_below(rng, 4) ? 'a' + rng_below(rng, 3) : rng_below(rng, 256));
    return text;
}

static void what_was_written_comes_back_however_it_is_read(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 70000, 600000, 3 << 20};
    struct rng rng = {21};

    (void)state;
    for (size_t c = 0; c < 3; c++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            size_t members = 1 + rng_below(&rng, MEMBERS_MAX);
            size_t pieces[] = {sizes[s] > 1000 ? 997 : 1, 1 << 16, (size_t)4 << 20};
            cleanup_free char *text = sample_text(sizes[s], &rng);
            struct encoded all = {0};
            struct file file;

            for (size_t m = 0; m < members; m++) {
                size_t from = sizes[s] * m / members, to = sizes[s] * (m + 1) / members;

                encode(&all, codecs[c], text + from, to - from);
            }
            file = file_of(&all);
            for (size_t p = 0; p < 3; p++) {
                struct encoded got;
                struct error err;

                if (read_all(&file, codecs[c], pieces[p], &got, &err))
                    fail_msg("%s", err.text);
                assert_int_equal(got.size, sizes[s]);
                assert_true(!got.size || !memcmp(got.bytes, text, got.size));
                encoded_done(&got);
            }
            file_done(&file);
            encoded_done(&all);
        }
}

static void expect_wrong(const struct encoded *bytes, enum stream_codec codec,
                         const char *words)
{
    struct file file = file_of(bytes);
    struct encoded got;
    struct error err = {0};

    assert_int_equal(read_all(&file, codec, 100, &got, &err), -1);
    assert_int_equal(err.code, ERROR_FORMAT);
    if (!strstr(err.text, words) || !strstr(err.text, file.path))
        fail_msg("'%s' is not in: %s", words, err.text);
    encoded_done(&got);
    file_done(&file);
}

static void a_stream_that_is_cut_anywhere_is_found(void **state)
{
    struct rng rng = {22};
    cleanup_free char *text = sample_text(700, &rng);

    (void)state;
    for (size_t c = 0; c < 3; c++) {
        struct encoded all = {0}, cut;
        size_t first;

        encode(&all, codecs[c], text, 400);
        first = all.size;
        encode(&all, codecs[c], text + 400, 300);
        for (size_t n = 1; n < all.size; n++) {
            char end[40];

            cut = (struct encoded){all.bytes, n, 0};
            snprintf(end, sizeof end, "behind byte %zu,", n);
            if (n != first)
                expect_wrong(&cut, codecs[c], end);
        }
        encoded_done(&all);
    }
}

static void what_follows_the_last_member_is_found(void **state)
{
    (void)state;
    for (size_t c = 0; c < 3; c++) {
        struct encoded all = {0};
        char place[40];

        encode(&all, codecs[c], "hello", 5);
        snprintf(place, sizeof place, "from byte %zu ", all.size);
        encoded_add(&all, "\n", 1);
        expect_wrong(&all, codecs[c], place);
        encoded_add(&all, "longer than any magic", 21);
        expect_wrong(&all, codecs[c], place);
        encoded_done(&all);
        /* Not even zeros. */
        encode(&all, codecs[c], "hello", 5);
        encoded_add(&all, "\0\0\0\0\0\0\0\0", 8);
        expect_wrong(&all, codecs[c], place);
        encoded_done(&all);
    }
}

static void what_is_no_such_data_from_the_first_byte_is_found(void **state)
{
    static const char *const texts[] = {"", "x", "plain text", "\x1f", "\x04\x22\x4d"};

    (void)state;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < 3; i++)
            expect_wrong(&(struct encoded){(char *)(uintptr_t)texts[i], strlen(texts[i]), 0},
                         codecs[c], "plain:");
    /* One codec's data under another one's name. */
    for (size_t c = 0; c < 3; c++) {
        struct encoded all = {0};

        encode(&all, codecs[c], "hello", 5);
        expect_wrong(&all, codecs[(c + 1) % 3], "does not begin as");
        encoded_done(&all);
    }
}

/* All three are written with checksums here. */
static void no_flipped_bit_gives_another_text(void **state)
{
    struct rng rng = {23};
    cleanup_free char *text = sample_text(300, &rng);
    size_t found = 0, harmless = 0;

    (void)state;
    for (size_t c = 0; c < 3; c++) {
        struct encoded all = {0};

        encode(&all, codecs[c], text, 300);
        for (size_t i = 0; i < 8 * all.size; i++) {
            struct encoded got;
            struct file file;
            struct error err;

            all.bytes[i / 8] ^= (char)(1 << i % 8);
            file = file_of(&all);
            if (!read_all(&file, codecs[c], 64, &got, &err)) {
                harmless++; /* of the gzip header: a time, a system */
                assert_int_equal(got.size, 300);
                assert_memory_equal(got.bytes, text, 300);
            } else {
                found++;
                assert_int_equal(err.code, ERROR_FORMAT);
            }
            encoded_done(&got);
            file_done(&file);
            all.bytes[i / 8] ^= (char)(1 << i % 8);
        }
        encoded_done(&all);
    }
    assert_true(found > 10 * harmless);
}

static void a_window_above_the_limit_is_refused_by_its_size(void **state)
{
    struct rng rng = {24};
    cleanup_free char *text = sample_text(100000, &rng);
    struct encoded all = {0}, got;
    struct file file;
    struct error err;

    (void)state;
    encode_zstd_window(&all, 23, text, 100000);
    file = file_of(&all);
    assert_int_equal(read_all(&file, STREAM_ZSTD, 5000, &got, &err), 0);
    assert_int_equal(got.size, 100000);
    encoded_done(&got);
    file_done(&file);
    encode_zstd_window(&all, 24, text, 100000);
    expect_wrong(&all, STREAM_ZSTD, "window of more than 8 MiB");
    encoded_done(&all);
}

static void frames_that_are_to_be_skipped_are(void **state)
{
    static const char skipped[] = "\x5a\x2a\x4d\x18\x05\0\0\0hello";

    (void)state;
    for (size_t c = 1; c < 3; c++) {
        struct encoded all = {0}, got;
        struct file file;
        struct error err;

        encoded_add(&all, skipped, sizeof skipped - 1);
        encode(&all, codecs[c], "one ", 4);
        encoded_add(&all, skipped, sizeof skipped - 1);
        encode(&all, codecs[c], "two", 3);
        encoded_add(&all, skipped, sizeof skipped - 1);
        file = file_of(&all);
        if (read_all(&file, codecs[c], 2, &got, &err))
            fail_msg("%s", err.text);
        assert_int_equal(got.size, 7);
        assert_memory_equal(got.bytes, "one two", 7);
        encoded_done(&got);
        file_done(&file);
        all.size -= 2;
        expect_wrong(&all, codecs[c], "cut off");
        encoded_done(&all);
    }
}

/* The library itself looks at that only where it has room for the whole frame. */
static void a_frame_that_is_shorter_than_it_says_is_found(void **state)
{
    static const char frame[] = "\x28\xb5\x2f\xfd\x20\xff\x01\0\0";
    struct encoded all = {0};

    (void)state;
    encoded_add(&all, frame, sizeof frame - 1);
    expect_wrong(&all, STREAM_ZSTD, "longer or shorter");
    encoded_done(&all);
}

static void a_file_that_became_shorter_is_named(void **state)
{
    struct encoded all = {0}, got;
    struct file file;
    struct error err;

    (void)state;
    encode(&all, STREAM_GZIP, "hello", 5);
    file = file_of(&all);
    file.size++;
    for (int plain = 0; plain < 2; plain++) {
        assert_int_equal(read_all(&file, plain ? STREAM_PLAIN : STREAM_GZIP, 100, &got, &err),
                         -1);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.text, "changed"));
        encoded_done(&got);
    }
    file_done(&file);
    encoded_done(&all);
}

static void names_tell_the_codec(void **state)
{
    (void)state;
    assert_int_equal(stream_codec_of("/a/b.gz"), STREAM_GZIP);
    assert_int_equal(stream_codec_of("/a/b.csv.zst"), STREAM_ZSTD);
    assert_int_equal(stream_codec_of("b.lz4"), STREAM_LZ4);
    assert_int_equal(stream_codec_of("/a.gz/b"), STREAM_PLAIN);
    assert_int_equal(stream_codec_of("/a/b.GZ"), STREAM_PLAIN);
    assert_int_equal(stream_codec_of("/a/bgz"), STREAM_PLAIN);
    assert_int_equal(stream_codec_of(""), STREAM_PLAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_comes_back_however_it_is_read),
        cmocka_unit_test(a_stream_that_is_cut_anywhere_is_found),
        cmocka_unit_test(what_follows_the_last_member_is_found),
        cmocka_unit_test(what_is_no_such_data_from_the_first_byte_is_found),
        cmocka_unit_test(no_flipped_bit_gives_another_text),
        cmocka_unit_test(a_window_above_the_limit_is_refused_by_its_size),
        cmocka_unit_test(frames_that_are_to_be_skipped_are),
        cmocka_unit_test(a_frame_that_is_shorter_than_it_says_is_found),
        cmocka_unit_test(a_file_that_became_shorter_is_named),
        cmocka_unit_test(names_tell_the_codec),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
