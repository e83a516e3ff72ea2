/* Writing runs from several threads at once, from records as they lie in memory, and at places
 * that were kept: whatever the way, the same records are read back. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "record/run_format.h"
#include "record/run_record.h"
#include "tests/lib/folder.h"
#include "tests/lib/records.h"

enum { ID = 0x1234, THREADS = 4, SEGMENTS = 96 };

/* Records of a segment follow from its number alone. */
static void add_record(struct rng *rng, struct records *records)
{
    static const size_t odd[] = {0, 1, 15, 16, 17, 126, 127, 128, 129, 16383, 16384};
    static char value[300000];
    char key[MADE_UP_KEY];
    struct mr_bytes k = made_up_key(rng, key);
    uint64_t pick = rng_below(rng, 60);

    records_add(records, k,
                (struct mr_bytes){value, pick == 0   ? rng_below(rng, sizeof value)
                                         : pick < 30 ? odd[rng_below(rng, 11)]
                                                     : rng_below(rng, 100)});
}

static struct records records_of(uint32_t segment)
{
    struct rng rng = {segment + 1000};
    struct records records = {0};

    for (uint64_t n = rng_below(&rng, 6) ? rng_below(&rng, 200) : 0; n; n--)
        add_record(&rng, &records);
    return records;
}

/* The records in the encoding of runs, in pieces of memory of their own. */
struct pieces {
    struct run_range ranges[400];
    size_t count;
    uint64_t bytes;
};

static void encode(struct rng *rng, const struct records *records, struct pieces *pieces)
{
    *pieces = (struct pieces){0};
    for (size_t i = 0; i < records->count;) {
        struct run_range *range = &pieces->ranges[pieces->count++];
        char *bytes = NULL;
        size_t capacity = 0, used = 0;

        for (uint64_t n = 1 + rng_below(rng, 9); n && i < records->count; n--, i++) {
            const struct record *record = &records->items[i];
            size_t need = record->key.len + record->value.len + RUN_LENGTHS_MAX;

            if (used && used + need > LIMIT_BLOCK)
                break;
            memory_reserve(&bytes, &capacity, used + need, 1);
            used = (size_t)(run_encode(bytes + used, record->key, record->value, 0) - bytes);
            range->records++;
        }
        range->bytes = bytes;
        range->size = (uint32_t)used;
        range->pairs = 3 * (uint64_t)range->records;
        pieces->bytes += used;
    }
}

static void pieces_done(struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++)
        free((char *)(uintptr_t)pieces->ranges[i].bytes);
}

static int append_reserved(struct run_writer *writer, struct run_builder *builder,
                           uint32_t part, const struct pieces *pieces, struct error *err)
{
    run_reserve(writer, builder, 1, part, RUN_SORTED, pieces->bytes);
    for (size_t i = 0; i < pieces->count; i++) {
        struct mr_bytes rest = {pieces->ranges[i].bytes, pieces->ranges[i].size}, key, value;

        for (const char *at = rest.ptr; run_decode(&rest, 0, &key, &value) == 1; at = rest.ptr)
            run_builder_copy(builder, (struct mr_bytes){at, (size_t)(rest.ptr - at)});
        run_builder_pairs(builder, pieces->ranges[i].pairs);
        if (run_builder_bytes(builder) >= LIMIT_BLOCK &&
            run_append(writer, 1, part, builder, false, err))
            return -1;
    }
    return run_append(writer, 1, part, builder, true, err);
}

/* One segment, by a way that depends on its number. */
static int write_segment(struct run_writer *writer, struct run_builder *builder, uint32_t part,
                         struct error *err)
{
    struct records records = records_of(part);
    struct rng rng = {part};
    struct pieces pieces;
    int result = 0;

    encode(&rng, &records, &pieces);
    if (part % 3 == 0) {
        result = run_append_ranges(writer, 1, part, pieces.ranges, pieces.count, err);
    } else if (part % 3 == 1) {
        result = append_reserved(writer, builder, part, &pieces, err);
    } else {
        for (size_t i = 0; i < records.count && !result; i++)
            result =
                run_builder_add(builder, records.items[i].key, records.items[i].value, err);
        run_builder_pairs(builder, 3 * records.count);
        result = result ? result : run_append(writer, 1, part, builder, true, err);
    }
    pieces_done(&pieces);
    records_done(&records);
    return result;
}

