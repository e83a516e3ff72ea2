/* Run files: what was written is read back; what was changed on the disk is noticed, and is
 * never read as a record. Nonsense under right checksums, and failing disks, are in
 * test_run_files.c. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "record/run_format.h"
#include "tests/lib/folder.h"
#include "tests/lib/records.h"

enum { ID = 0x1234 };

static struct run_file *open_run(const char *path, uint64_t id)
{
    struct run_file *run;
    struct error err;

    if (run_open(path, id, &run, &err))
        fail_msg("%s", err.text);
    return run;
}

static void expect_segment(struct run_file *run, const struct run_segment *segment,
                           const struct records *expected)
{
    struct records found = {0};
    struct error err;

    if (read_segment(run, segment, &found, &err))
        fail_msg("%s", err.text);
    assert_int_equal(segment->records, expected->count);
    expect_records(&found, expected);
    records_done(&found);
}

/* ---- Writing and reading back ---- */

/* What a run should hold, by round and part; a segment that was not written has no `written`.
 */
enum { ROUNDS = 3, PARTS = 12 };
struct model {
    struct records records;
    uint64_t pairs;
    bool written;
};

static void add_made_up(struct rng *rng, uint32_t width, struct run_builder *builder,
                        struct records *records)
{
    static char key[MADE_UP_KEY], value[400000];
    size_t size = width                 ? width
                  : rng_below(rng, 200) ? rng_below(rng, 40)
                                        : rng_below(rng, sizeof value);
    struct mr_bytes k = made_up_key(rng, key), v = made_up_bytes(rng, value, size);
    struct error err;

    assert_int_equal(run_builder_add(builder, k, v, &err), 0);
    records_add(records, k, v);
}

/* Some segments, in any order, each in one or more pieces. */
static uint64_t write_model(struct rng *rng, const char *path, const struct run_shape *shape,
                            struct model *model)
{
    struct run_builder *builder = run_builder_new(shape->value_width);
    struct run_writer *writer;
    struct error err;
    uint64_t size, offset;

    assert_int_equal(run_create(path, shape, &writer, &err), 0);
    for (int i = 0; i < 20; i++) {
        uint32_t round = (uint32_t)rng_below(rng, ROUNDS),
                 part = (uint32_t)rng_below(rng, shape->parts);
        struct model *segment = &model[round * PARTS + part];

        if (segment->written)
            continue;
        segment->written = true;
        for (uint64_t piece = 0, pieces = 1 + rng_below(rng, 3); piece < pieces; piece++) {
            uint64_t pairs = rng_below(rng, 1000);

            for (uint64_t n = rng_below(rng, 4) ? rng_below(rng, 100) : 0; n; n--)
                add_made_up(rng, shape->value_width, builder, &segment->records);
            run_builder_pairs(builder, pairs);
            segment->pairs += pairs;
            assert_int_equal(
                run_append(writer, round, part, builder, piece + 1 == pieces, &err), 0);
            assert_int_equal(run_builder_bytes(builder), 0);
        }
    }
    offset = run_written(writer);
    assert_int_equal(run_finish(writer, rng_below(rng, 2), &size, &err), 0);
    assert_true(size > offset);
    run_builder_free(builder);
    return size;
}

