/* Workers that do not reach each other, though both reach the coordinator. */
#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

static void a_reduce_moves_to_a_worker_that_reaches_both(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 2, 2);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    follows(&s, done(3, map_of(1, 1, 1)),
            "accepted w3 1/map1.1; maps done 1; assign w2 1/reduce0.1; assign w3 1/reduce1.1");
    follows(&s, unreached(2, reduce_of(1, 0, 1), 1), "assign w1 1/reduce0.2");
    /* Neither of the two gets it, though both are idle; no map is made again. */
    follows(&s, unreached(3, reduce_of(1, 1, 1), 0), "");
    assert_int_equal(stage_progress(&s).map_reruns, 0);
    follows(&s, done(1, reduce_of(1, 0, 2)), "assign w1 1/reduce1.2; accepted w1 1/reduce0.2");
    stage_close(&s);
}

static void with_no_such_worker_one_of_the_two_is_set_aside(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 2);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    follows(&s, done(1, map_of(1, 1, 1)),
            "accepted w1 1/map1.1; maps done 1; assign w2 1/reduce0.1; assign w1 1/reduce1.1");
    follows(&s, unreached(1, reduce_of(1, 1, 1), 0),
            "revoke w2 1/reduce0.1; map again 1/map0.1; assign w1 1/map0.2");
    follows(&s, done(1, map_of(1, 0, 2)), "accepted w1 1/map0.2; assign w1 1/reduce0.2");
    /* It is alive, and must do when nobody else is left. */
    follows(&s, lost(1), "map again 1/map0.2; map again 1/map1.1; assign w2 1/map0.3");
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reduce_moves_to_a_worker_that_reaches_both),
        cmocka_unit_test(with_no_such_worker_one_of_the_two_is_set_aside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
