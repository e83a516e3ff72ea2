/* Stories of the scheduler when things go wrong: failures, lost workers, lost outputs,
 * nonsense. */
#include "tests/lib/cmocka_all.h"

#include "base/limits.h"
#include "tests/lib/stage.h"

static void a_stale_answer_is_refused_and_changes_nothing(void **state)
{
    struct stage s;
    struct sched_progress before, after;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    stage_tell(&s, failed(2, map_of(1, 0, 1), ERROR_LOST));
    assert_string_equal(s.trace, "assign w2 1/map0.2");
    before = stage_progress(&s);
    follows(&s, done(2, map_of(1, 0, 1)), "refuse w2 1/map0.1");
    follows(&s, blamed(2, map_of(1, 0, 1), ERROR_CRASH), "refuse w2 1/map0.1");
    follows(&s, done(1, map_of(1, 0, 2)), "refuse w1 1/map0.2");
    follows(&s, done(2, map_of(1, 0, 3)), "refuse w2 1/map0.3");
    follows(&s, done(1, map_of(1, 2, 1)), "refuse w1 1/map2.1");
    follows(&s, done(1, reduce_of(1, 0, 0)), "refuse w1 1/reduce0.0");
    follows(&s, done(1, reduce_of(1, 5, 1)), "refuse w1 1/reduce5.1");
    follows(&s, done(1, map_of(9, 0, 1)), "refuse w1 9/map0.1");
    follows(&s, done(77, map_of(1, 0, 2)), "refuse w77 1/map0.2");
    follows(&s, done(1, (struct sched_attempt){1, SCHED_CHECK, 1, 1}), "refuse w1 1/check1.1");
    follows(&s, done(1, (struct sched_attempt){1, (enum sched_kind)9, 0, 1}),
            "refuse w1 1/nonsense0.1");
    after = stage_progress(&s);
    assert_memory_equal(&before, &after, sizeof before);
    follows(&s, done(2, map_of(1, 0, 2)), "accepted w2 1/map0.2");
    stage_close(&s);
}

static void an_answer_that_counts_is_not_refused_when_it_comes_again(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 1, 1);
    s.saves = false;
    follows(&s, done(2, map_of(1, 0, 1)), "persist 3 accepted 1/map0.1");
    follows(&s, done(2, map_of(1, 0, 1)), "repeated w2 1/map0.1");
    follows(&s, persisted(3), "accepted w2 1/map0.1; maps done 1; assign w2 1/reduce0.1");
    follows(&s, done(2, map_of(1, 0, 1)), "repeated w2 1/map0.1");
    /* From anyone else, or otherwise, it is nonsense. */
    follows(&s, done(1, map_of(1, 0, 1)), "refuse w1 1/map0.1");
    follows(&s, blamed(2, map_of(1, 0, 1), ERROR_CRASH), "refuse w2 1/map0.1");
    follows(&s, lost(2), "persist 4 lost 1/map0.1");
    follows(&s, done(2, map_of(1, 0, 1)), "refuse w2 1/map0.1");
    stage_close(&s);
}

/* The second attempt is fed single records: it names the record where the first named a block.
 */
static void the_same_failure_of_single_records_is_the_cause_that_is_told(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    follows(&s, blamed(1, map_of(1, 0, 1), ERROR_CRASH),
            "failure w1 1/map0.1; assign w1 1/map0.2 single");
    follows(&s, blamed(1, map_of(1, 0, 2), ERROR_CRASH),
            "failure w1 1/map0.2; assign w1 1/map0.3 single");
    follows(&s, blamed(1, map_of(1, 0, 3), ERROR_CRASH),
            "failure w1 1/map0.3; assign w1 1/map0.4 single");
    follows(&s, blamed(1, map_of(1, 0, 4), ERROR_CRASH),
            "failure w1 1/map0.4; finished 1 failed crash cause 1/map0.2; release w1 1");
    stage_close(&s);
}

static void four_blamed_failures_fail_the_job_with_the_first_cause(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    follows(&s, blamed(1, map_of(1, 0, 1), ERROR_TIMEOUT),
            "failure w1 1/map0.1; assign w1 1/map0.2 single");
    follows(&s, blamed(1, map_of(1, 0, 2), ERROR_CRASH),
            "failure w1 1/map0.2; assign w1 1/map0.3 single");
    follows(&s, blamed(1, map_of(1, 0, 3), ERROR_CRASH),
            "failure w1 1/map0.3; assign w1 1/map0.4 single");
    follows(&s, blamed(1, map_of(1, 0, 4), ERROR_CRASH),
            "failure w1 1/map0.4; finished 1 failed timeout cause 1/map0.1; release w1 1");
    assert_int_equal(LIMIT_ATTEMPTS, 4);
    assert_int_equal(stage_progress(&s).state, SCHED_FAILED);
    assert_int_equal(stage_progress(&s).failed_attempts, 4);
    stage_close(&s);
}