static void expect_segments(const char *path)
{
    const struct run_segment *segments;
    struct run_file *run;
    struct error err;
    size_t count;

    if (run_open(path, ID, &run, &err))
        fail_msg("%s", err.text);
    segments = run_segments(run, &count);
    assert_int_equal(count, SEGMENTS);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct records expected = records_of(i), found = {0};

        assert_int_equal(segments[i].part, i);
        assert_int_equal(segments[i].round, 1);
        assert_int_equal(segments[i].flags, i % 3 == 1 ? RUN_SORTED : 0);
        assert_int_equal(segments[i].records, expected.count);
        assert_int_equal(segments[i].pairs, 3 * expected.count);
        if (read_segment(run, &segments[i], &found, &err))
            fail_msg("%s", err.text);
        expect_records(&found, &expected);
        records_done(&expected);
        records_done(&found);
    }
    run_close(run);
}

static void threads_that_write_at_once_do_not_meet(void **state)
{
    (void)state;
    for (int i = 0; i < THREADS * CODECS; i++) {
        int threads = 1 + i / CODECS;
        char *folder = folder_new();
        cleanup_free char *path = folder_path(folder, "run");
        struct run_shape shape = {SEGMENTS, 0, 0, ID, {(enum codec)(i % CODECS), false}};
        struct run_writer *writer;
        struct error error;
        uint64_t size;
        int failed = 0;

        assert_int_equal(run_create(path, &shape, &writer, &error), 0);
#pragma omp parallel num_threads(threads) reduction(+ : failed)
        {
            struct run_builder *builder = run_builder_new(0);
            struct error err;

#pragma omp for schedule(dynamic, 1)
            for (uint32_t part = 0; part < SEGMENTS; part++)
                failed += !!write_segment(writer, builder, part, &err);
            run_builder_free(builder);
        }
        assert_int_equal(failed, 0);
        assert_int_equal(run_finish(writer, false, &size, &error), 0);
        expect_segments(path);
        folder_remove(folder);
    }
}

/* One that is not empty and is written in that way of the three. */
static uint32_t some_part(uint32_t way)
{
    for (uint32_t part = way + 30;; part += 3) {
        struct records records = records_of(part);
        size_t count = records.count;

        records_done(&records);
        if (count)
            return part;
    }
}

/* As a replay writes them: all segments are taken, one part's are there. */
static void of_parts_that_are_not_kept_nothing_is_left(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 3 * CODECS; i++) {
        uint32_t kept = some_part(i / CODECS);
        char *folder = folder_new();
        cleanup_free char *path = folder_path(folder, "run");
        struct run_shape shape = {SEGMENTS, 0, 0, ID, {(enum codec)(i % CODECS), false}};
        struct records expected = records_of(kept), found = {0};
        struct run_builder *builder = run_builder_new(0);
        const struct run_segment *segments;
        struct content content[SEGMENTS];
        struct run_writer *writer;
        struct run_file *run;
        struct error err;
        uint64_t size;
        size_t count;

        assert_int_equal(run_create(path, &shape, &writer, &err), 0);
        run_keep_only(writer, kept);
        for (uint32_t part = 0; part < SEGMENTS; part++)
            assert_int_equal(write_segment(writer, builder, part, &err), 0);
        run_builder_free(builder);
        run_content(writer, content);
        for (uint32_t part = 0; part < SEGMENTS; part++)
            assert_int_equal(content[part].records, part == kept ? expected.count : 0);
        assert_int_equal(run_finish(writer, false, &size, &err), 0);
        if (run_open(path, ID, &run, &err))
            fail_msg("%s", err.text);
        segments = run_segments(run, &count);
        assert_int_equal(count, 1);
        assert_int_equal(segments->part, kept);
        assert_int_equal(segments->pairs, 3 * expected.count);
        assert_ptr_equal(run_part(run, kept, &count), segments);
        run_part(run, kept + 1, &count);
        assert_int_equal(count, 0);
        if (read_segment(run, segments, &found, &err))
            fail_msg("%s", err.text);
        expect_records(&found, &expected);
        run_close(run);
        records_done(&expected);
        records_done(&found);
        folder_remove(folder);
    }
}

