/* Stories of workers that do not see a job's files: whom they exclude from what, what it costs,
 * and what the scheduler says of a job that waits. */
#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

#define waits(stage, job, why) assert_int_equal(sched_waits((stage)->sched, job), why)
#define holds(stage, worker, attempts) \
    assert_int_equal(sched_held((stage)->sched, worker), attempts)

static struct sched_event unseen(uint64_t worker, struct sched_attempt attempt)
{
    /* Reading an input is the task's own failure until the coordinator finds that it can. */
    return blamed(worker, attempt, ERROR_UNSEEN);
}

static void who_does_not_see_a_file_gets_no_task_of_that_job(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 3, 2);
    assert_string_equal(s.trace, "assign w2 1/map0.1; assign w1 1/map1.1");
    follows(&s, unseen(2, map_of(1, 0, 1)), "assign w1 1/map0.2");
    follows(&s, done(1, map_of(1, 1, 1)), "accepted w1 1/map1.1");
    follows(&s, done(1, map_of(1, 0, 2)), "assign w1 1/map2.1; accepted w1 1/map0.2");
    follows(&s, done(1, map_of(1, 2, 1)),
            "accepted w1 1/map2.1; maps done 1; assign w1 1/reduce1.1");
    follows(&s, done(1, reduce_of(1, 1, 1)), "assign w1 1/reduce0.1; accepted w1 1/reduce1.1");
    follows(&s, done(1, reduce_of(1, 0, 1)), "accepted w1 1/reduce0.1; commit 1");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    /* It was given something once, and may have started an executor. */
    follows(&s, committed(1), "finished 1 done; release w2 1; release w1 1");
    stage_close(&s);
}

static void not_to_see_a_file_costs_the_task_nothing_however_often(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    for (uint32_t id = 1; id <= 1000; id++) {
        stage_tell(&s, unseen(id, map_of(1, 0, id)));
        assert_string_equal(s.trace, "");
        waits(&s, 1, SCHED_WAITS_SIGHT);
        stage_tell(&s, joined(id + 1, 1));
    }
    assert_string_equal(s.trace, "assign w1001 1/map0.1001");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    follows(&s, failed(1001, map_of(1, 0, 1001), ERROR_LOST), "assign w1001 1/map0.1002");
    follows(&s, done(1001, map_of(1, 0, 1002)),
            "accepted w1001 1/map0.1002; maps done 1; assign w1001 1/reduce0.1");
    stage_close(&s);
}

static void not_to_see_a_file_is_neither_blamed_nor_suspected(void **state)
{
    struct stage s;
    struct sched_event event = unseen(2, map_of(1, 0, 1));

    (void)state;
    stage_open_planned(&s, 3, 1, 1);
    event.suspect = true;
    follows(&s, event, "assign w3 1/map0.2");
    follows(&s, failed(3, map_of(1, 0, 2), ERROR_UNSEEN), "assign w1 1/map0.3");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_close(&s);
}

static void the_check_too_is_tried_elsewhere(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    stage_tell(&s, joined(1, 1));
    follows(&s, submitted(1), "admitted 1; assign w1 1/check0.1");
    follows(&s, unseen(1, check_of(1, 1)), "");
    waits(&s, 1, SCHED_WAITS_SIGHT);
    follows(&s, joined(2, 1), "assign w2 1/check0.2");
    stage_tell(&s, done(2, check_of(1, 2)));
    follows(&s, planned(1, 2, 1), "assign w2 1/map0.1");
    stage_close(&s);
}

static void reduces_pass_by_the_threads_of_who_is_excluded(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    stage_tell(&s, joined(1, 4));
    stage_tell(&s, joined(2, 2));
    stage_tell(&s, submitted(1));
    stage_tell(&s, done(1, check_of(1, 1)));
    follows(&s, planned(1, 0, 5),
            "maps done 1; assign w2 1/reduce0.1; assign w1 1/reduce1.1; assign w2 1/reduce2.1; "
            "assign w1 1/reduce3.1; assign w1 1/reduce4.1");
    follows(&s, unseen(1, reduce_of(1, 1, 1)), "");
    holds(&s, 1, 2);
    holds(&s, 2, 2);
    follows(&s, done(2, reduce_of(1, 0, 1)), "assign w2 1/reduce1.2; accepted w2 1/reduce0.1");
    stage_close(&s);
}

