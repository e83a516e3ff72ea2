/* What maps tell of their parts, where there are so many that parts are kept together. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "coordinator/ledger.h"
#include "record/content.h"
#include "wire/frame.h"

enum { PARTS = 1000 };

static void fill(Mr__TaskDone *done, const struct content *parts, uint32_t count)
{
    mr__task_done__init(done);
    done->content.data = content_encode(parts, count, &done->content.len);
}

static void few_parts_are_groups_of_their_own_and_many_share_them(void **state)
{
    struct job job = {.map_count = 10, .part_count = PARTS};

    (void)state;
    assert_int_equal(ledger_groups(&job), PARTS);
    job.map_count = 1 << 20;
    assert_in_range(ledger_groups(&job), 4, PARTS / 10);
    job.part_count = 3;
    assert_int_equal(ledger_groups(&job), 3);
    job.map_count = 0;
    assert_int_equal(ledger_groups(&job), 3);
}

/* However they are kept, what a message takes is bounded, and a change is found. */
static void a_change_is_found_in_the_part_or_in_those_kept_with_it(void **state)
{
    static struct content parts[PARTS];
    struct job job = {.map_count = 10, .part_count = PARTS};
    Mr__TaskDone was, is, *former[1] = {&was};

    (void)state;
    job.former = former;
    for (uint32_t i = 0; i < PARTS; i++)
        parts[i] = (struct content){1 + i, 1, i * 7919};
    for (int many = 0; many < 2; many++) {
        uint32_t groups, *changed;
        size_t count;

        job.map_count = many ? 1 << 20 : 10;
        groups = ledger_groups(&job);
        fill(&was, parts, PARTS);
        fill(&is, parts, PARTS);
        assert_true(ledger_take(&job, &was) && ledger_take(&job, &is));
        assert_true(was.content.len <= 24 * groups);
        assert_null(ledger_changed(&job, &is, &count));
        assert_int_equal(count, 0);
        free(is.content.data);
        parts[77].digest++;
        fill(&is, parts, PARTS);
        assert_true(ledger_take(&job, &is));
        changed = ledger_changed(&job, &is, &count);
        assert_int_equal(count, many ? (PARTS - 77 % groups + groups - 1) / groups : 1);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(changed[i] % groups, 77 % groups);
        parts[77].digest--;
        free(changed);
        free(was.content.data);
        free(is.content.data);
    }
}

static void who_tells_nothing_is_not_judged(void **state)
{
    static const struct content parts[2] = {{1, 1, 1}, {2, 2, 2}};
    struct job job = {.map_count = 1, .part_count = 2};
    Mr__TaskDone nothing = MR__TASK_DONE__INIT, is, *former[1] = {&nothing};
    size_t count;

    (void)state;
    fill(&is, parts, 2);
    assert_true(ledger_take(&job, &nothing) && ledger_take(&job, &is));
    job.former = former;
    assert_null(ledger_changed(&job, &is, &count));
    former[0] = &is;
    assert_null(ledger_changed(&job, &nothing, &count));
    former[0] = NULL;
    assert_null(ledger_changed(&job, &is, &count));
    free(is.content.data);
}

static void nonsense_is_refused(void **state)
{
    struct job job = {.map_count = 1, .part_count = 2};
    Mr__TaskDone done = MR__TASK_DONE__INIT;
    uint8_t bytes[] = {0, 3};

    (void)state;
    done.content = (ProtobufCBinaryData){sizeof bytes, bytes};
    assert_false(ledger_take(&job, &done));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_parts_are_groups_of_their_own_and_many_share_them),
        cmocka_unit_test(a_change_is_found_in_the_part_or_in_those_kept_with_it),
        cmocka_unit_test(who_tells_nothing_is_not_judged),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
