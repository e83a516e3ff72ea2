/* Run files again: bytes that make no sense although their checksums are right, blocks that
 * have changed places, and what can go wrong with a file. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "record/run_format.h"
#include "record/run_record.h"
#include "tests/lib/folder.h"
#include "tests/lib/records.h"

enum { ID = 77, SEGMENTS = 3 };

/* ---- Nonsense under right checksums ---- */

/* A run's bytes, and where things are in them; the index lies anywhere, so it is copied. */
struct image {
    char *bytes;
    size_t size, index_offset, count;
    struct run_segment index[SEGMENTS];
};

static struct image image_of(const char *folder, const char *name)
{
    struct image image = {0};
    struct run_trailer trailer;

    image.bytes = folder_read(folder, name, &image.size);
    assert_non_null(image.bytes);
    memcpy(&trailer, image.bytes + image.size - sizeof trailer, sizeof trailer);
    image.index_offset = trailer.index_offset;
    image.count = trailer.count;
    assert_true(image.count <= SEGMENTS);
    memcpy(image.index, image.bytes + image.index_offset, image.count * sizeof *image.index);
    return image;
}

/* Makes a block's checksum right again; returns the digest of a segment with this block alone.
 */
static uint64_t seal_block(struct image *image, uint64_t at)
{
    char *place = image->bytes + at;
    struct run_block block;
    XXH3_state_t state;

    memcpy(&block, place, sizeof block);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, &block, offsetof(struct run_block, checksum));
    if (block.stored_size <= image->size - at - sizeof block)
        XXH3_64bits_update(&state, place + sizeof block, block.stored_size);
    block.checksum = XXH3_64bits_digest(&state);
    memcpy(place, &block, sizeof block);
    return XXH3_64bits(&block.checksum, sizeof block.checksum);
}

/* Makes all checksums right again; a segment is one block, where image->index says. */
static void seal(struct image *image)
{
    struct run_header header;
    struct run_trailer trailer;
    char *end = image->bytes + image->size - sizeof trailer;
    XXH3_state_t state;

    memcpy(&header, image->bytes, sizeof header);
    header.checksum = XXH3_64bits(&header, offsetof(struct run_header, checksum));
    memcpy(image->bytes, &header, sizeof header);
    for (size_t i = 0; i < image->count; i++) {
        uint64_t digest = seal_block(image, image->index[i].offset);

        memcpy(image->bytes + image->index_offset + i * sizeof *image->index +
                   offsetof(struct run_segment, digest),
               &digest, sizeof digest);
    }
    memcpy(&trailer, end, sizeof trailer);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, image->bytes + image->index_offset,
                       image->count * sizeof *image->index);
    XXH3_64bits_update(&state, &trailer, offsetof(struct run_trailer, checksum));
    trailer.checksum = XXH3_64bits_digest(&state);
    memcpy(end, &trailer, sizeof trailer);
}

static void write_small(const char *path, uint32_t value_width)
{
    struct run_shape shape = {SEGMENTS, 0, value_width, ID};
    struct run_builder *builder = run_builder_new(value_width);
    struct run_writer *writer;
    struct rng rng = {8};
    struct error err;
    uint64_t size;

    assert_int_equal(run_create(path, &shape, &writer, &err), 0);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        for (int n = 0; n < 5; n++) {
            char key[32], value[8];
            struct mr_bytes k = made_up_bytes(&rng, key, rng_below(&rng, 20)),
                            v = made_up_bytes(&rng, value, value_width ? value_width : 5);

            assert_int_equal(run_builder_add(builder, k, v, &err), 0);
        }
        assert_int_equal(run_append(writer, 0, i, builder, true, &err), 0);
    }
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    run_builder_free(builder);
}

/* An error, or some records; but no harm, which the sanitizers would see. */
static bool read_all(const char *path)
{
    const struct run_segment *segments;
    struct run_file *run;
    struct error err;
    size_t count;
    bool good = true;

    if (run_open(path, ID, &run, &err))
        return false;
    segments = run_segments(run, &count);
    for (size_t i = 0; i < count; i++) {
        struct records found = {0};

        if (read_segment(run, &segments[i], &found, &err)) {
            assert_int_equal(err.code, ERROR_DAMAGE);
            assert_non_null(strstr(err.text, path));
            good = false;
        }
        records_done(&found);
    }
    run_close(run);
    return good;
}