static void other_jobs_still_go_there(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    follows(&s, unseen(1, map_of(1, 0, 1)), "");
    follows(&s, submitted(2), "admitted 2; assign w1 2/check0.1");
    waits(&s, 1, SCHED_WAITS_SIGHT);
    waits(&s, 2, SCHED_WAITS_NOT);
    follows(&s, done(1, check_of(2, 1)), "accepted w1 2/check0.1; plan 2");
    follows(&s, planned(2, 1, 1), "assign w1 2/map0.1");
    follows(&s, done(1, map_of(2, 0, 1)),
            "accepted w1 2/map0.1; maps done 2; assign w1 2/reduce0.1");
    follows(&s, done(1, reduce_of(2, 0, 1)), "accepted w1 2/reduce0.1; commit 2");
    waits(&s, 1, SCHED_WAITS_SIGHT);
    stage_close(&s);
}

static void a_job_that_nobody_sees_waits_for_who_joins_next(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    follows(&s, unseen(2, map_of(1, 0, 1)), "");
    waits(&s, 1, SCHED_WAITS_NOT);
    follows(&s, unseen(1, map_of(1, 1, 1)), "");
    waits(&s, 1, SCHED_WAITS_SIGHT);
    assert_int_equal(stage_progress(&s).state, SCHED_RUNNING);
    assert_int_equal(stage_progress(&s).running, 0);
    follows(&s, joined(3, 1), "assign w3 1/map0.2");
    waits(&s, 1, SCHED_WAITS_NOT);
    stage_close(&s);
}

/* It may have been mounted since: whoever comes back is asked anew. */
static void who_comes_back_under_a_new_id_is_tried_again(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 2, 1);
    follows(&s, unseen(1, map_of(1, 0, 1)), "");
    waits(&s, 1, SCHED_WAITS_SIGHT);
    follows(&s, lost(1), "");
    waits(&s, 1, SCHED_WAITS_WORKER);
    follows(&s, joined(2, 1), "assign w2 1/map0.2");
    stage_close(&s);
}

static void what_an_excluded_worker_still_holds_runs_on_and_counts(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 4, 1);
    assert_string_equal(s.trace, "assign w1 1/map0.1; assign w1 1/map1.1");
    holds(&s, 1, 2);
    follows(&s, unseen(1, map_of(1, 0, 1)), "");
    /* Map 1 reads another file. */
    holds(&s, 1, 1);
    waits(&s, 1, SCHED_WAITS_NOT);
    follows(&s, done(1, map_of(1, 1, 1)), "accepted w1 1/map1.1");
    assert_int_equal(stage_progress(&s).maps_done, 1);
    holds(&s, 1, 0);
    waits(&s, 1, SCHED_WAITS_SIGHT);
    stage_close(&s);
}

static void what_an_excluded_worker_still_holds_may_fail_like_any_other(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    stage_tell(&s, joined(1, 4));
    stage_tell(&s, submitted(1));
    stage_tell(&s, done(1, check_of(1, 1)));
    stage_tell(&s, planned(1, 0, 4));
    holds(&s, 1, 4);
    follows(&s, unseen(1, reduce_of(1, 0, 1)), "");
    follows(&s, unseen(1, reduce_of(1, 1, 1)), "");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    follows(&s, blamed(1, reduce_of(1, 2, 1), ERROR_CRASH), "failure w1 1/reduce2.1");
    assert_int_equal(stage_progress(&s).failed_attempts, 1);
    follows(&s, suspected(1, reduce_of(1, 3, 1)), "");
    waits(&s, 1, SCHED_WAITS_SIGHT);
    /* What each of them learnt is not forgotten. */
    follows(&s, joined(2, 8), "assign w2 1/reduce3.2 alone single");
    follows(&s, done(2, reduce_of(1, 3, 2)),
            "assign w2 1/reduce0.2; assign w2 1/reduce1.2; assign w2 1/reduce2.2 single; "
            "accepted w2 1/reduce3.2");
    stage_close(&s);
}