static void what_is_written_is_read_back_whatever_the_order_of_segments(void **state)
{
    static const uint32_t widths[] = {0, 1, 8, 24, 128};
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct rng rng = {21};

    (void)state;
    for (int round = 0; round < 60; round++) {
        struct run_shape shape = {1 + (uint32_t)rng_below(&rng, PARTS),
                                  (uint32_t)rng_below(&rng, 2), widths[rng_below(&rng, 5)],
                                  rng_next(&rng)};
        struct model model[ROUNDS * PARTS] = {0};
        uint64_t size = write_model(&rng, path, &shape, model);
        struct run_file *run = open_run(path, shape.id);
        const struct run_segment *segments;
        size_t count, at = 0;
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, size);
        assert_int_equal(run_shape(run)->parts, shape.parts);
        assert_int_equal(run_shape(run)->flags, shape.flags);
        assert_int_equal(run_shape(run)->value_width, shape.value_width);
        assert_int_equal(run_shape(run)->id, shape.id);
        segments = run_segments(run, &count);
        for (uint32_t part = 0; part < shape.parts; part++)
            for (uint32_t r = 0; r < ROUNDS; r++) {
                struct model *segment = &model[r * PARTS + part];

                if (!segment->written)
                    continue;
                assert_true(at < count);
                assert_int_equal(segments[at].part, part);
                assert_int_equal(segments[at].round, r);
                assert_int_equal(segments[at].pairs, segment->pairs);
                assert_int_equal(segments[at].flags, shape.flags);
                expect_segment(run, &segments[at++], &segment->records);
                records_done(&segment->records);
            }
        assert_int_equal(at, count);
        run_close(run);
        assert_int_equal(unlink(path), 0);
    }
    folder_remove(folder);
}

static void a_run_without_segments_is_a_run(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct run_shape shape = {7, RUN_SORTED, 0, ID};
    struct run_writer *writer;
    struct run_file *run;
    struct error err;
    uint64_t size;
    size_t count;

    (void)state;
    assert_int_equal(run_create(path, &shape, &writer, &err), 0);
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    run = open_run(path, ID);
    run_segments(run, &count);
    assert_int_equal(count, 0);
    assert_int_equal(run_shape(run)->parts, 7);
    run_close(run);
    folder_remove(folder);
}

static void a_part_each_with_one_record_is_found_by_its_number(void **state)
{
    enum { MANY = 3000 };
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct run_shape shape = {MANY, 0, 4, ID};
    struct run_builder *builder = run_builder_new(4);
    struct run_writer *writer;
    struct run_file *run;
    const struct run_segment *segments;
    struct error err;
    uint64_t size;
    size_t count;

    (void)state;
    assert_int_equal(run_create(path, &shape, &writer, &err), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t part = (i * 7 + 5) % MANY; /* each once: 7 does not divide MANY */
        struct mr_bytes value = {(const char *)&part, 4};

        assert_int_equal(run_builder_add(builder, (struct mr_bytes){NULL, 0}, value, &err), 0);
        assert_int_equal(run_append(writer, 0, part, builder, true, &err), 0);
    }
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    run_builder_free(builder);
    run = open_run(path, ID);
    segments = run_segments(run, &count);
    assert_int_equal(count, MANY);
    for (uint32_t i = 0; i < MANY; i++) {
        struct records one = {0};

        assert_int_equal(segments[i].part, i);
        records_add(&one, (struct mr_bytes){NULL, 0}, (struct mr_bytes){(const char *)&i, 4});
        expect_segment(run, &segments[i], &one);
        records_done(&one);
    }
    run_close(run);
    folder_remove(folder);
}

/* ---- Blocks ---- */

