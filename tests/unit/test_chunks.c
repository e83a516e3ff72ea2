/* Chunks: whatever the extents and the threads, each byte of input is in one piece, pieces lie
 * in the order of the input, and none of them nor any chunk is too large. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "tests/lib/folder.h"
#include "wire/bytes.h"
#include "worker/executor/chunks.c"
#include "worker/executor/door.c"
#include "worker/executor/input.c"

enum { EXTENTS = 400 };

static const struct input_format lines = {.kind = INPUT_LINES};

/* A split of made-up extents. */
struct split {
    Mr__Extent extents[EXTENTS], *pointers[EXTENTS];
    size_t n;
};

static void add(struct split *split, uint64_t offset, uint64_t length)
{
    Mr__Extent *extent = &split->extents[split->n];

    mr__extent__init(extent);
    extent->offset = offset;
    extent->length = length;
    split->pointers[split->n++] = extent;
}

static uint64_t chunk_cost(const struct chunks *chunks, const struct split *split,
                           const struct chunk *chunk)
{
    uint64_t cost = 0;

    for (uint32_t i = 0; i < chunk->count; i++) {
        const struct piece *piece = &chunks->pieces[chunk->first + i];

        cost += piece->length;
        if (piece->offset == split->extents[piece->extent].offset)
            cost += FILE_COST;
    }
    return cost;
}

/* Follows the pieces through the extents, and the chunks through the pieces. */
static void expect_whole(const struct chunks *chunks, const struct split *split)
{
    size_t next = 0;
    uint32_t extent = 0;
    uint64_t done = 0; /* of the extent */

    for (size_t c = 0; c < chunks->count; c++) {
        assert_int_equal(chunks->items[c].first, next);
        assert_true(chunks->items[c].count > 0);
        next += chunks->items[c].count;
        assert_true(chunk_cost(chunks, split, &chunks->items[c]) <=
                    LIMIT_CHUNK + LIMIT_PIECE + FILE_COST);
    }
    assert_int_equal(next, chunks->piece_count);
    for (size_t i = 0; i < chunks->piece_count; i++) {
        const struct piece *piece = &chunks->pieces[i];

        for (; done == split->extents[extent].length; done = 0)
            extent++;
        assert_int_equal(piece->extent, extent);
        assert_int_equal(piece->offset, split->extents[extent].offset + done);
        assert_true(piece->length > 0 && piece->length <= LIMIT_PIECE);
        done += piece->length;
        assert_true(done <= split->extents[extent].length);
    }
    for (; extent < split->n && done == split->extents[extent].length; done = 0)
        extent++;
    assert_int_equal(extent, split->n);
}

static void every_byte_is_in_one_piece_and_in_order(void **state)
{
    static const uint64_t most[] = {1, 3, 2000, LIMIT_PIECE + 1, 3 * LIMIT_CHUNK};
    struct rng rng = {61};

    (void)state;
    for (int round = 0; round < 500; round++) {
        struct split split = {.n = 0};
        struct chunks chunks;

        for (size_t n = rng_below(&rng, round % 7 ? 30 : EXTENTS); split.n < n;)
            add(&split, rng_below(&rng, 1000),
                rng_below(&rng, 1 + most[rng_below(&rng, sizeof most / sizeof *most)]));
        chunks_cut(&chunks, lines, split.pointers, split.n, 1 + (int)rng_below(&rng, 9));
        expect_whole(&chunks, &split);
        chunks_done(&chunks);
    }
}

static void small_neighbours_share_a_chunk(void **state)
{
    struct split split = {.n = 0};
    struct chunks chunks;

    (void)state;
    while (split.n < EXTENTS)
        add(&split, 0, 1000);
    chunks_cut(&chunks, lines, split.pointers, split.n, 2);
    expect_whole(&chunks, &split);
    assert_int_equal(chunks.piece_count, EXTENTS);
    assert_in_range(chunks.count, 8, EXTENTS / 10);
    chunks_done(&chunks);
}

