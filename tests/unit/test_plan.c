/* Inputs become lists of files, and files become splits that cover each byte once. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/rng.h"
#include "coordinator/plan.h"
#include "tests/lib/folder.h"

static void expect_files(const char *folder, const char *argument, const char *const *expected)
{
    struct input_files files = {0};
    struct error err = {0};
    cleanup_free char *path = folder_path(folder, argument);
    size_t n = 0;

    if (expand_input(&files, path, &err))
        fail_msg("%s", err.text);
    for (; expected[n]; n++) {
        cleanup_free char *want = folder_path(folder, expected[n]);

        assert_true(n < files.count);
        assert_string_equal(files.items[n].path, want);
    }
    assert_int_equal(files.count, n);
    input_files_done(&files);
}

static char *sample_tree(void)
{
    char *folder = folder_new();

    folder_text(folder, "d/b.txt", "b");
    folder_text(folder, "d/a/z.txt", "z");
    folder_text(folder, "d/a.txt", "a");
    folder_text(folder, "d/_temporary", "x");
    folder_text(folder, "d/.hidden/file", "x");
    folder_text(folder, "d/B.txt", "B");
    folder_text(folder, "odd[1].txt", "odd");
    return folder;
}

static void folders_expand_in_bytewise_order_without_hidden_names(void **state)
{
    char *folder = sample_tree();

    (void)state;
    expect_files(folder, "d",
                 (const char *const[]){"d/B.txt", "d/a.txt", "d/a/z.txt", "d/b.txt", NULL});
    expect_files(folder, "d/_temporary", (const char *const[]){"d/_temporary", NULL});
    folder_remove(folder);
}

static void globs_expand_in_bytewise_order_and_literal_names_win(void **state)
{
    char *folder = sample_tree();

    (void)state;
    expect_files(folder, "d/*.txt",
                 (const char *const[]){"d/B.txt", "d/a.txt", "d/b.txt", NULL});
    expect_files(folder, "odd[1].txt", (const char *const[]){"odd[1].txt", NULL});
    folder_remove(folder);
}

static void expect_refusal(const char *folder, const char *argument, const char *words)
{
    struct input_files files = {0};
    struct error err = {0};
    cleanup_free char *path = folder_path(folder, argument);

    assert_int_equal(expand_input(&files, path, &err), -1);
    assert_int_equal(err.code, ERROR_INPUT);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, words));
    input_files_done(&files);
}

static void what_cannot_be_an_input_is_named(void **state)
{
    char *folder = sample_tree();
    cleanup_free char *loop = folder_path(folder, "d/a/loop"), *d = folder_path(folder, "d"),
                      *fifo = folder_path(folder, "fifo");

    (void)state;
    expect_refusal(folder, "missing", "No such file");
    expect_refusal(folder, "d/*.none", "no file matches");
    expect_refusal(folder, "d/b.txt/x", "Not a directory");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    expect_refusal(folder, "fifo", "neither");
    assert_int_equal(symlink(d, loop), 0);
    {
        struct input_files files = {0};
        struct error err = {0};

        assert_int_equal(expand_input(&files, d, &err), -1);
        assert_non_null(strstr(err.text, "contains it"));
        input_files_done(&files);
    }
    folder_remove(folder);
}

/* A plan over files of given sizes that need not exist. */
static struct plan plan_of(const uint64_t *sizes, size_t n, uint32_t parts)
{
    struct plan plan = {.parts = parts};

    for (size_t i = 0; i < n; i++) {
        memory_reserve(&plan.files.items, &plan.files.capacity, i + 1,
                       sizeof *plan.files.items);
        plan.files.items[plan.files.count++] =
            (struct input_file){memory_format("/f%zu", i), sizes[i], 0};
        plan.bytes += sizes[i];
    }
    return plan;
}

