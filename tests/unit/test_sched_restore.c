/* Stories of a scheduler that takes up where another one ended. */
#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

static struct sched_fact fact(enum sched_record record, struct sched_attempt attempt)
{
    return (struct sched_fact){.record = record, .job = attempt.job, .attempt = attempt};
}

static void tell(struct stage *s, enum sched_record record, struct sched_attempt attempt)
{
    struct sched_fact told = fact(record, attempt);

    told.code = ERROR_CRASH;
    told.maps = 2;
    told.reduces = 2;
    sched_restore(s->sched, &told);
    s->asked++;
}

static const struct sched_attempt of_job = {.job = 1};

/* Job 1 with two maps and two reduces, in its second life. */
static void open_restored(struct stage *s)
{
    stage_open(s, true);
    tell(s, SCHED_RECORD_SUBMITTED, of_job);
    tell(s, SCHED_RECORD_PLANNED, of_job);
}

static void start(struct stage *s)
{
    tell(s, SCHED_RECORD_STARTED, (struct sched_attempt){0});
    stage_tell(s, about(EVENT_RESTORED, 0));
}

static void done_maps_are_kept_and_the_rest_gets_new_numbers(void **state)
{
    struct stage s;

    (void)state;
    open_restored(&s);
    tell(&s, SCHED_RECORD_ACCEPTED, map_of(1, 0, 1));
    start(&s);
    assert_string_equal(s.trace, "");
    follows(&s, joined(7, 2), "assign w7 1/map1.100001");
    follows(&s, held(7, map_of(1, 0, 1)), "adopted w7 1/map0.1");
    follows(&s, done(7, map_of(1, 1, 100001)),
            "accepted w7 1/map1.100001; maps done 1; assign w7 1/reduce0.100001; assign w7 "
            "1/reduce1.100001");
    assert_int_equal(stage_progress(&s).map_reruns, 0);
    stage_close(&s);
}

/* A snapshot tells of lost outputs before it tells of the sample, and one may end in between.
 */
static void maps_that_were_done_before_the_sample_are_not_made_again(void **state)
{
    struct sched_fact planned_so = fact(SCHED_RECORD_PLANNED, of_job);
    struct stage s;

    (void)state;
    stage_open(&s, true);
    tell(&s, SCHED_RECORD_SUBMITTED, of_job);
    planned_so.maps = planned_so.reduces = 2;
    planned_so.sample = true;
    sched_restore(s.sched, &planned_so);
    s.asked++;
    tell(&s, SCHED_RECORD_ACCEPTED, map_of(1, 0, 1));
    start(&s);
    follows(&s, joined(7, 2), "assign w7 1/sample0.100001");
    stage_tell(&s, held(7, map_of(1, 0, 1)));
    follows(&s, done(7, sample_of(1, 100001)),
            "accepted w7 1/sample0.100001; assign w7 1/map1.100001");
    stage_tell(&s, done(7, map_of(1, 1, 100001)));
    assert_int_equal(stage_progress(&s).maps_done, 2);
    stage_close(&s);
}

static void reducers_wait_for_outputs_to_be_claimed(void **state)
{
    struct stage s;

    (void)state;
    open_restored(&s);
    tell(&s, SCHED_RECORD_ACCEPTED, map_of(1, 0, 1));
    tell(&s, SCHED_RECORD_ACCEPTED, map_of(1, 1, 3));
    start(&s);
    assert_string_equal(s.trace, "maps done 1");
    assert_int_equal(sched_waits(s.sched, 1), SCHED_WAITS_WORKER);
    follows(&s, joined(7, 2), "");
    assert_int_equal(sched_waits(s.sched, 1), SCHED_WAITS_OUTPUTS);
    follows(&s, held(7, map_of(1, 0, 1)), "adopted w7 1/map0.1");
    follows(&s, held(7, map_of(1, 1, 2)), "drop w7 1/map1.2");
    follows(&s, held(7, map_of(1, 1, 3)),
            "adopted w7 1/map1.3; assign w7 1/reduce0.100001; assign w7 1/reduce1.100001");
    stage_close(&s);
}

static void what_nobody_claims_is_made_again(void **state)
{
    struct stage s;

    (void)state;
    open_restored(&s);
    tell(&s, SCHED_RECORD_ACCEPTED, map_of(1, 0, 1));
    tell(&s, SCHED_RECORD_ACCEPTED, map_of(1, 1, 1));
    start(&s);
    stage_tell(&s, joined(7, 1));
    stage_tell(&s, held(7, map_of(1, 0, 1)));
    follows(&s, about(EVENT_OUTPUTS_UNCLAIMED, 0),
            "map again 1/map1.1; assign w7 1/map1.100001");
    assert_int_equal(stage_progress(&s).map_reruns, 1);
    stage_close(&s);
}

