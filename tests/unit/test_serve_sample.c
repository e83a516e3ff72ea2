/* The coordinator and jobs in total order: who is told what of the ranges of the parts, and
 * what is believed of them. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "flow/sample.h"
#include "tests/lib/folder.h"
#include "tests/lib/peer.h"

struct scene {
    struct house *house;
    struct peer *client, *worker;
    struct order order;
    uint64_t job;
};

/* A job of three maps, which was checked and asks for total order. */
static struct scene *scene_open(uint32_t reducers)
{
    struct scene *s = memory_zeroed(1, sizeof *s);
    struct answer answer;
    Mr__Assign *check;

    s->house = house_open(NULL);
    s->client = peer_join(s->house, MR__ROLE__CLIENT, "client");
    s->worker = peer_join(s->house, MR__ROLE__WORKER, "worker");
    order_fill(&s->order, s->house, "out");
    s->order.spec.split_size = 4;
    s->order.spec.reducers = reducers;
    s->job = peer_submits(s->client, &s->order);
    check = peer_task(s->worker, MR__TASK_KIND__CHECK);
    answer_fill(&answer, s->worker, check);
    answer.description.total_order = true;
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    frame_free(&check->base);
    return s;
}

static void scene_close(struct scene *s)
{
    peer_close(s->client);
    peer_close(s->worker);
    house_close(s->house);
    free(s);
}

static void say_points(struct peer *worker, const Mr__Assign *sample, const char *const *words,
                       size_t n)
{
    Mr__Ranges ranges = MR__RANGES__INIT;
    ProtobufCBinaryData points[8];
    struct answer answer;

    for (size_t i = 0; i < n; i++)
        points[i] = BYTES(words[i]);
    ranges.prefix = BYTES("pre");
    ranges.points = points;
    ranges.n_points = n;
    answer_fill(&answer, worker, sample);
    answer.done.ranges = &ranges;
    peer_say(worker, FRAME_TASK_DONE, &answer.done.base);
}

/* The next announcement that the worker hears has the points "b" and "d". */
static void expect_ranges(struct peer *worker)
{
    Mr__JobOpen *open = peer_hears(worker, FRAME_JOB_OPEN);

    assert_non_null(open->ranges);
    assert_int_equal(open->parts, 3);
    assert_true(bytes_are(open->ranges->prefix, "pre"));
    assert_int_equal(open->ranges->n_points, 2);
    assert_true(bytes_are(open->ranges->points[0], "b"));
    assert_true(bytes_are(open->ranges->points[1], "d"));
    frame_free(&open->base);
}

static void who_knows_the_job_and_who_does_not_are_told_the_ranges(void **state)
{
    struct scene *s = scene_open(3);
    Mr__Assign *sample = peer_task(s->worker, MR__TASK_KIND__SAMPLE), *map;
    struct peer *late = peer_join(s->house, MR__ROLE__WORKER, "late");

    (void)state;
    assert_int_equal(sample->task, 0);
    assert_true(sample->n_extents > 0);
    assert_int_equal(sample->extents[0]->offset, 0);
    say_points(s->worker, sample, (const char *const[]){"b", "d"}, 2);
    expect_ranges(s->worker);
    expect_ranges(late);
    map = peer_task(s->worker, MR__TASK_KIND__MAP);
    peer_does(s->worker, map);
    frame_free(&map->base);
    map = peer_task(late, MR__TASK_KIND__MAP);
    frame_free(&map->base);
    peer_say(late, FRAME_GOODBYE, NULL);
    peer_close(late);
    peer_works(s->worker, s->job);
    frame_free(&peer_sees_end(s->client, s->job, "done")->base);
    frame_free(&sample->base);
    scene_close(s);
}

/* The job still waits for its sample. */
static void expect_untouched(struct scene *s)
{
    Mr__Jobs *answer;

    peer_settle(s->worker);
    answer = peer_asks(s->client, MR__QUESTION__ONE_JOB, s->job, FRAME_JOBS);
    assert_true(bytes_are(answer->jobs[0]->state, "running"));
    assert_int_equal(answer->jobs[0]->running, 1);
    assert_int_equal(answer->jobs[0]->maps_done, 0);
    frame_free(&answer->base);
}

