/* Runs from a foreign hand, whose checksums are all right: what they say is still not believed.
 */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "record/run_format.h"
#include "tests/lib/folder.h"

enum { ID = 7 };

/* A run of one block in one segment, as a writer would make it; tests change it before it is
 * sealed. */
struct foreign {
    struct run_header header;
    struct run_block block;
    char payload[32];
    struct run_segment segment;
    struct run_trailer trailer;
};

_Static_assert(sizeof(struct foreign) == 40 + 48 + 32 + 64 + 40, "the file has no holes");

/* One record: key "key", value "value". */
static struct foreign sample(void)
{
    struct foreign run = {
        .header = {.parts = 1, .id = ID},
        .block = {.magic = RUN_BLOCK_MAGIC, .records = 1, .raw_size = 10, .stored_size = 10},
        .payload = "\3\5keyvalue",
        .segment =
            {.offset = 40, .size = 48 + 10, .raw_size = 48 + 10, .records = 1, .pairs = 1},
        .trailer = {.index_offset = 40 + 48 + 32, .count = 1, .id = ID},
    };

    memcpy(run.header.magic, run_header_magic, 8);
    memcpy(run.trailer.magic, run_trailer_magic, 8);
    return run;
}

/* Hashes two pieces one behind the other. */
static uint64_t hash(const void *a, size_t a_size, const void *b, size_t b_size)
{
    cleanup_free char *both = memory_new(a_size + b_size);

    memcpy(both, a, a_size);
    memcpy(both + a_size, b, b_size);
    return XXH3_64bits(both, a_size + b_size);
}

static void seal(struct foreign *run)
{
    uint64_t stored = run->block.stored_size;

    run->header.checksum = XXH3_64bits(&run->header, 32);
    run->block.checksum = hash(&run->block, 40, run->payload, stored < 32 ? stored : 32);
    run->segment.digest = XXH3_64bits(&run->block.checksum, 8);
    run->trailer.checksum = hash(&run->segment, sizeof run->segment, &run->trailer, 24);
}

struct folder_run {
    char *folder, *path;
};

static struct folder_run write_run(struct foreign *run)
{
    struct folder_run file = {.folder = folder_new()};

    seal(run);
    file.path = folder_path(file.folder, "run");
    folder_write(file.folder, "run", run, sizeof *run);
    return file;
}

static void remove_run(struct folder_run *file)
{
    free(file->path);
    folder_remove(file->folder);
}

/* Reads the run's first segment, expecting `records` records and then `words` or, if NULL, the
 * end. */
static void expect_reading(struct foreign run, size_t records, const char *words)
{
    struct folder_run place = write_run(&run);
    struct mr_bytes key, value;
    struct run_cursor *cursor;
    struct error err = {0};
    struct run_file *file;
    size_t count;

    if (run_open(place.path, ID, &file, &err))
        fail_msg("%s", err.text);
    cursor = run_cursor_new(file, run_segments(file, &count));
    assert_int_equal(count, 1);
    for (size_t i = 0; i < records; i++)
        assert_int_equal(run_next(cursor, &key, &value, &err), 1);
    assert_int_equal(run_next(cursor, &key, &value, &err), words ? -1 : 0);
    if (words && (err.code != ERROR_DAMAGE || !strstr(err.text, words)))
        fail_msg("'%s' does not say '%s'", err.text, words);
    run_cursor_free(cursor);
    run_close(file);
    remove_run(&place);
}