static void expect_cover(const struct plan *plan, uint64_t split_size, bool map_only)
{
    uint64_t position = 0, offset = 0;
    uint32_t file = 0;
    size_t next = 0;

    for (size_t i = 0; i < plan->split_count; i++) {
        const struct split *split = &plan->splits[i];
        uint64_t bytes = 0;

        assert_true(split->count > 0);
        assert_int_equal(split->first, next);
        for (uint32_t k = 0; k < split->count; k++, next++) {
            const struct extent *extent = &plan->extents[next];

            while (offset == plan->files.items[file].size) {
                file++;
                offset = 0;
            }
            assert_int_equal(extent->file, file);
            assert_int_equal(extent->offset, offset);
            if (map_only) {
                /* The definition, not the implementation's arithmetic. */
                assert_true(position >= (__uint128_t)plan->bytes * split->part / plan->parts);
                assert_true(position + extent->length <=
                            (__uint128_t)plan->bytes * (split->part + 1) / plan->parts);
            }
            offset += extent->length;
            position += extent->length;
            bytes += extent->length;
        }
        assert_true(bytes <= split_size);
    }
    assert_int_equal(position, plan->bytes);
    assert_int_equal(next, plan->extent_count);
}

static void splits_cover_every_byte_once_whatever_the_sizes(void **state)
{
    struct rng rng = {11};

    (void)state;
    for (int round = 0; round < 500; round++) {
        uint64_t sizes[20], split_size = 1 + rng_below(&rng, 5000);
        size_t n = rng_below(&rng, 20);
        bool map_only = rng_below(&rng, 2);
        struct plan plan;

        for (size_t i = 0; i < n; i++)
            sizes[i] = rng_below(&rng, 3) ? rng_below(&rng, 10000) : 0;
        plan = plan_of(sizes, n, 1 + (uint32_t)rng_below(&rng, 40));
        plan_splits(&plan, split_size, 1 + (uint32_t)rng_below(&rng, 5), map_only);
        expect_cover(&plan, split_size, map_only);
        plan_done(&plan);
    }
}

static void ten_thousand_small_files_share_splits(void **state)
{
    uint64_t *sizes = memory_new(10000 * sizeof *sizes);
    struct plan plan;

    (void)state;
    for (int i = 0; i < 10000; i++)
        sizes[i] = 100;
    plan = plan_of(sizes, 10000, 1);
    plan_splits(&plan, 0, 1, false);
    assert_true(plan.split_count < 10);
    expect_cover(&plan, (uint64_t)1 << 30, false);
    plan_done(&plan);
    free(sizes);
}

/* What a sample looks at: in order, within the files, no byte twice, no more than a message
 * holds. */
static void expect_sample(const struct plan *plan)
{
    uint64_t position = 0, end = 0, start = 0;
    size_t paths = 0;
    uint32_t file = 0;

    assert_in_range(plan->sample_count, 1, 4096);
    for (size_t i = 0; i < plan->sample_count; i++) {
        const struct extent *extent = &plan->sample[i];

        for (; file < extent->file; file++)
            start += plan->files.items[file].size;
        assert_int_equal(file, extent->file);
        assert_true(extent->length > 0);
        assert_true(extent->offset + extent->length <= plan->files.items[file].size);
        position = start + extent->offset;
        assert_true(position >= end);
        end = position + extent->length;
        paths += strlen(plan->files.items[file].path) + 32;
    }
    assert_true(paths <= 512 << 10);
}

static uint64_t sampled(const struct plan *plan)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < plan->sample_count; i++)
        bytes += plan->sample[i].length;
    return bytes;
}

static void a_sample_is_spread_over_all_files_whatever_their_sizes(void **state)
{
    struct rng rng = {12};

    (void)state;
    for (int round = 0; round < 300; round++) {
        uint64_t sizes[40], unit = UINT64_C(1) << rng_below(&rng, 34);
        size_t n = 1 + rng_below(&rng, 39);
        struct plan plan;

        for (size_t i = 0; i < n; i++)
            sizes[i] = rng_below(&rng, 3) ? 1 + rng_below(&rng, unit) : 0;
        sizes[rng_below(&rng, n)] = unit;
        plan = plan_of(sizes, n, 2 + (uint32_t)rng_below(&rng, 3000));
        plan_sample(&plan);
        expect_sample(&plan);
        /* 64 pieces at least, and of a small input all. */
        if (plan.bytes < UINT64_C(2) << 20)
            assert_int_equal(sampled(&plan), plan.bytes);
        else
            assert_in_range(sampled(&plan), UINT64_C(1) << 20, UINT64_C(64) << 20);
        plan_done(&plan);
    }
}

