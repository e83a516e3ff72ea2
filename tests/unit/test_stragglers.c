/* Which attempts are slow, told by made-up times. */
#include "tests/lib/cmocka_all.h"

#include "coordinator/stragglers.h"

struct scene {
    struct stragglers stragglers;
    struct stragglers_rule rule;
    uint32_t copied; /* the task that has a copy, UINT32_MAX: none */
};

static bool runs(void *context, const struct timed *timed)
{
    const struct scene *scene = context;

    return timed->attempt.task != scene->copied;
}

static struct sched_attempt map(uint32_t task)
{
    return (struct sched_attempt){1, SCHED_MAP, task, 1};
}

/* Ten maps; so many of them took a second each, and finished 1,000 records. */
static void open_scene(struct scene *scene, uint32_t done)
{
    *scene = (struct scene){.copied = UINT32_MAX};
    scene->rule = (struct stragglers_rule){.kind = SCHED_MAP,
                                           .tasks = 10,
                                           .least_ms = 500,
                                           .now_ms = 1000,
                                           .context = scene,
                                           .runs = runs};
    for (uint32_t i = 0; i < 10; i++) {
        struct sched_attempt attempt = map(i);

        stragglers_began(&scene->stragglers, 100 + i, &attempt, 0);
    }
    for (uint32_t i = 0; i < done; i++) {
        struct sched_attempt attempt = map(i);

        stragglers_ticked(&scene->stragglers, &attempt, 900, 900);
        stragglers_ended(&scene->stragglers, &attempt, 1000);
    }
}

static size_t find_at(struct scene *scene, int64_t now_ms, struct sched_attempt *slow)
{
    scene->rule.now_ms = now_ms;
    return stragglers_find(&scene->stragglers, &scene->rule, slow, 4);
}

static void tick(struct scene *scene, uint32_t task, uint64_t ticks, int64_t now_ms)
{
    struct sched_attempt attempt = map(task);

    stragglers_ticked(&scene->stragglers, &attempt, ticks, now_ms);
}

static void what_takes_half_as_long_again_as_the_median_is_slow(void **state)
{
    struct sched_attempt slow[4], other = map(20);
    struct scene scene;

    (void)state;
    open_scene(&scene, 9);
    assert_int_equal(find_at(&scene, 1500, slow), 0);
    assert_int_equal(find_at(&scene, 1501, slow), 1);
    assert_int_equal(slow[0].task, 9);
    /* It waited in a hand for another of that worker to end, and is younger than it seems. */
    stragglers_began(&scene.stragglers, 109, &other, 0);
    stragglers_ended(&scene.stragglers, &other, 400);
    assert_int_equal(find_at(&scene, 1501, slow), 0);
    assert_int_equal(find_at(&scene, 1901, slow), 1);
    stragglers_done(&scene.stragglers);
}

static void nothing_is_known_before_a_few_are_done(void **state)
{
    struct sched_attempt slow[4];
    struct scene scene;

    (void)state;
    open_scene(&scene, 2);
    assert_int_equal(find_at(&scene, 90000, slow), 0);
    /* Unless there are no more. */
    scene.rule.tasks = 4;
    assert_int_equal(find_at(&scene, 90000, slow), 4);
    stragglers_done(&scene.stragglers);
}

static void what_is_young_or_has_a_copy_is_not_slow(void **state)
{
    struct sched_attempt slow[4];
    struct scene scene;

    (void)state;
    open_scene(&scene, 8);
    scene.rule.least_ms = 3000;
    assert_int_equal(find_at(&scene, 2500, slow), 0);
    assert_int_equal(find_at(&scene, 3500, slow), 2);
    scene.copied = 8;
    assert_int_equal(find_at(&scene, 3500, slow), 1);
    assert_int_equal(slow[0].task, 9);
    stragglers_done(&scene.stragglers);
}

static void who_ends_last_comes_first(void **state)
{
    struct sched_attempt slow[4];
    struct scene scene;

    (void)state;
    open_scene(&scene, 7);
    tick(&scene, 7, 800, 2000); /* 400 a second: nearly there */
    tick(&scene, 8, 100, 2000); /* 50 a second */
    tick(&scene, 9, 300, 2000);
    assert_int_equal(find_at(&scene, 2000, slow), 3);
    assert_int_equal(slow[0].task, 8);
    assert_int_equal(slow[1].task, 9);
    assert_int_equal(slow[2].task, 7);
    /* If there is no room for all, these are told. */
    assert_int_equal(stragglers_find(&scene.stragglers, &scene.rule, slow, 2), 2);
    assert_int_equal(slow[0].task, 8);
    assert_int_equal(slow[1].task, 9);
    stragglers_done(&scene.stragglers);
}

static void a_low_rate_is_slow_long_before_the_time_is_over(void **state)
{
    struct sched_attempt slow[4];
    struct scene scene;

    (void)state;
    open_scene(&scene, 8);
    tick(&scene, 8, 30, 600);
    tick(&scene, 9, 590, 600);
    assert_int_equal(find_at(&scene, 600, slow), 1);
    assert_int_equal(slow[0].task, 8);
    stragglers_done(&scene.stragglers);
}

static void reduces_are_measured_by_reduces(void **state)
{
    struct sched_attempt slow[4], reduce = {1, SCHED_REDUCE, 0, 1};
    struct scene scene;

    (void)state;
    open_scene(&scene, 8);
    stragglers_began(&scene.stragglers, 7, &reduce, 1000);
    scene.rule.kind = SCHED_REDUCE;
    assert_int_equal(find_at(&scene, 90000, slow), 0);
    stragglers_forget(&scene.stragglers, &reduce);
    stragglers_done(&scene.stragglers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_takes_half_as_long_again_as_the_median_is_slow),
        cmocka_unit_test(nothing_is_known_before_a_few_are_done),
        cmocka_unit_test(what_is_young_or_has_a_copy_is_not_slow),
        cmocka_unit_test(who_ends_last_comes_first),
        cmocka_unit_test(a_low_rate_is_slow_long_before_the_time_is_over),
        cmocka_unit_test(reduces_are_measured_by_reduces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
