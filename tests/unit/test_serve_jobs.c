/* The coordinator and its clients: submissions, waiting, questions, what is remembered. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "tests/lib/folder.h"
#include "tests/lib/peer.h"

/* A house with one client and one worker, and an order to "out". */
struct scene {
    struct house *house;
    struct peer *client, *worker;
    struct order order;
};

static struct scene *scene_open(const struct coordinator_options *options)
{
    struct scene *scene = memory_zeroed(1, sizeof *scene);

    scene->house = house_open(options);
    scene->client = peer_join(scene->house, MR__ROLE__CLIENT, "client");
    scene->worker = peer_join(scene->house, MR__ROLE__WORKER, "worker");
    order_fill(&scene->order, scene->house, "out");
    return scene;
}

static void scene_close(struct scene *scene)
{
    peer_close(scene->client);
    peer_close(scene->worker);
    house_close(scene->house);
    free(scene);
}

static void a_job_takes_its_object_and_ends_with_its_parts(void **state)
{
    struct scene *s = scene_open(NULL);
    Mr__Finished *end;
    uint64_t job;
    char *part;

    (void)state;
    s->order.spec.reducers = 3;
    job = peer_submits(s->client, &s->order);
    peer_works(s->worker, job);
    end = peer_sees_end(s->client, job, "done");
    assert_int_equal(end->maps, 1);
    assert_int_equal(end->reduces, 3);
    assert_int_equal(end->parts, 3);
    assert_true(bytes_are(end->output, s->order.output));
    assert_null(end->error);
    frame_free(&end->base);
    part = folder_read(s->house->folder, "out/part-00002", NULL);
    assert_string_equal(part, "worker made part 2\n");
    free(part);
    scene_close(s);
}

static void an_object_is_asked_for_once_alone(void **state)
{
    struct scene *s = scene_open(NULL);
    Mr__Submitted *answer;

    (void)state;
    peer_submits(s->client, &s->order);
    order_fill(&s->order, s->house, "out-2");
    peer_say(s->client, FRAME_SUBMIT, &s->order.submit.base);
    answer = peer_hears(s->client, FRAME_SUBMITTED);
    assert_int_equal(answer->n_needs, 0);
    assert_int_not_equal(answer->job, 0);
    frame_free(&answer->base);
    scene_close(s);
}

static Mr__Blob blob_get(struct peer *worker, const uint8_t *hash, uint64_t offset)
{
    Mr__BlobGet wanted = MR__BLOB_GET__INIT;
    Mr__Blob *piece, copy;

    wanted.sha256 = (ProtobufCBinaryData){32, (uint8_t *)(uintptr_t)hash};
    wanted.offset = offset;
    peer_say(worker, FRAME_BLOB_GET, &wanted.base);
    piece = peer_hears(worker, FRAME_BLOB);
    copy = *piece;
    piece->data = (ProtobufCBinaryData){0};
    frame_free(&piece->base);
    return copy;
}

static void a_worker_gets_the_object_and_learns_what_is_not_there(void **state)
{
    struct scene *s = scene_open(NULL);
    uint8_t unknown[32] = {1, 2, 3};
    Mr__Blob piece;

    (void)state;
    peer_submits(s->client, &s->order);
    piece = blob_get(s->worker, s->order.hash, 0);
    assert_int_equal(piece.total, s->order.blob.size);
    assert_int_equal(piece.data.len, s->order.blob.size);
    assert_true(bytes_contain(piece.data, "known by its hash"));
    free(piece.data.data);
    piece = blob_get(s->worker, s->order.hash, 10);
    assert_int_equal(piece.data.len, s->order.blob.size - 10);
    free(piece.data.data);
    piece = blob_get(s->worker, s->order.hash, UINT64_MAX);
    assert_int_equal(piece.data.len, 0);
    piece = blob_get(s->worker, unknown, 0);
    assert_int_equal(piece.total, 0);
    assert_int_equal(piece.data.len, 0);
    scene_close(s);
}

