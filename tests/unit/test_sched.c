/* Stories of the scheduler: what happens to jobs and workers, and what must follow. */
#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

static void nothing_leaves_before_it_is_persisted(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, false);
    follows(&s, joined(1, 1), "");
    follows(&s, submitted(7), "persist 1 submitted 7");
    follows(&s, persisted(1), "admitted 7; assign w1 7/check0.1");
    follows(&s, done(1, check_of(7, 1)), "accepted w1 7/check0.1; plan 7");
    follows(&s, planned(7, 1, 1), "persist 2 planned 7");
    follows(&s, persisted(2), "assign w1 7/map0.1");
    follows(&s, done(1, map_of(7, 0, 1)), "persist 3 accepted 7/map0.1");
    follows(&s, persisted(3), "accepted w1 7/map0.1; maps done 7; assign w1 7/reduce0.1");
    follows(&s, done(1, reduce_of(7, 0, 1)),
            "persist 4 accepted 7/reduce0.1; persist 5 committing 7");
    follows(&s, persisted(4), "accepted w1 7/reduce0.1");
    follows(&s, persisted(5), "commit 7");
    follows(&s, committed(7), "persist 6 finished 7");
    follows(&s, persisted(6), "finished 7 done; release w1 7");
    stage_close(&s);
}

static void what_was_checked_before_is_planned_at_once(void **state)
{
    struct sched_event known = submitted(7);
    struct stage s;

    (void)state;
    known.checked = true;
    stage_open(&s, false);
    stage_tell(&s, joined(1, 1));
    follows(&s, known, "persist 1 submitted 7");
    /* An answer to a question that nobody asked. */
    follows(&s, done(1, check_of(7, 1)), "refuse w1 7/check0.1");
    follows(&s, persisted(1), "admitted 7; plan 7");
    follows(&s, planned(7, 1, 1), "persist 2 planned 7");
    follows(&s, persisted(2), "assign w1 7/map0.1");
    stage_close(&s);
}

static void one_word_of_the_disk_may_stand_for_many_records(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, false);
    stage_tell(&s, joined(1, 1));
    follows(&s, submitted(1), "persist 1 submitted 1");
    follows(&s, submitted(2), "persist 2 submitted 2");
    follows(&s, persisted(2), "admitted 1; admitted 2; assign w1 1/check0.1");
    stage_close(&s);
}

static void the_disk_is_not_believed_about_records_it_was_never_given(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, false);
    stage_tell(&s, joined(1, 1));
    stage_tell(&s, submitted(1));
    follows(&s, persisted(2), "");
    follows(&s, persisted(0), "");
    follows(&s, persisted(1), "admitted 1; assign w1 1/check0.1");
    follows(&s, persisted(1), "");
    stage_close(&s);
}

static void a_job_without_maps_still_writes_its_parts(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 0, 2);
    assert_string_equal(s.trace, "maps done 1; assign w1 1/reduce0.1");
    follows(&s, done(1, reduce_of(1, 0, 1)), "assign w1 1/reduce1.1; accepted w1 1/reduce0.1");
    follows(&s, done(1, reduce_of(1, 1, 1)), "accepted w1 1/reduce1.1; commit 1");
    follows(&s, committed(1), "finished 1 done; release w1 1");
    stage_close(&s);
}

static void no_reduce_leaves_before_the_last_map_is_sure_to_count(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    s.saves = false;
    follows(&s, done(2, map_of(1, 0, 1)), "persist 3 accepted 1/map0.1");
    follows(&s, done(1, map_of(1, 1, 1)), "persist 4 accepted 1/map1.1");
    follows(&s, persisted(3), "accepted w2 1/map0.1");
    follows(&s, persisted(4), "accepted w1 1/map1.1; maps done 1; assign w2 1/reduce0.1");
    stage_close(&s);
}

static void a_worker_holds_one_map_in_hand_while_many_wait(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 5, 1);
    /* Two run, one is in hand, and two are left: no more than there are workers. */
    assert_string_equal(s.trace, "assign w2 1/map0.1; assign w1 1/map1.1; assign w2 1/map2.1");
    follows(&s, done(2, map_of(1, 0, 1)), "accepted w2 1/map0.1");
    follows(&s, done(2, map_of(1, 2, 1)), "assign w2 1/map3.1; accepted w2 1/map2.1");
    stage_close(&s);
}

static void reduces_take_one_thread_each_and_one_in_hand(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    stage_tell(&s, joined(1, 2));
    stage_tell(&s, submitted(1));
    stage_tell(&s, done(1, check_of(1, 1)));
    follows(&s, planned(1, 0, 5),
            "maps done 1; assign w1 1/reduce0.1; assign w1 1/reduce1.1; assign w1 1/reduce2.1");
    assert_int_equal(stage_progress(&s).running, 3);
    follows(&s, joined(2, 1), "assign w2 1/reduce3.1");
    stage_close(&s);
}

static void a_job_behind_another_gets_the_next_worker(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 2, 1);
    follows(&s, submitted(2), "admitted 2");
    follows(&s, done(1, map_of(1, 0, 1)), "assign w1 2/check0.1; accepted w1 1/map0.1");
    follows(&s, joined(2, 1), "assign w2 1/map1.1");
    stage_close(&s);
}

static void cancel_revokes_what_runs_and_releases_every_worker(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 4, 2, 1);
    stage_tell(&s, lost(3));
    s.saves = false;
    follows(&s, cancelled(1), "revoke w2 1/map0.1; revoke w4 1/map1.2; persist 3 finished 1");
    follows(&s, lost(2), "");
    /* The world learns of it when it is on disk; whom nothing can reach is not told. */
    follows(&s, persisted(3), "finished 1 cancelled; release w4 1; release w1 1");
    follows(&s, done(4, map_of(1, 1, 2)), "refuse w4 1/map1.2");
    follows(&s, cancelled(1), "");
    stage_close(&s);
}

