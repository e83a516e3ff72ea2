/* Stories of copies: slow attempts, and who is faster in the end. */
#include "tests/lib/cmocka_all.h"

#include <string.h>

#include "tests/lib/stage.h"

static struct sched_event slow(struct sched_attempt attempt)
{
    return (struct sched_event){.type = EVENT_STRAGGLER, .attempt = attempt};
}

/* Both maps run, on workers 2 and 3; worker 1 has nothing to do. */
static void open_with_one_idle(struct stage *s)
{
    stage_open_planned(s, 3, 2, 1);
    assert_string_equal(s->trace, "assign w2 1/map0.1; assign w3 1/map1.1");
}

static void a_slow_attempt_gets_a_copy_where_nothing_runs(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    follows(&s, slow(map_of(1, 0, 1)), "assign w1 1/map0.2 copy");
    assert_int_equal(stage_progress(&s).speculative_attempts, 1);
    assert_int_equal(stage_progress(&s).running, 3);
    /* One is enough; and a copy is not copied. */
    stage_tell(&s, joined(4, 1));
    follows(&s, slow(map_of(1, 0, 1)), "");
    follows(&s, slow(map_of(1, 0, 2)), "");
    stage_close(&s);
}

static void the_copy_that_is_first_counts_and_the_other_is_revoked(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    follows(&s, done(1, map_of(1, 0, 2)), "revoke w2 1/map0.1; accepted w1 1/map0.2");
    follows(&s, done(2, map_of(1, 0, 1)), "refuse w2 1/map0.1");
    follows(&s, done(1, map_of(1, 0, 2)), "repeated w1 1/map0.2");
    /* The loser's worker may be lost: it holds nothing that counts. */
    follows(&s, lost(2), "");
    follows(&s, lost(1), "map again 1/map0.2");
    stage_close(&s);
}

static void the_attempt_that_is_first_counts_and_its_copy_is_revoked(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    follows(&s, done(2, map_of(1, 0, 1)), "revoke w1 1/map0.2; accepted w2 1/map0.1");
    follows(&s, done(1, map_of(1, 0, 2)), "refuse w1 1/map0.2");
    assert_int_equal(stage_progress(&s).maps_done, 1);
    stage_close(&s);
}

static void when_one_is_lost_the_other_goes_on(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    follows(&s, lost(2), "");
    follows(&s, done(1, map_of(1, 0, 2)), "accepted w1 1/map0.2");
    stage_close(&s);
    open_with_one_idle(&s);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    follows(&s, lost(1), "");
    follows(&s, lost(2), "");
    /* Both are gone: the next attempt has the next number. */
    follows(&s, joined(4, 1), "assign w4 1/map0.3");
    stage_close(&s);
}

static void a_failure_of_one_is_blamed_once_and_leaves_the_other(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    follows(&s, blamed(1, map_of(1, 0, 2), ERROR_CRASH), "failure w1 1/map0.2");
    assert_int_equal(stage_progress(&s).failed_attempts, 1);
    /* What failed is not copied again. */
    follows(&s, slow(map_of(1, 0, 1)), "");
    follows(&s, blamed(2, map_of(1, 0, 1), ERROR_CRASH),
            "failure w2 1/map0.1; assign w1 1/map0.3 single");
    stage_close(&s);
}

static void a_suspect_that_was_not_alone_is_not_blamed_for_the_others_suspicion(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    follows(&s, suspected(1, map_of(1, 0, 2)), "");
    follows(&s, suspected(2, map_of(1, 0, 1)), "assign w1 1/map0.3 alone single");
    assert_int_equal(stage_progress(&s).failed_attempts, 0);
    stage_close(&s);
}

static void no_copy_while_others_of_its_phase_wait_or_nobody_is_free(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 2, 2, 1);
    follows(&s, slow(map_of(1, 0, 1)), "");
    follows(&s, unread(1, map_of(1, 1, 1), 0), "assign w1 1/map1.2");
    stage_close(&s);
    stage_open_planned(&s, 1, 3, 1);
    follows(&s, slow(map_of(1, 0, 1)), "");
    stage_close(&s);
}