static void pieces_that_do_not_fit_are_refused_with_words(void **state)
{
    struct scene *s = scene_open(NULL);
    Mr__Blob piece = MR__BLOB__INIT;
    Mr__Submitted *answer;

    (void)state;
    for (int i = 0; i < 3; i++) {
        piece.sha256 = s->order.blob.sha256;
        piece.total = 5;
        piece.data = BYTES("other");
        if (i == 0)
            piece.sha256.len = 31;
        else if (i == 1)
            piece.offset = 1;
        else
            piece.offset = 0; /* whole, but of another hash */
        peer_say(s->client, FRAME_BLOB, &piece.base);
        answer = peer_hears(s->client, FRAME_SUBMITTED);
        assert_non_null(answer->error);
        assert_true(answer->error->text.len > 0);
        frame_free(&answer->base);
    }
    peer_submits(s->client, &s->order);
    scene_close(s);
}

/* ---- Nonsense --------------------------------------------------------------------------- */

static void a_submission_that_lacks_something_is_refused(void **state)
{
    struct scene *s = scene_open(NULL);
    struct order *order = &s->order;

    (void)state;
    order->submit.spec = NULL;
    peer_refused(s->client, order, ERROR_USAGE, "lacks");
    order->submit.spec = &order->spec;
    order->spec.n_blobs = 0;
    peer_refused(s->client, order, ERROR_USAGE, "lacks an object");
    order->spec.n_blobs = 1;
    order->spec.output.len = 0;
    peer_refused(s->client, order, ERROR_USAGE, "output");
    order->spec.output = BYTES(order->output);
    order->spec.n_inputs = 0;
    peer_refused(s->client, order, ERROR_USAGE, "input");
    order->spec.n_inputs = 1;
    order->blob.sha256.len = 31;
    peer_refused(s->client, order, ERROR_USAGE, "hash");
    order->blob.sha256.len = 0;
    peer_refused(s->client, order, ERROR_USAGE, "hash");
    order->blob.sha256.len = 32;
    order->blob.name.len = 0;
    peer_refused(s->client, order, ERROR_USAGE, "name");
    order->blob.name = BYTES("../escape.so");
    peer_refused(s->client, order, ERROR_USAGE, "name");
    order->blob.name = BYTES("played.so");
    order->spec.reducers = LIMIT_PARTS + 1;
    peer_refused(s->client, order, ERROR_USAGE, "16384");
    order->spec.reducers = 20000;
    peer_refused(s->client, order, ERROR_USAGE, "20000");
    order->spec.reducers = 1;
    peer_works(s->worker, peer_submits(s->client, order));
    scene_close(s);
}

static void too_many_files_are_refused(void **state)
{
    struct scene *s = scene_open(NULL);
    Mr__BlobRef *many[LIMIT_BLOBS + 1];

    (void)state;
    for (size_t i = 0; i < LIMIT_BLOBS + 1; i++)
        many[i] = &s->order.blob;
    s->order.spec.blobs = many;
    s->order.spec.n_blobs = LIMIT_BLOBS + 1;
    peer_refused(s->client, &s->order, ERROR_USAGE, "65 files");
    scene_close(s);
}

/* What goes to workers with it has to fit into a message, too. */
static void a_submission_that_fills_a_message_is_refused(void **state)
{
    enum { MANY = LIMIT_MESSAGE / LIMIT_VALUE };
    struct scene *s = scene_open(NULL);
    cleanup_free char *text = memory_new(LIMIT_VALUE);
    Mr__Param param = MR__PARAM__INIT, *params[MANY];

    (void)state;
    memset(text, 'x', LIMIT_VALUE);
    param.name = BYTES("big");
    param.value = (ProtobufCBinaryData){LIMIT_VALUE - 1024, (uint8_t *)text};
    for (int i = 0; i < MANY; i++)
        params[i] = &param;
    s->order.spec.params = params;
    s->order.spec.n_params = MANY;
    peer_refused(s->client, &s->order, ERROR_USAGE, "parameters and names take");
    s->order.spec.n_params = MANY / 4;
    peer_works(s->worker, peer_submits(s->client, &s->order));
    scene_close(s);
}

