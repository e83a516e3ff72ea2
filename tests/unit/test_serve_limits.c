/* Limits of a coordinator, as its peers meet them: what is above one is refused with a text
 * that names it, what is at it is taken, and others are served as before. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "tests/lib/folder.h"
#include "tests/lib/peer.h"
#include "wire/hello.h"

struct scene {
    struct house *house;
    struct peer *client, *worker;
    struct order order;
};

static struct scene *open_scene(void)
{
    struct scene *s = memory_zeroed(1, sizeof *s);

    s->house = house_open(NULL);
    s->client = peer_join(s->house, MR__ROLE__CLIENT, "client");
    s->worker = peer_join(s->house, MR__ROLE__WORKER, "worker");
    s->client->beats = s->worker->beats = true;
    order_fill(&s->order, s->house, "out");
    return s;
}

static void close_scene(struct scene *s)
{
    peer_close(s->worker);
    peer_close(s->client);
    house_close(s->house);
    free(s);
}

/* The order is taken, and becomes a job like any other. */
static void expect_taken(struct scene *s)
{
    uint64_t job = peer_submits(s->client, &s->order);

    peer_works(s->worker, job);
    frame_free(&peer_sees_end(s->client, job, "done")->base);
}

/* What was refused before has left nothing behind. */
static void expect_usual_job(struct scene *s)
{
    order_fill(&s->order, s->house, "last");
    expect_taken(s);
}

static char *filled(size_t n, char first)
{
    char *text = memory_new(n + 1);

    memset(text, 'x', n);
    text[0] = first;
    text[n] = '\0';
    return text;
}

/* ---- Submissions ------------------------------------------------------------------------ */

static void as_many_parameters_as_may_are_given_and_one_more_is_refused(void **state)
{
    struct scene *s = open_scene();
    Mr__Param param = MR__PARAM__INIT;
    cleanup_free Mr__Param **params = memory_new((LIMIT_GIVEN + 1) * sizeof *params);

    (void)state;
    param.name = BYTES("p");
    for (int i = 0; i <= LIMIT_GIVEN; i++)
        params[i] = &param;
    s->order.spec.params = params;
    s->order.spec.n_params = LIMIT_GIVEN + 1;
    peer_refused(s->client, &s->order, ERROR_USAGE, "1025 parameters are given with -p");
    s->order.spec.n_params = LIMIT_GIVEN;
    expect_taken(s);
    close_scene(s);
}

static void parameters_have_names_and_values_of_some_length(void **state)
{
    struct scene *s = open_scene();
    Mr__Param param = MR__PARAM__INIT, *params[] = {&param};
    cleanup_free char *long_name = filled(LIMIT_NAME + 1, 'x');
    cleanup_free char *long_value = filled(LIMIT_VALUE + 1, 'x');

    (void)state;
    s->order.spec.params = params;
    s->order.spec.n_params = 1;
    peer_refused(s->client, &s->order, ERROR_USAGE, "no name");
    param.name = BYTES(long_name);
    peer_refused(s->client, &s->order, ERROR_USAGE, "has 65 bytes, the limit is 64");
    param.name = BYTES("text");
    param.value = BYTES(long_value);
    peer_refused(s->client, &s->order, ERROR_USAGE,
                 "the value of parameter text has 65537 bytes, the limit is 65536");
    param.value = (ProtobufCBinaryData){3, (uint8_t *)"a\0b"};
    peer_refused(s->client, &s->order, ERROR_USAGE, "a NUL");
    param.value = (ProtobufCBinaryData){LIMIT_VALUE, (uint8_t *)long_value};
    expect_taken(s);
    close_scene(s);
}

static void inputs_are_so_many_and_their_paths_so_long(void **state)
{
    struct scene *s = open_scene();
    size_t many = LIMIT_INPUTS + 1;
    cleanup_free ProtobufCBinaryData *inputs = memory_new(many * sizeof *inputs);
    cleanup_free char *long_path = filled(LIMIT_PATH + 1, '/');

    (void)state;
    for (size_t i = 0; i < many; i++)
        inputs[i] = BYTES("range:1");
    s->order.spec.inputs = inputs;
    s->order.spec.n_inputs = many;
    peer_refused(s->client, &s->order, ERROR_USAGE, "65537 inputs are named");
    s->order.spec.n_inputs = 1;
    inputs[0] = BYTES(long_path);
    peer_refused(s->client, &s->order, ERROR_USAGE, "a path of 4096 bytes, the limit is 4095");
    inputs[0] = (ProtobufCBinaryData){4, (uint8_t *)"/a\0b"};
    peer_refused(s->client, &s->order, ERROR_USAGE, "is not an absolute path");
    inputs[0] = BYTES("relative");
    peer_refused(s->client, &s->order, ERROR_USAGE, "'relative' is not an absolute path");
    expect_usual_job(s);
    close_scene(s);
}