static void blamed_failures_are_remembered(void **state)
{
    struct stage s;

    (void)state;
    open_restored(&s);
    for (uint32_t attempt = 1; attempt <= 3; attempt++)
        tell(&s, SCHED_RECORD_FAILED, map_of(1, 0, attempt));
    start(&s);
    follows(&s, joined(7, 1), "assign w7 1/map0.100001 single");
    assert_int_equal(stage_progress(&s).failed_attempts, 3);
    follows(&s, blamed(7, map_of(1, 0, 100001), ERROR_CRASH),
            "failure w7 1/map0.100001; finished 1 failed crash cause 1/map0.2; release w7 1");
    stage_close(&s);
}

static void a_decided_failure_that_did_not_reach_the_disk_is_decided_again(void **state)
{
    struct stage s;

    (void)state;
    open_restored(&s);
    for (uint32_t attempt = 1; attempt <= 4; attempt++)
        tell(&s, SCHED_RECORD_FAILED, map_of(1, 0, attempt));
    start(&s);
    assert_string_equal(s.trace, "finished 1 failed crash cause 1/map0.2");
    stage_close(&s);
}

static void a_commit_is_carried_out_again(void **state)
{
    struct stage s;

    (void)state;
    open_restored(&s);
    tell(&s, SCHED_RECORD_COMMITTING, of_job);
    start(&s);
    assert_string_equal(s.trace, "commit 1");
    follows(&s, held(7, map_of(1, 0, 1)), "");
    follows(&s, committed(1), "finished 1 done");
    stage_close(&s);
}

static void when_all_parts_are_there_it_commits(void **state)
{
    struct stage s;

    (void)state;
    open_restored(&s);
    tell(&s, SCHED_RECORD_ACCEPTED, map_of(1, 0, 1));
    tell(&s, SCHED_RECORD_ACCEPTED, map_of(1, 1, 1));
    tell(&s, SCHED_RECORD_ACCEPTED, reduce_of(1, 0, 1));
    tell(&s, SCHED_RECORD_ACCEPTED, reduce_of(1, 1, 1));
    start(&s);
    assert_string_equal(s.trace, "commit 1");
    stage_close(&s);
}

static void a_job_without_a_plan_is_checked_again(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    tell(&s, SCHED_RECORD_SUBMITTED, of_job);
    start(&s);
    follows(&s, joined(7, 1), "assign w7 1/check0.100001");
    follows(&s, done(7, check_of(1, 100001)), "accepted w7 1/check0.100001; plan 1");
    stage_close(&s);
}

static void what_ended_is_forgotten(void **state)
{
    struct stage s;

    (void)state;
    open_restored(&s);
    tell(&s, SCHED_RECORD_FINISHED, of_job);
    start(&s);
    assert_string_equal(s.trace, "");
    stage_tell(&s, joined(7, 1));
    follows(&s, held(7, map_of(1, 0, 1)), "release w7 1");
    stage_close(&s);
}

/* A job of this priority that had no plan yet. */
static void tell_submitted(struct stage *s, uint64_t job, uint32_t priority)
{
    struct sched_fact told = {
        .record = SCHED_RECORD_SUBMITTED, .job = job, .priority = priority};

    sched_restore(s->sched, &told);
    s->asked++;
}

static void jobs_that_waited_wait_again_by_priority(void **state)
{
    struct stage s;
    uint32_t running;

    (void)state;
    stage_open(&s, true);
    sched_limit(s.sched, 1);
    tell_submitted(&s, 1, 5);
    tell(&s, SCHED_RECORD_PLANNED, of_job);
    tell_submitted(&s, 2, 3);
    tell_submitted(&s, 3, 7);
    start(&s);
    assert_int_equal(sched_queued(s.sched, 1, &running), 0);
    assert_int_equal(running, 1);
    assert_int_equal(sched_queued(s.sched, 3, &running), 1);
    assert_int_equal(sched_queued(s.sched, 2, &running), 2);
    assert_int_equal(sched_waits(s.sched, 2), SCHED_WAITS_QUEUE);
    stage_close(&s);
}

static void the_output_of_a_copy_that_counted_is_claimed(void **state)
{
    struct stage s;

    (void)state;
    open_restored(&s);
    tell(&s, SCHED_RECORD_ACCEPTED, map_of(1, 0, 2));
    start(&s);
    stage_tell(&s, joined(7, 2));
    follows(&s, held(7, map_of(1, 0, 1)), "drop w7 1/map0.1");
    follows(&s, held(7, map_of(1, 0, 2)), "adopted w7 1/map0.2");
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_maps_are_kept_and_the_rest_gets_new_numbers),
        cmocka_unit_test(jobs_that_waited_wait_again_by_priority),
        cmocka_unit_test(the_output_of_a_copy_that_counted_is_claimed),
        cmocka_unit_test(maps_that_were_done_before_the_sample_are_not_made_again),
        cmocka_unit_test(reducers_wait_for_outputs_to_be_claimed),
        cmocka_unit_test(what_nobody_claims_is_made_again),
        cmocka_unit_test(blamed_failures_are_remembered),
        cmocka_unit_test(a_decided_failure_that_did_not_reach_the_disk_is_decided_again),
        cmocka_unit_test(a_commit_is_carried_out_again),
        cmocka_unit_test(when_all_parts_are_there_it_commits),
        cmocka_unit_test(a_job_without_a_plan_is_checked_again),
        cmocka_unit_test(what_ended_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
