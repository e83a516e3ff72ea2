/* The coordinator and workers that say what cannot be: nothing of it stops it, nothing of it
 * counts. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "tests/lib/folder.h"
#include "tests/lib/peer.h"

/* A house with one client and one worker, and a job that they are at. */
struct scene {
    struct house *house;
    struct peer *client, *worker;
    struct order order;
    uint64_t job;
};

/* With the job at its first task. `split` 0: one map. */
static struct scene *scene_open(uint64_t split, uint32_t reducers)
{
    struct scene *scene = memory_zeroed(1, sizeof *scene);

    scene->house = house_open(NULL);
    scene->client = peer_join(scene->house, MR__ROLE__CLIENT, "client");
    scene->worker = peer_join(scene->house, MR__ROLE__WORKER, "worker");
    order_fill(&scene->order, scene->house, "out");
    scene->order.spec.split_size = split;
    scene->order.spec.reducers = reducers;
    scene->job = peer_submits(scene->client, &scene->order);
    return scene;
}

static void scene_close(struct scene *scene)
{
    peer_close(scene->client);
    peer_close(scene->worker);
    house_close(scene->house);
    free(scene);
}

static void do_next(struct scene *s, Mr__TaskKind kind)
{
    Mr__Assign *assign = peer_task(s->worker, kind);

    peer_does(s->worker, assign);
    frame_free(&assign->base);
}

/* The job goes on to its end. */
static void expect_done(struct scene *s)
{
    char *part;

    peer_works(s->worker, s->job);
    frame_free(&peer_sees_end(s->client, s->job, "done")->base);
    part = folder_read(s->house->folder, "out/part-00000", NULL);
    assert_string_equal(part, "worker made part 0\n");
    free(part);
}

/* The job fails and leaves nothing; the error's text contains `word`. */
static void expect_failure(struct scene *s, enum error_code code, const char *word)
{
    Mr__Finished *end = peer_sees_end(s->client, s->job, "failed");
    char *staging =
        memory_format("%s.marram-%012llx", s->order.output, (unsigned long long)s->job);

    assert_int_equal(end->error->code, code);
    if (!bytes_contain(end->error->text, word))
        fail_msg("%.*s", (int)end->error->text.len, (char *)end->error->text.data);
    assert_int_not_equal(access(s->order.output, F_OK), 0);
    assert_int_not_equal(access(staging, F_OK), 0);
    frame_free(&end->base);
    free(staging);
}

static void expect_untouched(struct scene *s)
{
    Mr__Jobs *answer;
    Mr__Logs *logs;

    peer_settle(s->worker);
    answer = peer_asks(s->client, MR__QUESTION__ONE_JOB, s->job, FRAME_JOBS);
    assert_true(bytes_are(answer->jobs[0]->state, "running"));
    assert_int_equal(answer->jobs[0]->maps, 1);
    assert_int_equal(answer->jobs[0]->maps_done, 0);
    assert_int_equal(answer->jobs[0]->reduces_done, 0);
    assert_int_equal(answer->jobs[0]->running, 1);
    assert_int_equal(answer->jobs[0]->failed_attempts, 0);
    frame_free(&answer->base);
    logs = peer_asks(s->client, MR__QUESTION__JOB_LOGS, s->job, FRAME_LOGS);
    assert_int_equal(logs->n_entries, 0);
    frame_free(&logs->base);
}

