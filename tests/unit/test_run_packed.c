/* Compressed blocks of runs: what was written is read back, in fewer bytes; what was changed on
 * the disk, or made up by a foreign hand, is noticed before it is believed. How writers of all
 * ways and codecs get on with each other is in test_run_write.c, what becomes of compressed
 * segments in a merge in test_merge.c. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "record/run_format.h"
#include "record/run_record.h"
#include "tests/lib/folder.h"
#include "tests/lib/records.h"

enum { ID = 0x77 };

static struct codec_choice choice(int codec)
{
    return (struct codec_choice){(enum codec)codec, false};
}

static void auto_packs_what_goes_far_alone(void **state)
{
    static const char *const wrong[] = {"gzip", "LZ4", "lz", "lz44", "none "};
    static const char *const names[CODECS] = {"none", "lz4", "zstd", "zlib"};
    struct mr_bytes none = {"", 0}, automatic = {"auto", 4};
    struct codec_choice found;
    struct error err;

    (void)state;
    for (int far = 0; far < 2; far++) {
        assert_int_equal(codec_choose(none, far, &found, &err), 0);
        assert_int_equal(found.codec, far ? CODEC_LZ4 : CODEC_NONE);
        assert_true(found.sparing);
        assert_int_equal(codec_choose(automatic, far, &found, &err), 0);
        assert_int_equal(found.codec, far ? CODEC_LZ4 : CODEC_NONE);
        for (int i = 0; i < CODECS; i++) {
            struct mr_bytes name = {names[i], strlen(names[i])};

            assert_int_equal(codec_choose(name, far, &found, &err), 0);
            assert_int_equal(found.codec, i);
            assert_false(found.sparing);
        }
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct mr_bytes name = {wrong[i], strlen(wrong[i])};

        assert_int_equal(codec_choose(name, false, &found, &err), -1);
        assert_int_equal(err.code, ERROR_USAGE);
        assert_non_null(strstr(err.text, wrong[i]));
    }
}

/* ---- Writing and reading back ---- */

struct sizes {
    uint64_t size, raw_size, file;
};

/* Writes the records as one segment and expects to read them again. */
static struct sizes written(const struct records *records, struct codec_choice compression)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct run_shape shape = {1, 0, 0, ID, compression};
    const struct run_segment *segments;
    struct records found = {0};
    struct run_file *run;
    struct sizes sizes;
    struct error err;
    size_t count;

    run_of(path, &shape, records);
    assert_int_equal(run_open(path, ID, &run, &err), 0);
    segments = run_segments(run, &count);
    if (read_segment(run, segments, &found, &err))
        fail_msg("%s", err.text);
    expect_records(&found, records);
    assert_int_equal(run_verify(run, &err), 0);
    sizes = (struct sizes){segments->size, segments->raw_size, run_file_size(run)};
    records_done(&found);
    run_close(run);
    folder_remove(folder);
    return sizes;
}

static void add_text(struct records *records, int n)
{
    for (int i = 0; i < n; i++) {
        char key[60];

        snprintf(key, sizeof key, "a word that comes again and again %d", i);
        records_add(records, (struct mr_bytes){key, strlen(key)},
                    (struct mr_bytes){"its value", 9});
    }
}

static void blocks_that_shrink_take_less_and_say_what_they_were(void **state)
{
    struct records records = {0};
    struct sizes raw;

    (void)state;
    add_text(&records, 50000);
    raw = written(&records, choice(CODEC_NONE));
    assert_int_equal(raw.size, raw.raw_size);
    for (int codec = CODEC_LZ4; codec < CODECS; codec++) {
        struct sizes packed = written(&records, choice(codec));

        assert_int_equal(packed.raw_size, raw.size);
        assert_true(packed.size < raw.size / 2);
        assert_true(packed.file < raw.file / 2);
    }
    records_done(&records);
}

static void blocks_that_do_not_shrink_stay_as_they_are(void **state)
{
    cleanup_free char *bytes = memory_new(1000);
    struct records records = {0};
    struct rng rng = {4};

    (void)state;
    for (int i = 0; i < 2000; i++)
        records_add(&records, made_up_bytes(&rng, bytes, 1000), (struct mr_bytes){"", 0});
    for (int codec = CODEC_NONE; codec < CODECS; codec++) {
        struct sizes sizes = written(&records, choice(codec));

        assert_int_equal(sizes.size, sizes.raw_size);
    }
    records_done(&records);
}

