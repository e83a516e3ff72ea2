/* The ground floor: heap, map, numbers, errors, resources, memory. */
#include "tests/lib/cmocka_all.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/resources.h"
#include "base/rng.h"
#include "base/size.h"

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void a_heap_gives_back_what_it_took_in_sorted_order(void **state)
{
    struct rng rng = {1};

    (void)state;
    for (int round = 0; round < 300; round++) {
        uint32_t items[400];
        size_t n = rng_below(&rng, 400);
        /* Few distinct numbers in every other round, so that equal ones meet. */
        uint64_t bound = round % 2 ? 10 : (uint64_t)UINT32_MAX + 1;
        struct heap heap = {0};

        for (size_t i = 0; i < n; i++) {
            items[i] = (uint32_t)rng_below(&rng, bound);
            heap_push(&heap, items[i]);
        }
        qsort(items, n, sizeof *items, compare_u32);
        assert_int_equal(heap.count, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(heap_pop(&heap), items[i]);
        assert_int_equal(heap.count, 0);
        heap_done(&heap);
    }
}

static void a_heap_keeps_the_lowest_on_top_while_pushes_pops_and_removals_mix(void **state)
{
    struct rng rng = {2};
    struct heap heap = {0};
    uint32_t held[64] = {0}; /* how often each number is inside */

    (void)state;
    for (int step = 0; step < 20000; step++) {
        uint32_t lowest = 0;

        if (!heap.count || rng_below(&rng, 2)) {
            uint32_t item = (uint32_t)rng_below(&rng, 64);

            held[item]++;
            heap_push(&heap, item);
            continue;
        }
        if (rng_below(&rng, 2)) {
            uint32_t any = (uint32_t)rng_below(&rng, 64);

            if (held[any]) {
                held[any]--;
                heap_remove(&heap, any);
            }
            continue;
        }
        while (!held[lowest])
            lowest++;
        assert_int_equal(heap_pop(&heap), lowest);
        held[lowest]--;
    }
    heap_done(&heap);
}

enum { KEYS = 300 };

/* Keys that differ in low bits, in high bits only, and by the multiples that linear probing
 * fears. */
static uint64_t key_of(uint32_t i)
{
    switch (i % 3) {
    case 0:
        return i;
    case 1:
        return (uint64_t)i << 40;
    default:
        return (uint64_t)i << 16;
    }
}

static void a_map_agrees_with_a_plain_table_whatever_is_put_and_removed(void **state)
{
    static char values[KEYS][4];
    struct rng rng = {3};

    (void)state;
    for (int round = 0; round < 20; round++) {
        char *reference[KEYS] = {0};
        struct map map = {0};
        size_t count = 0;

        assert_null(map_get(&map, 0));
        assert_null(map_remove(&map, 0));
        for (int step = 0; step < 5000; step++) {
            uint32_t i = (uint32_t)rng_below(&rng, KEYS);

            /* Fill first, thin out later: both long chains and holes come up. */
            if (rng_below(&rng, 5000) > (uint64_t)step) {
                char *value = &values[i][rng_below(&rng, 4)];

                map_put(&map, key_of(i), value);
                count += !reference[i];
                reference[i] = value;
            } else {
                assert_ptr_equal(map_remove(&map, key_of(i)), reference[i]);
                count -= reference[i] != NULL;
                reference[i] = NULL;
            }
            assert_int_equal(map.count, count);
            if (step % 50)
                continue;
            for (uint32_t k = 0; k < KEYS; k++)
                assert_ptr_equal(map_get(&map, key_of(k)), reference[k]);
        }
        map_done(&map);
    }
}

static void sizes_read_as_people_write_them(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"4096", 4096},
        {"007", 7},
        {"12M", 12582912},
        {"12m", 12582912},
        {"1k", 1024},
        {"1KiB", 1024},
        {"1KB", 1024},
        {"3G", 3221225472},
        {"2t", 2199023255552},
        {"18446744073709551615", UINT64_MAX},
        {"16777215T", UINT64_C(16777215) << 40},
        {"0T", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t bytes = 77;

        if (size_parse(good[i].text, &bytes) || bytes != good[i].bytes)
            fail_msg("'%s' gave %llu", good[i].text, (unsigned long long)bytes);
    }
}

