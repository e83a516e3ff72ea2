/* Stories of the scheduler about workers that are to leave. */
#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

static void an_idle_worker_may_go_at_once(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    stage_tell(&s, joined(1, 1));
    follows(&s, draining(1, false), "dismiss w1");
    follows(&s, draining(1, false), "");
    follows(&s, draining(9, true), "");
    stage_close(&s);
}

static void what_runs_ends_and_its_output_moves_before_it_goes(void **state)
{
    struct stage s;
    struct sched_attempt outputs[2];

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    follows(&s, draining(2, false), "");
    follows(&s, done(2, map_of(1, 0, 1)), "accepted w2 1/map0.1");
    assert_int_equal(sched_outputs(s.sched, 2, outputs, 2), 1);
    assert_int_equal(outputs[0].task, 0);
    assert_int_equal(outputs[0].attempt, 1);
    follows(&s, held(1, map_of(1, 0, 1)), "adopted w1 1/map0.1; dismiss w2");
    assert_int_equal(sched_outputs(s.sched, 2, outputs, 2), 0);
    follows(&s, lost(2), "");
    follows(&s, done(1, map_of(1, 1, 1)),
            "accepted w1 1/map1.1; maps done 1; assign w1 1/reduce0.1");
    assert_int_equal(stage_progress(&s).map_reruns, 0);
    assert_int_equal(stage_progress(&s).drain_reruns, 0);
    stage_close(&s);
}

static void what_it_has_only_in_hand_is_given_back(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 5, 1);
    assert_string_equal(s.trace, "assign w2 1/map0.1; assign w1 1/map1.1; assign w2 1/map2.1");
    follows(&s, draining(2, false), "revoke w2 1/map2.1; assign w1 1/map2.2");
    assert_int_equal(stage_progress(&s).drain_restarts, 0);
    stage_close(&s);
}

static void what_runs_for_too_long_runs_elsewhere_at_no_cost(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 2, 1);
    follows(&s, draining(2, false), "");
    follows(&s, draining(2, true), "revoke w2 1/map0.1; assign w1 1/map0.2; dismiss w2");
    follows(&s, done(2, map_of(1, 0, 1)), "refuse w2 1/map0.1");
    assert_int_equal(stage_progress(&s).drain_restarts, 1);
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_close(&s);
}

static void the_last_worker_waits_until_somebody_takes_its_outputs(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 2, 1);
    stage_tell(&s, done(1, map_of(1, 0, 1)));
    follows(&s, draining(1, false), "");
    follows(&s, done(1, map_of(1, 1, 1)), "accepted w1 1/map1.1; maps done 1");
    assert_int_equal(sched_waits(s.sched, 1), SCHED_WAITS_WORKER);
    follows(&s, joined(2, 1), "assign w2 1/reduce0.1");
    follows(&s, held(2, map_of(1, 0, 1)), "adopted w2 1/map0.1");
    follows(&s, held(2, map_of(1, 1, 1)), "adopted w2 1/map1.1; dismiss w1");
    stage_close(&s);
}

static void a_reader_of_the_old_place_is_no_reason_to_make_it_again(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 1, 2);
    follows(&s, done(2, map_of(1, 0, 1)),
            "accepted w2 1/map0.1; maps done 1; assign w3 1/reduce1.1; assign w2 1/reduce0.1");
    follows(&s, draining(2, false), "");
    follows(&s, held(1, map_of(1, 0, 1)), "adopted w1 1/map0.1");
    follows(&s, done(2, reduce_of(1, 0, 1)), "accepted w2 1/reduce0.1; dismiss w2");
    follows(&s, lost(2), "");
    follows(&s, unread(3, reduce_of(1, 1, 1), 0), "assign w1 1/reduce1.2");
    assert_int_equal(stage_progress(&s).map_reruns, 0);
    /* Now it knows better. */
    follows(&s, unread(1, reduce_of(1, 1, 2), 0), "map again 1/map0.1; assign w3 1/map0.2");
    stage_close(&s);
}

static void who_dies_while_it_leaves_is_lost_like_any_other(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    follows(&s, draining(2, false), "");
    follows(&s, lost(2), "map again 1/map0.1");
    assert_int_equal(stage_progress(&s).map_reruns, 1);
    assert_int_equal(stage_progress(&s).drain_reruns, 1);
    stage_close(&s);
}

static void an_output_that_cannot_be_given_away_is_made_again(void **state)
{
    struct sched_event broken_output = {
        .type = EVENT_OUTPUT_BROKEN, .worker = 1, .attempt = map_of(1, 0, 1)};
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    follows(&s, draining(2, false), "");
    follows(&s, broken_output, ""); /* it is not the one who has it */
    broken_output.worker = 2;
    follows(&s, broken_output, "map again 1/map0.1; dismiss w2");
    assert_int_equal(stage_progress(&s).drain_reruns, 1);
    stage_close(&s);
}

static void two_that_leave_do_not_take_from_each_other(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 2, 1);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    stage_tell(&s, draining(2, false));
    stage_tell(&s, draining(3, false));
    follows(&s, held(3, map_of(1, 0, 1)), "drop w3 1/map0.1");
    stage_close(&s);
}

static void one_that_joins_to_leave_gets_nothing_and_may_say_what_it_has(void **state)
{
    struct sched_event joins = joined(4, 1);
    struct stage s;

    (void)state;
    joins.draining = true;
    stage_open_planned(&s, 1, 5, 1);
    follows(&s, joins, "");
    assert_true(sched_drains(s.sched, 4));
    /* It goes only when it asked to. */
    follows(&s, draining(4, false), "dismiss w4");
    stage_close(&s);
}

static void a_dismissal_waits_for_the_disk(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 1, 2);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    stage_tell(&s, draining(1, false));
    s.saves = false;
    follows(&s, done(1, reduce_of(1, 1, 1)), "persist 4 accepted 1/reduce1.1");
    follows(&s, persisted(4), "accepted w1 1/reduce1.1; dismiss w1");
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_worker_may_go_at_once),
        cmocka_unit_test(what_runs_ends_and_its_output_moves_before_it_goes),
        cmocka_unit_test(what_it_has_only_in_hand_is_given_back),
        cmocka_unit_test(what_runs_for_too_long_runs_elsewhere_at_no_cost),
        cmocka_unit_test(the_last_worker_waits_until_somebody_takes_its_outputs),
        cmocka_unit_test(a_reader_of_the_old_place_is_no_reason_to_make_it_again),
        cmocka_unit_test(who_dies_while_it_leaves_is_lost_like_any_other),
        cmocka_unit_test(an_output_that_cannot_be_given_away_is_made_again),
        cmocka_unit_test(two_that_leave_do_not_take_from_each_other),
        cmocka_unit_test(one_that_joins_to_leave_gets_nothing_and_may_say_what_it_has),
        cmocka_unit_test(a_dismissal_waits_for_the_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