static void answers_that_make_no_sense_change_nothing(void **state)
{
    static const struct {
        int kind;
        uint32_t task, attempt;
        uint64_t job; /* 0: the right one */
    } lies[] = {
        {MR__TASK_KIND__MAP, 0, 1, 1},
        {77, 0, 1, 0},
        {-1, 0, 1, 0},
        {MR__TASK_KIND__MAP, 0, 0, 0},
        {MR__TASK_KIND__MAP, 0, 2, 0},
        {MR__TASK_KIND__MAP, 1, 1, 0},
        {MR__TASK_KIND__MAP, UINT32_MAX, 1, 0},
        {MR__TASK_KIND__REDUCE, 0, 1, 0},
        {MR__TASK_KIND__CHECK, 0, 1, 0},
        {MR__TASK_KIND__MAP, 0, 1, UINT64_MAX},
    };
    struct scene *s = scene_open(0, 1);
    struct answer answer;
    Mr__Assign *map;

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    map = peer_task(s->worker, MR__TASK_KIND__MAP);
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        answer_fill(&answer, s->worker, map);
        answer.done.job = lies[i].job ? lies[i].job : s->job;
        answer.done.kind = (Mr__TaskKind)lies[i].kind;
        answer.done.task = lies[i].task;
        answer.done.attempt = lies[i].attempt;
        peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
        expect_untouched(s);
    }
    answer_fill(&answer, s->worker, map);
    answer.done.output = NULL;
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    expect_untouched(s);
    peer_does(s->worker, map);
    frame_free(&map->base);
    expect_done(s);
    scene_close(s);
}

static void failures_that_make_no_sense_change_nothing(void **state)
{
    struct scene *s = scene_open(0, 1);
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Assign *map;

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    map = peer_task(s->worker, MR__TASK_KIND__MAP);
    failed.job = s->job;
    failed.kind = MR__TASK_KIND__MAP;
    failed.attempt = 1;
    failed.blamed = true;
    peer_say(s->worker, FRAME_TASK_FAILED, &failed.base); /* no error */
    expect_untouched(s);
    peer_fails(s->worker, map, (enum error_code)9999, true, "no such code");
    expect_untouched(s);
    peer_fails(s->worker, map, (enum error_code)ERROR_CODES, true, "nor this");
    expect_untouched(s);
    for (int i = 0; i < 5; i++) {
        Mr__Assign other = *map;

        other.job = i == 0 ? 1 : s->job;
        other.kind = i == 1 ? (Mr__TaskKind)77 : i == 2 ? MR__TASK_KIND__REDUCE : map->kind;
        other.attempt = i == 3 ? 9 : 1;
        other.task = i == 4 ? 9 : 0;
        peer_fails(s->worker, &other, ERROR_INTERNAL, true, "not its own");
        expect_untouched(s);
    }
    peer_does(s->worker, map);
    frame_free(&map->base);
    expect_done(s);
    scene_close(s);
}

static void what_only_clients_or_coordinators_say_changes_nothing(void **state)
{
    struct scene *s = scene_open(0, 1);
    Mr__Cancel cancel = MR__CANCEL__INIT;
    Mr__JobClose close = MR__JOB_CLOSE__INIT;
    Mr__JobClosed closed = MR__JOB_CLOSED__INIT;
    Mr__Finished finished = MR__FINISHED__INIT;
    Mr__Heartbeat heartbeat = MR__HEARTBEAT__INIT;
    Mr__TaskProgress progress = MR__TASK_PROGRESS__INIT, *many[2000];

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    cancel.job = close.job = finished.job = progress.job = s->job;
    peer_say(s->worker, FRAME_CANCEL, &cancel.base);
    peer_say(s->worker, FRAME_JOB_CLOSE, &close.base);
    peer_say(s->worker, FRAME_FINISHED, &finished.base);
    peer_say(s->worker, FRAME_SUBMIT, &s->order.submit.base);
    peer_say(s->worker, FRAME_FENCED, NULL);
    closed.job = 12345;
    closed.log_tail = BYTES("of no job");
    peer_say(s->worker, FRAME_JOB_CLOSED, &closed.base);
    /* More than are shown. */
    progress.kind = (Mr__TaskKind)77;
    for (size_t i = 0; i < 2000; i++)
        many[i] = &progress;
    heartbeat.tasks = many;
    heartbeat.n_tasks = 2000;
    link_send_once(s->worker->link, 0, FRAME_HEARTBEAT, &heartbeat.base);
    frame_free(peer_hears(s->client, FRAME_PROGRESS));
    {
        Mr__Assign map = MR__ASSIGN__INIT;
        Mr__Extent extent = MR__EXTENT__INIT, *extents[1] = {&extent};

        /* The task was given before, and is dropped with all else that was said. */
        expect_untouched(s);
        extent.length = strlen("a few\nlines\n");
        map.job = s->job;
        map.kind = MR__TASK_KIND__MAP;
        map.attempt = 1;
        map.extents = extents;
        map.n_extents = 1;
        peer_does(s->worker, &map);
    }
    expect_done(s);
    scene_close(s);
}

