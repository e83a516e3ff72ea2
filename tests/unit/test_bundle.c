/* Bundles: what was fetched comes out as it went in, in the order of the input, or as an error;
 * and the audit that a segment passes on its way. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "record/bundle.h"
#include "record/bundle_format.h"
#include "record/run_format.h"
#include "tests/lib/folder.h"
#include "tests/lib/records.h"

enum { PART = 2, PARTS = 4, ROUNDS = 2, ID = 99, WIDTH = 8 };

/* The run of a map task: `records` records in each round of each part. */
static void write_run(const char *path, uint32_t task, size_t records)
{
    struct run_shape shape = {PARTS, RUN_SORTED, WIDTH, task};
    struct run_builder *builder = run_builder_new(WIDTH);
    struct run_writer *writer;
    struct error err;
    uint64_t size;

    assert_int_equal(run_create(path, &shape, &writer, &err), 0);
    for (uint32_t round = 0; round < ROUNDS; round++)
        for (uint32_t part = 0; part < PARTS; part++) {
            for (size_t i = 0; i < records; i++) {
                uint64_t value = (uint64_t)task << 40 | round << 8 | part;
                char key[32];
                int n = snprintf(key, sizeof key, "key-%08zu", i);

                assert_int_equal(run_builder_add(builder, (struct mr_bytes){key, (size_t)n},
                                                 (struct mr_bytes){(char *)&value, WIDTH},
                                                 &err),
                                 0);
            }
            run_builder_pairs(builder, records);
            assert_int_equal(run_append(writer, round, part, builder, true, &err), 0);
        }
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    run_builder_free(builder);
}

static struct run_file *open_run(const char *folder, uint32_t task, size_t records)
{
    cleanup_free char *name = memory_format("%u.run", task), *path = folder_path(folder, name);
    struct run_file *run;
    struct error err;

    write_run(path, task, records);
    assert_int_equal(run_open(path, task, &run, &err), 0);
    return run;
}

static struct run_segment segment_of(const struct run_file *run, uint32_t round)
{
    size_t count;
    const struct run_segment *segments = run_segments(run, &count);

    for (size_t i = 0; i < count; i++)
        if (segments[i].part == PART && segments[i].round == round)
            return segments[i];
    fail();
    return segments[0];
}

static char *raw_bytes(const struct run_file *run, const struct run_segment *segment)
{
    char *bytes = memory_new(segment->size);
    struct error err;

    assert_int_equal(run_read(run, segment, 0, bytes, segment->size, &err), 0);
    return bytes;
}

static size_t announce(struct bundle_writer *writer, const struct run_file *run, uint32_t task,
                       const struct run_segment *segment)
{
    struct error err;
    size_t index;

    assert_int_equal(bundle_add(writer, task, segment, run_shape(run), &index, &err), 0);
    return index;
}

static void copy_segment(struct bundle_writer *writer, const struct run_file *run,
                         uint32_t task, uint32_t round)
{
    struct run_segment segment = segment_of(run, round);
    cleanup_free char *bytes = raw_bytes(run, &segment);
    size_t index = announce(writer, run, task, &segment);
    struct error err;

    assert_int_equal(bundle_write(writer, index, bytes, segment.size, &err), 0);
    assert_int_equal(bundle_lacks(writer, index), 0);
}

static struct bundle_writer *create(const char *path)
{
    struct bundle_writer *writer;
    struct error err;

    assert_int_equal(bundle_create(path, PART, ID, &writer, &err), 0);
    return writer;
}

/* A bundle of the tasks' runs, the last task first, the last round first. */
static void write_bundle(const char *folder, const char *path, uint32_t tasks, size_t records)
{
    struct bundle_writer *writer = create(path);
    struct error err;

    for (uint32_t task = tasks; task-- > 0;) {
        struct run_file *run = open_run(folder, task, records);

        for (uint32_t round = ROUNDS; round-- > 0;)
            copy_segment(writer, run, task, round);
        run_close(run);
    }
    assert_int_equal(bundle_finish(writer, &err), 0);
}