static void what_an_excluded_worker_made_is_read_until_it_is_lost(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    follows(&s, done(2, map_of(1, 0, 1)), "accepted w2 1/map0.1");
    follows(&s, done(1, map_of(1, 1, 1)),
            "accepted w1 1/map1.1; maps done 1; assign w2 1/reduce0.1");
    follows(&s, unseen(2, reduce_of(1, 0, 1)), "assign w1 1/reduce0.2");
    assert_int_equal(stage_progress(&s).maps_done, 2);
    assert_int_equal(stage_progress(&s).map_reruns, 0);
    /* Made again, it goes to who sees. */
    follows(&s, unread(1, reduce_of(1, 0, 2), 0), "map again 1/map0.1; assign w1 1/map0.2");
    follows(&s, done(1, map_of(1, 0, 2)), "accepted w1 1/map0.2; assign w1 1/reduce0.3");
    follows(&s, lost(2), "");
    assert_int_equal(stage_progress(&s).map_reruns, 1);
    stage_close(&s);
}

static void a_stale_answer_excludes_nobody(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 2, 1);
    assert_string_equal(s.trace, "assign w1 1/map0.1");
    follows(&s, unseen(1, map_of(1, 0, 2)), "refuse w1 1/map0.2");
    follows(&s, unseen(1, map_of(1, 1, 1)), "refuse w1 1/map1.1");
    follows(&s, unseen(7, map_of(1, 0, 1)), "refuse w7 1/map0.1");
    follows(&s, unseen(1, map_of(9, 0, 1)), "refuse w1 9/map0.1");
    follows(&s, done(1, map_of(1, 0, 1)), "assign w1 1/map1.1; accepted w1 1/map0.1");
    follows(&s, unseen(1, map_of(1, 0, 1)), "refuse w1 1/map0.1");
    waits(&s, 1, SCHED_WAITS_NOT);
    stage_close(&s);
}

/* Two see, and wait for each other's tasks no longer than if they were alone. */
static void tasks_are_put_in_the_hands_of_those_who_see_as_if_there_were_no_others(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 5, 4, 1);
    assert_string_equal(s.trace, "assign w2 1/map0.1; assign w3 1/map1.1; assign w4 1/map2.1; "
                                 "assign w5 1/map3.1");
    /* The first moves on to the one that is left; then there is nobody. */
    follows(&s, unseen(2, map_of(1, 0, 1)), "assign w1 1/map0.2");
    follows(&s, unseen(3, map_of(1, 1, 1)), "");
    follows(&s, unseen(4, map_of(1, 2, 1)), "");
    /* Three wait, and one sees: one at work, one in hand. */
    follows(&s, unseen(5, map_of(1, 3, 1)), "assign w1 1/map1.2");
    holds(&s, 1, 2);
    /* A second one that sees takes one; the last waits for who is done first. */
    follows(&s, joined(6, 1), "assign w6 1/map2.2");
    follows(&s, done(6, map_of(1, 2, 2)), "assign w6 1/map3.2; accepted w6 1/map2.2");
    stage_close(&s);
}

static void who_avoids_one_of_two_that_see_finds_the_other_behind_the_blind(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 4, 3, 1);
    assert_string_equal(s.trace, "assign w2 1/map0.1; assign w3 1/map1.1; assign w4 1/map2.1");
    stage_tell(&s, unseen(3, map_of(1, 1, 1)));
    assert_string_equal(s.trace, "assign w1 1/map1.2");
    stage_tell(&s, unseen(4, map_of(1, 2, 1)));
    assert_string_equal(s.trace, "");
    s.saves = false;
    follows(&s, done(1, map_of(1, 1, 2)), "persist 3 accepted 1/map1.2; assign w1 1/map2.2");
    follows(&s, persisted(3), "accepted w1 1/map1.2");
    follows(&s, done(1, map_of(1, 2, 2)), "persist 4 accepted 1/map2.2");
    /* Idle are 3, 4, 1, of whom 1 sees. 2 is put behind them, and avoided. */
    follows(&s, failed(2, map_of(1, 0, 1), ERROR_LOST), "assign w1 1/map0.2");
    follows(&s, failed(1, map_of(1, 0, 2), ERROR_LOST), "assign w2 1/map0.3");
    follows(&s, lost(1), "persist 5 lost 1/map2.2; persist 6 lost 1/map1.2");
    /* Nobody else sees: better one that is avoided than none. */
    follows(&s, failed(2, map_of(1, 0, 3), ERROR_LOST), "");
    follows(&s, persisted(6),
            "accepted w1 1/map2.2; map again 1/map2.2; map again 1/map1.2; assign w2 "
            "1/map0.4; assign w2 1/map1.3");
    stage_close(&s);
}