/* Changes one word of the header, of a block's header, of a payload, or of the index. */
static void disturb(struct rng *rng, const struct image *image)
{
    static const uint64_t odd[] = {0, 1, 0x7f, 0xff, 0x100, UINT32_MAX, INT64_MAX, UINT64_MAX};
    size_t i = rng_below(rng, image->count), at;
    uint64_t word = rng_below(rng, 2) ? odd[rng_below(rng, 8)] : rng_next(rng);
    size_t width = UINT64_C(1) << rng_below(rng, 4);

    switch (rng_below(rng, 4)) {
    case 0:
        at = 8 + rng_below(rng, 16);
        break;
    case 1:
        at = image->index[i].offset + rng_below(rng, 40);
        break;
    case 2:
        at = image->index[i].offset + sizeof(struct run_block) +
             rng_below(rng, image->index[i].size - sizeof(struct run_block));
        break;
    default:
        at = image->index_offset + i * sizeof *image->index + rng_below(rng, 40);
    }
    memcpy(image->bytes + at, &word, width);
}

static void nonsense_under_right_checksums_does_no_harm(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct rng rng = {9};
    int refused = 0;

    (void)state;
    for (uint32_t width = 0; width <= 8; width += 8) {
        struct image good, bad;
        int fd;

        write_small(path, width);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        good = image_of(folder, "run");
        bad = image_of(folder, "run");
        seal(&bad);
        assert_memory_equal(bad.bytes, good.bytes, good.size);
        for (int round = 0; round < 4000; round++) {
            memcpy(bad.bytes, good.bytes, good.size);
            disturb(&rng, &bad);
            seal(&bad);
            /* In place: some file systems flush a file that is cut and written again. */
            assert_int_equal(pwrite(fd, bad.bytes, bad.size, 0), bad.size);
            refused += !read_all(path);
        }
        free(good.bytes);
        free(bad.bytes);
        close(fd);
        assert_int_equal(unlink(path), 0);
    }
    assert_true(refused > 3000);
    folder_remove(folder);
}

static void random_payloads_are_decoded_within_their_bounds(void **state)
{
    struct rng rng = {10};

    (void)state;
    for (int round = 0; round < 100000; round++) {
        size_t size = rng_below(&rng, 30), taken = 0;
        cleanup_free char *bytes = memory_new(size);
        struct mr_bytes payload = made_up_bytes(&rng, bytes, size), key, value;
        uint32_t width = (uint32_t)rng_below(&rng, 4) * 4;

        for (size_t i = 0; i < size; i++)
            bytes[i] &= rng_below(&rng, 4) ? 0x07 : 0xff; /* short lengths, mostly */
        while (run_decode(&payload, width, &key, &value) > 0) {
            assert_true(key.ptr >= bytes + taken && key.ptr + key.len == value.ptr);
            taken = (size_t)(value.ptr + value.len - bytes);
            assert_true(taken <= size && (!width || value.len == width));
            assert_int_equal(payload.len, size - taken);
        }
    }
}

/* ---- Whole blocks ---- */

/* Two equally long blocks in each of two segments, all with right checksums. */
static struct image write_blocks(const char *folder, const char *path)
{
    struct run_shape shape = {2, 0, 8, ID};
    struct run_builder *builder = run_builder_new(8);
    struct run_writer *writer;
    struct error err;
    uint64_t size, n = 0;

    assert_int_equal(run_create(path, &shape, &writer, &err), 0);
    for (uint32_t part = 0; part < 2; part++)
        for (int piece = 0; piece < 2; piece++) {
            for (int i = 0; i < 100; i++, n++)
                assert_int_equal(run_builder_add(builder, (struct mr_bytes){"key", 3},
                                                 (struct mr_bytes){(const char *)&n, 8}, &err),
                                 0);
            assert_int_equal(run_append(writer, 0, part, builder, piece, &err), 0);
        }
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    run_builder_free(builder);
    return image_of(folder, "run");
}

/* Refused, and not before it gave a record of the other part. */
static void expect_refused(const char *path)
{
    const struct run_segment *segments;
    struct run_file *run;
    struct error err;
    size_t count;

    assert_false(read_all(path));
    assert_int_equal(run_open(path, ID, &run, &err), 0);
    segments = run_segments(run, &count);
    for (size_t i = 0; i < count; i++) {
        struct records found = {0};

        (void)read_segment(run, &segments[i], &found, &err);
        for (size_t k = 0; k < found.count; k++) {
            uint64_t n;

            memcpy(&n, found.items[k].value.ptr, sizeof n);
            assert_int_equal(n / 200, i);
        }
        records_done(&found);
    }
    run_close(run);
}