static void expect_same(struct run_file *a, const struct run_segment *in_a, struct run_file *b,
                        const struct run_segment *in_b)
{
    struct records x = {0}, y = {0};
    struct error err;

    assert_int_equal(read_segment(a, in_a, &x, &err), 0);
    assert_int_equal(read_segment(b, in_b, &y, &err), 0);
    expect_records(&x, &y);
    records_done(&x);
    records_done(&y);
}

static void segments_come_out_in_the_order_of_the_input(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    struct bundle *bundle;
    struct error err;
    size_t count;

    (void)state;
    write_bundle(folder, path, 3, 20000);
    assert_int_equal(bundle_open(path, PART, ID, &bundle, &err), 0);
    assert_int_equal(run_shape(bundle_run(bundle))->value_width, WIDTH);
    assert_int_equal(run_shape(bundle_run(bundle))->flags, RUN_SORTED);
    for (uint32_t task = 0; task < 3; task++) {
        cleanup_free char *name = memory_format("%u.run", task),
                          *original = folder_path(folder, name);
        const struct run_segment *segments = bundle_segments(bundle, task, &count);
        struct run_file *run;

        assert_int_equal(count, ROUNDS);
        assert_int_equal(run_open(original, task, &run, &err), 0);
        for (uint32_t round = 0; round < ROUNDS; round++) {
            struct run_segment expected = segment_of(run, round);

            assert_int_equal(segments[round].round, round);
            assert_int_equal(segments[round].part, PART);
            assert_int_equal(segments[round].pairs, expected.pairs);
            assert_int_equal(segments[round].flags, expected.flags);
            expect_same(bundle_run(bundle), &segments[round], run, &expected);
        }
        run_close(run);
    }
    bundle_segments(bundle, 3, &count);
    assert_int_equal(count, 0);
    bundle_segments(bundle, UINT32_MAX, &count);
    assert_int_equal(count, 0);
    bundle_close(bundle);
    folder_remove(folder);
}

static void each_segment_says_whether_it_is_sorted(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    struct run_file *run = open_run(folder, 0, 10);
    struct run_segment segment = segment_of(run, 0);
    cleanup_free char *bytes = raw_bytes(run, &segment);
    struct bundle_writer *writer = create(path);
    struct bundle *bundle;
    struct error err;
    size_t count, index;

    (void)state;
    for (uint32_t task = 0; task < 4; task++) {
        segment.flags = task % 2 ? RUN_SORTED : 0;
        index = announce(writer, run, task, &segment);
        assert_int_equal(bundle_write(writer, index, bytes, segment.size, &err), 0);
    }
    assert_int_equal(bundle_finish(writer, &err), 0);
    assert_int_equal(bundle_open(path, PART, ID, &bundle, &err), 0);
    assert_int_equal(run_shape(bundle_run(bundle))->flags, 0);
    for (uint32_t task = 0; task < 4; task++)
        assert_int_equal(bundle_segments(bundle, task, &count)->flags,
                         task % 2 ? RUN_SORTED : 0);
    bundle_close(bundle);
    run_close(run);
    folder_remove(folder);
}

static void segments_may_come_in_turns_and_again(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    struct run_file *runs[2] = {open_run(folder, 0, 3000), open_run(folder, 1, 3000)};
    struct run_segment segments[2] = {segment_of(runs[0], 0), segment_of(runs[1], 0)};
    cleanup_free char *a = raw_bytes(runs[0], &segments[0]),
                      *b = raw_bytes(runs[1], &segments[1]);
    struct bundle_writer *writer = create(path);
    size_t indexes[2], count;
    struct bundle *bundle;
    struct error err;

    (void)state;
    for (uint32_t i = 0; i < 2; i++)
        indexes[i] = announce(writer, runs[i], i, &segments[i]);
    for (size_t at = 0; at < segments[0].size; at += 1000) {
        size_t left = segments[0].size - at, n = left < 1000 ? left : 1000;

        assert_int_equal(bundle_write(writer, indexes[0], a + at, n, &err), 0);
        assert_int_equal(bundle_write(writer, indexes[1], b + at, n, &err), 0);
    }
    assert_int_equal(announce(writer, runs[1], 1, &segments[1]), indexes[1]);
    assert_int_equal(bundle_lacks(writer, indexes[1]), segments[1].size);
    assert_int_equal(bundle_write(writer, indexes[1], b, segments[1].size, &err), 0);
    assert_int_equal(bundle_finish(writer, &err), 0);
    assert_int_equal(bundle_open(path, PART, ID, &bundle, &err), 0);
    for (uint32_t i = 0; i < 2; i++)
        expect_same(bundle_run(bundle), bundle_segments(bundle, i, &count), runs[i],
                    &segments[i]);
    bundle_close(bundle);
    run_close(runs[0]);
    run_close(runs[1]);
    folder_remove(folder);
}

