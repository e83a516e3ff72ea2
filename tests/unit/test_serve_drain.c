/* What a coordinator says to workers when one of them is to leave. */
#include "tests/lib/cmocka_all.h"

#include <string.h>

#include "tests/lib/peer.h"
#include "wire/frame.h"
#include "wire/hello.h"

/* A job with one map and one reduce; the map is done by `maker`. */
struct scene {
    struct house *house;
    struct peer *client, *maker, *other;
    uint64_t job;
};

static void beat_with_room(struct peer *peer, uint64_t scratch_free)
{
    Mr__Heartbeat heartbeat = MR__HEARTBEAT__INIT;

    heartbeat.sent_ms = 1;
    heartbeat.scratch_free = scratch_free;
    peer_say(peer, FRAME_HEARTBEAT, &heartbeat.base);
}

static void scene_open(struct scene *scene)
{
    struct order order;
    Mr__Assign *task;

    scene->house = house_open(NULL);
    scene->client = peer_join(scene->house, MR__ROLE__CLIENT, "client");
    scene->maker = peer_join(scene->house, MR__ROLE__WORKER, "maker");
    order_fill(&order, scene->house, "out");
    scene->job = peer_submits(scene->client, &order);
    task = peer_task(scene->maker, MR__TASK_KIND__CHECK);
    peer_does(scene->maker, task);
    frame_free(&task->base);
    task = peer_task(scene->maker, MR__TASK_KIND__MAP);
    peer_does(scene->maker, task);
    frame_free(&task->base);
    /* It is given the reduce, which it has not begun to do. */
    task = peer_task(scene->maker, MR__TASK_KIND__REDUCE);
    frame_free(&task->base);
}

static void scene_close(struct scene *scene)
{
    peer_close(scene->client);
    peer_close(scene->maker);
    peer_close(scene->other);
    house_close(scene->house);
}

static Mr__Draining *ask(struct peer *client, const char *worker, bool look)
{
    Mr__Drain drain = MR__DRAIN__INIT;

    drain.worker = BYTES(worker);
    drain.look = look;
    peer_say(client, FRAME_DRAIN, &drain.base);
    return peer_hears(client, FRAME_DRAINING);
}

static void expect_state(struct scene *scene, const char *worker, bool look, const char *state,
                         bool again)
{
    Mr__Draining *draining = ask(scene->client, worker, look);

    assert_true(bytes_are(draining->state, state));
    assert_int_equal(draining->again, again);
    frame_free(&draining->base);
}

static void say_held(struct peer *peer, uint64_t job, const Mr__MapOutput *output,
                     const char *path)
{
    Mr__MapOutput copy = *output, *outputs = &copy;
    Mr__Held held = MR__HELD__INIT;

    copy.path = BYTES(path);
    held.job = job;
    held.outputs = &outputs;
    held.n_outputs = 1;
    peer_say(peer, FRAME_HELD, &held.base);
}

static void outputs_go_to_who_has_room_and_then_the_worker_may_leave(void **state)
{
    struct scene scene;
    Mr__Drain *drain;
    Mr__Take *take;

    (void)state;
    scene_open(&scene);
    expect_state(&scene, "maker", false, "draining", false);
    expect_state(&scene, "maker", false, "draining", true);
    drain = peer_hears(scene.maker, FRAME_DRAIN);
    assert_false(drain->leave);
    assert_true(drain->timeout_ms > 0);
    frame_free(&drain->base);
    scene.other = peer_join(scene.house, MR__ROLE__WORKER, "other");
    beat_with_room(scene.other, (uint64_t)1 << 40);
    take = peer_hears(scene.other, FRAME_TAKE);
    assert_int_equal(take->job, scene.job);
    assert_int_equal(take->n_outputs, 1);
    assert_false(take->link_only);
    say_held(scene.other, scene.job, take->outputs[0], "/new/place");
    frame_free(&take->base);
    /* Who was told the old place is told the new one. */
    for (bool told = false; !told;) {
        Mr__MapOutputs *outputs = peer_hears(scene.maker, FRAME_MAP_OUTPUTS);

        told = outputs->n_outputs == 1 && bytes_are(outputs->outputs[0]->path, "/new/place");
        frame_free(&outputs->base);
    }
    expect_state(&scene, "maker", true, "draining", true); /* the reduce */
    peer_say(scene.maker, FRAME_GOODBYE, NULL);
    for (bool gone = false; !gone;) {
        Mr__Draining *draining = ask(scene.client, "maker", true);

        gone = bytes_are(draining->state, "lost");
        frame_free(&draining->base);
    }
    peer_works(scene.other, scene.job);
    scene_close(&scene);
}