static void blocks_that_changed_places_are_noticed(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct image image = write_blocks(folder, path);
    size_t half = image.index[0].size / 2;
    char *block[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        block[i] = image.bytes + image.index[0].offset + (size_t)i * half;
    assert_true(read_all(path));
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 4; b++) {
            cleanup_free char *copy = memory_new(image.size);

            if (a == b)
                continue;
            memcpy(copy, image.bytes, image.size);
            memcpy(copy + (block[a] - image.bytes), block[b], half);
            folder_write(folder, "run", copy, image.size);
            expect_refused(path); /* twice the same */
            memcpy(copy + (block[b] - image.bytes), block[a], half);
            folder_write(folder, "run", copy, image.size);
            expect_refused(path); /* exchanged */
        }
    free(image.bytes);
    folder_remove(folder);
}

/* ---- Files ---- */

static void what_cannot_be_opened_or_created_is_named(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run"),
                      *missing = folder_path(folder, "no/run");
    struct run_shape shape = {1, 0, 0, ID};
    struct run_writer *writer = NULL;
    struct run_file *run = NULL;
    struct error err;

    (void)state;
    assert_int_equal(run_open(path, ID, &run, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(run_create(missing, &shape, &writer, &err), -1);
    assert_non_null(strstr(err.text, missing));
    folder_text(folder, "run", "precious");
    assert_int_equal(run_create(path, &shape, &writer, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(run_open(path, ID, &run, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_null(run);
    assert_null(writer);
    {
        cleanup_free char *text = folder_read(folder, "run", NULL);

        assert_string_equal(text, "precious");
    }
    folder_remove(folder);
}

static void an_abandoned_run_leaves_no_file(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct run_shape shape = {1, 0, 0, ID};
    struct run_builder *builder = run_builder_new(0);
    struct run_writer *writer;
    struct error err;

    (void)state;
    assert_int_equal(run_create(path, &shape, &writer, &err), 0);
    assert_int_equal(
        run_builder_add(builder, (struct mr_bytes){"a", 1}, (struct mr_bytes){"b", 1}, &err),
        0);
    assert_int_equal(run_append(writer, 0, 0, builder, false, &err), 0);
    assert_int_equal(access(path, F_OK), 0);
    run_abandon(writer);
    assert_int_equal(access(path, F_OK), -1);
    run_abandon(NULL);
    run_builder_free(builder);
    folder_remove(folder);
}

/* Files may not grow beyond `bytes`: writing more fails as on a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Writes `records` records into files of at most `room` bytes; true if everything went well. */
static bool write_within(const char *path, rlim_t room, int records, struct error *err)
{
    struct run_shape shape = {1, 0, 0, ID};
    struct run_builder *builder = run_builder_new(0);
    struct run_writer *writer;
    uint64_t size;
    int result;

    for (int i = 0; i < records; i++)
        assert_int_equal(run_builder_add(builder, (struct mr_bytes){"0123456789", 10},
                                         (struct mr_bytes){"value", 5}, err),
                         0);
    limit_files(room);
    result = run_create(path, &shape, &writer, err);
    if (!result) {
        result = run_append(writer, 0, 0, builder, true, err);
        if (result)
            run_abandon(writer);
        else
            result = run_finish(writer, false, &size, err);
    }
    limit_files(RLIM_INFINITY);
    run_builder_free(builder);
    return !result;
}

static void a_failed_write_is_told_and_leaves_no_file(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct error err;
    struct stat st;

    (void)state;
    assert_true(write_within(path, 1 << 20, 100, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(unlink(path), 0);
    for (rlim_t room = 0; room < (rlim_t)st.st_size; room++) {
        assert_false(write_within(path, room, 100, &err));
        assert_int_equal(err.code, ERROR_IO);
        assert_non_null(strstr(err.text, path));
        assert_int_equal(access(path, F_OK), -1);
    }
    assert_true(write_within(path, (rlim_t)st.st_size, 100, &err));
    assert_true(read_all(path));
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonsense_under_right_checksums_does_no_harm),
        cmocka_unit_test(random_payloads_are_decoded_within_their_bounds),
        cmocka_unit_test(blocks_that_changed_places_are_noticed),
        cmocka_unit_test(what_cannot_be_opened_or_created_is_named),
        cmocka_unit_test(an_abandoned_run_leaves_no_file),
        cmocka_unit_test(a_failed_write_is_told_and_leaves_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
