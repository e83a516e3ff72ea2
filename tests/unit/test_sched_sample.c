/* Stories of the scheduler with jobs that look at a sample of their input before their maps. */
#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

/* Workers with one thread each, and job 1 as it stands when its sample was just handed out. */
static void open_sampled(struct stage *s, uint64_t workers, uint32_t maps)
{
    stage_open(s, true);
    for (uint64_t worker = 1; worker <= workers; worker++)
        stage_tell(s, joined(worker, 1));
    stage_tell(s, submitted(1));
    stage_tell(s, done(1, check_of(1, 1)));
    stage_tell(s, planned_with_sample(1, maps, 2));
}

static void no_map_goes_before_the_sample_is_on_disk(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, false);
    stage_tell(&s, joined(1, 1));
    stage_tell(&s, joined(2, 1));
    stage_tell(&s, submitted(1));
    stage_tell(&s, persisted(1));
    follows(&s, done(1, check_of(1, 1)), "accepted w1 1/check0.1; plan 1");
    follows(&s, planned_with_sample(1, 2, 2), "persist 2 planned 1");
    follows(&s, persisted(2), "assign w2 1/sample0.1");
    assert_int_equal(stage_progress(&s).maps, 2);
    follows(&s, done(2, sample_of(1, 1)), "persist 3 accepted 1/sample0.1");
    follows(&s, persisted(3),
            "accepted w2 1/sample0.1; assign w1 1/map0.1; assign w2 1/map1.1");
    stage_close(&s);
}

static void a_plan_without_sample_has_no_such_task(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    assert_string_equal(s.trace, "assign w1 1/map0.1");
    follows(&s, done(1, sample_of(1, 1)), "refuse w1 1/sample0.1");
    follows(&s, done(1, sample_of(1, 0)), "refuse w1 1/sample0.0");
    stage_close(&s);
}

static void a_sample_without_maps_leads_to_the_reduces(void **state)
{
    struct stage s;

    (void)state;
    open_sampled(&s, 1, 0);
    assert_string_equal(s.trace, "assign w1 1/sample0.1");
    follows(&s, done(1, sample_of(1, 1)),
            "accepted w1 1/sample0.1; maps done 1; assign w1 1/reduce0.1");
    stage_close(&s);
}

static void a_sample_takes_a_whole_worker(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    follows(&s, submitted(2), "admitted 2");
    follows(&s, done(2, map_of(1, 0, 1)), "assign w2 2/check0.1; accepted w2 1/map0.1");
    follows(&s, done(2, check_of(2, 1)), "accepted w2 2/check0.1; plan 2");
    follows(&s, lost(2), "map again 1/map0.1");
    follows(&s, planned_with_sample(2, 1, 1), "");
    assert_int_equal(sched_waits(s.sched, 2), SCHED_WAITS_TURN);
    follows(&s, joined(3, 8), "assign w3 2/sample0.1");
    follows(&s, joined(4, 8), "assign w4 1/map0.2");
    stage_tell(&s, submitted(3));
    assert_int_equal(sched_waits(s.sched, 3), SCHED_WAITS_TURN);
    stage_close(&s);
}

static void a_lost_worker_costs_the_sample_nothing(void **state)
{
    struct stage s;

    (void)state;
    open_sampled(&s, 2, 1);
    assert_string_equal(s.trace, "assign w2 1/sample0.1");
    follows(&s, lost(2), "assign w1 1/sample0.2");
    follows(&s, done(2, sample_of(1, 1)), "refuse w2 1/sample0.1");
    follows(&s, done(1, sample_of(1, 2)), "accepted w1 1/sample0.2; assign w1 1/map0.1");
    follows(&s, done(1, sample_of(1, 2)), "repeated w1 1/sample0.2");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_close(&s);
}

/* Its result is the coordinator's: that who made it is gone matters to nobody. */
static void an_accepted_sample_outlives_its_worker(void **state)
{
    struct stage s;

    (void)state;
    open_sampled(&s, 2, 1);
    follows(&s, done(2, sample_of(1, 1)), "accepted w2 1/sample0.1; assign w1 1/map0.1");
    follows(&s, lost(2), "");
    follows(&s, done(1, map_of(1, 0, 1)),
            "accepted w1 1/map0.1; maps done 1; assign w1 1/reduce1.1");
    stage_close(&s);
}

static void four_blamed_failures_of_the_sample_fail_the_job(void **state)
{
    struct stage s;

    (void)state;
    open_sampled(&s, 1, 1);
    follows(&s, blamed(1, sample_of(1, 1), ERROR_CRASH),
            "failure w1 1/sample0.1; assign w1 1/sample0.2 single");
    follows(&s, blamed(1, sample_of(1, 2), ERROR_CRASH),
            "failure w1 1/sample0.2; assign w1 1/sample0.3 single");
    follows(&s, blamed(1, sample_of(1, 3), ERROR_CRASH),
            "failure w1 1/sample0.3; assign w1 1/sample0.4 single");
    follows(&s, blamed(1, sample_of(1, 4), ERROR_CRASH),
            "failure w1 1/sample0.4; finished 1 failed crash cause 1/sample0.2; release w1 1");
    stage_close(&s);
}

static void a_suspected_sample_runs_alone_and_elsewhere(void **state)
{
    struct stage s;

    (void)state;
    open_sampled(&s, 2, 1);
    follows(&s, suspected(2, sample_of(1, 1)), "assign w1 1/sample0.2 alone single");
    follows(&s, failed(1, sample_of(1, 2), ERROR_UNSEEN), "assign w2 1/sample0.3 alone single");
    follows(&s, failed(2, sample_of(1, 3), ERROR_UNSEEN), "");
    assert_int_equal(sched_waits(s.sched, 1), SCHED_WAITS_SIGHT);
    follows(&s, joined(3, 1), "assign w3 1/sample0.4 alone single");
    follows(&s, done(3, sample_of(1, 4)), "accepted w3 1/sample0.4; assign w3 1/map0.1");
    stage_close(&s);
}

static void cancel_revokes_the_sample(void **state)
{
    struct stage s;

    (void)state;
    open_sampled(&s, 2, 1);
    follows(&s, cancelled(1),
            "revoke w2 1/sample0.1; finished 1 cancelled; release w2 1; release w1 1");
    follows(&s, done(2, sample_of(1, 1)), "refuse w2 1/sample0.1");
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_map_goes_before_the_sample_is_on_disk),
        cmocka_unit_test(a_plan_without_sample_has_no_such_task),
        cmocka_unit_test(a_sample_without_maps_leads_to_the_reduces),
        cmocka_unit_test(a_sample_takes_a_whole_worker),
        cmocka_unit_test(a_lost_worker_costs_the_sample_nothing),
        cmocka_unit_test(an_accepted_sample_outlives_its_worker),
        cmocka_unit_test(four_blamed_failures_of_the_sample_fail_the_job),
        cmocka_unit_test(a_suspected_sample_runs_alone_and_elsewhere),
        cmocka_unit_test(cancel_revokes_the_sample),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