static void a_sample_of_a_hundred_thousand_small_files_fits_into_a_message(void **state)
{
    enum { FILES = 100000 };
    uint64_t *sizes = memory_new(FILES * sizeof *sizes);
    struct plan plan;

    (void)state;
    for (int i = 0; i < FILES; i++)
        sizes[i] = 100;
    plan = plan_of(sizes, FILES, 8);
    plan_sample(&plan);
    expect_sample(&plan);
    assert_true(plan.sample_count > 2000);
    assert_true(plan.sample[plan.sample_count - 1].file > FILES / 100 * 98);
    plan_done(&plan);
    free(sizes);
}

/* Paths of 4 KiB leave room for few pieces, which are spread as well. */
static void a_sample_of_files_with_long_paths_fits_into_a_message(void **state)
{
    uint64_t sizes[500];
    struct plan plan;

    (void)state;
    for (int i = 0; i < 500; i++)
        sizes[i] = 1 << 20;
    plan = plan_of(sizes, 500, 100);
    for (int i = 0; i < 500; i++) {
        free(plan.files.items[i].path);
        plan.files.items[i].path = memory_format("/%04000d", i);
    }
    plan_sample(&plan);
    expect_sample(&plan);
    assert_true(plan.sample_count > 100);
    assert_true(plan.sample[plan.sample_count - 1].file > 490);
    plan_done(&plan);
}

static void an_empty_input_has_no_sample(void **state)
{
    const uint64_t sizes[] = {0, 0};
    struct plan plan = plan_of(sizes, 2, 8);

    (void)state;
    plan_sample(&plan);
    assert_int_equal(plan.sample_count, 0);
    plan_done(&plan);
}

/* Each file whole in one split; of a map-only job in the part in which it begins. */
static void solid_files_are_never_torn(void **state)
{
    struct rng rng = {13};

    (void)state;
    for (int round = 0; round < 300; round++) {
        uint64_t sizes[20], split_size = 1 + rng_below(&rng, 5000), position = 0;
        size_t n = 1 + rng_below(&rng, 19), at = 0;
        bool map_only = rng_below(&rng, 2);
        struct plan plan;

        for (size_t i = 0; i < n; i++)
            sizes[i] = 1 + rng_below(&rng, 10000);
        plan = plan_of(sizes, n, 1 + (uint32_t)rng_below(&rng, 40));
        plan.format.kind = INPUT_CSV;
        plan_splits(&plan, split_size, 1, map_only);
        for (size_t i = 0; i < plan.split_count; i++) {
            uint64_t before = 0;

            assert_int_equal(plan.splits[i].first, at);
            for (uint32_t k = 0; k < plan.splits[i].count; k++, at++) {
                assert_int_equal(plan.extents[at].file, at);
                assert_int_equal(plan.extents[at].offset, 0);
                assert_int_equal(plan.extents[at].length, sizes[at]);
                assert_true(!k || before + sizes[at] <= split_size);
                if (map_only) {
                    __uint128_t of = (__uint128_t)plan.bytes * plan.splits[i].part;

                    assert_true(position >= of / plan.parts);
                    assert_true(position < (of + plan.bytes) / plan.parts);
                }
                before += sizes[at];
                position += sizes[at];
            }
        }
        assert_int_equal(at, n);
        plan_done(&plan);
    }
}

static void a_sample_takes_the_beginning_of_a_solid_file(void **state)
{
    const uint64_t sizes[] = {UINT64_C(40) << 20, 5 << 20, UINT64_C(100) << 20};
    uint64_t as_lines;
    struct plan plan = plan_of(sizes, 3, 8);

    (void)state;
    plan_sample(&plan);
    as_lines = sampled(&plan);
    plan_done(&plan);
    plan = plan_of(sizes, 3, 8);
    plan.format.kind = INPUT_CSV;
    plan_sample(&plan);
    assert_int_equal(plan.sample_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(plan.sample[i].file, i);
        assert_int_equal(plan.sample[i].offset, 0);
    }
    assert_true(plan.sample[2].length > plan.sample[0].length);
    assert_int_equal(sampled(&plan), as_lines);
    plan_done(&plan);
}