static void a_suspect_waits_until_one_that_sees_holds_nothing(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    follows(&s, unseen(1, map_of(1, 1, 1)), "");
    follows(&s, suspected(2, map_of(1, 0, 1)), "assign w2 1/map0.2 alone single");
    follows(&s, done(2, map_of(1, 0, 2)), "assign w2 1/map1.2; accepted w2 1/map0.2");
    follows(&s, suspected(2, map_of(1, 1, 2)), "assign w2 1/map1.3 alone single");
    follows(&s, lost(2), "map again 1/map0.2");
    waits(&s, 1, SCHED_WAITS_SIGHT);
    holds(&s, 2, 0);
    stage_close(&s);
}

static void why_a_job_waits_is_told_from_submission_to_end(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, false);
    waits(&s, 1, SCHED_WAITS_NOT); /* unknown */
    stage_tell(&s, submitted(1));
    waits(&s, 1, SCHED_WAITS_NOT); /* not on disk */
    stage_tell(&s, persisted(1));
    waits(&s, 1, SCHED_WAITS_WORKER);
    stage_tell(&s, joined(1, 1));
    waits(&s, 1, SCHED_WAITS_NOT); /* checks */
    stage_tell(&s, done(1, check_of(1, 1)));
    waits(&s, 1, SCHED_WAITS_NOT); /* plans */
    stage_tell(&s, lost(1));
    waits(&s, 1, SCHED_WAITS_NOT); /* plans, with or without workers */
    stage_tell(&s, planned(1, 2, 1));
    waits(&s, 1, SCHED_WAITS_NOT); /* the plan is not on disk */
    stage_tell(&s, persisted(2));
    waits(&s, 1, SCHED_WAITS_WORKER);
    stage_tell(&s, joined(2, 1));
    waits(&s, 1, SCHED_WAITS_NOT); /* maps */
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    stage_tell(&s, done(2, map_of(1, 1, 1)));
    waits(&s, 1, SCHED_WAITS_NOT); /* its maps are not on disk */
    stage_tell(&s, persisted(4));
    waits(&s, 1, SCHED_WAITS_NOT); /* reduces */
    stage_tell(&s, lost(2));
    waits(&s, 1, SCHED_WAITS_NOT); /* that its maps are lost is not on disk */
    stage_tell(&s, persisted(6));
    waits(&s, 1, SCHED_WAITS_WORKER);
    stage_tell(&s, joined(3, 1));
    stage_tell(&s, done(3, map_of(1, 0, 2)));
    stage_tell(&s, done(3, map_of(1, 1, 2)));
    stage_tell(&s, persisted(8));
    stage_tell(&s, done(3, reduce_of(1, 0, 2)));
    waits(&s, 1, SCHED_WAITS_NOT); /* commits */
    stage_tell(&s, lost(3));
    stage_tell(&s, persisted(10));
    waits(&s, 1, SCHED_WAITS_NOT);
    stage_tell(&s, committed(1));
    stage_tell(&s, persisted(11));
    waits(&s, 1, SCHED_WAITS_NOT); /* finished */
    assert_int_equal(stage_progress(&s).state, SCHED_DONE);
    sched_forget(s.sched, 1);
    waits(&s, 1, SCHED_WAITS_NOT);
    stage_close(&s);
}

