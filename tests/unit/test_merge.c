/* Merging: all records of all sources, by key, and for equal keys in the order of the sources;
 * the same from memory, from spills and from several passes. */
#include "tests/lib/cmocka_all.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/memory.h"
#include "flow/merge.h"
#include "tests/lib/folder.h"
#include "tests/lib/records.h"

enum { SOURCES_MAX = 50, LARGE = 64 << 20 };

/* Runs of one segment each, and all their records together in the order of the sources. */
struct input {
    char *folder, *scratch;
    struct run_file *runs[SOURCES_MAX];
    struct merge_source sources[SOURCES_MAX];
    size_t n;
    struct records all;
};

static void input_open(struct input *input)
{
    *input = (struct input){.folder = folder_new()};
    input->scratch = folder_path(input->folder, "scratch");
}

static void input_close(struct input *input)
{
    for (size_t i = 0; i < input->n; i++)
        run_close(input->runs[i]);
    records_done(&input->all);
    folder_remove(input->folder);
    free(input->scratch);
}

/* Sources and spills of all codecs are merged with each other. */
static struct codec_choice in_turn(void)
{
    static unsigned turn;

    turn++;
    return (struct codec_choice){(enum codec)(turn % CODECS), turn % 3 == 0};
}

/* Writes `records` as one more source; with RUN_SORTED they are sorted first. */
static void input_add(struct input *input, struct records *records, uint32_t flags,
                      uint32_t width)
{
    size_t i = input->n++, count;
    char name[20];
    struct error err;

    if (flags & RUN_SORTED)
        records_sort(records);
    snprintf(name, sizeof name, "run.%zu", i);
    cleanup_free char *path = folder_path(input->folder, name);
    run_of(path, &(struct run_shape){1, flags, width, i, in_turn()}, records);
    assert_int_equal(run_open(path, i, &input->runs[i], &err), 0);
    input->sources[i].run = input->runs[i];
    input->sources[i].segment = run_segments(input->runs[i], &count);
    assert_int_equal(count, 1);
    for (size_t k = 0; k < records->count; k++)
        records_add(&input->all, records->items[k].key, records->items[k].value);
}

/* Files in the folder that are not the sources. */
static int files_left(const struct input *input)
{
    DIR *folder = opendir(input->folder);
    int n = 0;

    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));)
        n += entry->d_name[0] != '.' && strncmp(entry->d_name, "run.", 4) != 0;
    closedir(folder);
    return n;
}

/* Merges everything, and returns what came out. */
static struct records merged_with(const struct input *input,
                                  const struct merge_options *options,
                                  struct merge_totals *ret_totals)
{
    struct records found = {0};
    struct mr_bytes key, value;
    struct merge *merge;
    struct error err;
    int result;

    if (merge_open(input->sources, input->n, options, &merge, &err))
        fail_msg("%s", err.text);
    while ((result = merge_next(merge, &key, &value, &err)) > 0) {
        const struct record *last = found.count ? &found.items[found.count - 1] : NULL;

        assert_int_equal(merge_same(merge), last && !bytes_order(last->key, key));
        records_add(&found, key, value);
    }
    if (result)
        fail_msg("%s", err.text);
    assert_int_equal(merge_next(merge, &key, &value, &err), 0);
    *ret_totals = merge_totals(merge);
    assert_int_equal(ret_totals->records, input->all.count);
    assert_int_equal(ret_totals->pairs, input->all.count);
    merge_close(merge);
    assert_int_equal(files_left(input), 0);
    return found;
}

static struct records merged(const struct input *input, size_t memory, const struct fold *fold,
                             struct merge_totals *ret_totals)
{
    struct merge_options options = {memory, input->scratch, fold, NULL, in_turn()};

    return merged_with(input, &options, ret_totals);
}

static void expect_merged(struct input *input, size_t memory, bool spills)
{
    struct merge_totals totals;
    struct records found = merged(input, memory, NULL, &totals);

    records_sort(&input->all);
    expect_records(&found, &input->all);
    if (spills)
        assert_true(totals.spilled_bytes > 0);
    else
        assert_int_equal(totals.spilled_bytes, 0);
    records_done(&found);
}

/* `count` records; each value says which source it is from, and its place in there. */
static void add_random(struct input *input, struct rng *rng, size_t count, uint32_t flags)
{
    static char key[MADE_UP_KEY];
    struct records records = {0};

    for (size_t i = 0; i < count; i++) {
        uint32_t value[2] = {(uint32_t)input->n, (uint32_t)i};

        records_add(&records, made_up_key(rng, key), (struct mr_bytes){(char *)value, 8});
    }
    input_add(input, &records, flags, 8);
    records_done(&records);
}