static void inputs_and_outputs_that_cannot_be_are_refused(void **state)
{
    struct scene *s = scene_open(NULL);
    struct order *order = &s->order;
    struct peer *another = peer_join(s->house, MR__ROLE__CLIENT, "another");

    (void)state;
    order->inputs[0] = BYTES("/nowhere/at/all");
    peer_refused(s->client, order, ERROR_INPUT, "/nowhere/at/all");
    order->inputs[0] = BYTES(order->input);
    folder_text(s->house->folder, "full/part-00000", "of another job");
    snprintf(order->output, sizeof order->output, "%s/full", s->house->folder);
    order->spec.output = BYTES(order->output);
    peer_refused(s->client, order, ERROR_OUTPUT, "not empty");
    order->spec.output = BYTES("relative");
    peer_refused(s->client, order, ERROR_OUTPUT, "absolute");
    /* One that another's job writes, though nothing of it is there yet. */
    order_fill(order, s->house, "out");
    peer_submits(another, order);
    peer_refused(s->client, order, ERROR_OUTPUT, "is being written by job");
    strcat(order->output, "//");
    order->spec.output = BYTES(order->output);
    peer_refused(s->client, order, ERROR_OUTPUT, "is being written by job");
    peer_close(another);
    scene_close(s);
}

/* ---- Waiting and asking ----------------------------------------------------------------- */

static void two_clients_that_wait_are_both_told_the_end(void **state)
{
    struct scene *s = scene_open(NULL);
    struct peer *second = peer_join(s->house, MR__ROLE__CLIENT, "second");
    struct peer *late = peer_join(s->house, MR__ROLE__CLIENT, "late");
    uint64_t job = peer_submits(s->client, &s->order);
    Mr__Assign *check = peer_task(s->worker, MR__TASK_KIND__CHECK);

    (void)state;
    frame_free(peer_asks(second, MR__QUESTION__WAIT_JOB, job, FRAME_PROGRESS));
    peer_does(s->worker, check);
    frame_free(&check->base);
    peer_works(s->worker, job);
    frame_free(&peer_sees_end(s->client, job, "done")->base);
    frame_free(&peer_sees_end(second, job, "done")->base);
    /* And who comes when it is over is told at once. */
    frame_free(peer_asks(late, MR__QUESTION__WAIT_JOB, job, FRAME_FINISHED));
    peer_close(second);
    peer_close(late);
    scene_close(s);
}

static void who_detaches_is_told_no_more_until_it_asks(void **state)
{
    struct scene *s = scene_open(NULL);
    ProtobufCMessage *message;
    uint64_t job;

    (void)state;
    s->order.submit.detach = true;
    job = peer_submits(s->client, &s->order);
    peer_works(s->worker, job);
    peer_settle(s->worker);
    /* The very next thing that it hears is the answer. */
    {
        Mr__Query query = MR__QUERY__INIT;

        peer_say(s->client, FRAME_QUERY, &query.base);
    }
    assert_int_equal(peer_next(s->client, &message), FRAME_JOBS);
    assert_int_equal(((Mr__Jobs *)message)->n_jobs, 1);
    assert_true(bytes_are(((Mr__Jobs *)message)->jobs[0]->state, "done"));
    frame_free(message);
    frame_free(peer_asks(s->client, MR__QUESTION__WAIT_JOB, job, FRAME_FINISHED));
    scene_close(s);
}

static void a_client_that_vanishes_leaves_its_job_to_others(void **state)
{
    struct coordinator_options options = house_usual();
    struct scene *s;
    struct peer *second;
    uint64_t job;

    (void)state;
    options.lease_ms = 500;
    s = scene_open(&options);
    second = peer_join(s->house, MR__ROLE__CLIENT, "second");
    s->worker->beats = second->beats = true;
    job = peer_submits(s->client, &s->order);
    frame_free(peer_asks(second, MR__QUESTION__WAIT_JOB, job, FRAME_PROGRESS));
    /* Neither who hangs up nor who falls silent is waited for. */
    peer_close(s->client);
    s->client = NULL;
    peer_works(s->worker, job);
    frame_free(&peer_sees_end(second, job, "done")->base);
    peer_close(second);
    scene_close(s);
}