static void expect_closed(struct foreign run, const char *words)
{
    struct folder_run place = write_run(&run);
    struct error err = {0};
    struct run_file *file;

    assert_int_equal(run_open(place.path, ID, &file, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
    remove_run(&place);
}

static void an_honest_run_is_read(void **state)
{
    (void)state;
    expect_reading(sample(), 1, NULL);
}

/* The sanitizers stopped at a move of no bytes from a null pointer to another. */
static void reading_begins_with_a_window_of_its_own(void **state)
{
    struct foreign run = sample();
    struct folder_run place = write_run(&run);
    struct mr_bytes payload;
    struct run_cursor *cursor;
    struct run_file *file;
    struct error err;
    uint32_t records;
    size_t count;

    (void)state;
    assert_int_equal(run_open(place.path, ID, &file, &err), 0);
    cursor = run_cursor_new(file, run_segments(file, &count));
    assert_int_equal(run_next_block(cursor, &payload, &records, &err), 1);
    assert_int_equal(records, 1);
    assert_int_equal(payload.len, 10);
    assert_memory_equal(payload.ptr, "\3\5keyvalue", 10);
    assert_int_equal(run_next_block(cursor, &payload, &records, &err), 0);
    run_cursor_free(cursor);
    run_close(file);
    remove_run(&place);
}

static void counts_that_lie_are_damage(void **state)
{
    struct foreign run = sample();

    (void)state;
    run.segment.records = 2;
    expect_reading(run, 1, "another number of records");
    run = sample();
    run.block.records = 2;
    expect_reading(run, 1, "fewer records than it says");
    run = sample();
    run.block.records = 0;
    expect_reading(run, 0, "makes no sense");
}

static void lengths_that_point_outside_are_damage(void **state)
{
    struct foreign run = sample();

    (void)state;
    run.payload[1] = 6;
    expect_reading(run, 0, "makes no sense");
    run = sample();
    memset(run.payload, 0xff, 10); /* a length without an end */
    expect_reading(run, 0, "makes no sense");
    run = sample();
    run.header.value_width = UINT32_MAX;
    expect_reading(run, 0, "makes no sense");
    run = sample();
    run.block.raw_size = run.block.stored_size = UINT64_MAX - 47;
    expect_reading(run, 0, "longer than its segment");
    run = sample();
    run.segment.size--;
    expect_reading(run, 0, "longer than its segment");
    run = sample();
    run.segment.size = 47;
    expect_reading(run, 0, "the last block is cut");
}

static void blocks_that_we_do_not_write_are_damage(void **state)
{
    struct foreign run = sample();

    (void)state;
    run.block.magic++;
    expect_reading(run, 0, "not a block");
    run = sample();
    run.block.codec = CODECS;
    expect_reading(run, 0, "unknown codec");
    run = sample();
    run.block.zero = 1;
    expect_reading(run, 0, "unknown codec");
    run = sample();
    run.block.raw_size = 11;
    expect_reading(run, 0, "impossible sizes");
    run = sample();
    run.block.round = 1;
    expect_reading(run, 0, "another segment");
}

static void an_index_that_points_outside_is_damage(void **state)
{
    struct foreign run = sample();

    (void)state;
    run.segment.part = 1;
    expect_closed(run, "index is damaged");
    run = sample();
    run.segment.offset = 0;
    expect_closed(run, "index is damaged");
    run = sample();
    run.segment.size = UINT64_MAX - 20;
    expect_closed(run, "index is damaged");
    run = sample();
    run.segment.offset = UINT64_MAX;
    expect_closed(run, "index is damaged");
    run = sample();
    run.trailer.count = UINT64_C(1) << 60;
    expect_closed(run, "its end is damaged");
    run = sample();
    run.trailer.index_offset = UINT64_MAX;
    expect_closed(run, "its end is damaged");
    run = sample();
    run.segment.flags = 2;
    expect_closed(run, "index is damaged");
    run = sample();
    run.segment.zero = 1;
    expect_closed(run, "index is damaged");
    run = sample();
    run.segment.raw_size--; /* below what is stored */
    expect_closed(run, "index is damaged");
    run = sample();
    run.header.flags = RUN_SORTED; /* of all segments, but this one is not */
    expect_closed(run, "index is damaged");
    run = sample();
    run.trailer.id = 8;
    expect_closed(run, "its end is damaged");
    run = sample();
    run.header.id = 8;
    expect_closed(run, "another's");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_run_is_read),
        cmocka_unit_test(reading_begins_with_a_window_of_its_own),
        cmocka_unit_test(counts_that_lie_are_damage),
        cmocka_unit_test(lengths_that_point_outside_are_damage),
        cmocka_unit_test(blocks_that_we_do_not_write_are_damage),
        cmocka_unit_test(an_index_that_points_outside_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