static void an_empty_bundle_is_one(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    struct bundle *bundle;
    struct error err;
    size_t count;

    (void)state;
    assert_int_equal(bundle_finish(create(path), &err), 0);
    assert_int_equal(bundle_open(path, PART, ID, &bundle, &err), 0);
    bundle_segments(bundle, 0, &count);
    assert_int_equal(count, 0);
    bundle_close(bundle);
    folder_remove(folder);
}

static void many_segments_are_found_by_their_task(void **state)
{
    enum { MANY = 20000 };
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    struct run_file *run = open_run(folder, 7, 1);
    struct run_segment segment = segment_of(run, 0);
    cleanup_free char *bytes = raw_bytes(run, &segment);
    struct bundle_writer *writer = create(path);
    struct bundle *bundle;
    struct error err;
    size_t count;

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        uint32_t task = i * 7919U % MANY * 2; /* each even number once */
        size_t index = announce(writer, run, task, &segment);

        assert_int_equal(bundle_write(writer, index, bytes, segment.size, &err), 0);
    }
    assert_int_equal(bundle_finish(writer, &err), 0);
    assert_int_equal(bundle_open(path, PART, ID, &bundle, &err), 0);
    for (uint32_t task = 0; task < 2 * MANY; task++) {
        const struct run_segment *found = bundle_segments(bundle, task, &count);

        assert_int_equal(count, task % 2 ? 0 : 1);
        if (count && task % 1000 == 0)
            expect_same(bundle_run(bundle), found, run, &segment);
    }
    bundle_close(bundle);
    run_close(run);
    folder_remove(folder);
}