/* ---- Whose words count ------------------------------------------------------------------ */

/* Waits until one of the two is given a task; *ret says who. */
static Mr__Assign *task_of_either(struct peer *peers[2], int *ret)
{
    struct link_event events[2] = {{.link = peers[0]->link}, {.link = peers[1]->link}};
    int64_t end_ms = clock_ms() + PEER_PATIENCE_MS;

    while (clock_ms() < end_ms) {
        ProtobufCMessage *message;
        enum frame_type type;

        for (*ret = 0; *ret < 2; ++*ret)
            while (peer_glance(peers[*ret], &type, &message)) {
                if (type == FRAME_ASSIGN)
                    return (Mr__Assign *)message;
                frame_free(message);
            }
        link_wait(events, 2, 100);
    }
    fail_msg("nobody was given a task");
    return NULL;
}

static void a_failure_that_a_stranger_reports_is_not_the_cause(void **state)
{
    struct scene *s = scene_open(0, 1);
    struct peer *stranger = peer_join(s->house, MR__ROLE__WORKER, "stranger");
    struct peer *peers[2] = {s->worker, stranger};
    Mr__Logs *logs;

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    for (int i = 0; i < LIMIT_ATTEMPTS; i++) {
        int holder;
        Mr__Assign *map = task_of_either(peers, &holder);

        /* The other says that it failed, too, and first. */
        assert_int_equal(map->kind, MR__TASK_KIND__MAP);
        peer_fails(peers[!holder], map, ERROR_CRASH, true, "a lie");
        peer_settle(peers[!holder]);
        peer_fails(peers[holder], map, ERROR_JOB, true, "the truth");
        frame_free(&map->base);
    }
    expect_failure(s, ERROR_JOB, "the truth");
    logs = peer_asks(s->client, MR__QUESTION__JOB_LOGS, s->job, FRAME_LOGS);
    assert_int_equal(logs->n_entries, LIMIT_ATTEMPTS);
    for (size_t i = 0; i < logs->n_entries; i++)
        assert_true(bytes_are(logs->entries[i]->error->text, "the truth"));
    frame_free(&logs->base);
    peer_close(stranger);
    scene_close(s);
}

static void expect_reason(struct scene *s, const char *words)
{
    Mr__Jobs *answer = peer_asks(s->client, MR__QUESTION__ONE_JOB, s->job, FRAME_JOBS);

    assert_true(bytes_are(answer->jobs[0]->state, "waiting"));
    if (!bytes_are(answer->jobs[0]->reason, words))
        fail_msg("%.*s", (int)answer->jobs[0]->reason.len,
                 (char *)answer->jobs[0]->reason.data);
    frame_free(&answer->base);
}

static void an_answer_that_is_refused_does_not_say_what_is_unseen(void **state)
{
    static const char reason[] = "no worker sees its files: open 'input': no such file";
    struct scene *s = scene_open(0, 1);
    struct peer *other;
    Mr__Assign *map;

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    map = peer_task(s->worker, MR__TASK_KIND__MAP);
    peer_fails(s->worker, map, ERROR_INPUT, false, "open 'input': no such file");
    peer_settle(s->worker);
    expect_reason(s, reason);
    peer_fails(s->worker, map, ERROR_INPUT, false, "something else");
    peer_settle(s->worker);
    expect_reason(s, reason);
    frame_free(&map->base);
    /* Who does see them gets it done. */
    other = peer_join(s->house, MR__ROLE__WORKER, "other");
    peer_works(other, s->job);
    frame_free(&peer_sees_end(s->client, s->job, "done")->base);
    peer_close(other);
    scene_close(s);
}

