/* Stories of the scheduler about who holds the outputs of maps. */
#include "tests/lib/cmocka_all.h"

#include "tests/lib/stage.h"

static void who_takes_a_copy_over_is_its_holder(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 3, 2, 1);

    follows(&s, done(2, map_of(1, 0, 1)), "accepted w2 1/map0.1");
    follows(&s, held(3, map_of(1, 0, 1)), "adopted w3 1/map0.1");
    /* The one who made it takes nothing with it; the one who has it does. */
    follows(&s, lost(2), "");
    follows(&s, lost(3), "map again 1/map0.1; assign w1 1/map0.2");
    assert_int_equal(stage_progress(&s).map_reruns, 1);
    stage_close(&s);
}

static void to_hold_what_does_not_count_is_answered_with_drop(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    follows(&s, held(1, map_of(1, 0, 1)), "drop w1 1/map0.1"); /* it runs */
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    follows(&s, held(1, map_of(1, 0, 2)), "drop w1 1/map0.2");
    follows(&s, held(1, map_of(1, 7, 1)), "drop w1 1/map7.1");
    follows(&s, held(1, reduce_of(1, 0, 1)), "drop w1 1/reduce0.1");
    follows(&s, held(1, map_of(2, 0, 1)), "release w1 2");
    follows(&s, held(7, map_of(1, 0, 1)), "");
    stage_close(&s);
}

static void who_holds_something_hears_of_the_end(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 1, 1, 1);
    stage_tell(&s, done(1, map_of(1, 0, 1)));
    stage_tell(&s, joined(2, 1));
    follows(&s, held(2, map_of(1, 0, 9)), "drop w2 1/map0.9");
    follows(&s, done(1, reduce_of(1, 0, 1)), "accepted w1 1/reduce0.1; commit 1");
    follows(&s, held(2, map_of(1, 0, 1)), "drop w2 1/map0.1"); /* nobody reads it any more */
    follows(&s, committed(1), "finished 1 done; release w2 1; release w1 1");
    follows(&s, held(2, map_of(1, 0, 1)), "release w2 1");
    stage_close(&s);
}

static void a_copy_counts_once_the_acceptance_is_on_disk(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 1, 1);
    s.saves = false;
    follows(&s, done(2, map_of(1, 0, 1)), "persist 3 accepted 1/map0.1");
    follows(&s, held(1, map_of(1, 0, 1)), "");
    follows(&s, persisted(3),
            "accepted w2 1/map0.1; maps done 1; adopted w1 1/map0.1; assign w2 1/reduce0.1");
    stage_close(&s);
}

static void no_output_is_unclaimed_while_its_maker_lives(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    stage_tell(&s, done(2, map_of(1, 0, 1)));
    follows(&s, about(EVENT_OUTPUTS_UNCLAIMED, 0), "");
    assert_int_equal(stage_progress(&s).map_reruns, 0);
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_takes_a_copy_over_is_its_holder),
        cmocka_unit_test(to_hold_what_does_not_count_is_answered_with_drop),
        cmocka_unit_test(who_holds_something_hears_of_the_end),
        cmocka_unit_test(a_copy_counts_once_the_acceptance_is_on_disk),
        cmocka_unit_test(no_output_is_unclaimed_while_its_maker_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