static void outputs_and_names_are_so_long(void **state)
{
    struct scene *s = open_scene();
    cleanup_free char *long_path = filled(LIMIT_PATH + 1, '/');
    cleanup_free char *long_title = filled(LIMIT_TITLE + 1, 'x');

    (void)state;
    s->order.spec.output = BYTES(long_path);
    peer_refused(s->client, &s->order, ERROR_USAGE, "a path of 4096 bytes");
    order_fill(&s->order, s->house, "out");
    s->order.spec.name = BYTES(long_title);
    peer_refused(s->client, &s->order, ERROR_USAGE, "the job's name has 1025 bytes");
    s->order.spec.name.len = LIMIT_TITLE;
    s->order.blob.name = BYTES(long_title);
    peer_refused(s->client, &s->order, ERROR_USAGE, "the file name 'xxx");
    s->order.blob.name = BYTES("job.so");
    expect_taken(s);
    close_scene(s);
}

static void as_many_jobs_wait_as_may_and_one_more_is_refused(void **state)
{
    struct scene *s = open_scene();
    Mr__Cancel cancel = MR__CANCEL__INIT;

    (void)state;
    s->order.submit.detach = true;
    for (int i = 0; i < LIMIT_JOBS; i++) {
        snprintf(s->order.output, sizeof s->order.output, "%s/out-%d", s->house->folder, i);
        s->order.spec.output = BYTES(s->order.output);
        cancel.job = peer_submits(s->client, &s->order);
    }
    snprintf(s->order.output, sizeof s->order.output, "%s/one-more", s->house->folder);
    s->order.spec.output = BYTES(s->order.output);
    peer_refused(s->client, &s->order, ERROR_REFUSED, "10000 jobs wait or run");
    /* When one has ended there is room for another. */
    peer_say(s->client, FRAME_CANCEL, &cancel.base);
    frame_free(peer_hears(s->client, FRAME_REPLY));
    peer_submits(s->client, &s->order);
    peer_refused(s->client, &s->order, ERROR_REFUSED, "cancel some");
    close_scene(s);
}

static void more_map_tasks_than_may_be_fail_the_job_by_name(void **state)
{
    struct scene *s = open_scene();
    struct answer answer;
    Mr__Finished *end;
    Mr__Assign *check;
    uint64_t job;

    (void)state;
    s->order.inputs[0] = BYTES("range:2000000");
    s->order.spec.split_size = 8;
    job = peer_submits(s->client, &s->order);
    check = peer_task(s->worker, MR__TASK_KIND__CHECK);
    answer_fill(&answer, s->worker, check);
    answer.description.input_format = BYTES("fixed:8");
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    end = peer_sees_end(s->client, job, "failed");
    assert_true(bytes_contain(end->error->text, "more than 1048576 map tasks"));
    assert_true(bytes_contain(end->error->text, "--split-size 8"));
    assert_true(bytes_contain(end->error->text, "at least 31"));
    frame_free(&end->base);
    frame_free(&check->base);
    frame_free(peer_hears(s->worker, FRAME_JOB_CLOSE));
    /* The object is known by now as one for numbers. */
    order_fill(&s->order, s->house, "fewer");
    s->order.inputs[0] = BYTES("range:2000000");
    s->order.spec.split_size = 16000000;
    expect_taken(s);
    close_scene(s);
}

/* ---- Members ---------------------------------------------------------------------------- */

static void hear_refusal(struct peer *peer, const char *word)
{
    Mr__Refused *refused = peer_hears(peer, FRAME_REFUSED);

    assert_int_equal(refused->error->code, ERROR_REFUSED);
    if (!bytes_contain(refused->error->text, word))
        fail_msg("%.*s", (int)refused->error->text.len, (char *)refused->error->text.data);
    frame_free(&refused->base);
    peer_close(peer);
}

static void workers_with_more_threads_than_may_be_are_refused(void **state)
{
    struct scene *s = open_scene();
    struct peer *peer = peer_connect(s->house);
    Mr__Hello hello;

    (void)state;
    hello_fill(&hello, MR__ROLE__WORKER);
    hello.threads = LIMIT_THREADS + 1;
    peer_say(peer, FRAME_HELLO, &hello.base);
    hear_refusal(peer, "257 threads of a worker are above the limit of 256");
    peer = peer_connect(s->house);
    hello.threads = LIMIT_THREADS;
    peer_say(peer, FRAME_HELLO, &hello.base);
    frame_free(peer_hears(peer, FRAME_WELCOME));
    peer_close(peer);
    peer = peer_connect(s->house);
    hello.libc = (ProtobufCBinaryData){900 << 10, memory_zeroed(1, 900 << 10)};
    peer_say(peer, FRAME_HELLO, &hello.base);
    hear_refusal(peer, "a HELLO of");
    free(hello.libc.data);
    close_scene(s);
}