static void what_is_unseen_the_coordinator_judges_alone(void **state)
{
    static const enum error_code codes[] = {ERROR_UNSEEN, ERROR_NONE};
    struct scene *s = scene_open(0, 1);
    Mr__Assign *map;
    Mr__Logs *logs;

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    /* The worker is not left out of the job by its own word: the task comes back. */
    for (uint32_t i = 0; i < 2; i++) {
        map = peer_task(s->worker, MR__TASK_KIND__MAP);
        assert_int_equal(map->attempt, i + 1);
        peer_fails(s->worker, map, codes[i], false, "I say so");
        frame_free(&map->base);
    }
    logs = peer_asks(s->client, MR__QUESTION__JOB_LOGS, s->job, FRAME_LOGS);
    for (size_t i = 0; i < logs->n_entries; i++)
        assert_int_equal(logs->entries[i]->error->code, ERROR_INTERNAL);
    frame_free(&logs->base);
    expect_done(s);
    scene_close(s);
}

static void an_answer_that_is_said_twice_counts_once(void **state)
{
    struct scene *s = scene_open(0, 1);
    Mr__Assign *map;
    Mr__MapOutputs *outputs;
    struct answer answer;

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    map = peer_task(s->worker, MR__TASK_KIND__MAP);
    answer_fill(&answer, s->worker, map);
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    answer.output.path = BYTES("/elsewhere");
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    outputs = peer_hears(s->worker, FRAME_MAP_OUTPUTS);
    assert_int_equal(outputs->n_outputs, 1);
    assert_true(bytes_are(outputs->outputs[0]->path, "/nowhere/run"));
    frame_free(&outputs->base);
    frame_free(&map->base);
    expect_done(s);
    scene_close(s);
}

/* ---- Lies about the output -------------------------------------------------------------- */

static void a_part_of_another_size_than_was_said_fails_the_commit(void **state)
{
    for (int more = -1; more <= 1; more += 2) {
        struct scene *s = scene_open(0, 2);
        struct answer answer;
        Mr__Assign *reduce;

        do_next(s, MR__TASK_KIND__CHECK);
        do_next(s, MR__TASK_KIND__MAP);
        do_next(s, MR__TASK_KIND__REDUCE);
        reduce = peer_task(s->worker, MR__TASK_KIND__REDUCE);
        peer_writes(s->worker, reduce);
        answer_fill(&answer, s->worker, reduce);
        answer.done.part_size += (uint64_t)more;
        peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
        expect_failure(s, ERROR_DAMAGE, "its writer reported");
        frame_free(&reduce->base);
        scene_close(s);
    }
    (void)state;
}

static void a_part_that_was_never_written_fails_the_commit(void **state)
{
    struct scene *s = scene_open(0, 1);
    struct answer answer;
    Mr__Assign *reduce;

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    do_next(s, MR__TASK_KIND__MAP);
    reduce = peer_task(s->worker, MR__TASK_KIND__REDUCE);
    answer_fill(&answer, s->worker, reduce);
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    expect_failure(s, ERROR_IO, "part-00000.1");
    frame_free(&reduce->base);
    scene_close(s);
}