static void merging_sorted_runs_equals_sorting_them_together(void **state)
{
    struct rng rng = {71};

    (void)state;
    for (int round = 0; round < 60; round++) {
        size_t n = round < 20 ? (size_t)round : rng_below(&rng, SOURCES_MAX);
        struct input input;

        input_open(&input);
        for (size_t i = 0; i < n; i++)
            add_random(&input, &rng, rng_below(&rng, 3) ? rng_below(&rng, 300) : 0, RUN_SORTED);
        expect_merged(&input, LARGE, false);
        input_close(&input);
    }
}

static void runs_in_order_of_emission_are_sorted_on_the_way(void **state)
{
    struct rng rng = {72};

    (void)state;
    for (int round = 0; round < 40; round++) {
        size_t n = 1 + rng_below(&rng, 12);
        struct input input;

        input_open(&input);
        for (size_t i = 0; i < n; i++) /* one that is not sorted suffices */
            add_random(&input, &rng, rng_below(&rng, 4) ? rng_below(&rng, 500) : 0,
                       i && rng_below(&rng, 2) ? RUN_SORTED : 0);
        expect_merged(&input, LARGE, false);
        input_close(&input);
    }
}

/* The least memory: two streams at a time, and every block is spilled by itself. */
static void with_little_memory_passes_and_spills_give_the_same(void **state)
{
    struct rng rng = {73};

    (void)state;
    for (int round = 0; round < 20; round++) {
        size_t n = 3 + rng_below(&rng, 20);
        struct input input;

        input_open(&input);
        for (size_t i = 0; i < n; i++)
            add_random(&input, &rng, rng_below(&rng, 200), round % 2 ? RUN_SORTED : 0);
        expect_merged(&input, 1, true);
        input_close(&input);
    }
}

/* Sorted and unsorted segments in turns, with memory for all, for some, for next to nothing;
 * one space lent to all of the merges, whatever the last one left in it. */
static void sorted_and_unsorted_in_turns_give_the_same_with_any_memory(void **state)
{
    struct load_space space = {NULL, 0};
    struct rng rng = {82};

    (void)state;
    for (int round = 0; round < 40; round++) {
        size_t n = 2 + rng_below(&rng, 20);
        struct input input;

        input_open(&input);
        for (size_t i = 0; i < n; i++)
            add_random(&input, &rng, rng_below(&rng, 3) ? rng_below(&rng, 400) : 0,
                       rng_below(&rng, 2) ? RUN_SORTED : 0);
        records_sort(&input.all);
        for (size_t memory = 1; memory < LARGE; memory *= 8) {
            struct merge_options options = {memory, input.scratch, NULL, &space};
            struct merge_totals totals;
            struct records found = merged_with(&input, &options, &totals);

            expect_records(&found, &input.all);
            records_done(&found);
        }
        input_close(&input);
    }
    load_space_free(&space);
}

/* Records that fill many blocks, and some that are larger than blocks and than the memory. */
static void records_larger_than_the_memory_are_merged(void **state)
{
    enum { GIANT = 3 << 20 };
    cleanup_free char *value = memory_zeroed(GIANT, 1);
    struct rng rng = {83};
    struct input input;

    (void)state;
    input_open(&input);
    for (size_t i = 0; i < 5; i++) {
        struct records records = {0};

        for (uint32_t k = 0; k < 60; k++) {
            char key[16];
            int n = snprintf(key, sizeof key, "%llu", (unsigned long long)rng_below(&rng, 40));

            memcpy(value, &k, sizeof k);
            records_add(&records, (struct mr_bytes){key, (size_t)n},
                        (struct mr_bytes){value, k % 29 ? 5000 : GIANT});
        }
        input_add(&input, &records, i == 3 ? RUN_SORTED : 0, 0);
        records_done(&records);
    }
    expect_merged(&input, 1, true);
    expect_merged(&input, 1 << 20, true);
    expect_merged(&input, LARGE, false);
    input_close(&input);
}

/* Larger than blocks, spills of several blocks, and a third of the memory that all would need.
 */
static void megabytes_of_records_are_spilled_and_merged(void **state)
{
    static char value[3000];
    struct rng rng = {74};
    struct input input;

    (void)state;
    input_open(&input);
    for (size_t i = 0; i < 6; i++) {
        struct records records = {0};

        for (uint32_t k = 0; k < 1500; k++) {
            char key[16];
            int n = snprintf(key, sizeof key, "%llu", (unsigned long long)rng_below(&rng, 800));

            memcpy(value, &k, sizeof k);
            records_add(&records, (struct mr_bytes){key, (size_t)n},
                        (struct mr_bytes){value, sizeof k + rng_below(&rng, sizeof value - 4)});
        }
        input_add(&input, &records, 0, 0);
        records_done(&records);
    }
    expect_merged(&input, 4 << 20, true);
    expect_merged(&input, LARGE, false);
    input_close(&input);
}