static void a_job_can_be_cancelled_before_it_is_admitted(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, false);
    stage_tell(&s, joined(1, 1));
    stage_tell(&s, submitted(1));
    follows(&s, cancelled(1), "persist 2 finished 1");
    follows(&s, persisted(2), "admitted 1; finished 1 cancelled");
    stage_close(&s);
}

static void cancel_comes_too_late_once_the_output_may_be_in_place(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 0, 1);
    s.saves = false;
    follows(&s, done(1, reduce_of(1, 0, 1)),
            "persist 3 accepted 1/reduce0.1; persist 4 committing 1");
    follows(&s, cancelled(1), "");
    follows(&s, persisted(4), "accepted w1 1/reduce0.1; commit 1");
    follows(&s, cancelled(1), "");
    follows(&s, committed(1), "persist 5 finished 1");
    follows(&s, cancelled(1), "");
    follows(&s, persisted(5), "finished 1 done; release w1 1");
    stage_close(&s);
}

static void a_plan_that_comes_after_the_cancel_is_ignored(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    stage_tell(&s, joined(1, 1));
    stage_tell(&s, submitted(1));
    follows(&s, done(1, check_of(1, 1)), "accepted w1 1/check0.1; plan 1");
    follows(&s, cancelled(1), "finished 1 cancelled; release w1 1");
    follows(&s, planned(1, 3, 3), "");
    follows(&s, broken(1, ERROR_INPUT), "");
    assert_int_equal(stage_progress(&s).maps, 0);
    stage_close(&s);
}

static void a_job_that_cannot_be_planned_or_committed_fails_by_that_name(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    stage_tell(&s, joined(1, 1));
    stage_tell(&s, submitted(1));
    stage_tell(&s, done(1, check_of(1, 1)));
    follows(&s, broken(1, ERROR_INPUT), "finished 1 failed input; release w1 1");
    stage_tell(&s, submitted(2));
    stage_tell(&s, done(1, check_of(2, 1)));
    stage_tell(&s, planned(2, 0, 1));
    follows(&s, broken(2, ERROR_OUTPUT), "");
    stage_tell(&s, done(1, reduce_of(2, 0, 1)));
    follows(&s, broken(2, ERROR_OUTPUT), "finished 2 failed output; release w1 2");
    follows(&s, committed(2), "");
    stage_close(&s);
}

static void a_finished_job_is_forgotten_and_a_running_one_is_not(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    sched_forget(s.sched, 1);
    assert_int_equal(stage_progress(&s).maps, 1);
    stage_tell(&s, cancelled(1));
    assert_int_equal(stage_progress(&s).state, SCHED_CANCELLED);
    sched_forget(s.sched, 1);
    assert_int_equal(stage_progress(&s).maps, 0);
    assert_int_equal(stage_progress(&s).state, SCHED_RUNNING);
    follows(&s, done(1, map_of(1, 0, 1)), "refuse w1 1/map0.1");
    follows(&s, lost(1), "");
    stage_close(&s);
}

static void a_task_waits_for_the_first_worker_to_join(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    follows(&s, submitted(1), "admitted 1");
    follows(&s, joined(1, 0), "assign w1 1/check0.1");
    follows(&s, lost(1), "");
    follows(&s, joined(2, 2), "assign w2 1/check0.2");
    follows(&s, done(1, check_of(1, 1)), "refuse w1 1/check0.1");
    follows(&s, done(2, check_of(1, 2)), "accepted w2 1/check0.2; plan 1");
    stage_close(&s);
}

/* Not at the next heartbeat, not when another one is done: in the step in which it joins. */
static void who_joins_while_a_job_runs_gets_work_at_once(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 5, 1); /* w1 has one map, and one in hand */
    follows(&s, joined(2, 1), "assign w2 1/map2.1");
    follows(&s, joined(3, 1), "assign w3 1/map3.1");
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leaves_before_it_is_persisted),
        cmocka_unit_test(what_was_checked_before_is_planned_at_once),
        cmocka_unit_test(one_word_of_the_disk_may_stand_for_many_records),
        cmocka_unit_test(the_disk_is_not_believed_about_records_it_was_never_given),
        cmocka_unit_test(a_job_without_maps_still_writes_its_parts),
        cmocka_unit_test(no_reduce_leaves_before_the_last_map_is_sure_to_count),
        cmocka_unit_test(a_worker_holds_one_map_in_hand_while_many_wait),
        cmocka_unit_test(reduces_take_one_thread_each_and_one_in_hand),
        cmocka_unit_test(a_job_behind_another_gets_the_next_worker),
        cmocka_unit_test(cancel_revokes_what_runs_and_releases_every_worker),
        cmocka_unit_test(a_job_can_be_cancelled_before_it_is_admitted),
        cmocka_unit_test(cancel_comes_too_late_once_the_output_may_be_in_place),
        cmocka_unit_test(a_plan_that_comes_after_the_cancel_is_ignored),
        cmocka_unit_test(a_job_that_cannot_be_planned_or_committed_fails_by_that_name),
        cmocka_unit_test(a_finished_job_is_forgotten_and_a_running_one_is_not),
        cmocka_unit_test(a_task_waits_for_the_first_worker_to_join),
        cmocka_unit_test(who_joins_while_a_job_runs_gets_work_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