static void questions_about_jobs_that_are_not_there_are_answered_with_words(void **state)
{
    static const Mr__Question questions[] = {MR__QUESTION__ONE_JOB, MR__QUESTION__WAIT_JOB,
                                             MR__QUESTION__JOB_LOGS, (Mr__Question)99};
    static const uint64_t unknown[] = {0, 1, 0xabcdef012345, UINT64_MAX};
    struct scene *s = scene_open(NULL);
    Mr__Cancel cancel = MR__CANCEL__INIT;

    (void)state;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        for (size_t k = 0; k < sizeof questions / sizeof *questions; k++) {
            Mr__Query query = MR__QUERY__INIT;

            query.question = questions[k];
            query.job = unknown[i];
            peer_say(s->client, FRAME_QUERY, &query.base);
            peer_hears_error(s->client, ERROR_STALE, "there is no job");
        }
        cancel.job = unknown[i];
        peer_say(s->client, FRAME_CANCEL, &cancel.base);
        peer_hears_error(s->client, ERROR_STALE, "there is no job");
    }
    scene_close(s);
}

/* A client of the next version would wait for ever. */
static void a_question_that_nobody_knows_is_answered_with_words(void **state)
{
    struct scene *s = scene_open(NULL);
    Mr__Query query = MR__QUERY__INIT;

    (void)state;
    query.job = peer_submits(s->client, &s->order);
    query.question = (Mr__Question)99;
    peer_say(s->client, FRAME_QUERY, &query.base);
    peer_hears_error(s->client, ERROR_USAGE, "question");
    scene_close(s);
}

static void a_cancelled_job_is_revoked_and_leaves_nothing(void **state)
{
    struct scene *s = scene_open(NULL);
    uint64_t job = peer_submits(s->client, &s->order);
    Mr__Cancel cancel = MR__CANCEL__INIT;
    Mr__Assign *assign = peer_task(s->worker, MR__TASK_KIND__CHECK);
    Mr__Revoke *revoke;
    Mr__Finished *end;
    Mr__Reply *reply;
    char *staging;

    (void)state;
    peer_does(s->worker, assign);
    frame_free(&assign->base);
    assign = peer_task(s->worker, MR__TASK_KIND__MAP);
    staging = memory_format("%s.marram-%012llx", s->order.output, (unsigned long long)job);
    assert_int_equal(access(staging, F_OK), 0);
    cancel.job = job;
    peer_say(s->client, FRAME_CANCEL, &cancel.base);
    reply = peer_hears(s->client, FRAME_REPLY);
    assert_null(reply->error);
    frame_free(&reply->base);
    end = peer_sees_end(s->client, job, "cancelled");
    assert_int_equal(end->error->code, ERROR_CANCELLED);
    frame_free(&end->base);
    revoke = peer_hears(s->worker, FRAME_REVOKE);
    assert_int_equal(revoke->kind, MR__TASK_KIND__MAP);
    frame_free(&revoke->base);
    frame_free(peer_hears(s->worker, FRAME_JOB_CLOSE));
    assert_int_not_equal(access(staging, F_OK), 0);
    assert_int_not_equal(access(s->order.output, F_OK), 0);
    /* What comes now is too late, and so is another cancel. */
    peer_does(s->worker, assign);
    peer_say(s->client, FRAME_CANCEL, &cancel.base);
    peer_hears_error(s->client, ERROR_STALE, "has ended already");
    frame_free(&assign->base);
    free(staging);
    scene_close(s);
}

/* ---- What is remembered ----------------------------------------------------------------- */