static void without_room_only_a_link_is_asked_for(void **state)
{
    struct scene scene;
    Mr__Take *take;

    (void)state;
    scene_open(&scene);
    scene.other = peer_join(scene.house, MR__ROLE__WORKER, "other");
    beat_with_room(scene.other, 100);
    expect_state(&scene, "maker", false, "draining", false);
    take = peer_hears(scene.other, FRAME_TAKE);
    assert_true(take->link_only);
    frame_free(&take->base);
    scene_close(&scene);
}

/* It is asked again and again, then the map is made again, by another worker. */
static void what_nobody_can_take_is_made_again(void **state)
{
    struct scene scene;
    Mr__Assign *task = NULL;

    (void)state;
    scene_open(&scene);
    scene.other = peer_join(scene.house, MR__ROLE__WORKER, "other");
    beat_with_room(scene.other, (uint64_t)1 << 40);
    expect_state(&scene, "maker", false, "draining", false);
    for (int i = 0; i < 4; i++) {
        Mr__Take *take = peer_hears(scene.other, FRAME_TAKE);
        Mr__Error error = MR__ERROR__INIT;
        Mr__Took took = MR__TOOK__INIT;

        error.code = ERROR_FETCH;
        took.job = scene.job;
        took.task = take->outputs[0]->task;
        took.attempt = take->outputs[0]->attempt;
        took.error = &error;
        peer_say(scene.maker, FRAME_TOOK, &took.base); /* nobody asked it */
        peer_say(scene.other, FRAME_TOOK, &took.base);
        frame_free(&take->base);
    }
    task = peer_task(scene.other, MR__TASK_KIND__MAP);
    assert_int_equal(task->attempt, 2);
    frame_free(&task->base);
    scene_close(&scene);
}

/* Who has been told where the outputs are may wait for one of a worker that is no more. */
static void who_reduces_is_told_of_endpoints_that_are_gone(void **state)
{
    const char *endpoint = "tcp://127.0.0.1:4711";
    struct scene scene = {0};
    Mr__Hello hello;
    Mr__MapOutputs *outputs;

    (void)state;
    scene_open(&scene);
    scene.other = peer_connect(scene.house);
    hello_fill(&hello, MR__ROLE__WORKER);
    hello.name = BYTES("other");
    hello.data_endpoint = BYTES(endpoint);
    peer_say(scene.other, FRAME_HELLO, &hello.base);
    frame_free(peer_hears(scene.other, FRAME_WELCOME));
    peer_say(scene.other, FRAME_GOODBYE, NULL);
    outputs = peer_hears(scene.maker, FRAME_MAP_OUTPUTS);
    assert_int_equal(outputs->n_outputs, 0);
    assert_int_equal(outputs->n_gone, 1);
    assert_true(bytes_are(outputs->gone[0], endpoint));
    frame_free(&outputs->base);
    scene_close(&scene);
}

static void unknown_workers_are_named(void **state)
{
    struct house *house = house_open(NULL);
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    Mr__Drain drain = MR__DRAIN__INIT;

    (void)state;
    drain.worker = BYTES("nobody");
    peer_say(client, FRAME_DRAIN, &drain.base);
    peer_hears_error(client, ERROR_JOB, "nobody");
    drain.worker = BYTES("client"); /* is none */
    peer_say(client, FRAME_DRAIN, &drain.base);
    peer_hears_error(client, ERROR_JOB, "client");
    peer_close(client);
    house_close(house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_go_to_who_has_room_and_then_the_worker_may_leave),
        cmocka_unit_test(without_room_only_a_link_is_asked_for),
        cmocka_unit_test(what_nobody_can_take_is_made_again),
        cmocka_unit_test(who_reduces_is_told_of_endpoints_that_are_gone),
        cmocka_unit_test(unknown_workers_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