static void what_is_no_size_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "M",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1 M",
        "1.5G",
        "1e3",
        "0x10",
        "12Q",
        "12MM",
        "12Mi",
        "12MiBs",
        "12b",
        "1\n",
        "\xc2\xb2",
        "1P",
        "12,000",
        "18446744073709551616", /* 2^64 */
        "16777216T",            /* 2^64 */
        "18014398509481984K",   /* 2^64 */
        "99999999999999999999999999999999G",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t bytes = 77;

        if (!size_parse(bad[i], &bytes))
            fail_msg("'%s' passed as %llu", bad[i], (unsigned long long)bytes);
        assert_int_equal(bytes, 77);
    }
}

static void counts_keep_to_their_bounds(void **state)
{
    static const char *const bad[] = {
        "2",  "11", "-5",   "+5",  "5 ",
        "5K", "",   "five", "5.0", "18446744073709551621" /* 2^64 + 5 */};
    uint64_t n = 77;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (!size_parse_count(bad[i], 3, 10, &n))
            fail_msg("'%s' passed", bad[i]);
        assert_int_equal(n, 77);
    }
    assert_int_equal(size_parse_count("3", 3, 10, &n), 0);
    assert_int_equal(n, 3);
    assert_int_equal(size_parse_count("10", 3, 10, &n), 0);
    assert_int_equal(n, 10);
}

static void sizes_print_short_and_stay_in_their_buffer(void **state)
{
    char text[32], small[4];

    (void)state;
    assert_string_equal(size_format(0, text, sizeof text), "0 B");
    assert_string_equal(size_format(1023, text, sizeof text), "1023 B");
    assert_string_equal(size_format(1536, text, sizeof text), "1.5 KiB");
    assert_string_equal(size_format(64 << 20, text, sizeof text), "64.0 MiB");
    assert_string_equal(size_format(UINT64_C(256) << 20, text, sizeof text), "256 MiB");
    assert_string_equal(size_format(UINT64_MAX, text, sizeof text), "16777216 TiB");
    assert_string_equal(size_format(123456, small, sizeof small), "121");
}

static void an_error_grows_a_prefix_on_its_way_up(void **state)
{
    struct error err = {0};

    (void)state;
    assert_int_equal(error_set(&err, ERROR_INPUT, "line %d", 3), -1);
    assert_int_equal(error_wrap(&err, "file '%s'", "a"), -1);
    assert_int_equal(error_wrap(&err, "job 7"), -1);
    assert_string_equal(err.text, "job 7: file 'a': line 3");
    assert_int_equal(err.code, ERROR_INPUT);
}

static void errno_gives_its_text_and_a_full_disk_its_own_code(void **state)
{
    struct error err = {0};
    char expected[200];

    (void)state;
    errno = ENOENT;
    assert_int_equal(error_errno(&err, ERROR_IO, "open '%s'", "x"), -1);
    snprintf(expected, sizeof expected, "open 'x': %s", strerror(ENOENT));
    assert_string_equal(err.text, expected);
    assert_int_equal(err.code, ERROR_IO);
    errno = ENOSPC;
    error_errno(&err, ERROR_IO, "write");
    assert_int_equal(err.code, ERROR_SPACE);
    errno = EDQUOT;
    error_errno(&err, ERROR_OUTPUT, "write");
    assert_int_equal(err.code, ERROR_SPACE);
    /* So has a scratch disk that fails. */
    errno = ENOSPC;
    error_scratch(&err, ERROR_IO, "write");
    assert_int_equal(err.code, ERROR_SPACE);
    errno = EIO;
    error_scratch(&err, ERROR_IO, "write");
    assert_int_equal(err.code, ERROR_DISK);
    errno = EROFS;
    error_scratch(&err, ERROR_IO, "write '%s'", "x");
    assert_int_equal(err.code, ERROR_DISK);
    snprintf(expected, sizeof expected, "write 'x': %s", strerror(EROFS));
    assert_string_equal(err.text, expected);
    errno = EACCES;
    error_scratch(&err, ERROR_IO, "write");
    assert_int_equal(err.code, ERROR_IO);
}