static void copies_take_a_tenth_of_the_threads_or_one_worker(void **state)
{
    struct stage s;

    (void)state;
    stage_open_planned(&s, 5, 3, 1);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    assert_int_equal(stage_progress(&s).speculative_attempts, 1);
    follows(&s, slow(map_of(1, 1, 1)), "");
    /* With twenty threads there may be two. */
    for (uint64_t id = 6; id <= 20; id++)
        stage_tell(&s, joined(id, 1));
    stage_tell(&s, slow(map_of(1, 1, 1)));
    assert_int_equal(stage_progress(&s).speculative_attempts, 2);
    stage_close(&s);
}

static void a_steady_job_gets_none(void **state)
{
    struct sched_event steady = submitted(1);
    struct stage s;

    (void)state;
    steady.steady = true;
    stage_open(&s, true);
    for (uint64_t id = 1; id <= 3; id++)
        stage_tell(&s, joined(id, 1));
    stage_tell(&s, steady);
    stage_tell(&s, done(1, check_of(1, 1)));
    stage_tell(&s, planned(1, 1, 1));
    follows(&s, slow(map_of(1, 0, 1)), "");
    stage_close(&s);
}

static void cancelling_revokes_both(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    stage_tell(&s, cancelled(1));
    assert_non_null(strstr(s.trace, "revoke w2 1/map0.1"));
    assert_non_null(strstr(s.trace, "revoke w1 1/map0.2"));
    assert_int_equal(sched_held(s.sched, 1) + sched_held(s.sched, 2) + sched_held(s.sched, 3),
                     0);
    stage_close(&s);
}

static void a_copy_on_a_worker_that_leaves_ends_there_or_is_stopped(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    /* What runs may end. */
    follows(&s, draining(1, false), "");
    assert_int_equal(stage_progress(&s).running, 3);
    follows(&s, draining(1, true), "revoke w1 1/map0.2; dismiss w1");
    assert_int_equal(stage_progress(&s).drain_restarts, 1);
    follows(&s, done(2, map_of(1, 0, 1)), "accepted w2 1/map0.1");
    stage_close(&s);
}

static void a_copy_goes_on_alone_when_the_slow_worker_leaves(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    stage_tell(&s, slow(map_of(1, 0, 1)));
    follows(&s, draining(2, true), "revoke w2 1/map0.1; dismiss w2");
    follows(&s, done(2, map_of(1, 0, 1)), "refuse w2 1/map0.1");
    follows(&s, done(1, map_of(1, 0, 2)), "accepted w1 1/map0.2");
    stage_close(&s);
}

static void no_copy_goes_to_a_worker_that_leaves(void **state)
{
    struct stage s;

    (void)state;
    open_with_one_idle(&s);
    stage_tell(&s, draining(1, false));
    follows(&s, slow(map_of(1, 0, 1)), "");
    stage_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_attempt_gets_a_copy_where_nothing_runs),
        cmocka_unit_test(the_copy_that_is_first_counts_and_the_other_is_revoked),
        cmocka_unit_test(the_attempt_that_is_first_counts_and_its_copy_is_revoked),
        cmocka_unit_test(a_copy_on_a_worker_that_leaves_ends_there_or_is_stopped),
        cmocka_unit_test(a_copy_goes_on_alone_when_the_slow_worker_leaves),
        cmocka_unit_test(no_copy_goes_to_a_worker_that_leaves),
        cmocka_unit_test(when_one_is_lost_the_other_goes_on),
        cmocka_unit_test(a_failure_of_one_is_blamed_once_and_leaves_the_other),
        cmocka_unit_test(a_suspect_that_was_not_alone_is_not_blamed_for_the_others_suspicion),
        cmocka_unit_test(no_copy_while_others_of_its_phase_wait_or_nobody_is_free),
        cmocka_unit_test(copies_take_a_tenth_of_the_threads_or_one_worker),
        cmocka_unit_test(a_steady_job_gets_none),
        cmocka_unit_test(cancelling_revokes_both),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