/* Many small ranges fill a block, and a block has more of them than one system call takes. */
static void ranges_are_packed_into_blocks(void **state)
{
    enum { RANGES = 30000 };
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run"), *bytes = memory_new(RANGES * 32);
    cleanup_free struct run_range *ranges = memory_new(RANGES * sizeof *ranges);
    struct run_shape shape = {1, 0, 8, ID};
    const struct run_segment *segments;
    struct mr_bytes key, value, payload;
    struct run_writer *writer;
    struct run_cursor *cursor;
    struct run_file *run;
    struct error err;
    uint64_t size, blocks = 0, n = 0;
    uint32_t records;
    size_t count;

    (void)state;
    for (uint64_t i = 0; i < RANGES; i++) {
        char *at = bytes + i * 32, *end;

        end = run_encode(at, (struct mr_bytes){"some key", i % 9},
                         (struct mr_bytes){(const char *)&i, 8}, 8);
        ranges[i] = (struct run_range){at, (uint32_t)(end - at), 1, 1};
    }
    assert_int_equal(run_create(path, &shape, &writer, &err), 0);
    assert_int_equal(run_append_ranges(writer, 0, 0, ranges, RANGES, &err), 0);
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    assert_int_equal(run_open(path, ID, &run, &err), 0);
    segments = run_segments(run, &count);
    cursor = run_cursor_new(run, segments);
    for (; run_next_block(cursor, &payload, &records, &err) == 1; blocks++) {
        assert_true(payload.len <= LIMIT_BLOCK);
        for (; run_decode(&payload, 8, &key, &value) == 1; n++) {
            assert_int_equal(key.len, n % 9);
            assert_memory_equal(value.ptr, &n, 8);
        }
    }
    assert_int_equal(n, RANGES);
    assert_int_equal(blocks, segments->size / LIMIT_BLOCK + 1);
    run_cursor_free(cursor);
    run_close(run);
    folder_remove(folder);
}

/* Records of any size fit into the place that is kept for their sum. */
static void a_kept_place_is_large_enough(void **state)
{
    static const size_t sizes[] = {1, 100, 87380, 131050, 131080, 174700, 262100, 262150};
    static char value[262150];

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t n = 1; n < 40; n += 13) {
            char *folder = folder_new();
            cleanup_free char *path = folder_path(folder, "run"),
                              *record = memory_new(sizes[s] + RUN_LENGTHS_MAX);
            struct run_shape shape = {1, 0, 0, ID};
            struct run_builder *builder = run_builder_new(0);
            struct mr_bytes encoded = {record, 0};
            struct run_writer *writer;
            struct error err;
            uint64_t size;

            encoded.len = (size_t)(run_encode(record, (struct mr_bytes){"k", 1},
                                              (struct mr_bytes){value, sizes[s]}, 0) -
                                   record);
            assert_int_equal(run_create(path, &shape, &writer, &err), 0);
            run_reserve(writer, builder, 0, 0, 0, n * encoded.len);
            for (size_t i = 0; i < n; i++) {
                run_builder_copy(builder, encoded);
                if (run_builder_bytes(builder) >= LIMIT_BLOCK)
                    assert_int_equal(run_append(writer, 0, 0, builder, false, &err), 0);
            }
            assert_int_equal(run_append(writer, 0, 0, builder, true, &err), 0);
            assert_int_equal(run_finish(writer, false, &size, &err), 0);
            run_builder_free(builder);
            folder_remove(folder);
        }
}

/* The index was damaged: it came to lie before the empty segment. */
static void an_empty_segment_behind_a_place_that_is_given_back_is_found(void **state)
{
    char *folder = folder_new();
    cleanup_free char *path = folder_path(folder, "run");
    struct run_shape shape = {2, 0, 0, ID};
    struct run_builder *builder = run_builder_new(0);
    struct run_writer *writer;
    struct run_file *run;
    struct error err;
    uint64_t size;
    size_t count;

    (void)state;
    assert_int_equal(run_create(path, &shape, &writer, &err), 0);
    run_reserve(writer, builder, 0, 0, 0, LIMIT_BLOCK);
    assert_int_equal(run_builder_add(builder, mr_text("key"), mr_text("value"), &err), 0);
    assert_int_equal(run_append_ranges(writer, 0, 1, NULL, 0, &err), 0);
    assert_int_equal(run_append(writer, 0, 0, builder, true, &err), 0);
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    assert_true(size < LIMIT_BLOCK);
    if (run_open(path, ID, &run, &err))
        fail_msg("%s", err.text);
    run_segments(run, &count);
    assert_int_equal(count, 2);
    assert_int_equal(run_verify(run, &err), 0);
    run_close(run);
    run_builder_free(builder);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_write_at_once_do_not_meet),
        cmocka_unit_test(of_parts_that_are_not_kept_nothing_is_left),
        cmocka_unit_test(an_empty_segment_behind_a_place_that_is_given_back_is_found),
        cmocka_unit_test(ranges_are_packed_into_blocks),
        cmocka_unit_test(a_kept_place_is_large_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