static void counts_that_do_not_balance_fail_the_commit(void **state)
{
    static const char *const words[] = {"maps read 11", "maps emitted 2 pairs"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene *s = scene_open(0, 1);
        struct answer answer;
        Mr__Assign *map;

        do_next(s, MR__TASK_KIND__CHECK);
        map = peer_task(s->worker, MR__TASK_KIND__MAP);
        answer_fill(&answer, s->worker, map);
        answer.counters[i].value += i ? 1 : -1;
        peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
        do_next(s, MR__TASK_KIND__REDUCE);
        expect_failure(s, ERROR_INTERNAL, words[i]);
        frame_free(&map->base);
        scene_close(s);
    }
}

/* ---- Too much of it --------------------------------------------------------------------- */

/* What is told to others with it must fit into a message. */
static void a_last_output_without_end_is_cut(void **state)
{
    struct scene *s = scene_open(0, 1);
    cleanup_free char *text = memory_new(LIMIT_MESSAGE);
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Error error = MR__ERROR__INIT;
    Mr__Finished *end;

    (void)state;
    memset(text, 'x', LIMIT_MESSAGE);
    failed.job = s->job;
    failed.blamed = true;
    failed.error = &error;
    error.code = ERROR_INPUT;
    error.text = (ProtobufCBinaryData){900, (uint8_t *)text};
    failed.log_tail = (ProtobufCBinaryData){LIMIT_MESSAGE - 1000, (uint8_t *)text};
    memcpy(text + failed.log_tail.len - 8, "the end\n", 8);
    failed.attempt = 1;
    frame_free(&peer_task(s->worker, MR__TASK_KIND__CHECK)->base);
    peer_say(s->worker, FRAME_TASK_FAILED, &failed.base);
    end = peer_sees_end(s->client, s->job, "failed");
    assert_true(end->log_tail.len >= LIMIT_LOG_TAIL);
    assert_true(end->log_tail.len < 8 * LIMIT_LOG_TAIL);
    assert_memory_equal(end->log_tail.data + end->log_tail.len - 8, "the end\n", 8);
    frame_free(&end->base);
    scene_close(s);
}

static void counters_that_nobody_declared_do_not_count(void **state)
{
    enum { COUNTERS = 12000 };
    struct scene *s = scene_open(0, 2);
    Mr__Counter *counters = memory_new(COUNTERS * sizeof *counters), **pointers;
    char(*names)[65] = memory_new(COUNTERS * sizeof *names);
    Mr__Finished *end;

    (void)state;
    pointers = memory_new(COUNTERS * sizeof *pointers);
    do_next(s, MR__TASK_KIND__CHECK);
    for (uint32_t task = 0; task < 3; task++) {
        Mr__TaskKind kind = task ? MR__TASK_KIND__REDUCE : MR__TASK_KIND__MAP;
        Mr__Assign *assign = peer_task(s->worker, kind);
        struct answer answer;

        answer_fill(&answer, s->worker, assign);
        if (kind == MR__TASK_KIND__REDUCE)
            peer_writes(s->worker, assign);
        for (size_t i = 0; i < COUNTERS; i++) {
            snprintf(names[i], sizeof names[i], "counter-%u-%050zu", task, i);
            mr__counter__init(&counters[i]);
            counters[i].name = BYTES(names[i]);
            counters[i].value = 1;
            pointers[i] = &counters[i];
        }
        for (size_t i = 0; i < answer.done.n_counters; i++)
            pointers[i] = answer.pointers[i];
        answer.done.counters = pointers;
        answer.done.n_counters = COUNTERS;
        peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
        frame_free(&assign->base);
    }
    end = peer_sees_end(s->client, s->job, "done");
    assert_true(end->n_counters < 20);
    frame_free(&end->base);
    free(counters);
    free(pointers);
    free(names);
    scene_close(s);
}