static void a_record_of_its_own_block_is_packed_up_to_a_limit(void **state)
{
    cleanup_free char *bytes = memory_zeroed(LIMIT_PACKED + 1, 1);
    struct records large = {0}, too_large = {0};

    (void)state;
    /* Two lengths of four bytes and one. */
    records_add(&large, (struct mr_bytes){bytes, LIMIT_PACKED - 5}, (struct mr_bytes){"", 0});
    records_add(&too_large, (struct mr_bytes){bytes, LIMIT_PACKED - 4},
                (struct mr_bytes){"", 0});
    for (int codec = CODEC_LZ4; codec < CODECS; codec++) {
        struct sizes sizes = written(&large, choice(codec));

        assert_int_equal(sizes.raw_size, sizeof(struct run_block) + LIMIT_PACKED);
        assert_true(sizes.size < sizes.raw_size / 100);
        sizes = written(&too_large, choice(codec));
        assert_int_equal(sizes.size, sizes.raw_size);
    }
    records_done(&large);
    records_done(&too_large);
}

/* Ranges whose blocks are packed, stay raw, and are too large for it, in one segment that is
 * larger than what gathers in memory. */
static void a_large_segment_of_all_kinds_of_blocks_is_read_back(void **state)
{
    enum { KINDS = 3, RANGES = 30 };
    static const uint32_t sizes[KINDS] = {LIMIT_BLOCK, LIMIT_BLOCK, LIMIT_PACKED + 100};

    (void)state;
    for (int codec = CODEC_LZ4; codec < CODECS; codec++) {
        char *folder = folder_new();
        cleanup_free char *path = folder_path(folder, "run");
        struct run_shape shape = {2, 0, 0, ID, choice(codec)};
        const struct run_segment *segments;
        struct run_range ranges[RANGES];
        char *bytes[KINDS];
        struct records expected = {0}, found = {0};
        struct run_writer *writer;
        struct run_file *run;
        struct rng rng = {7};
        struct error err;
        uint64_t size;
        size_t count;

        for (int i = 0; i < KINDS; i++) {
            size_t length = sizes[i] - 5;
            char *key = memory_zeroed(length, 1), *end;

            if (i == 1)
                made_up_bytes(&rng, key, length);
            bytes[i] = memory_new(length + RUN_LENGTHS_MAX);
            end = run_encode(bytes[i], (struct mr_bytes){key, length}, (struct mr_bytes){"", 0},
                             0);
            for (int k = i; k < RANGES; k += KINDS)
                ranges[k] = (struct run_range){bytes[i], (uint32_t)(end - bytes[i]), 1, 1};
            free(key);
        }
        for (int k = 0; k < 8; k++) {
            struct mr_bytes rest = {ranges[k].bytes, ranges[k].size}, key, value;

            assert_int_equal(run_decode(&rest, 0, &key, &value), 1);
            records_add(&expected, key, value);
        }
        assert_int_equal(run_create(path, &shape, &writer, &err), 0);
        assert_int_equal(run_append_ranges(writer, 0, 0, ranges, 8, &err), 0);
        assert_int_equal(run_append_ranges(writer, 0, 1, ranges, 2, &err), 0);
        size = run_written(writer);
        assert_int_equal(run_finish(writer, false, &size, &err), 0);
        assert_int_equal(run_open(path, ID, &run, &err), 0);
        segments = run_segments(run, &count);
        assert_int_equal(count, 2);
        assert_true(segments[0].size < segments[0].raw_size);
        /* What the first one did not need went back: no hole lies between them. */
        assert_int_equal(segments[1].offset, segments[0].offset + segments[0].size);
        if (read_segment(run, &segments[0], &found, &err))
            fail_msg("%s", err.text);
        expect_records(&found, &expected);
        records_done(&found);
        records_done(&expected);
        run_close(run);
        for (int i = 0; i < KINDS; i++)
            free(bytes[i]);
        folder_remove(folder);
    }
}

static void a_sparing_packer_leaves_noise_alone_and_looks_again(void **state)
{
    enum { SIZE = 4096, NOISE = 1000 };
    struct packer *packer = packer_new((struct codec_choice){CODEC_LZ4, true});
    cleanup_free char *text = memory_zeroed(SIZE, 1), *noise = memory_new(SIZE);
    struct rng rng = {3};
    const char *packed;
    int spared = 0;

    (void)state;
    made_up_bytes(&rng, noise, SIZE);
    assert_true(packer_pack(packer, text, SIZE, &packed) > 0);
    assert_int_equal(packer_pack(packer, noise, SIZE, &packed), 0);
    while (!packer_pack(packer, text, SIZE, &packed))
        spared++;
    assert_true(spared > 5 && spared < 50);
    assert_true(packer_pack(packer, text, SIZE, &packed) > 0);
    packer_free(packer);
}