static void a_job_waits_its_turn_while_those_that_see_work_for_others(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    stage_tell(&s, submitted(2));
    waits(&s, 1, SCHED_WAITS_NOT);
    waits(&s, 2, SCHED_WAITS_TURN);
    follows(&s, unseen(2, map_of(1, 0, 1)), "assign w2 2/check0.1");
    follows(&s, unseen(1, map_of(1, 1, 1)), "");
    waits(&s, 1, SCHED_WAITS_SIGHT);
    stage_tell(&s, done(2, check_of(2, 1)));
    follows(&s, planned(2, 4, 1), "assign w1 2/map0.1; assign w2 2/map1.1");
    waits(&s, 2, SCHED_WAITS_NOT);
    /* The third sees both jobs; the first goes before. */
    follows(&s, joined(3, 1), "assign w3 1/map0.2");
    follows(&s, done(3, map_of(1, 0, 2)), "assign w3 1/map1.2; accepted w3 1/map0.2");
    stage_tell(&s, submitted(3));
    waits(&s, 3, SCHED_WAITS_TURN);
    follows(&s, failed(3, map_of(1, 1, 2), ERROR_UNSEEN), "assign w3 3/check0.1");
    waits(&s, 1, SCHED_WAITS_SIGHT);
    waits(&s, 3, SCHED_WAITS_NOT);
    follows(&s, done(3, check_of(3, 1)), "accepted w3 3/check0.1; plan 3; assign w3 2/map2.1");
    stage_tell(&s, planned(3, 1, 1));
    stage_tell(&s, lost(1));
    stage_tell(&s, lost(2));
    stage_tell(&s, lost(3));
    waits(&s, 1, SCHED_WAITS_WORKER);
    waits(&s, 2, SCHED_WAITS_WORKER);
    waits(&s, 3, SCHED_WAITS_WORKER);
    stage_tell(&s, cancelled(1));
    waits(&s, 1, SCHED_WAITS_NOT);
    stage_close(&s);
}

static void a_worker_holds_what_it_was_given_until_it_answers_or_is_lost(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    holds(&s, 1, 0);
    stage_tell(&s, joined(1, 3));
    holds(&s, 1, 0);
    stage_tell(&s, submitted(1));
    holds(&s, 1, 1);
    stage_tell(&s, done(1, check_of(1, 1)));
    holds(&s, 1, 0);
    stage_tell(&s, planned(1, 0, 6));
    holds(&s, 1, 4); /* one in hand */
    stage_tell(&s, done(1, reduce_of(1, 0, 9)));
    holds(&s, 1, 4);
    stage_tell(&s, unseen(1, reduce_of(1, 0, 1)));
    holds(&s, 1, 3);
    stage_tell(&s, failed(1, reduce_of(1, 1, 1), ERROR_LOST));
    holds(&s, 1, 2);
    stage_tell(&s, joined(2, 2));
    holds(&s, 2, 3);
    stage_tell(&s, lost(1));
    holds(&s, 1, 0);
    holds(&s, 2, 3);
    stage_tell(&s, cancelled(1));
    holds(&s, 2, 0);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_does_not_see_a_file_gets_no_task_of_that_job),
        cmocka_unit_test(not_to_see_a_file_costs_the_task_nothing_however_often),
        cmocka_unit_test(not_to_see_a_file_is_neither_blamed_nor_suspected),
        cmocka_unit_test(the_check_too_is_tried_elsewhere),
        cmocka_unit_test(reduces_pass_by_the_threads_of_who_is_excluded),
        cmocka_unit_test(other_jobs_still_go_there),
        cmocka_unit_test(a_job_that_nobody_sees_waits_for_who_joins_next),
        cmocka_unit_test(who_comes_back_under_a_new_id_is_tried_again),
        cmocka_unit_test(what_an_excluded_worker_still_holds_runs_on_and_counts),
        cmocka_unit_test(what_an_excluded_worker_still_holds_may_fail_like_any_other),
        cmocka_unit_test(what_an_excluded_worker_made_is_read_until_it_is_lost),
        cmocka_unit_test(a_stale_answer_excludes_nobody),
        cmocka_unit_test(
            tasks_are_put_in_the_hands_of_those_who_see_as_if_there_were_no_others),
        cmocka_unit_test(who_avoids_one_of_two_that_see_finds_the_other_behind_the_blind),
        cmocka_unit_test(a_suspect_waits_until_one_that_sees_holds_nothing),
        cmocka_unit_test(why_a_job_waits_is_told_from_submission_to_end),
        cmocka_unit_test(a_job_waits_its_turn_while_those_that_see_work_for_others),
        cmocka_unit_test(a_worker_holds_what_it_was_given_until_it_answers_or_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