static void blame_is_counted_for_each_task_apart(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    for (uint32_t attempt = 1; attempt < LIMIT_ATTEMPTS; attempt++) {
        stage_tell(&s, blamed(2, map_of(1, 0, attempt), ERROR_CRASH));
        stage_tell(&s, blamed(1, map_of(1, 1, attempt), ERROR_CRASH));
    }
    assert_int_equal(stage_progress(&s).state, SCHED_RUNNING);
    assert_int_equal(stage_progress(&s).failed_attempts, 6);
    follows(&s, done(2, map_of(1, 0, 4)), "accepted w2 1/map0.4");
    follows(&s, done(1, map_of(1, 1, 4)),
            "accepted w1 1/map1.4; maps done 1; assign w2 1/reduce0.1");
    stage_close(&s);
}

static void an_error_that_trying_again_cannot_cure_fails_the_job_at_once(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    follows(&s, blamed(2, map_of(1, 0, 1), ERROR_INPUT),
            "revoke w1 1/map1.1; finished 1 failed input cause 1/map0.1; release w2 1; release "
            "w1 1");
    stage_close(&s);
}

static void an_innocent_failure_costs_no_attempt(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    for (uint32_t attempt = 1; attempt <= 100; attempt++)
        stage_tell(&s,
                   failed(1, map_of(1, 0, attempt), attempt % 2 ? ERROR_LOST : ERROR_CRASH));
    assert_string_equal(s.trace, "assign w1 1/map0.101");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    assert_int_equal(stage_progress(&s).state, SCHED_RUNNING);
    stage_close(&s);
}

static void a_task_that_fails_for_ever_without_blame_fails_the_job_in_the_end(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    for (uint32_t attempt = 1; attempt < 200; attempt++)
        stage_tell(&s, failed(1, map_of(1, 0, attempt), ERROR_LOST));
    follows(&s, failed(1, map_of(1, 0, 200), ERROR_LOST),
            "finished 1 failed lost cause 1/map0.200; release w1 1");
    stage_close(&s);
}

static void an_innocent_failure_moves_the_task_to_another_worker(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 2, 1);
    assert_string_equal(s.trace, "assign w2 1/map0.1; assign w3 1/map1.1");
    stage_tell(&s, done(3, map_of(1, 1, 1)));
    s.saves = false;
    follows(&s, lost(3), "persist 4 lost 1/map1.1");
    follows(&s, failed(2, map_of(1, 0, 1), ERROR_LOST), "");
    stage_tell(&s, lost(1));
    stage_tell(&s, joined(4, 1));
    /* It would be the turn of worker 2, where map 0 failed. */
    follows(&s, persisted(4), "map again 1/map1.1; assign w4 1/map0.2; assign w2 1/map1.2");
    stage_close(&s);
}

static void a_suspect_runs_alone_next_time(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 3, 1);
    assert_string_equal(s.trace, "assign w1 1/map0.1; assign w1 1/map1.1");
    /* Something is still in the worker's hand: the suspect waits until it is empty. */
    follows(&s, suspected(1, map_of(1, 0, 1)), "");
    follows(&s, suspected(1, map_of(1, 1, 1)), "assign w1 1/map0.2 alone single");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    follows(&s, done(1, map_of(1, 0, 2)),
            "assign w1 1/map1.2 alone single; accepted w1 1/map0.2");
    follows(&s, done(1, map_of(1, 1, 2)), "assign w1 1/map2.1; accepted w1 1/map1.2");
    stage_close(&s);
}

static void a_suspect_that_was_alone_is_to_blame(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    follows(&s, suspected(1, map_of(1, 0, 1)), "assign w1 1/map0.2 alone single");
    follows(&s, suspected(1, map_of(1, 0, 2)),
            "failure w1 1/map0.2; assign w1 1/map0.3 alone single");
    assert_int_equal(stage_progress(&s).failed_attempts, 1);
    stage_close(&s);
}

static void a_lone_reduce_shares_its_worker_with_nothing(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    stage_tell(&s, joined(1, 4));
    stage_tell(&s, submitted(1));
    stage_tell(&s, done(1, check_of(1, 1)));
    follows(&s, planned(1, 0, 2), "maps done 1; assign w1 1/reduce0.1; assign w1 1/reduce1.1");
    follows(&s, suspected(1, reduce_of(1, 0, 1)), "");
    follows(&s, suspected(1, reduce_of(1, 1, 1)), "assign w1 1/reduce0.2 alone single");
    follows(&s, done(1, reduce_of(1, 0, 2)),
            "assign w1 1/reduce1.2 alone single; accepted w1 1/reduce0.2");
    stage_close(&s);
}