static void an_error_text_is_cut_at_its_end_never_overrun(void **state)
{
    struct {
        struct error err;
        char guard[16];
    } box;
    char longer[3000];

    (void)state;
    memset(box.guard, '#', sizeof box.guard);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    error_set(&box.err, ERROR_IO, "%s", longer);
    assert_int_equal(strlen(box.err.text), sizeof box.err.text - 1);
    error_wrap(&box.err, "outer");
    assert_int_equal(strncmp(box.err.text, "outer: xxx", 10), 0);
    assert_int_equal(strlen(box.err.text), sizeof box.err.text - 1);
    error_wrap(&box.err, "%s", longer);
    errno = ENOENT;
    error_errno(&box.err, ERROR_IO, "%s", longer);
    assert_int_equal(strlen(box.err.text), sizeof box.err.text - 1);
    for (size_t i = 0; i < sizeof box.guard; i++)
        assert_int_equal(box.guard[i], '#');
}

static void each_code_has_a_name_of_its_own_a_policy_and_a_status(void **state)
{
    (void)state;
    for (int a = 0; a < ERROR_CODES; a++) {
        const char *name = error_name((enum error_code)a);
        int status = error_exit_status((enum error_code)a);

        assert_non_null(name);
        assert_true(*name);
        for (const char *c = name; *c; c++)
            assert_true(islower((unsigned char)*c) || *c == '_');
        for (int b = 0; b < a; b++)
            assert_string_not_equal(name, error_name((enum error_code)b));
        assert_in_range(error_policy((enum error_code)a), POLICY_GIVE_UP, POLICY_ELSEWHERE);
        assert_true(a == ERROR_NONE ? status == 0 : status > 0 && status < 126);
    }
}

static void policies_follow_who_is_at_fault(void **state)
{
    static const enum error_code user[] = {ERROR_USAGE, ERROR_OBJECT, ERROR_INPUT,
                                           ERROR_OUTPUT};
    static const enum error_code job[] = {ERROR_JOB, ERROR_CRASH, ERROR_TIMEOUT, ERROR_MEMORY};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(error_policy(user[i]), POLICY_GIVE_UP);
        assert_int_equal(error_exit_status(user[i]), 2);
        assert_int_equal(error_policy(job[i]), POLICY_BLAME);
        assert_int_equal(error_exit_status(job[i]), 1);
    }
    assert_int_equal(error_policy(ERROR_LOST), POLICY_RETRY);
    assert_int_equal(error_policy(ERROR_STALE), POLICY_RETRY);
    assert_int_equal(error_policy(ERROR_FETCH), POLICY_REFETCH);
    assert_int_equal(error_policy(ERROR_CUT), POLICY_ELSEWHERE);
    assert_int_equal(error_policy(ERROR_SPACE), POLICY_NO_ROOM);
    assert_int_equal(error_policy(ERROR_DISK), POLICY_NO_ROOM);
    assert_int_equal(error_policy(ERROR_OUTPUT_FULL), POLICY_GIVE_UP);
    assert_int_equal(error_policy(ERROR_CANCELLED), POLICY_GIVE_UP);
    assert_int_equal(error_policy(ERROR_INTERNAL), POLICY_GIVE_UP);
}

static void resources_are_those_of_this_machine_at_most(void **state)
{
    uint64_t memory = resources_memory(),
             physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    int threads = resources_threads();

    (void)state;
    assert_in_range(threads, 1, sysconf(_SC_NPROCESSORS_ONLN));
    assert_in_range(memory, 1 << 20, physical);
}