static void equal_keys_keep_run_order(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= RUN_SORTED; flags++)
        for (int small = 0; small < 2; small++) {
            struct merge_totals totals;
            struct input input;
            struct records found;
            uint32_t next[2] = {0, 0};

            input_open(&input);
            for (uint32_t i = 0; i < 9; i++) {
                struct records records = {0};

                for (uint32_t k = 0; k < 50; k++)
                    records_add(&records, mr_text("the one key"),
                                (struct mr_bytes){(char *)(uint32_t[]){i, k}, 8});
                input_add(&input, &records, flags, 8);
                records_done(&records);
            }
            found = merged(&input, small ? 1 : LARGE, NULL, &totals);
            assert_int_equal(found.count, 450);
            for (size_t i = 0; i < found.count; i++) {
                assert_memory_equal(found.items[i].value.ptr, next, 8);
                next[1] = (next[1] + 1) % 50;
                next[0] += next[1] == 0;
            }
            records_done(&found);
            input_close(&input);
        }
}

static void nothing_merged_with_nothing_is_nothing(void **state)
{
    struct rng rng = {75};
    struct input input;

    (void)state;
    input_open(&input);
    expect_merged(&input, 1, false);
    for (int i = 0; i < 2; i++) {
        add_random(&input, &rng, 0, RUN_SORTED);
        expect_merged(&input, LARGE, false);
    }
    input_close(&input);
}

/* ---- Folds ---- */

/* Joins neighbours of sorted records: the first lane adds, the second keeps the least. */
static struct records folded(const struct records *sorted)
{
    struct records out = {0};

    for (size_t i = 0; i < sorted->count;) {
        int64_t sum = 0, least = INT64_MAX, lanes[2];
        size_t first = i;

        for (;
             i < sorted->count && !bytes_order(sorted->items[i].key, sorted->items[first].key);
             i++) {
            memcpy(lanes, sorted->items[i].value.ptr, sizeof lanes);
            sum = (int64_t)((uint64_t)sum + (uint64_t)lanes[0]);
            least = lanes[1] < least ? lanes[1] : least;
        }
        records_add(&out, sorted->items[first].key,
                    (struct mr_bytes){(char *)(int64_t[]){sum, least}, 16});
    }
    return out;
}

static void a_fold_joins_equal_keys_within_and_across_runs(void **state)
{
    static char key[MADE_UP_KEY];
    static const struct fold fold = {2, false, {MR_SUM_I64, MR_MIN_I64}};
    struct rng rng = {76};

    (void)state;
    for (int round = 0; round < 40; round++) {
        size_t n = rng_below(&rng, 15);
        bool small = rng_below(&rng, 2);
        struct merge_totals totals;
        struct input input;
        struct records found, expected;

        input_open(&input);
        for (size_t i = 0; i < n; i++) {
            struct records records = {0};

            for (uint64_t k = rng_below(&rng, 3) ? rng_below(&rng, 200) : 0; k; k--) {
                int64_t lanes[2] = {(int64_t)rng_next(&rng), (int64_t)rng_next(&rng)};

                records_add(&records, made_up_key(&rng, key),
                            (struct mr_bytes){(char *)lanes, 16});
            }
            input_add(&input, &records, round % 4 ? RUN_SORTED : 0, 16);
            records_done(&records);
        }
        found = merged(&input, small ? 1 : LARGE, &fold, &totals);
        records_sort(&input.all);
        expected = folded(&input.all);
        expect_records(&found, &expected);
        records_done(&found);
        records_done(&expected);
        input_close(&input);
    }
}

/* ---- What goes wrong ---- */

/* 1 when all went well, else 0 with *err. */
static bool merges(const struct input *input, size_t memory, const char *scratch,
                   struct error *err)
{
    struct merge_options options = {memory, scratch, NULL, NULL};
    struct mr_bytes key, value;
    struct merge *merge;
    int result;

    if (merge_open(input->sources, input->n, &options, &merge, err))
        return false;
    do {
        result = merge_next(merge, &key, &value, err);
    } while (result > 0);
    merge_close(merge);
    return !result;
}