static void blocks_stay_within_their_limit_unless_a_record_does_not(void **state)
{
    static const size_t sizes[] = {
        0,
        LIMIT_BLOCK - 21,
        LIMIT_BLOCK - 20,
        LIMIT_BLOCK,
        LIMIT_BLOCK + 1,
        1,
        3 * LIMIT_BLOCK,
        1,
        1,
        LIMIT_BLOCK / 2,
        LIMIT_BLOCK / 2,
        5 << 20,
        2,
    };
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run"), *bytes = memory_new(5 << 20);
    struct run_shape shape = {1, 0, 0, ID};
    struct records records = {0};
    struct rng rng = {3};
    struct run_file *run;
    const struct run_segment *segment;
    struct run_cursor *cursor;
    struct mr_bytes payload, key, value;
    struct error err;
    uint32_t n;
    size_t count, at = 0;
    int result;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct mr_bytes big = made_up_bytes(&rng, bytes, sizes[i]), small = {"key", 3};

        records_add(&records, i % 2 ? big : small, i % 2 ? small : big);
    }
    for (int i = 0; i < 100000; i++)
        records_add(&records, (struct mr_bytes){bytes + i, i % 9},
                    (struct mr_bytes){bytes, i % 5});
    run_of(path, &shape, &records);
    run = open_run(path, ID);
    segment = run_segments(run, &count);
    cursor = run_cursor_new(run, segment);
    while ((result = run_next_block(cursor, &payload, &n, &err)) > 0) {
        assert_true(payload.len <= LIMIT_BLOCK || n == 1);
        for (; n; n--, at++) {
            assert_int_equal(run_decode(&payload, 0, &key, &value), 1);
            expect_bytes(key, records.items[at].key);
            expect_bytes(value, records.items[at].value);
        }
        assert_int_equal(run_decode(&payload, 0, &key, &value), 0);
    }
    assert_int_equal(result, 0);
    assert_int_equal(at, records.count);
    run_cursor_free(cursor);
    expect_segment(run, segment, &records);
    run_close(run);
    records_done(&records);
    folder_remove(folder);
}

static void keys_and_values_above_the_limit_are_refused(void **state)
{
    struct run_builder *builder = run_builder_new(0);
    struct mr_bytes small = {"a", 1}, large = {"a", LIMIT_RECORD + 1};
    struct error err;

    (void)state;
    assert_int_equal(run_builder_add(builder, large, small, &err), -1);
    assert_int_equal(err.code, ERROR_JOB);
    assert_non_null(strstr(err.text, "key of 1073741825 bytes"));
    assert_int_equal(run_builder_add(builder, small, large, &err), -1);
    assert_non_null(strstr(err.text, "value of 1073741825 bytes"));
    assert_int_equal(run_builder_bytes(builder), 0);
    run_builder_free(builder);
}

/* ---- Damage ---- */

/* A small run of two rounds and three parts, and what its segments hold, in their order. */
struct small {
    char *folder, *path;
    struct records records[3];
    size_t size;
};

static void small_make(struct small *small)
{
    struct run_shape shape = {3, 0, 0, ID};
    struct run_builder *builder = run_builder_new(0);
    struct run_writer *writer;
    struct rng rng = {5};
    struct error err;
    uint64_t size;

    *small = (struct small){.folder = folder_new()};
    small->path = folder_path(small->folder, "small.run");
    assert_int_equal(run_create(small->path, &shape, &writer, &err), 0);
    for (uint32_t i = 0; i < 3; i++) {
        for (int n = 0; n < 6; n++) {
            char key[8], value[8];
            struct mr_bytes k = made_up_bytes(&rng, key, rng_below(&rng, 9)),
                            v = made_up_bytes(&rng, value, rng_below(&rng, 9));

            assert_int_equal(run_builder_add(builder, k, v, &err), 0);
            records_add(&small->records[i], k, v);
        }
        assert_int_equal(run_append(writer, i, i, builder, true, &err), 0);
    }
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    run_builder_free(builder);
    small->size = size;
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

/* Opening or reading says that the run is damaged, after right records only. */
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
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        struct records found = {0}, expected = small->records[i];
        int result = read_segment(run, &segments[i], &found, &err);

        if (result)
            expect_damage(small, &err);
        bad += result != 0;
        assert_true(found.count <= expected.count);
        if (result)
            expected.count = found.count;
        expect_records(&found, &expected);
        records_done(&found);
    }
    assert_true(bad);
    run_close(run);
}

static void put_byte(int fd, size_t at, uint8_t byte)
{
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

static void every_flipped_bit_and_every_changed_byte_is_noticed(void **state)
{
    struct small small;
    struct rng rng = {6};
    uint8_t *bytes;
    int fd;

    (void)state;
    small_make(&small);
    bytes = (uint8_t *)folder_read(small.folder, "small.run", NULL);
    fd = open(small.path, O_WRONLY | O_CLOEXEC);
    for (size_t at = 0; at < small.size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            put_byte(fd, at, (uint8_t)(bytes[at] ^ 1 << bit));
            expect_noticed(&small);
        }
        put_byte(fd, at, (uint8_t)(bytes[at] + 1 + rng_below(&rng, 255)));
        expect_noticed(&small);
        put_byte(fd, at, bytes[at]);
    }
    close(fd);
    free(bytes);
    small_done(&small);
}