static void a_mask_of_one_processor_leaves_one_thread(void **state)
{
    cpu_set_t before, one;
    int first = 0;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    while (!CPU_ISSET(first, &before))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(resources_threads(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
}

static bool is_mapped(const void *page)
{
    unsigned char resident;

    return !mincore((void *)((uintptr_t)page & ~(uintptr_t)4095), 1, &resident);
}

static void mappings_are_zeroed_aligned_and_gone_when_released(void **state)
{
    static const size_t sizes[] = {
        1, 4095, 4096, 4097, 2 << 20, (2 << 20) + 1, (5 << 20) - 4097};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        char *map = memory_map(size);

        assert_non_null(map);
        assert_int_equal((uintptr_t)map % (size >= 2 << 20 ? 2 << 20 : 4096), 0);
        for (size_t at = 0; at < size; at += 511)
            assert_int_equal(map[at], 0);
        map[0] = map[size - 1] = 1;
        memory_unmap(map, size);
        assert_false(is_mapped(map));
        assert_false(is_mapped(map + size - 1));
    }
    memory_unmap(NULL, 4096);
}

static void a_mapping_that_cannot_be_is_null_with_errno(void **state)
{
    static const size_t sizes[] = {(size_t)1 << 60, SIZE_MAX, SIZE_MAX - (1 << 20),
                                   SIZE_MAX - (3 << 20)};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        assert_null(memory_map(sizes[i]));
        assert_int_equal(errno, ENOMEM);
    }
}

static void reserved_arrays_keep_what_they_hold(void **state)
{
    uint32_t *items = NULL;
    size_t capacity = 0;

    (void)state;
    for (uint32_t i = 0; i < 10000; i++) {
        memory_reserve(&items, &capacity, i + 1, sizeof *items);
        assert_true(capacity > i && capacity <= 8 + 2 * (size_t)i);
        items[i] = i * i;
    }
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(items[i], i * i);
    free(items);
}

static void a_long_error_keeps_its_reason(void **state)
{
    struct error err = {0};
    char path[3000];

    (void)state;
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    errno = ENOENT;
    error_errno(&err, ERROR_INPUT, "input '/%s'", path);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_int_equal(strncmp(err.text, "input '/xxx", 11), 0);
    assert_non_null(strstr(err.text, "xx ... xx"));
    assert_string_equal(err.text + strlen(err.text) - 29, "x': No such file or directory");
    error_wrap(&err, "map 3");
    assert_int_equal(strncmp(err.text, "map 3: input '/", 15), 0);
    assert_string_equal(err.text + strlen(err.text) - 25, "No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_error_keeps_its_reason),
        cmocka_unit_test(a_heap_gives_back_what_it_took_in_sorted_order),
        cmocka_unit_test(a_heap_keeps_the_lowest_on_top_while_pushes_pops_and_removals_mix),
        cmocka_unit_test(a_map_agrees_with_a_plain_table_whatever_is_put_and_removed),
        cmocka_unit_test(sizes_read_as_people_write_them),
        cmocka_unit_test(what_is_no_size_is_refused_and_changes_nothing),
        cmocka_unit_test(counts_keep_to_their_bounds),
        cmocka_unit_test(sizes_print_short_and_stay_in_their_buffer),
        cmocka_unit_test(an_error_grows_a_prefix_on_its_way_up),
        cmocka_unit_test(errno_gives_its_text_and_a_full_disk_its_own_code),
        cmocka_unit_test(an_error_text_is_cut_at_its_end_never_overrun),
        cmocka_unit_test(each_code_has_a_name_of_its_own_a_policy_and_a_status),
        cmocka_unit_test(policies_follow_who_is_at_fault),
        cmocka_unit_test(resources_are_those_of_this_machine_at_most),
        cmocka_unit_test(a_mask_of_one_processor_leaves_one_thread),
        cmocka_unit_test(mappings_are_zeroed_aligned_and_gone_when_released),
        cmocka_unit_test(a_mapping_that_cannot_be_is_null_with_errno),
        cmocka_unit_test(reserved_arrays_keep_what_they_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
