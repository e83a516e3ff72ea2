/* A coordinator that takes up what another one left in the state folder, as its peers see it.
 */
#include "tests/lib/cmocka_all.h"

#include "base/limits.h"
#include "coordinator/core.h"
#include "coordinator/record.h"
#include "tests/lib/peer.h"

static struct house *open_house(void)
{
    struct coordinator_options options = house_usual();

    options.journal = true;
    return house_open(&options);
}

/* A map's output as a worker that made it tells of it again. */
static void claim(struct peer *worker, const Mr__Assign *map, uint64_t run_id)
{
    struct answer answer;
    Mr__Held held = MR__HELD__INIT;
    Mr__MapOutput *output = &answer.output;

    answer_fill(&answer, worker, map);
    answer.output.run_id = run_id ? run_id : answer.output.run_id;
    held.job = map->job;
    held.outputs = &output;
    held.n_outputs = 1;
    peer_say(worker, FRAME_HELD, &held.base);
}

static void a_submission_with_the_same_token_is_the_same_job(void **state)
{
    struct house *house = open_house();
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    struct order order;
    uint64_t job;

    (void)state;
    order_fill(&order, house, "out");
    order.submit.token = 77;
    order.submit.detach = true;
    job = peer_submits(client, &order);
    assert_int_equal(peer_submits(client, &order), job);
    peer_close(client);
    house_restart(house);
    client = peer_join(house, MR__ROLE__CLIENT, "client");
    assert_int_equal(peer_submits(client, &order), job);
    order.submit.token = 78;
    peer_refused(client, &order, ERROR_OUTPUT, "is being written by job");
    peer_close(client);
    house_close(house);
}

/* Runs a job up to its accepted map, in a life that ends then. */
static Mr__Assign *map_in_a_former_life(struct house *house, uint64_t *ret_job)
{
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    struct peer *worker = peer_join(house, MR__ROLE__WORKER, "worker");
    Mr__Assign *check, *map, *reduce;
    struct order order;

    order_fill(&order, house, "out");
    *ret_job = peer_submits(client, &order);
    check = peer_task(worker, MR__TASK_KIND__CHECK);
    peer_does(worker, check);
    map = peer_task(worker, MR__TASK_KIND__MAP);
    peer_does(worker, map);
    reduce = peer_task(worker, MR__TASK_KIND__REDUCE);
    frame_free(&check->base);
    frame_free(&reduce->base);
    peer_close(client);
    peer_close(worker);
    house_restart(house);
    return map;
}

static void an_output_that_was_kept_is_used(void **state)
{
    struct house *house = open_house();
    struct peer *client, *worker;
    Mr__Assign *reduce, *map;
    Mr__Query query = MR__QUERY__INIT;
    Mr__Finished *finished;

    (void)state;
    map = map_in_a_former_life(house, &query.job);
    client = peer_join(house, MR__ROLE__CLIENT, "client");
    worker = peer_join(house, MR__ROLE__WORKER, "worker");
    query.question = MR__QUESTION__WAIT_JOB;
    peer_say(client, FRAME_QUERY, &query.base);
    claim(worker, map, 0);
    reduce = peer_task(worker, MR__TASK_KIND__REDUCE);
    assert_true(reduce->attempt > SCHED_LIFE_ATTEMPTS);
    peer_does(worker, reduce);
    finished = peer_sees_end(client, query.job, "done");
    frame_free(&finished->base);
    frame_free(&reduce->base);
    frame_free(&map->base);
    peer_close(client);
    peer_close(worker);
    house_close(house);
}

static void expect_revoked(struct peer *worker, uint32_t attempt)
{
    Mr__Revoke *revoke = peer_hears(worker, FRAME_REVOKE);

    assert_int_equal(revoke->kind, MR__TASK_KIND__MAP);
    assert_int_equal(revoke->attempt, attempt);
    frame_free(&revoke->base);
}

static void what_does_not_count_is_dropped(void **state)
{
    struct house *house = open_house();
    struct peer *worker;
    Mr__JobClose *closed;
    Mr__Assign *map;
    uint64_t job;

    (void)state;
    map = map_in_a_former_life(house, &job);
    worker = peer_join(house, MR__ROLE__WORKER, "worker");
    claim(worker, map, 4711); /* not the run that was accepted */
    expect_revoked(worker, map->attempt);
    map->attempt = 9;
    claim(worker, map, 0);
    expect_revoked(worker, 9);
    map->task = 1000000;
    claim(worker, map, 0);
    expect_revoked(worker, 9);
    map->job = 4711;
    claim(worker, map, 0);
    closed = peer_hears(worker, FRAME_JOB_CLOSE);
    assert_int_equal(closed->job, 4711);
    frame_free(&closed->base);
    frame_free(&map->base);
    peer_close(worker);
    house_close(house);
}