static void the_number_of_parts_follows_the_input_alone(void **state)
{
    char *folder = sample_tree();
    cleanup_free char *d = folder_path(folder, "d");
    struct plan plan = {0};
    struct error err;

    (void)state;
    assert_int_equal(plan_inputs(&plan, (const char *const[]){d}, 1, 0, &err), 0);
    assert_int_equal(plan.parts, 1);
    assert_int_equal(plan.bytes, 4);
    plan_done(&plan);
    folder_remove(folder);
}

static void a_range_is_as_large_as_the_file_of_its_numbers(void **state)
{
    static const char *const wrong[] = {"range:",   "range:x",   "range:-1",
                                        "range:1K", "range:1-2", "range:17592186044417"};
    struct input_files files = {0};
    struct error err = {0};

    (void)state;
    assert_int_equal(expand_input(&files, "range:0", &err), 0);
    assert_int_equal(expand_input(&files, "range:1000", &err), 0);
    assert_int_equal(files.count, 2);
    assert_string_equal(files.items[1].path, "range:1000");
    assert_int_equal(files.items[0].size, 0);
    assert_int_equal(files.items[1].size, 8000);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(expand_input(&files, wrong[i], &err), -1);
        assert_int_equal(err.code, ERROR_INPUT);
        assert_non_null(strstr(err.text, wrong[i]));
    }
    assert_int_equal(files.count, 2);
    input_files_done(&files);
}

static void expect_format(struct plan *plan, const char *format, const char *words)
{
    struct error err = {0};

    assert_int_equal(plan_format(plan, format, &err), words ? -1 : 0);
    if (words && !strstr(err.text, words))
        fail_msg("'%s' is not in: %s", words, err.text);
}

static void files_that_cannot_be_of_the_format_are_named(void **state)
{
    struct plan plan = plan_of((const uint64_t[]){0, 300, 150}, 3, 1);
    struct error err = {0};

    (void)state;
    expect_format(&plan, "", NULL);
    expect_format(&plan, "lines", NULL);
    expect_format(&plan, "fixed:50", NULL);
    expect_format(&plan, "fixed:100", "'/f2' of 150 bytes");
    expect_format(&plan, "fixed:7", "'/f1' of 300 bytes");
    expect_format(&plan, "tsv", "'tsv'");
    plan_done(&plan);
    assert_int_equal(expand_input(&plan.files, "range:5", &err), 0);
    expect_format(&plan, "fixed:8", NULL);
    expect_format(&plan, "lines", "'range:5'");
    expect_format(&plan, "fixed:4", "'range:5'");
    plan_done(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_expand_in_bytewise_order_without_hidden_names),
        cmocka_unit_test(globs_expand_in_bytewise_order_and_literal_names_win),
        cmocka_unit_test(what_cannot_be_an_input_is_named),
        cmocka_unit_test(splits_cover_every_byte_once_whatever_the_sizes),
        cmocka_unit_test(ten_thousand_small_files_share_splits),
        cmocka_unit_test(solid_files_are_never_torn),
        cmocka_unit_test(a_sample_takes_the_beginning_of_a_solid_file),
        cmocka_unit_test(a_sample_is_spread_over_all_files_whatever_their_sizes),
        cmocka_unit_test(a_sample_of_a_hundred_thousand_small_files_fits_into_a_message),
        cmocka_unit_test(a_sample_of_files_with_long_paths_fits_into_a_message),
        cmocka_unit_test(an_empty_input_has_no_sample),
        cmocka_unit_test(the_number_of_parts_follows_the_input_alone),
        cmocka_unit_test(a_range_is_as_large_as_the_file_of_its_numbers),
        cmocka_unit_test(files_that_cannot_be_of_the_format_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