static void every_cut_and_every_tail_is_noticed(void **state)
{
    struct small small;
    uint8_t *bytes;
    int fd;

    (void)state;
    small_make(&small);
    bytes = (uint8_t *)folder_read(small.folder, "small.run", NULL);
    for (size_t n = small.size; n--;) {
        assert_int_equal(truncate(small.path, (off_t)n), 0);
        expect_noticed(&small);
    }
    folder_write(small.folder, "small.run", bytes, small.size);
    fd = open(small.path, O_WRONLY | O_APPEND | O_CLOEXEC);
    for (size_t n = 0; n < small.size; n++) {
        assert_int_equal(write(fd, bytes + n, 1), 1);
        expect_noticed(&small);
    }
    close(fd);
    free(bytes);
    small_done(&small);
}

static void a_run_cut_while_it_is_open_is_noticed(void **state)
{
    struct small small;
    const struct run_segment *segments;
    struct records found = {0};
    struct run_file *run;
    struct error err;
    size_t count;

    (void)state;
    small_make(&small);
    run = open_run(small.path, ID);
    segments = run_segments(run, &count);
    assert_int_equal(truncate(small.path, (off_t)segments[2].offset), 0);
    expect_segment(run, &segments[0], &small.records[0]);
    expect_segment(run, &segments[1], &small.records[1]);
    assert_int_equal(read_segment(run, &segments[2], &found, &err), -1);
    expect_damage(&small, &err);
    assert_int_equal(found.count, 0);
    records_done(&found);
    run_close(run);
    small_done(&small);
}

static void another_tasks_run_is_refused(void **state)
{
    struct small small;
    struct run_file *run;
    struct error err;

    (void)state;
    small_make(&small);
    assert_int_equal(run_open(small.path, ID + 1, &run, &err), -1);
    expect_damage(&small, &err);
    assert_non_null(strstr(err.text, "0000000000001234"));
    small_done(&small);
}

static void segments_are_read_by_several_threads_at_once(void **state)
{
    struct small small;
    const struct run_segment *segments;
    struct run_file *run;
    size_t count;
    int wrong = 0;

    (void)state;
    small_make(&small);
    run = open_run(small.path, ID);
    segments = run_segments(run, &count);
#pragma omp parallel for num_threads(4) reduction(+ : wrong)
    for (int i = 0; i < 200; i++) {
        struct records found = {0}, *expected = &small.records[i % 3];
        struct error err;

        wrong += read_segment(run, &segments[i % 3], &found, &err) != 0;
        wrong += found.count != expected->count;
        for (size_t k = 0; k < found.count && k < expected->count; k++)
            wrong += bytes_order(found.items[k].key, expected->items[k].key) != 0;
        records_done(&found);
    }
    assert_int_equal(wrong, 0);
    run_close(run);
    small_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back_whatever_the_order_of_segments),
        cmocka_unit_test(a_run_without_segments_is_a_run),
        cmocka_unit_test(a_part_each_with_one_record_is_found_by_its_number),
        cmocka_unit_test(blocks_stay_within_their_limit_unless_a_record_does_not),
        cmocka_unit_test(keys_and_values_above_the_limit_are_refused),
        cmocka_unit_test(every_flipped_bit_and_every_changed_byte_is_noticed),
        cmocka_unit_test(every_cut_and_every_tail_is_noticed),
        cmocka_unit_test(a_run_cut_while_it_is_open_is_noticed),
        cmocka_unit_test(another_tasks_run_is_refused),
        cmocka_unit_test(segments_are_read_by_several_threads_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
