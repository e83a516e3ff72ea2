/* Stories of homes: where parts are reduced if there is room, and where if there is none. */
#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

#define home(stage, part, id) assert_int_equal(sched_home((stage)->sched, 1, part), id)

/* Job 1 planned without maps would be reduced at once; with one map it waits for it. */
static void open_planned(struct stage *s, uint32_t threads, uint32_t reduces)
{
    stage_open(s, true);
    for (uint64_t id = 1; id <= 3; id++)
        stage_tell(s, joined(id, threads));
    stage_tell(s, submitted(1));
    stage_tell(s, done(1, check_of(1, 1)));
    follows(s, planned(1, 1, reduces), "assign w2 1/map0.1");
}

static void parts_take_turns_among_the_workers_that_are_there(void **state)
{
    struct stage s;

    (void)state;
    open_planned(&s, 2, 5);
    assert_int_equal(sched_homes(s.sched, 1), 3);
    home(&s, 0, 2);
    home(&s, 1, 3);
    home(&s, 2, 1);
    home(&s, 3, 2);
    home(&s, 4, 3);
    home(&s, 5, 0);
    assert_int_equal(sched_homes(s.sched, 7), 0);
    assert_int_equal(sched_home(s.sched, 7, 0), 0);
    /* Who comes later is nobody's home. */
    follows(&s, joined(4, 8), "");
    assert_int_equal(sched_homes(s.sched, 1), 3);
    follows(&s, done(2, map_of(1, 0, 1)),
            "accepted w2 1/map0.1; maps done 1; assign w3 1/reduce1.1; assign w1 1/reduce2.1; "
            "assign w2 1/reduce0.1; assign w2 1/reduce3.1; assign w3 1/reduce4.1");
    stage_close(&s);
}

static void there_are_no_more_homes_than_parts(void **state)
{
    struct stage s;

    (void)state;
    open_planned(&s, 2, 2);
    assert_int_equal(sched_homes(s.sched, 1), 2);
    home(&s, 0, 2);
    home(&s, 1, 3);
    follows(&s, done(2, map_of(1, 0, 1)),
            "accepted w2 1/map0.1; maps done 1; assign w3 1/reduce1.1; assign w2 1/reduce0.1");
    stage_close(&s);
}

static void a_worker_with_room_takes_its_own_parts_first_then_those_of_others(void **state)
{
    struct stage s;

    (void)state;
    open_planned(&s, 1, 9);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    /* The second of each is in hand, until as few are left as there are workers. */
    assert_string_equal(s.trace,
                        "accepted w2 1/map0.1; maps done 1; assign w3 1/reduce1.1; assign w1 "
                        "1/reduce2.1; assign w2 1/reduce0.1; assign w3 1/reduce4.1; assign w1 "
                        "1/reduce5.1; assign w2 1/reduce3.1");
    stage_tell(&s, done(3, reduce_of(1, 1, 1)));
    assert_string_equal(s.trace, "accepted w3 1/reduce1.1");
    follows(&s, done(3, reduce_of(1, 4, 1)), "assign w3 1/reduce7.1; accepted w3 1/reduce4.1");
    follows(&s, done(3, reduce_of(1, 7, 1)), "assign w3 1/reduce6.1; accepted w3 1/reduce7.1");
    follows(&s, done(3, reduce_of(1, 6, 1)), "assign w3 1/reduce8.1; accepted w3 1/reduce6.1");
    stage_close(&s);
}

static void parts_of_a_home_that_is_gone_or_blind_go_to_others(void **state)
{
    struct stage s;

    (void)state;
    open_planned(&s, 1, 3);
    follows(&s, lost(3), "");
    home(&s, 1, 0);
    home(&s, 2, 1);
    follows(&s, blamed(2, map_of(1, 0, 1), ERROR_UNSEEN), "assign w1 1/map0.2");
    home(&s, 0, 0);
    follows(&s, done(1, map_of(1, 0, 2)),
            "accepted w1 1/map0.2; maps done 1; assign w1 1/reduce2.1; assign w1 1/reduce0.1");
    follows(&s, done(1, reduce_of(1, 2, 1)), "accepted w1 1/reduce2.1");
    follows(&s, done(1, reduce_of(1, 0, 1)), "assign w1 1/reduce1.1; accepted w1 1/reduce0.1");
    stage_close(&s);
}

static void a_part_that_failed_at_home_is_tried_elsewhere(void **state)
{
    struct stage s;

    (void)state;
    open_planned(&s, 2, 1);
    home(&s, 0, 2);
    follows(&s, done(2, map_of(1, 0, 1)),
            "accepted w2 1/map0.1; maps done 1; assign w2 1/reduce0.1");
    follows(&s, failed(2, reduce_of(1, 0, 1), ERROR_LOST), "assign w3 1/reduce0.2");
    stage_close(&s);
}

static void a_home_that_is_busy_keeps_nobody_waiting(void **state)
{
    struct stage s;

    (void)state;
    stage_open(&s, true);
    stage_tell(&s, joined(1, 1));
    stage_tell(&s, joined(2, 1));
    stage_tell(&s, submitted(1));
    stage_tell(&s, done(1, check_of(1, 1)));
    follows(&s, planned(1, 2, 2), "assign w2 1/map0.1; assign w1 1/map1.1");
    home(&s, 1, 1);
    follows(&s, submitted(2), "admitted 2");
    follows(&s, done(1, map_of(1, 1, 1)), "assign w1 2/check0.1; accepted w1 1/map1.1");
    /* Worker 1 is at work for another job; worker 2 takes its own part, and the other after it.
     */
    follows(&s, done(2, map_of(1, 0, 1)),
            "accepted w2 1/map0.1; maps done 1; assign w2 1/reduce0.1");
    follows(&s, done(2, reduce_of(1, 0, 1)), "assign w2 1/reduce1.1; accepted w2 1/reduce0.1");
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_take_turns_among_the_workers_that_are_there),
        cmocka_unit_test(there_are_no_more_homes_than_parts),
        cmocka_unit_test(a_worker_with_room_takes_its_own_parts_first_then_those_of_others),
        cmocka_unit_test(parts_of_a_home_that_is_gone_or_blind_go_to_others),
        cmocka_unit_test(a_part_that_failed_at_home_is_tried_elsewhere),
        cmocka_unit_test(a_home_that_is_busy_keeps_nobody_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