static void the_fourth_finished_job_pushes_the_first_of_three_out(void **state)
{
    struct coordinator_options options = house_usual();
    struct scene *s;
    uint64_t jobs[4], waiting;
    Mr__Jobs *answer;

    (void)state;
    options.retained = 3;
    s = scene_open(&options);
    for (int i = 0; i < 4; i++) {
        char name[32];

        snprintf(name, sizeof name, "out-%d", i);
        order_fill(&s->order, s->house, name);
        jobs[i] = peer_submits(s->client, &s->order);
        peer_works(s->worker, jobs[i]);
        frame_free(&peer_sees_end(s->client, jobs[i], "done")->base);
        if (i == 2)
            frame_free(peer_asks(s->client, MR__QUESTION__ONE_JOB, jobs[0], FRAME_JOBS));
    }
    /* One that has not finished is none of the three. */
    order_fill(&s->order, s->house, "out-4");
    waiting = peer_submits(s->client, &s->order);
    answer = peer_asks(s->client, MR__QUESTION__ALL_JOBS, 0, FRAME_JOBS);
    assert_int_equal(answer->n_jobs, 4);
    assert_true(answer->jobs[0]->job == waiting);
    for (int i = 1; i < 4; i++)
        assert_true(answer->jobs[i]->job == jobs[4 - i]);
    assert_int_equal(answer->left_out, 0);
    frame_free(&answer->base);
    frame_free(peer_asks(s->client, MR__QUESTION__WAIT_JOB, jobs[0], FRAME_REPLY));
    scene_close(s);
}

static void two_thousand_jobs_are_told_as_far_as_a_message_goes(void **state)
{
    enum { JOBS = 2000, NAME = 1000 };
    struct coordinator_options options = house_usual();
    struct scene *s;
    uint64_t *jobs = memory_new(JOBS * sizeof *jobs);
    char name[NAME + 1];
    Mr__Jobs *answer;
    size_t size;

    (void)state;
    options.retained = JOBS;
    s = scene_open(&options);
    peer_close(s->worker);
    s->worker = NULL;
    memset(name, 'n', NAME);
    name[NAME] = '\0';
    s->order.spec.name = BYTES(name);
    for (int i = 0; i < JOBS; i++) {
        Mr__Cancel cancel = MR__CANCEL__INIT;

        jobs[i] = cancel.job = peer_submits(s->client, &s->order);
        peer_say(s->client, FRAME_CANCEL, &cancel.base);
        frame_free(peer_hears(s->client, FRAME_FINISHED));
    }
    answer = peer_asks(s->client, MR__QUESTION__ALL_JOBS, 0, FRAME_JOBS);
    size = protobuf_c_message_get_packed_size(&answer->base);
    assert_true(size <= LIMIT_MESSAGE);
    assert_true(size > LIMIT_MESSAGE - LIMIT_MESSAGE / 16);
    assert_true(answer->left_out > 0);
    assert_int_equal(answer->n_jobs + answer->left_out, JOBS);
    /* The latest first. */
    for (size_t i = 0; i < answer->n_jobs; i++)
        assert_true(answer->jobs[i]->job == jobs[JOBS - 1 - i]);
    frame_free(&answer->base);
    frame_free(peer_asks(s->client, MR__QUESTION__ONE_JOB, jobs[0], FRAME_JOBS));
    free(jobs);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_takes_its_object_and_ends_with_its_parts),
        cmocka_unit_test(an_object_is_asked_for_once_alone),
        cmocka_unit_test(a_worker_gets_the_object_and_learns_what_is_not_there),
        cmocka_unit_test(pieces_that_do_not_fit_are_refused_with_words),
        cmocka_unit_test(a_submission_that_lacks_something_is_refused),
        cmocka_unit_test(too_many_files_are_refused),
        cmocka_unit_test(a_submission_that_fills_a_message_is_refused),
        cmocka_unit_test(inputs_and_outputs_that_cannot_be_are_refused),
        cmocka_unit_test(two_clients_that_wait_are_both_told_the_end),
        cmocka_unit_test(who_detaches_is_told_no_more_until_it_asks),
        cmocka_unit_test(a_client_that_vanishes_leaves_its_job_to_others),
        cmocka_unit_test(questions_about_jobs_that_are_not_there_are_answered_with_words),
        cmocka_unit_test(a_question_that_nobody_knows_is_answered_with_words),
        cmocka_unit_test(a_cancelled_job_is_revoked_and_leaves_nothing),
        cmocka_unit_test(the_fourth_finished_job_pushes_the_first_of_three_out),
        cmocka_unit_test(two_thousand_jobs_are_told_as_far_as_a_message_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
