/* Stories of bad records: found, skipped, too many. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>

#include "tests/lib/stage.h"

/* An attempt fails on what is certainly bad. */
static struct sched_event bad(uint64_t worker, struct sched_attempt attempt,
                              enum sched_culprit_type type, uint64_t low, uint64_t high)
{
    struct sched_event event = blamed(worker, attempt, ERROR_CRASH);

    event.culprit = (struct sched_culprit){type, 3, low, high};
    return event;
}

static void a_bad_record_costs_no_attempt_and_is_written_down(void **state)
{
    struct stage s;

    (void)state;
    stage_open_skipping(&s, 1, 1, 1, 9);
    s.saves = false;
    for (uint32_t attempt = 1; attempt <= 8; attempt++) {
        char expected[96];

        snprintf(expected, sizeof expected, "persist %u skipped 1/map0.%u; assign w1 1/map0.%u",
                 3 + attempt - 1, attempt, attempt + 1);
        follows(&s, bad(1, map_of(1, 0, attempt), CULPRIT_RECORD, 10 * attempt, 0), expected);
    }
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_close(&s);
}

static void one_too_many_fails_the_job(void **state)
{
    struct stage s;

    (void)state;
    stage_open_skipping(&s, 1, 1, 1, 1);
    follows(&s, bad(1, map_of(1, 0, 1), CULPRIT_RECORD, 10, 0), "assign w1 1/map0.2");
    follows(&s, bad(1, map_of(1, 0, 2), CULPRIT_RECORD, 20, 0),
            "finished 1 failed crash cause 1/map0.2; release w1 1");
    stage_close(&s);
}

static void without_leave_to_skip_four_attempts_fail_the_job(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    for (uint32_t attempt = 1; attempt < 4; attempt++)
        stage_tell(&s, bad(1, map_of(1, 0, attempt), CULPRIT_RECORD, 10, 0));
    follows(&s, bad(1, map_of(1, 0, 4), CULPRIT_RECORD, 10, 0),
            "failure w1 1/map0.4; finished 1 failed crash cause 1/map0.1; release w1 1");
    stage_close(&s);
}

static void a_block_is_narrowed_once(void **state)
{
    const struct sched_culprit *blocks;
    struct sched_attempt map = map_of(1, 0, 1);
    struct stage s;
    size_t n;

    (void)state;
    stage_open_skipping(&s, 1, 1, 1, 1);
    follows(&s, bad(1, map, CULPRIT_BLOCK, 100, 50), "assign w1 1/map0.2");
    blocks = sched_narrowed(s.sched, &map, &n);
    assert_int_equal(n, 1);
    assert_int_equal(blocks[0].file, 3);
    assert_int_equal(blocks[0].low, 100);
    assert_int_equal(blocks[0].high, 50);
    /* Who fails on it as a whole again is looked at more closely, and then it counts. */
    follows(&s, bad(1, map_of(1, 0, 2), CULPRIT_BLOCK, 100, 50),
            "assign w1 1/map0.3 alone single");
    stage_tell(&s, bad(1, map_of(1, 0, 3), CULPRIT_BLOCK, 100, 50));
    assert_int_equal(stage_progress(&s).failed_attempts, 1);
    stage_close(&s);
}

static void a_failure_without_a_word_is_looked_at_alone(void **state)
{
    struct stage s;

    (void)state;
    stage_open_skipping(&s, 1, 1, 1, 1);
    follows(&s, blamed(1, map_of(1, 0, 1), ERROR_MEMORY), "assign w1 1/map0.2 alone single");
    follows(&s, bad(1, map_of(1, 0, 2), CULPRIT_RECORD, 10, 0),
            "assign w1 1/map0.3 alone single");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_close(&s);
}

/* Two maps meet the same key in combine; the list has it once. Who was told and meets it all
 * the same is charged. */