/* ---- Damage ---- */

/* A run of three segments of two kinds of blocks, and what they hold. */
struct small {
    char *folder, *path;
    struct records records[3];
    uint64_t size;
};

static struct small small_run(int codec)
{
    struct small small = {.folder = folder_new()};
    struct run_shape shape = {3, 0, 0, ID, choice(codec)};
    struct run_builder *builder = run_builder_new(0);
    struct run_writer *writer;
    struct error err;

    small.path = folder_path(small.folder, "small.run");
    assert_int_equal(run_create(small.path, &shape, &writer, &err), 0);
    for (uint32_t i = 0; i < 3; i++) {
        add_text(&small.records[i], 3);
        for (size_t k = 0; k < small.records[i].count; k++)
            assert_int_equal(run_builder_add(builder, small.records[i].items[k].key,
                                             small.records[i].items[k].value, &err),
                             0);
        assert_int_equal(run_append(writer, 0, i, builder, true, &err), 0);
    }
    assert_int_equal(run_finish(writer, false, &small.size, &err), 0);
    run_builder_free(builder);
    return small;
}

static void small_done(struct small *small)
{
    for (int i = 0; i < 3; i++)
        records_done(&small->records[i]);
    folder_remove(small->folder);
    free(small->path);
}

static void expect_damage(const struct small *small, const struct error *err)
{
    assert_int_equal(err->code, ERROR_DAMAGE);
    assert_non_null(strstr(err->text, small->path));
}

/* By opening, by reading records, and by the audit of the bytes as they pass. */
static void expect_noticed(const struct small *small)
{
    const struct run_segment *segments;
    struct run_file *run;
    struct error err;
    size_t count;
    int bad = 0;

    if (run_open(small->path, ID, &run, &err)) {
        expect_damage(small, &err);
        return;
    }
    segments = run_segments(run, &count);
    for (size_t i = 0; i < count; i++) {
        struct records found = {0};

        if (read_segment(run, &segments[i], &found, &err)) {
            expect_damage(small, &err);
            assert_int_equal(found.count, 0); /* a segment is one block here */
            bad++;
        } else {
            expect_records(&found, &small->records[i]);
        }
        records_done(&found);
    }
    assert_int_equal(bad, 1);
    assert_int_equal(run_verify(run, &err), -1);
    expect_damage(small, &err);
    run_close(run);
}

static void every_flipped_byte_of_a_packed_run_is_noticed(void **state)
{
    (void)state;
    for (int codec = CODEC_LZ4; codec < CODECS; codec++) {
        struct small small = small_run(codec);
        cleanup_free uint8_t *bytes = (uint8_t *)folder_read(small.folder, "small.run", NULL);
        int fd = open(small.path, O_WRONLY | O_CLOEXEC);

        for (size_t at = 0; at < small.size; at++) {
            for (int bit = 0; bit < 8; bit++) {
                uint8_t byte = (uint8_t)(bytes[at] ^ 1 << bit);

                assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
                expect_noticed(&small);
            }
            assert_int_equal(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
        }
        close(fd);
        small_done(&small);
    }
}

static void another_version_is_refused_by_its_number(void **state)
{
    struct small small = small_run(CODEC_LZ4);
    int fd = open(small.path, O_WRONLY | O_CLOEXEC);
    struct run_file *run;
    struct error err;

    (void)state;
    assert_int_equal(pwrite(fd, "\2", 1, 7), 1);
    assert_int_equal(run_open(small.path, ID, &run, &err), -1);
    expect_damage(&small, &err);
    assert_non_null(strstr(err.text, "version 2 of the format, this program reads 3"));
    close(fd);
    small_done(&small);
}

/* ---- From a foreign hand, under right checksums ---- */

/* A run of one packed block, which tests change before it is sealed. */
struct foreign {
    struct run_header header;
    struct run_block block;
    char payload[512];
    struct run_segment segment;
    struct run_trailer trailer;
};

/* A record with a key of 200 bytes. */
static struct foreign sample(int codec)
{
    struct packer *packer = packer_new(choice(codec));
    char raw[203] = {(char)0xc8, 1, 0};
    const char *packed;
    size_t size;
    struct foreign run = {
        .header = {.parts = 1, .id = ID},
        .block = {.magic = RUN_BLOCK_MAGIC, .records = 1, .raw_size = 203},
        .segment = {.offset = sizeof run.header, .records = 1, .pairs = 1},
        .trailer = {.index_offset = offsetof(struct foreign, segment), .count = 1, .id = ID},
    };

    memset(raw + 3, 'k', 200);
    size = packer_pack(packer, raw, sizeof raw, &packed);
    assert_true(size && size < 100);
    memcpy(run.payload, packed, size);
    run.block.codec = (uint32_t)codec;
    run.block.stored_size = size;
    run.segment.size = sizeof run.block + size;
    run.segment.raw_size = sizeof run.block + sizeof raw;
    memcpy(run.header.magic, run_header_magic, 8);
    memcpy(run.trailer.magic, run_trailer_magic, 8);
    packer_free(packer);
    return run;
}

static uint64_t hash(const void *a, size_t a_size, const void *b, size_t b_size)
{
    cleanup_free char *both = memory_new(a_size + b_size);

    memcpy(both, a, a_size);
    memcpy(both + a_size, b, b_size);
    return XXH3_64bits(both, a_size + b_size);
}

/* Reads the run's segment, expecting `words`, or its record if they are NULL; as many as there
 * are if the audit, which unpacks nothing, cannot know. */
static void expect_reading(struct foreign run, const char *words)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct records found = {0};
    struct run_file *file;
    struct error err = {0};
    size_t count;

    run.header.checksum = XXH3_64bits(&run.header, offsetof(struct run_header, checksum));
    run.block.checksum = hash(&run.block, offsetof(struct run_block, checksum), run.payload,
                              run.block.stored_size);
    run.segment.digest = XXH3_64bits(&run.block.checksum, 8);
    run.trailer.checksum = hash(&run.segment, sizeof run.segment, &run.trailer,
                                offsetof(struct run_trailer, checksum));
    folder_write(folder, "run", &run, sizeof run);
    if (run_open(path, ID, &file, &err))
        fail_msg("%s", err.text);
    assert_int_equal(read_segment(file, run_segments(file, &count), &found, &err),
                     words ? -1 : 0);
    if (words && (err.code != ERROR_DAMAGE || !strstr(err.text, words)))
        fail_msg("'%s' does not say '%s'", err.text, words);
    records_done(&found);
    run_close(file);
    folder_remove(folder);
}

