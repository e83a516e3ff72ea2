/* Stories of the scheduler when data is at fault: disks that are full, and maps that, run
 * again, emit other pairs. */
#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

static struct sched_event full(uint64_t worker, struct sched_attempt attempt)
{
    return failed(worker, attempt, ERROR_SPACE);
}

static struct sched_event room(uint64_t worker)
{
    return (struct sched_event){.type = EVENT_WORKER_ROOM, .worker = worker};
}

static struct sched_event no_room(uint64_t job)
{
    return about(EVENT_NO_ROOM, job);
}

static void what_a_full_worker_could_not_do_others_do_at_no_cost(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    assert_string_equal(s.trace, "assign w2 1/map0.1; assign w1 1/map1.1");
    follows(&s, full(2, map_of(1, 0, 1)), "");
    assert_true(sched_is_full(s.sched, 2));
    follows(&s, done(1, map_of(1, 1, 1)), "assign w1 1/map0.2; accepted w1 1/map1.1");
    follows(&s, done(1, map_of(1, 0, 2)),
            "accepted w1 1/map0.2; maps done 1; assign w1 1/reduce0.1");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_close(&s);
}

static void what_it_has_in_hand_goes_back_and_what_it_runs_goes_on(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 5, 1);
    assert_string_equal(s.trace, "assign w2 1/map0.1; assign w1 1/map1.1; assign w2 1/map2.1");
    follows(&s, full(2, map_of(1, 0, 1)), "assign w1 1/map0.2");
    assert_int_equal(sched_held(s.sched, 2), 1);
    follows(&s, done(2, map_of(1, 2, 1)), "accepted w2 1/map2.1");
    assert_int_equal(sched_held(s.sched, 2), 0);
    stage_close(&s);
}

static void with_room_again_it_is_like_the_others(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    stage_tell(&s, failed(2, map_of(1, 0, 1), ERROR_DISK));
    follows(&s, room(1), "");
    follows(&s, room(9), "");
    follows(&s, room(2), "assign w2 1/map0.2");
    follows(&s, room(2), "");
    assert_false(sched_is_full(s.sched, 2));
    stage_close(&s);
}

static void a_full_worker_may_leave_and_be_lost(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 2, 1);
    stage_tell(&s, full(2, map_of(1, 0, 1)));
    follows(&s, draining(2, false), "dismiss w2");
    assert_false(sched_is_full(s.sched, 2));
    follows(&s, room(2), "");
    stage_tell(&s, full(1, map_of(1, 1, 1)));
    stage_tell(&s, lost(2));
    stage_tell(&s, lost(1));
    assert_int_equal(sched_waits(s.sched, 1), SCHED_WAITS_NOT); /* w3 has both */
    stage_tell(&s, lost(3));
    assert_int_equal(sched_waits(s.sched, 1), SCHED_WAITS_WORKER);
    stage_close(&s);
}

static void when_all_are_full_the_job_waits_until_it_is_told_otherwise(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    follows(&s, full(2, map_of(1, 0, 1)), "");
    /* Something runs, that may leave room. */
    follows(&s, no_room(1), "");
    follows(&s, full(1, map_of(1, 1, 1)), "");
    assert_int_equal(sched_waits(s.sched, 1), SCHED_WAITS_ROOM);
    follows(&s, joined(3, 1), "assign w3 1/map0.2");
    follows(&s, full(3, map_of(1, 0, 2)), "");
    follows(&s, no_room(7), "");
    follows(&s, no_room(1),
            "finished 1 failed space; release w3 1; release w2 1; release w1 1");
    follows(&s, no_room(1), "");
    stage_close(&s);
}

/* ---- Maps that are not deterministic ---- */

/* Both maps are done, by worker 2 and worker 1; the reduces of parts 0 and 1 run there. */
static void open_reducing(struct stage *s)
{
    stage_open_planned(s, 2, 2, 2);
    stage_tell(s, done(2, map_of(1, 0, 1)));
    stage_tell(s, done(1, map_of(1, 1, 1)));
    assert_int_equal(stage_progress(s).running, 2);
}

static struct sched_event changed(uint64_t worker, struct sched_attempt attempt,
                                  const uint32_t *parts, size_t count)
{
    struct sched_event event = done(worker, attempt);

    event.changed = parts;
    event.changed_count = count;
    return event;
}

static void other_pairs_than_a_reducer_has_used_fail_the_job(void **state)
{
    static const uint32_t parts[] = {0, 1};
    struct stage s;

    (void)state;
    open_reducing(&s);
    stage_tell(&s, done(1, reduce_of(1, 1, 1)));
    assert_int_equal(stage_progress(&s).reduces_done, 1);
    stage_tell(&s, lost(2));
    assert_int_equal(stage_progress(&s).map_reruns, 1);
    stage_tell(&s, changed(1, map_of(1, 0, 2), parts, 2));
    /* It is never accepted: a restart comes to the same end. */
    assert_string_equal(s.trace, "finished 1 failed unsteady cause 1/map0.2; release w1 1");
    for (size_t i = 0; i < s.actions.count; i++)
        if (s.actions.items[i].type == ACTION_FINISHED)
            assert_int_equal(s.actions.items[i].part, 1);
    stage_close(&s);
}

static void those_that_may_be_reading_the_old_ones_begin_anew(void **state)
{
    static const uint32_t parts[] = {0};
    struct stage s;

    (void)state;
    open_reducing(&s);
    assert_true(sched_runs(s.sched, 2, &(struct sched_attempt){1, SCHED_REDUCE, 0, 1}) !=
                sched_runs(s.sched, 1, &(struct sched_attempt){1, SCHED_REDUCE, 0, 1}));
    stage_tell(&s, joined(3, 1));
    stage_tell(&s, unread(2, reduce_of(1, 1, 1), 0));
    stage_tell(&s, unread(1, reduce_of(1, 1, 1), 0));
    /* Whoever was given map 0 again has it done; part 0 is being reduced all the while. */
    for (uint64_t worker = 1; worker <= 3; worker++)
        stage_tell(&s, changed(worker, map_of(1, 0, 2), parts, 1));
    assert_int_equal(stage_progress(&s).maps_done, 2);
    for (uint64_t worker = 1; worker <= 3; worker++)
        assert_false(
            sched_runs(s.sched, worker, &(struct sched_attempt){1, SCHED_REDUCE, 0, 1}));
    assert_int_equal(stage_progress(&s).running, 2);
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_close(&s);
}

static void parts_that_nobody_used_may_change_and_nonsense_is_ignored(void **state)
{
    static const uint32_t parts[] = {1, 77};
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 2);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    stage_tell(&s, lost(2));
    stage_tell(&s, done(1, map_of(1, 1, 1)));
    stage_tell(&s, changed(1, map_of(1, 0, 2), parts, 2));
    assert_int_equal(stage_progress(&s).maps_done, 2);
    assert_int_equal(stage_progress(&s).state, SCHED_RUNNING);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_full_worker_could_not_do_others_do_at_no_cost),
        cmocka_unit_test(what_it_has_in_hand_goes_back_and_what_it_runs_goes_on),
        cmocka_unit_test(with_room_again_it_is_like_the_others),
        cmocka_unit_test(a_full_worker_may_leave_and_be_lost),
        cmocka_unit_test(when_all_are_full_the_job_waits_until_it_is_told_otherwise),
        cmocka_unit_test(other_pairs_than_a_reducer_has_used_fail_the_job),
        cmocka_unit_test(those_that_may_be_reading_the_old_ones_begin_anew),
        cmocka_unit_test(parts_that_nobody_used_may_change_and_nonsense_is_ignored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