static void a_key_that_two_tasks_meet_is_one(void **state)
{
    struct stage s;

    (void)state;
    stage_open_skipping(&s, 2, 2, 1, 1);
    follows(&s, bad(2, map_of(1, 0, 1), CULPRIT_KEY, 7, 8), "assign w2 1/map0.2");
    follows(&s, bad(1, map_of(1, 1, 1), CULPRIT_KEY, 7, 8), "assign w1 1/map1.2");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_tell(&s, bad(1, map_of(1, 1, 2), CULPRIT_KEY, 7, 8));
    assert_int_equal(stage_progress(&s).failed_attempts, 1);
    assert_int_equal(stage_progress(&s).state, SCHED_RUNNING);
    stage_close(&s);
}

static void expect_search(const struct stage *s, struct sched_attempt attempt, uint32_t file,
                          uint64_t offset)
{
    struct sched_place from;

    assert_true(sched_sifts(s->sched, &attempt, &from));
    assert_int_equal(from.file, file);
    assert_int_equal(from.offset, offset);
}

static void expect_no_search(const struct stage *s, struct sched_attempt attempt)
{
    struct sched_place from;

    assert_false(sched_sifts(s->sched, &attempt, &from));
}

static void a_map_that_met_two_searches_for_more(void **state)
{
    struct sched_event found;
    struct stage s;

    (void)state;
    stage_open_skipping(&s, 1, 2, 1, 9);
    follows(&s, bad(1, map_of(1, 0, 1), CULPRIT_RECORD, 10, 0), "assign w1 1/map0.2");
    expect_no_search(&s, map_of(1, 0, 2));
    /* From its beginning: the second one may have been met by any thread. */
    follows(&s, bad(1, map_of(1, 0, 2), CULPRIT_KEY, 20, 0), "assign w1 1/map0.3");
    expect_search(&s, map_of(1, 0, 3), 0, 0);
    expect_no_search(&s, map_of(1, 1, 1));
    /* And from where that one was when it found one more, be it a block or nothing at all. */
    found = bad(1, map_of(1, 0, 3), CULPRIT_RECORD, 30, 0);
    found.sifted = (struct sched_place){true, 3, 30};
    follows(&s, found, "assign w1 1/map0.4");
    expect_search(&s, map_of(1, 0, 4), 3, 30);
    /* What fails behind the search does not say how far it got: the next one need not go on. */
    follows(&s, bad(1, map_of(1, 0, 4), CULPRIT_KEY, 40, 0), "assign w1 1/map0.5");
    expect_search(&s, map_of(1, 0, 5), 3, 30);
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_close(&s);
}

static void reduces_do_not_search(void **state)
{
    struct stage s;

    (void)state;
    stage_open_skipping(&s, 1, 1, 1, 9);
    stage_tell(&s, done(1, map_of(1, 0, 1)));
    for (uint32_t attempt = 1; attempt <= 3; attempt++)
        stage_tell(&s, bad(1, reduce_of(1, 0, attempt), CULPRIT_KEY, 10 * attempt, 0));
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    expect_no_search(&s, reduce_of(1, 0, 4));
    stage_close(&s);
}

static void a_failing_disk_makes_no_record_bad(void **state)
{
    struct sched_event failing;
    struct stage s;

    (void)state;
    stage_open_skipping(&s, 1, 1, 1, 5);
    failing = bad(1, map_of(1, 0, 1), CULPRIT_RECORD, 10, 0);
    failing.code = ERROR_IO;
    stage_tell(&s, failing);
    assert_int_equal(stage_progress(&s).failed_attempts, 1);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_record_costs_no_attempt_and_is_written_down),
        cmocka_unit_test(one_too_many_fails_the_job),
        cmocka_unit_test(without_leave_to_skip_four_attempts_fail_the_job),
        cmocka_unit_test(a_block_is_narrowed_once),
        cmocka_unit_test(a_failure_without_a_word_is_looked_at_alone),
        cmocka_unit_test(a_key_that_two_tasks_meet_is_one),
        cmocka_unit_test(a_map_that_met_two_searches_for_more),
        cmocka_unit_test(reduces_do_not_search),
        cmocka_unit_test(a_failing_disk_makes_no_record_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