static void a_lost_worker_gives_back_its_attempts_and_its_outputs(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 3, 1);
    assert_string_equal(s.trace, "assign w2 1/map0.1; assign w1 1/map1.1");
    follows(&s, done(1, map_of(1, 1, 1)), "assign w1 1/map2.1; accepted w1 1/map1.1");
    assert_int_equal(stage_progress(&s).maps_done, 1);
    s.saves = false;
    /* Map 2 ran there and is free at once; map 1 counted, and that it no longer does must be on
     * disk. */
    follows(&s, lost(1), "persist 4 lost 1/map1.1");
    assert_int_equal(stage_progress(&s).maps_done, 0);
    assert_int_equal(stage_progress(&s).map_reruns, 1);
    assert_int_equal(stage_progress(&s).running, 1);
    follows(&s, joined(3, 1), "");
    follows(&s, persisted(4), "map again 1/map1.1; assign w3 1/map1.2");
    follows(&s, done(1, map_of(1, 2, 1)), "refuse w1 1/map2.1");
    follows(&s, done(3, map_of(1, 1, 2)), "persist 5 accepted 1/map1.2; assign w3 1/map2.2");
    stage_close(&s);
}

static void outputs_that_nobody_will_read_may_be_lost(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 1, 1);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    follows(&s, done(2, reduce_of(1, 0, 1)), "accepted w2 1/reduce0.1; commit 1");
    follows(&s, lost(2), "");
    follows(&s, committed(1), "finished 1 done; release w1 1");
    assert_int_equal(stage_progress(&s).map_reruns, 0);
    stage_close(&s);
}

static void reduces_wait_while_a_lost_map_is_made_again(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 1, 3);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    assert_string_equal(s.trace,
                        "accepted w2 1/map0.1; maps done 1; assign w3 1/reduce1.1; assign w1 "
                        "1/reduce2.1; assign w2 1/reduce0.1");
    follows(&s, lost(2), "map again 1/map0.1");
    /* Reduce 0 is free too, but there is nothing to read before map 0. */
    follows(&s, done(3, reduce_of(1, 1, 1)), "assign w3 1/map0.2; accepted w3 1/reduce1.1");
    follows(&s, joined(4, 8), "");
    follows(&s, done(3, map_of(1, 0, 2)), "accepted w3 1/map0.2; assign w4 1/reduce0.2");
    stage_close(&s);
}

static void a_map_made_again_is_stopped_when_nobody_needs_it(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 1, 2);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    assert_string_equal(s.trace, "accepted w2 1/map0.1; maps done 1; assign w3 1/reduce1.1; "
                                 "assign w2 1/reduce0.1");
    follows(&s, done(2, reduce_of(1, 0, 1)), "accepted w2 1/reduce0.1");
    follows(&s, lost(2), "map again 1/map0.1; assign w1 1/map0.2");
    follows(&s, done(3, reduce_of(1, 1, 1)),
            "revoke w1 1/map0.2; accepted w3 1/reduce1.1; commit 1");
    follows(&s, done(1, map_of(1, 0, 2)), "refuse w1 1/map0.2");
    stage_close(&s);
}

static void a_fetch_error_makes_the_map_again(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    stage_tell(&s, done(1, map_of(1, 1, 1)));
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    assert_string_equal(s.trace, "accepted w2 1/map0.1; maps done 1; assign w2 1/reduce0.1");
    /* Elsewhere: the same disk may damage it again. */
    follows(&s, unread(2, reduce_of(1, 0, 1), 1), "map again 1/map1.1; assign w2 1/map1.2");
    assert_int_equal(stage_progress(&s).map_reruns, 1);
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    follows(&s, done(2, map_of(1, 1, 2)), "accepted w2 1/map1.2; assign w1 1/reduce0.2");
    stage_close(&s);
}

static void two_complaints_about_one_output_make_the_map_again_once(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 1, 2);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    follows(&s, unread(1, reduce_of(1, 1, 1), 0), "map again 1/map0.1; assign w1 1/map0.2");
    follows(&s, unread(2, reduce_of(1, 0, 1), 0), "");
    assert_int_equal(stage_progress(&s).map_reruns, 1);
    stage_close(&s);
}