static void a_cancel_that_was_answered_stays(void **state)
{
    struct house *house = open_house();
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    Mr__Cancel cancel = MR__CANCEL__INIT;
    Mr__Finished *finished;
    Mr__Reply *reply;
    struct order order;

    (void)state;
    order_fill(&order, house, "out");
    order.submit.detach = true;
    cancel.job = peer_submits(client, &order);
    peer_say(client, FRAME_CANCEL, &cancel.base);
    reply = peer_hears(client, FRAME_REPLY);
    assert_null(reply->error);
    frame_free(&reply->base);
    peer_close(client);
    house_restart(house);
    client = peer_join(house, MR__ROLE__CLIENT, "client");
    finished = peer_asks(client, MR__QUESTION__WAIT_JOB, cancel.job, FRAME_FINISHED);
    assert_true(bytes_are(finished->state, "cancelled"));
    frame_free(&finished->base);
    peer_close(client);
    house_close(house);
}

/* The first start reads the submission, its snapshot tells the next one of the end alone. */
static void the_priority_of_a_job_that_ended_is_remembered(void **state)
{
    struct house *house = open_house();
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    Mr__Cancel cancel = MR__CANCEL__INIT;
    struct order order;

    (void)state;
    order_fill(&order, house, "out");
    order.submit.detach = true;
    order.spec.priority = 8 + 1;
    cancel.job = peer_submits(client, &order);
    peer_say(client, FRAME_CANCEL, &cancel.base);
    frame_free(peer_hears(client, FRAME_REPLY));
    for (int life = 0; life < 3; life++) {
        Mr__Jobs *jobs = peer_asks(client, MR__QUESTION__ONE_JOB, cancel.job, FRAME_JOBS);

        assert_int_equal(jobs->n_jobs, 1);
        assert_int_equal(jobs->jobs[0]->priority, 8);
        frame_free(&jobs->base);
        peer_close(client);
        house_restart(house);
        client = peer_join(house, MR__ROLE__CLIENT, "client");
    }
    peer_close(client);
    house_close(house);
}

/* A job that failed keeps its plan, to be replayed, but none of its tasks' answers: a snapshot
 * while the coordinator runs tells as much of it as one at the start. */
static void a_snapshot_holds_a_job_that_failed(void **state)
{
    struct house *house = open_house();
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    struct peer *worker = peer_join(house, MR__ROLE__WORKER, "worker");
    Mr__Assign *check, *map;
    Mr__Finished *finished;
    struct order order;
    struct error err;
    uint64_t job;

    (void)state;
    order_fill(&order, house, "out");
    job = peer_submits(client, &order);
    check = peer_task(worker, MR__TASK_KIND__CHECK);
    peer_does(worker, check);
    for (int attempt = 0; attempt < LIMIT_ATTEMPTS; attempt++) {
        map = peer_task(worker, MR__TASK_KIND__MAP);
        peer_fails(worker, map, ERROR_JOB, true, "it is broken");
        frame_free(&map->base);
    }
    finished = peer_sees_end(client, job, "failed");
    frame_free(&finished->base);
    frame_free(&check->base);
    peer_close(client);
    peer_close(worker);
    for (int life = 0; life < 2; life++) {
        house_stop(house);
        assert_int_equal(record_snapshot(house->coordinator, &err), 0);
        house_restart(house);
        client = peer_join(house, MR__ROLE__CLIENT, "client");
        finished = peer_asks(client, MR__QUESTION__WAIT_JOB, job, FRAME_FINISHED);
        assert_true(bytes_are(finished->state, "failed"));
        assert_true(bytes_contain(finished->error->text, "it is broken"));
        frame_free(&finished->base);
        peer_close(client);
    }
    house_close(house);
}

/* The first start reads all of it, and writes of it in its snapshot what the second one reads.
 */
static void a_job_that_is_done_stays_done(void **state)
{
    struct house *house = open_house();
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    struct peer *worker = peer_join(house, MR__ROLE__WORKER, "worker");
    Mr__Finished *finished;
    struct order order;
    uint64_t job;

    (void)state;
    order_fill(&order, house, "out");
    job = peer_submits(client, &order);
    peer_works(worker, job);
    finished = peer_sees_end(client, job, "done");
    frame_free(&finished->base);
    peer_close(client);
    peer_close(worker);
    for (int life = 0; life < 3; life++) {
        house_restart(house);
        client = peer_join(house, MR__ROLE__CLIENT, "client");
        finished = peer_asks(client, MR__QUESTION__WAIT_JOB, job, FRAME_FINISHED);
        assert_true(bytes_are(finished->state, "done"));
        frame_free(&finished->base);
        peer_close(client);
    }
    house_close(house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_submission_with_the_same_token_is_the_same_job),
        cmocka_unit_test(an_output_that_was_kept_is_used),
        cmocka_unit_test(what_does_not_count_is_dropped),
        cmocka_unit_test(a_cancel_that_was_answered_stays),
        cmocka_unit_test(the_priority_of_a_job_that_ended_is_remembered),
        cmocka_unit_test(a_snapshot_holds_a_job_that_failed),
        cmocka_unit_test(a_job_that_is_done_stays_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