static void no_more_is_unpacked_than_was_declared(void **state)
{
    (void)state;
    for (int codec = CODEC_LZ4; codec < CODECS; codec++) {
        struct foreign run = sample(codec);

        expect_reading(run, NULL);
        run.block.raw_size--; /* a bomb, of one byte */
        run.segment.raw_size--;
        expect_reading(run, "a compressed block makes no sense");
        run = sample(codec);
        run.block.raw_size++;
        run.segment.raw_size++;
        expect_reading(run, "a compressed block makes no sense");
        run = sample(codec);
        run.block.raw_size = LIMIT_PACKED + 1;
        expect_reading(run, "impossible sizes");
        run.block.raw_size = UINT64_MAX;
        expect_reading(run, "impossible sizes");
        run.block.raw_size = run.block.stored_size;
        expect_reading(run, "impossible sizes");
        run = sample(codec);
        run.segment.raw_size++;
        expect_reading(run, "another raw size than its index says");
    }
}

static void bytes_that_do_not_unpack_are_damage(void **state)
{
    (void)state;
    for (int codec = CODEC_LZ4; codec < CODECS; codec++) {
        struct foreign run = sample(codec);

        memset(run.payload, 0xff, run.block.stored_size);
        expect_reading(run, "a compressed block makes no sense");
        run = sample(codec); /* something behind it */
        run.block.stored_size++;
        run.segment.size++;
        expect_reading(run, "a compressed block makes no sense");
        run = sample(codec); /* cut */
        run.block.stored_size--;
        run.segment.size--;
        expect_reading(run, "a compressed block makes no sense");
        run = sample(codec); /* by another codec */
        run.block.codec = codec == CODEC_LZ4 ? CODEC_ZSTD : CODEC_LZ4;
        expect_reading(run, "a compressed block makes no sense");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_packs_what_goes_far_alone),
        cmocka_unit_test(blocks_that_shrink_take_less_and_say_what_they_were),
        cmocka_unit_test(blocks_that_do_not_shrink_stay_as_they_are),
        cmocka_unit_test(a_record_of_its_own_block_is_packed_up_to_a_limit),
        cmocka_unit_test(a_large_segment_of_all_kinds_of_blocks_is_read_back),
        cmocka_unit_test(a_sparing_packer_leaves_noise_alone_and_looks_again),
        cmocka_unit_test(every_flipped_byte_of_a_packed_run_is_noticed),
        cmocka_unit_test(another_version_is_refused_by_its_number),
        cmocka_unit_test(no_more_is_unpacked_than_was_declared),
        cmocka_unit_test(bytes_that_do_not_unpack_are_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