static void heartbeats_above_their_limit_are_not_kept(void **state)
{
    struct scene *s = open_scene();
    Mr__Heartbeat beat = MR__HEARTBEAT__INIT;
    Mr__Workers *workers;
    cleanup_free uint8_t *much = memory_zeroed(1, LIMIT_MESSAGE / 2);

    (void)state;
    s->worker->beats = false; /* but for these */
    beat.scratch_free = 1;
    beat.probe_error = (ProtobufCBinaryData){LIMIT_MESSAGE / 2, much};
    peer_say(s->worker, FRAME_HEARTBEAT, &beat.base);
    peer_settle(s->worker);
    workers = peer_asks(s->client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
    assert_int_equal(workers->n_workers, 1);
    assert_int_equal(workers->workers[0]->scratch_free, 0);
    frame_free(&workers->base);
    beat.probe_error.len = 1000;
    peer_say(s->worker, FRAME_HEARTBEAT, &beat.base);
    peer_settle(s->worker);
    workers = peer_asks(s->client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
    assert_int_equal(workers->workers[0]->scratch_free, 1);
    frame_free(&workers->base);
    close_scene(s);
}

/* Who asks and does not listen has its session ended; others are answered. */
static void answers_that_a_client_does_not_take_are_kept_up_to_a_limit(void **state)
{
    struct scene *s = open_scene();
    struct peer *deaf = peer_join(s->house, MR__ROLE__CLIENT, "deaf");
    cleanup_free char *title = filled(LIMIT_TITLE, 'x');
    Mr__Query query = MR__QUERY__INIT;
    enum frame_type type = FRAME_ACK;
    ProtobufCMessage *message;
    int asked = 0;

    (void)state;
    s->order.submit.detach = true;
    for (int i = 0; i < 60; i++) {
        snprintf(s->order.output, sizeof s->order.output, "%s/out-%d", s->house->folder, i);
        s->order.spec.output = BYTES(s->order.output);
        s->order.spec.name = BYTES(title);
        peer_submits(s->client, &s->order);
    }
    query.question = MR__QUESTION__ALL_JOBS;
    /* A message is confirmed when it is received: not to look is enough. Each answer has 60
     * KiB. */
    for (; asked < 400; asked++)
        peer_say(deaf, FRAME_QUERY, &query.base);
    frame_free(peer_asks(s->client, MR__QUESTION__ALL_JOBS, 0, FRAME_JOBS));
    while (type != FRAME_FENCED) {
        type = peer_next(deaf, &message);
        frame_free(message);
    }
    peer_close(deaf);
    frame_free(peer_asks(s->client, MR__QUESTION__ALL_JOBS, 0, FRAME_JOBS));
    close_scene(s);
}

/* ---- Logs ------------------------------------------------------------------------------- */

static void the_outputs_of_failed_attempts_are_kept_up_to_a_limit(void **state)
{
    enum { TAIL = 30000 };
    struct scene *s = open_scene();
    uint64_t job = peer_submits(s->client, &s->order);
    Mr__JobClosed closed = MR__JOB_CLOSED__INIT;
    cleanup_free char *text = filled(TAIL, 'y');
    size_t kept = 0;
    struct job *known;

    (void)state;
    frame_free(&peer_task(s->worker, MR__TASK_KIND__CHECK)->base);
    closed.job = job;
    closed.log_tail = BYTES(text);
    for (int i = 0; i < 2 * LIMIT_LOGS / TAIL; i++)
        peer_say(s->worker, FRAME_JOB_CLOSED, &closed.base);
    peer_settle(s->worker);
    house_stop(s->house);
    known = core_job(s->house->coordinator, job);
    for (size_t i = 0; i < known->failure_count; i++)
        kept += strlen(known->failures[i].log_tail);
    assert_in_range(kept, LIMIT_LOGS / 2, LIMIT_LOGS + 100 * known->failure_count);
    assert_string_equal(known->failures[0].log_tail, text);
    assert_non_null(strstr(known->failures[known->failure_count - 1].log_tail, "left out"));
    close_scene(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_parameters_as_may_are_given_and_one_more_is_refused),
        cmocka_unit_test(parameters_have_names_and_values_of_some_length),
        cmocka_unit_test(inputs_are_so_many_and_their_paths_so_long),
        cmocka_unit_test(outputs_and_names_are_so_long),
        cmocka_unit_test(as_many_jobs_wait_as_may_and_one_more_is_refused),
        cmocka_unit_test(more_map_tasks_than_may_be_fail_the_job_by_name),
        cmocka_unit_test(workers_with_more_threads_than_may_be_are_refused),
        cmocka_unit_test(heartbeats_above_their_limit_are_not_kept),
        cmocka_unit_test(answers_that_a_client_does_not_take_are_kept_up_to_a_limit),
        cmocka_unit_test(the_outputs_of_failed_attempts_are_kept_up_to_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