static void ranges_that_make_no_sense_are_not_believed(void **state)
{
    struct scene *s = scene_open(3);
    Mr__Assign *sample = peer_task(s->worker, MR__TASK_KIND__SAMPLE);
    cleanup_free char *large = memory_zeroed(1, SAMPLE_RANGES_MAX);
    struct answer answer;

    (void)state;
    answer_fill(&answer, s->worker, sample);
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    expect_untouched(s);
    say_points(s->worker, sample, NULL, 0);
    expect_untouched(s);
    say_points(s->worker, sample, (const char *const[]){"b"}, 1);
    expect_untouched(s);
    say_points(s->worker, sample, (const char *const[]){"b", "c", "d"}, 3);
    expect_untouched(s);
    say_points(s->worker, sample, (const char *const[]){"d", "b"}, 2);
    expect_untouched(s);
    memset(large, 'x', SAMPLE_RANGES_MAX - 1);
    say_points(s->worker, sample, (const char *const[]){"d", large}, 2);
    expect_untouched(s);
    say_points(s->worker, sample, (const char *const[]){"b", "d"}, 2);
    expect_ranges(s->worker);
    /* Again, and otherwise: it was taken, and that counts. */
    say_points(s->worker, sample, (const char *const[]){"a", "b"}, 2);
    peer_works(s->worker, s->job);
    frame_free(&peer_sees_end(s->client, s->job, "done")->base);
    frame_free(&sample->base);
    scene_close(s);
}

static void one_part_needs_no_sample(void **state)
{
    struct scene *s = scene_open(1);

    (void)state;
    frame_free(&peer_task(s->worker, MR__TASK_KIND__MAP)->base);
    scene_close(s);
}

/* The coordinator sees the file as it was: the worker is the one that does not. */
static void a_worker_that_does_not_see_the_input_is_left_out(void **state)
{
    struct scene *s = scene_open(3);
    Mr__Assign *sample = peer_task(s->worker, MR__TASK_KIND__SAMPLE);
    struct peer *other;

    (void)state;
    peer_fails(s->worker, sample, ERROR_INPUT, true, "no such file here");
    frame_free(&sample->base);
    peer_settle(s->worker);
    other = peer_join(s->house, MR__ROLE__WORKER, "other");
    sample = peer_task(other, MR__TASK_KIND__SAMPLE);
    assert_int_equal(sample->attempt, 2);
    frame_free(&sample->base);
    peer_close(other);
    scene_close(s);
}

static void a_sample_of_a_changed_input_fails_the_job(void **state)
{
    struct scene *s = scene_open(3);
    Mr__Assign *sample = peer_task(s->worker, MR__TASK_KIND__SAMPLE);
    Mr__Finished *end;
    Mr__Logs *logs;

    (void)state;
    folder_text(s->house->folder, "input", "changed");
    peer_fails(s->worker, sample, ERROR_INPUT, true, "it changed");
    end = peer_sees_end(s->client, s->job, "failed");
    assert_int_equal(end->error->code, ERROR_INPUT);
    assert_true(bytes_contain(end->error->text, "it changed"));
    frame_free(&end->base);
    logs = peer_asks(s->client, MR__QUESTION__JOB_LOGS, s->job, FRAME_LOGS);
    assert_int_equal(logs->entries[0]->kind, MR__TASK_KIND__SAMPLE);
    frame_free(&logs->base);
    frame_free(&sample->base);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_knows_the_job_and_who_does_not_are_told_the_ranges),
        cmocka_unit_test(ranges_that_make_no_sense_are_not_believed),
        cmocka_unit_test(one_part_needs_no_sample),
        cmocka_unit_test(a_worker_that_does_not_see_the_input_is_left_out),
        cmocka_unit_test(a_sample_of_a_changed_input_fails_the_job),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