static void a_segment_that_is_described_otherwise_is_refused(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    struct run_file *run = open_run(folder, 0, 10);
    struct run_segment segment = segment_of(run, 0), other = segment;
    struct run_shape shape = *run_shape(run);
    struct bundle_writer *writer = create(path);
    size_t index = announce(writer, run, 0, &segment);
    cleanup_free char *bytes = raw_bytes(run, &segment);
    struct error err = {0};

    (void)state;
    other.digest ^= 1;
    assert_int_equal(bundle_add(writer, 0, &other, &shape, &index, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    other = segment;
    other.flags = 0;
    assert_int_equal(bundle_add(writer, 0, &other, &shape, &index, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    other.flags = 2;
    assert_int_equal(bundle_add(writer, 1, &other, &shape, &index, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    shape.value_width = 0;
    assert_int_equal(bundle_add(writer, 1, &segment, &shape, &index, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    other.size = UINT64_MAX - 5;
    assert_int_equal(bundle_add(writer, 2, &other, run_shape(run), &index, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_int_equal(bundle_write(writer, 0, bytes, segment.size, &err), 0);
    assert_int_equal(bundle_write(writer, 0, bytes, 1, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    bundle_abandon(writer);
    assert_int_equal(access(path, F_OK), -1);
    run_close(run);
    folder_remove(folder);
}

static void a_bundle_that_lacks_bytes_is_not_finished(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    struct run_file *run = open_run(folder, 0, 10);
    struct run_segment segment = segment_of(run, 0);
    struct bundle_writer *writer = create(path);
    struct error err = {0};

    (void)state;
    announce(writer, run, 0, &segment);
    assert_int_equal(bundle_finish(writer, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_int_equal(access(path, F_OK), -1);
    run_close(run);
    folder_remove(folder);
}

static void a_bundle_of_another_part_or_other_runs_is_refused(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    struct bundle *bundle;
    struct error err = {0};

    (void)state;
    write_bundle(folder, path, 1, 5);
    assert_int_equal(bundle_open(path, PART + 1, ID, &bundle, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_int_equal(bundle_open(path, PART, ID + 1, &bundle, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_true(bundle_id((uint64_t[]){1, 2}, 2) != bundle_id((uint64_t[]){2, 1}, 2));
    folder_remove(folder);
}

/* Opens and reads all; true if nothing was amiss. */
static bool reads_well(const char *path, uint32_t tasks)
{
    struct bundle *bundle;
    struct error err = {0};
    bool well = true;

    if (bundle_open(path, PART, ID, &bundle, &err)) {
        assert_int_equal(err.code, ERROR_DAMAGE);
        return false;
    }
    for (uint32_t task = 0; task < tasks; task++) {
        size_t count;
        const struct run_segment *segments = bundle_segments(bundle, task, &count);

        for (size_t i = 0; i < count; i++) {
            struct records records = {0};

            if (read_segment(bundle_run(bundle), &segments[i], &records, &err)) {
                assert_int_equal(err.code, ERROR_DAMAGE);
                well = false;
            }
            records_done(&records);
        }
    }
    bundle_close(bundle);
    return well;
}

static void every_flipped_byte_is_found(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    char *bytes;
    size_t size;
    int fd;

    (void)state;
    write_bundle(folder, path, 2, 12);
    assert_true(reads_well(path, 2));
    bytes = folder_read(folder, "bundle", &size);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    for (size_t at = 0; at < size; at++) {
        char flipped = (char)(bytes[at] ^ (1 << at % 8));

        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)at), 1);
        assert_false(reads_well(path, 2));
        assert_int_equal(pwrite(fd, &bytes[at], 1, (off_t)at), 1);
    }
    assert_true(reads_well(path, 2));
    close(fd);
    free(bytes);
    folder_remove(folder);
}

static void every_cut_is_found(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "bundle");
    struct stat st;

    (void)state;
    write_bundle(folder, path, 2, 12);
    assert_int_equal(stat(path, &st), 0);
    for (off_t size = st.st_size - 1; size >= 0; size--) {
        assert_int_equal(truncate(path, size), 0);
        assert_false(reads_well(path, 2));
    }
    folder_remove(folder);
}

/* Rewrites the index with a right checksum after `change` had its way. */
static void forge(const char *path, void (*change)(struct bundle_entry *, uint64_t *))
{
    struct bundle_header header;
    struct bundle_trailer trailer;
    struct bundle_entry entries[2 * ROUNDS];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(pread(fd, &header, sizeof header, 0), sizeof header);
    assert_int_equal(pread(fd, &trailer, sizeof trailer, st.st_size - (off_t)sizeof trailer),
                     sizeof trailer);
    assert_int_equal(trailer.count, 2 * ROUNDS);
    assert_int_equal(pread(fd, entries, sizeof entries, (off_t)trailer.index_offset),
                     sizeof entries);
    change(entries, &trailer.index_offset);
    trailer.checksum = bundle_checksum(&header, entries, &trailer);
    assert_int_equal(pwrite(fd, entries, sizeof entries,
                            st.st_size - (off_t)(sizeof trailer + sizeof entries)),
                     sizeof entries);
    assert_int_equal(pwrite(fd, &trailer, sizeof trailer, st.st_size - (off_t)sizeof trailer),
                     sizeof trailer);
    close(fd);
}

static void nothing(struct bundle_entry *entries, uint64_t *index_offset)
{
    (void)entries;
    (void)index_offset;
}
static void repeat(struct bundle_entry *entries, uint64_t *index_offset)
{
    (void)index_offset;
    entries[1].task = entries[0].task;
    entries[1].round = entries[0].round;
}
static void overlap(struct bundle_entry *entries, uint64_t *index_offset)
{
    (void)index_offset;
    entries[1].offset = entries[0].offset;
}
static void overflow(struct bundle_entry *entries, uint64_t *index_offset)
{
    (void)index_offset;
    entries[0].size = UINT64_MAX - 8;
}
static void leave_a_gap(struct bundle_entry *entries, uint64_t *index_offset)
{
    (void)index_offset;
    entries[2 * ROUNDS - 1].size -= 1;
}
static void move_the_index(struct bundle_entry *entries, uint64_t *index_offset)
{
    (void)entries;
    *index_offset -= sizeof *entries;
}

static void nonsense_under_a_right_checksum_is_found(void **state)
{
    static void (*const changes[])(struct bundle_entry *, uint64_t *) = {
        repeat, overlap, overflow, leave_a_gap, move_the_index};

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *folder = folder_new();
        cleanup_free char *path = folder_path(folder, "bundle");

        write_bundle(folder, path, 2, 12);
        forge(path, nothing);
        assert_true(reads_well(path, 2));
        forge(path, changes[i]);
        assert_false(reads_well(path, 2));
        folder_remove(folder);
    }
}

/* ---- The audit ---- */

static int audit(const struct run_segment *segment, const char *bytes, size_t piece,
                 struct error *err)
{
    struct run_audit *audit = run_audit_new(segment);
    int result = 0;

    for (size_t at = 0; at < segment->size && !result; at += piece)
        result = run_audit_feed(audit, bytes + at,
                                piece < segment->size - at ? piece : segment->size - at, err);
    run_audit_free(audit);
    return result;
}

static void an_audit_passes_what_is_whole_in_pieces_of_any_size(void **state)
{
    static const size_t pieces[] = {1, 7, 47, 48, 49, 1000, 262144};
    char *folder = folder_new();
    struct run_file *run = open_run(folder, 0, 20000);
    struct run_segment segment = segment_of(run, 1);
    cleanup_free char *bytes = raw_bytes(run, &segment);
    struct error err = {0};

    (void)state;
    assert_true(segment.size > LIMIT_BLOCK + sizeof(struct run_block));
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        assert_int_equal(audit(&segment, bytes, pieces[i], &err), 0);
    run_close(run);
    folder_remove(folder);
}

static void an_audit_finds_every_flipped_byte(void **state)
{
    char *folder = folder_new();
    struct run_file *run = open_run(folder, 0, 100);
    struct run_segment segment = segment_of(run, 1), other = segment;
    cleanup_free char *bytes = raw_bytes(run, &segment);
    struct error err = {0};

    (void)state;
    for (size_t at = 0; at < segment.size; at++) {
        bytes[at] ^= 4;
        assert_int_equal(audit(&segment, bytes, 100, &err), -1);
        assert_int_equal(err.code, ERROR_DAMAGE);
        bytes[at] ^= 4;
    }
    assert_int_equal(audit(&segment, bytes, 100, &err), 0);
    other.digest ^= 1;
    assert_int_equal(audit(&other, bytes, 100, &err), -1);
    other = segment;
    other.records++;
    assert_int_equal(audit(&other, bytes, 100, &err), -1);
    other = segment;
    other.size--;
    assert_int_equal(audit(&other, bytes, 100, &err), -1);
    run_close(run);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_come_out_in_the_order_of_the_input),
        cmocka_unit_test(each_segment_says_whether_it_is_sorted),
        cmocka_unit_test(segments_may_come_in_turns_and_again),
        cmocka_unit_test(an_empty_bundle_is_one),
        cmocka_unit_test(many_segments_are_found_by_their_task),
        cmocka_unit_test(a_segment_that_is_described_otherwise_is_refused),
        cmocka_unit_test(a_bundle_that_lacks_bytes_is_not_finished),
        cmocka_unit_test(a_bundle_of_another_part_or_other_runs_is_refused),
        cmocka_unit_test(every_flipped_byte_is_found),
        cmocka_unit_test(every_cut_is_found),
        cmocka_unit_test(nonsense_under_a_right_checksum_is_found),
        cmocka_unit_test(an_audit_passes_what_is_whole_in_pieces_of_any_size),
        cmocka_unit_test(an_audit_finds_every_flipped_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