static void a_late_complaint_about_an_old_output_spares_the_new_one(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 1, 3);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    follows(&s, unread(3, reduce_of(1, 1, 1), 0), "map again 1/map0.1; assign w3 1/map0.2");
    follows(&s, done(3, map_of(1, 0, 2)), "accepted w3 1/map0.2; assign w3 1/reduce1.2");
    /* These began when attempt 1 was the one to read, and took longer to give up. */
    follows(&s, unread(1, reduce_of(1, 2, 1), 0), "assign w1 1/reduce2.2");
    follows(&s, unread(2, reduce_of(1, 0, 1), 0), "assign w2 1/reduce0.2");
    assert_int_equal(stage_progress(&s).map_reruns, 1);
    follows(&s, unread(1, reduce_of(1, 2, 2), 0), "map again 1/map0.2; assign w1 1/map0.3");
    stage_close(&s);
}

static void an_output_that_can_never_be_read_fails_the_job(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    for (uint32_t attempt = 1; attempt <= LIMIT_ATTEMPTS; attempt++) {
        stage_tell(&s, done(1, map_of(1, 0, attempt)));
        stage_tell(&s, unread(1, reduce_of(1, 0, attempt), 0));
    }
    assert_int_equal(stage_progress(&s).map_reruns, 4);
    stage_tell(&s, done(1, map_of(1, 0, 5)));
    follows(&s, unread(1, reduce_of(1, 0, 5), 0),
            "finished 1 failed fetch cause 1/reduce0.5; release w1 1");
    stage_close(&s);
}

static void a_fetch_error_about_no_map_costs_nothing(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    follows(&s, unread(1, map_of(1, 0, 1), 0), "assign w1 1/map0.2");
    stage_tell(&s, done(1, map_of(1, 0, 2)));
    follows(&s, unread(1, reduce_of(1, 0, 1), 8), "assign w1 1/reduce0.2");
    assert_int_equal(stage_progress(&s).map_reruns, 0);
    stage_close(&s);
}

static void unknown_jobs_and_workers_change_nothing(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    follows(&s, planned(1, 2, 2), "");
    follows(&s, broken(1, ERROR_INPUT), "");
    follows(&s, committed(1), "");
    follows(&s, cancelled(1), "");
    follows(&s, lost(5), "");
    follows(&s, persisted(3), "");
    follows(&s, done(5, map_of(1, 0, 1)), "refuse w5 1/map0.1");
    follows(&s, suspected(5, map_of(1, 0, 1)), "refuse w5 1/map0.1");
    assert_int_equal(stage_progress(&s).maps, 0);
    sched_forget(s.sched, 1);
    stage_close(&s);
}

static void events_out_of_turn_change_nothing(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    follows(&s, submitted(1), "");
    follows(&s, joined(1, 8), "");
    follows(&s, planned(1, 9, 9), "");
    follows(&s, planned(1, 9, 0), "");
    follows(&s, broken(1, ERROR_OUTPUT), "");
    follows(&s, committed(1), "");
    assert_int_equal(stage_progress(&s).maps, 1);
    follows(&s, done(1, map_of(1, 0, 1)),
            "accepted w1 1/map0.1; maps done 1; assign w1 1/reduce0.1");
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stale_answer_is_refused_and_changes_nothing),
        cmocka_unit_test(an_answer_that_counts_is_not_refused_when_it_comes_again),
        cmocka_unit_test(the_same_failure_of_single_records_is_the_cause_that_is_told),
        cmocka_unit_test(four_blamed_failures_fail_the_job_with_the_first_cause),
        cmocka_unit_test(blame_is_counted_for_each_task_apart),
        cmocka_unit_test(an_error_that_trying_again_cannot_cure_fails_the_job_at_once),
        cmocka_unit_test(an_innocent_failure_costs_no_attempt),
        cmocka_unit_test(a_task_that_fails_for_ever_without_blame_fails_the_job_in_the_end),
        cmocka_unit_test(an_innocent_failure_moves_the_task_to_another_worker),
        cmocka_unit_test(a_suspect_runs_alone_next_time),
        cmocka_unit_test(a_suspect_that_was_alone_is_to_blame),
        cmocka_unit_test(a_lone_reduce_shares_its_worker_with_nothing),
        cmocka_unit_test(a_lost_worker_gives_back_its_attempts_and_its_outputs),
        cmocka_unit_test(outputs_that_nobody_will_read_may_be_lost),
        cmocka_unit_test(reduces_wait_while_a_lost_map_is_made_again),
        cmocka_unit_test(a_map_made_again_is_stopped_when_nobody_needs_it),
        cmocka_unit_test(a_fetch_error_makes_the_map_again),
        cmocka_unit_test(two_complaints_about_one_output_make_the_map_again_once),
        cmocka_unit_test(a_late_complaint_about_an_old_output_spares_the_new_one),
        cmocka_unit_test(an_output_that_can_never_be_read_fails_the_job),
        cmocka_unit_test(a_fetch_error_about_no_map_costs_nothing),
        cmocka_unit_test(unknown_jobs_and_workers_change_nothing),
        cmocka_unit_test(events_out_of_turn_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