static void a_damaged_source_fails_the_merge_and_is_named(void **state)
{
    static const char noise = '\x55';

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct rng rng = {77};
        struct input input;
        struct error err;
        int fd;

        input_open(&input);
        for (size_t i = 0; i < 5; i++)
            add_random(&input, &rng, 100, kind & 1 ? RUN_SORTED : 0);
        assert_true(merges(&input, kind & 2 ? 1 : LARGE, input.scratch, &err));
        cleanup_free char *path = folder_path(input.folder, "run.3");
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, &noise, 1,
                                (off_t)(input.sources[3].segment->offset +
                                        input.sources[3].segment->size / 2)),
                         1);
        close(fd);
        assert_false(merges(&input, kind & 2 ? 1 : LARGE, input.scratch, &err));
        assert_int_equal(err.code, ERROR_DAMAGE);
        assert_non_null(strstr(err.text, path));
        assert_int_equal(files_left(&input), 0);
        input_close(&input);
    }
}

static void a_spill_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= RUN_SORTED; flags++) {
        struct rng rng = {78};
        struct input input;
        struct error err;

        input_open(&input);
        for (size_t i = 0; i < 5; i++)
            add_random(&input, &rng, 100, flags);
        cleanup_free char *nowhere = folder_path(input.folder, "no/such/folder");
        assert_false(merges(&input, 1, nowhere, &err));
        assert_int_equal(err.code, ERROR_IO);
        assert_non_null(strstr(err.text, nowhere));
        assert_true(merges(&input, LARGE, nowhere, &err));
        input_close(&input);
    }
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

static void a_disk_full_of_spills_fails_the_merge_and_leaves_nothing(void **state)
{
    (void)state;
    for (uint32_t flags = 0; flags <= RUN_SORTED; flags++) {
        struct rng rng = {81};
        struct input input;
        struct error err;

        input_open(&input);
        for (size_t i = 0; i < 5; i++)
            add_random(&input, &rng, 200, flags);
        for (rlim_t room = 0; room < 8000; room += 777) {
            bool good;

            limit_files(room);
            good = merges(&input, 1, input.scratch, &err);
            limit_files(RLIM_INFINITY);
            assert_false(good);
            assert_non_null(strstr(err.text, input.scratch));
            assert_int_equal(files_left(&input), 0);
        }
        assert_true(merges(&input, 1, input.scratch, &err));
        input_close(&input);
    }
}

static void a_merge_closed_early_leaves_nothing(void **state)
{
    struct merge_options options = {.memory = 1};
    struct rng rng = {79};
    struct mr_bytes key, value;
    struct input input;
    struct merge *merge;
    struct error err;

    (void)state;
    input_open(&input);
    options.scratch = input.scratch;
    for (size_t i = 0; i < 7; i++)
        add_random(&input, &rng, 100, i % 2 ? RUN_SORTED : 0);
    for (int taken = 0; taken < 3; taken++) {
        assert_int_equal(merge_open(input.sources, input.n, &options, &merge, &err), 0);
        for (int i = 0; i < taken; i++)
            assert_int_equal(merge_next(merge, &key, &value, &err), 1);
        merge_close(merge);
        assert_int_equal(files_left(&input), 0);
    }
    merge_close(NULL);
    input_close(&input);
}

static void several_threads_merge_the_same_runs(void **state)
{
    struct rng rng = {80};
    struct input input;
    int wrong = 0;

    (void)state;
    input_open(&input);
    for (size_t i = 0; i < 8; i++)
        add_random(&input, &rng, 200, i % 2 ? RUN_SORTED : 0);
#pragma omp parallel for num_threads(4) reduction(+ : wrong)
    for (int i = 0; i < 8; i++) {
        char scratch[PATH_MAX];
        struct error err;

        snprintf(scratch, sizeof scratch, "%s.%d", input.scratch, i);
        wrong += !merges(&input, i % 2 ? 1 : LARGE, scratch, &err);
    }
    assert_int_equal(wrong, 0);
    input_close(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merging_sorted_runs_equals_sorting_them_together),
        cmocka_unit_test(runs_in_order_of_emission_are_sorted_on_the_way),
        cmocka_unit_test(with_little_memory_passes_and_spills_give_the_same),
        cmocka_unit_test(sorted_and_unsorted_in_turns_give_the_same_with_any_memory),
        cmocka_unit_test(records_larger_than_the_memory_are_merged),
        cmocka_unit_test(megabytes_of_records_are_spilled_and_merged),
        cmocka_unit_test(equal_keys_keep_run_order),
        cmocka_unit_test(nothing_merged_with_nothing_is_nothing),
        cmocka_unit_test(a_fold_joins_equal_keys_within_and_across_runs),
        cmocka_unit_test(a_damaged_source_fails_the_merge_and_is_named),
        cmocka_unit_test(a_spill_that_cannot_be_made_is_named),
        cmocka_unit_test(a_disk_full_of_spills_fails_the_merge_and_leaves_nothing),
        cmocka_unit_test(a_merge_closed_early_leaves_nothing),
        cmocka_unit_test(several_threads_merge_the_same_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