static void a_description_above_the_limits_changes_nothing(void **state)
{
    enum { COUNTERS = LIMIT_COUNTERS + 1 };
    struct scene *s = scene_open(0, 1);
    Mr__Assign *check = peer_task(s->worker, MR__TASK_KIND__CHECK);
    ProtobufCBinaryData counters[COUNTERS];
    Mr__Finished *end;
    struct answer answer;
    char names[COUNTERS][8];
    size_t before = 0;

    (void)state;
    answer_fill(&answer, s->worker, check);
    for (size_t i = 0; i < COUNTERS; i++) {
        snprintf(names[i], sizeof names[i], "c%zu", i);
        counters[i] = BYTES(names[i]);
    }
    answer.description.counters = counters;
    answer.description.n_counters = COUNTERS;
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    peer_settle(s->worker);
    answer.description.n_counters--;
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    frame_free(&check->base);
    peer_works(s->worker, s->job);
    end = peer_sees_end(s->client, s->job, "done");
    while (before < end->n_counters && !bytes_are(end->counters[before]->name, "c0"))
        before++;
    assert_int_equal(end->n_counters, before + LIMIT_COUNTERS);
    frame_free(&end->base);
    scene_close(s);
}

static void long_paths_of_map_outputs_travel_in_several_messages(void **state)
{
    enum { MAPS = 400, LONG = 4000 };
    struct scene *s = scene_open(0, 1);
    char bytes[MAPS], path[LONG + 200];
    uint32_t told = 0, messages = 0;

    (void)state;
    memset(path, 'p', sizeof path);
    memset(bytes, 'b', sizeof bytes);
    /* Another job, of many more maps, behind the first. */
    peer_works(s->worker, s->job);
    frame_free(&peer_sees_end(s->client, s->job, "done")->base);
    order_fill(&s->order, s->house, "out-2");
    folder_write(s->house->folder, "input", bytes, sizeof bytes);
    s->order.spec.split_size = 1;
    s->job = peer_submits(s->client, &s->order);
    /* Whose object was checked for the first one. */
    for (int i = 0; i < MAPS; i++) {
        Mr__Assign *map = peer_task(s->worker, MR__TASK_KIND__MAP);
        struct answer answer;

        answer_fill(&answer, s->worker, map);
        /* No file has such a path: it is not believed. */
        answer.output.path = (ProtobufCBinaryData){sizeof path, (uint8_t *)path};
        peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
        answer.output.path.len = LONG;
        peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
        frame_free(&map->base);
    }
    while (told < MAPS) {
        Mr__MapOutputs *outputs = peer_hears(s->worker, FRAME_MAP_OUTPUTS);

        for (size_t i = 0; i < outputs->n_outputs; i++) {
            assert_int_equal(outputs->outputs[i]->task, told++);
            assert_int_equal(outputs->outputs[i]->path.len, LONG);
        }
        messages++;
        frame_free(&outputs->base);
    }
    assert_true(messages > 1);
    peer_works(s->worker, s->job);
    frame_free(&peer_sees_end(s->client, s->job, "done")->base);
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_that_make_no_sense_change_nothing),
        cmocka_unit_test(failures_that_make_no_sense_change_nothing),
        cmocka_unit_test(what_only_clients_or_coordinators_say_changes_nothing),
        cmocka_unit_test(a_failure_that_a_stranger_reports_is_not_the_cause),
        cmocka_unit_test(an_answer_that_is_refused_does_not_say_what_is_unseen),
        cmocka_unit_test(what_is_unseen_the_coordinator_judges_alone),
        cmocka_unit_test(an_answer_that_is_said_twice_counts_once),
        cmocka_unit_test(a_part_of_another_size_than_was_said_fails_the_commit),
        cmocka_unit_test(a_part_that_was_never_written_fails_the_commit),
        cmocka_unit_test(counts_that_do_not_balance_fail_the_commit),
        cmocka_unit_test(a_last_output_without_end_is_cut),
        cmocka_unit_test(counters_that_nobody_declared_do_not_count),
        cmocka_unit_test(a_description_above_the_limits_changes_nothing),
        cmocka_unit_test(long_paths_of_map_outputs_travel_in_several_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