static void the_last_chunks_are_small(void **state)
{
    struct split split = {.n = 0};
    struct chunks chunks;

    (void)state;
    add(&split, 77, 64 << 20);
    chunks_cut(&chunks, lines, split.pointers, split.n, 2);
    expect_whole(&chunks, &split);
    assert_int_equal(chunks.items[0].count, LIMIT_CHUNK / LIMIT_PIECE);
    for (size_t i = chunks.count - 4; i < chunks.count; i++)
        assert_int_equal(chunks.items[i].count, 1);
    chunks_done(&chunks);
}

static void a_split_of_nothing_has_no_chunk(void **state)
{
    struct split split = {.n = 0};
    struct chunks chunks;

    (void)state;
    chunks_cut(&chunks, lines, NULL, 0, 2);
    assert_int_equal(chunks.count, 0);
    chunks_done(&chunks);
    add(&split, 5, 0);
    chunks_cut(&chunks, lines, split.pointers, 1, 2);
    assert_int_equal(chunks.count, 0);
    chunks_done(&chunks);
}

static void a_solid_file_is_a_chunk_of_its_own(void **state)
{
    static const char *const paths[] = {"/a", "/b.gz", "/c", "/d.zst", "/e.lz4", "/f.csv"};
    const struct input_format csv = {.kind = INPUT_CSV, .separator = ','};
    struct split split = {.n = 0};
    struct chunks chunks;

    (void)state;
    for (int i = 0; i < 6; i++) {
        add(&split, 0, 1000);
        split.extents[i].path = bytes_of(paths[i]);
    }
    chunks_cut(&chunks, lines, split.pointers, 6, 2);
    assert_int_equal(chunks.count, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(chunks.items[i].solid, i == 1 || i == 3 || i == 4);
        assert_int_equal(chunks.items[i].count, 1);
        assert_int_equal(chunks.pieces[chunks.items[i].first].extent, i);
    }
    chunks_done(&chunks);
    chunks_cut(&chunks, csv, split.pointers, 6, 2);
    for (uint32_t i = 0; i < 6; i++)
        assert_true(chunks.items[i].solid);
    chunks_done(&chunks);
}

/* Describes a file as the plan would. */
static void plan_file(Mr__Extent *extent, const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    mr__extent__init(extent);
    extent->path = bytes_of(path);
    extent->file_size = (uint64_t)st.st_size;
    extent->file_mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

static void a_file_that_is_not_as_planned_is_named(void **state)
{
    char *folder = folder_new();
    cleanup_free char *same = folder_path(folder, "same");
    cleanup_free char *other = folder_path(folder, "other");
    Mr__Extent extents[3], *pointers[3] = {&extents[0], &extents[1], &extents[2]};
    struct input input = {.fd = -1};
    struct error err;
    int fd;

    (void)state;
    folder_text(folder, "same", "1\n");
    folder_text(folder, "other", "22\n");
    plan_file(&extents[0], same);
    plan_file(&extents[1], other);
    extents[1].file_size++;
    plan_file(&extents[2], other);
    extents[2].file_mtime_ns--;
    assert_int_equal(input_open(&input, pointers, 0, &err), 0);
    assert_string_equal(input.path, same);
    fd = input.fd;
    assert_int_equal(input_open(&input, pointers, 0, &err), 0);
    assert_int_equal(input.fd, fd);
    for (uint32_t i = 1; i < 3; i++) {
        assert_int_equal(input_open(&input, pointers, i, &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.text, other));
        assert_non_null(strstr(err.text, "changed"));
    }
    input_close(&input);
    extents[0].path = bytes_of("/nowhere/at all");
    assert_int_equal(input_open(&input, pointers, 0, &err), -1);
    assert_non_null(strstr(err.text, "/nowhere/at all"));
    input_close(&input);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_in_one_piece_and_in_order),
        cmocka_unit_test(small_neighbours_share_a_chunk),
        cmocka_unit_test(the_last_chunks_are_small),
        cmocka_unit_test(a_split_of_nothing_has_no_chunk),
        cmocka_unit_test(a_solid_file_is_a_chunk_of_its_own),
        cmocka_unit_test(a_file_that_is_not_as_planned_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
