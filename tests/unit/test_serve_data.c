/* The coordinator and what can be wrong with data, as its peers see it: counts that do not add
 * up, maps that run again and emit something else, disks that are full. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "coordinator/core.h"
#include "record/content.h"
#include "tests/lib/peer.h"

/* A house with one client and one worker, and a job of one map and two parts. */
struct scene {
    struct house *house;
    struct peer *client, *worker;
    struct order order;
    uint64_t job;
};

static void join(struct scene *s)
{
    s->client = peer_join(s->house, MR__ROLE__CLIENT, "client");
    s->worker = peer_join(s->house, MR__ROLE__WORKER, "worker");
    s->client->beats = s->worker->beats = true;
}

static struct scene *scene_open(uint32_t lease_ms, bool journal)
{
    struct coordinator_options options = house_usual();
    struct scene *s = memory_zeroed(1, sizeof *s);

    options.lease_ms = lease_ms ? lease_ms : options.lease_ms;
    options.journal = journal;
    s->house = house_open(&options);
    join(s);
    order_fill(&s->order, s->house, "out");
    s->order.spec.reducers = 2;
    s->job = peer_submits(s->client, &s->order);
    return s;
}

static void scene_close(struct scene *s)
{
    peer_close(s->client);
    peer_close(s->worker);
    house_close(s->house);
    free(s);
}

static void do_next(struct scene *s, Mr__TaskKind kind)
{
    Mr__Assign *assign = peer_task(s->worker, kind);

    peer_does(s->worker, assign);
    frame_free(&assign->base);
}

/* The worker does the next map and tells this of its parts. */
static void do_map(struct scene *s, const struct content *parts, uint32_t count)
{
    Mr__Assign *map = peer_task(s->worker, MR__TASK_KIND__MAP);
    struct answer answer;

    answer_fill(&answer, s->worker, map);
    answer.done.content.data = content_encode(parts, count, &answer.done.content.len);
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    free(answer.done.content.data);
    frame_free(&map->base);
}

/* The worker reduces the next part, and says how many records it received. */
static void do_reduce(struct scene *s, int64_t records)
{
    Mr__Assign *reduce = peer_task(s->worker, MR__TASK_KIND__REDUCE);
    struct answer answer;

    answer_fill(&answer, s->worker, reduce);
    mr__counter__init(&answer.counters[1]);
    answer.counters[1].name = BYTES("reduce_input_records");
    answer.counters[1].value = reduce->task ? 0 : records;
    answer.pointers[1] = &answer.counters[1];
    answer.done.n_counters = 2;
    peer_writes(s->worker, reduce);
    peer_say(s->worker, FRAME_TASK_DONE, &answer.done.base);
    frame_free(&reduce->base);
}

static void expect_failure(struct scene *s, enum error_code code, const char *words)
{
    Mr__Finished *end = peer_sees_end(s->client, s->job, "failed");

    assert_int_equal(end->error->code, code);
    if (!bytes_contain(end->error->text, words))
        fail_msg("%.*s", (int)end->error->text.len, (char *)end->error->text.data);
    frame_free(&end->base);
}

/* ---- What does not add up ---- */

static void what_does_not_add_up_is_said_by_part(void **state)
{
    static const struct {
        struct content parts[2];
        int64_t records;
        const char *words; /* NULL: it adds up */
    } cases[] = {
        {{{1, 1, 7}, {0, 0, 0}}, 1, NULL},
        {{{0, 0, 0}, {1, 1, 7}},
         1,
         "in part 0: its maps hold 0 pairs, its reducer received 1 "},
        {{{1, 1, 7}, {0, 0, 0}},
         3,
         "in part 0: its maps hold 1 records, its reducer received 3 "},
        {{{1, 1, 7}, {2, 2, 7}}, 1, "map task 0 emitted 1 pairs, its output holds 3 "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct scene *s = scene_open(0, false);

        do_next(s, MR__TASK_KIND__CHECK);
        do_map(s, cases[i].parts, 2);
        do_reduce(s, cases[i].records);
        do_reduce(s, cases[i].records);
        if (cases[i].words)
            expect_failure(s, ERROR_INTERNAL, cases[i].words);
        else
            frame_free(&peer_sees_end(s->client, s->job, "done")->base);
        scene_close(s);
    }
}

static void parts_that_there_are_not_make_no_sense(void **state)
{
    static const struct content parts[3] = {{1, 1, 7}, {1, 1, 7}, {1, 1, 7}};
    struct scene *s = scene_open(0, false);
    Mr__Jobs *answer;

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    do_map(s, parts, 3);
    peer_settle(s->worker);
    answer = peer_asks(s->client, MR__QUESTION__ONE_JOB, s->job, FRAME_JOBS);
    assert_int_equal(answer->jobs[0]->maps_done, 0);
    assert_int_equal(answer->jobs[0]->running, 1);
    frame_free(&answer->base);
    scene_close(s);
}

/* ---- Maps that run again ---- */

/* The coordinator is started anew, and nobody has the output of the map any more. */
static void start_anew(struct scene *s)
{
    Mr__Query query = MR__QUERY__INIT;

    peer_close(s->client);
    peer_close(s->worker);
    house_restart(s->house);
    join(s);
    query.question = MR__QUESTION__WAIT_JOB;
    query.job = s->job;
    peer_say(s->client, FRAME_QUERY, &query.base);
}

static void other_pairs_than_were_used_fail_the_job_whatever_was_restarted(void **state)
{
    static const struct content was[2] = {{1, 1, 7}, {0, 0, 0}}, is[2] = {{1, 1, 8}, {0, 0, 0}};

    (void)state;
    for (int lives = 1; lives <= 2; lives++) {
        struct scene *s = scene_open(1000, true);

        do_next(s, MR__TASK_KIND__CHECK);
        do_map(s, was, 2);
        do_reduce(s, 1);
        peer_settle(s->worker);
        for (int life = 0; life < lives; life++) {
            start_anew(s);
            /* In the next life the loss is known, and what was lost as well. */
            if (life + 1 < lives)
                frame_free(&peer_task(s->worker, MR__TASK_KIND__MAP)->base);
        }
        do_map(s, is, 2);
        expect_failure(s, ERROR_UNSTEADY, "map is not deterministic: task 0, part 0: ");
        scene_close(s);
    }
}

static void the_same_pairs_are_as_good_as_those_that_were_lost(void **state)
{
    static const struct content was[2] = {{1, 1, 7}, {0, 0, 0}};
    struct scene *s = scene_open(1000, true);

    (void)state;
    do_next(s, MR__TASK_KIND__CHECK);
    do_map(s, was, 2);
    do_reduce(s, 1);
    peer_settle(s->worker);
    start_anew(s);
    do_map(s, was, 2);
    /* As many records as the run has that is there now: the other reducer's are not compared.
     */
    do_reduce(s, 5);
    frame_free(&peer_sees_end(s->client, s->job, "done")->base);
    scene_close(s);
}

/* The map is being made again, but its output has served already. */
static void a_job_whose_output_was_lost_behind_its_last_reducer_is_done(void **state)
{
    static const struct content was[2] = {{1, 1, 7}, {0, 0, 0}};
    struct scene *s = scene_open(0, false);
    struct peer *other = s->worker, *maker = peer_join(s->house, MR__ROLE__WORKER, "maker");

    (void)state;
    maker->beats = true;
    do_next(s, MR__TASK_KIND__CHECK);
    s->worker = maker;
    do_map(s, was, 2);
    do_reduce(s, 1);
    peer_settle(maker);
    /* With it goes the output of the map. */
    peer_say(maker, FRAME_GOODBYE, NULL);
    s->worker = other;
    do_reduce(s, 1);
    frame_free(&peer_sees_end(s->client, s->job, "done")->base);
    peer_close(maker);
    scene_close(s);
}

/* ---- Full disks ---- */

static void beat_with(struct scene *s, uint64_t scratch_free)
{
    Mr__Heartbeat heartbeat = MR__HEARTBEAT__INIT;

    heartbeat.sent_ms = 1;
    heartbeat.scratch_free = scratch_free;
    link_send_once(s->worker->link, 0, FRAME_HEARTBEAT, &heartbeat.base);
    frame_free(peer_hears(s->worker, FRAME_HEARTBEAT_ACK));
}

enum { FREE = 5000 }; /* bytes, when what it had written was gone */

/* The map cannot be done for want of room. */
static void fill_up(struct scene *s, enum error_code code)
{
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Error error = MR__ERROR__INIT;
    Mr__Assign *map;

    do_next(s, MR__TASK_KIND__CHECK);
    map = peer_task(s->worker, MR__TASK_KIND__MAP);
    failed.job = map->job;
    failed.kind = map->kind;
    failed.task = map->task;
    failed.attempt = map->attempt;
    failed.error = &error;
    failed.scratch_free = FREE;
    error.code = code;
    error.text = BYTES("write 'run': it is full");
    peer_say(s->worker, FRAME_TASK_FAILED, &failed.base);
    frame_free(&map->base);
    peer_settle(s->worker);
}

static void expect_full(struct scene *s, bool full)
{
    Mr__Workers *workers = peer_asks(s->client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
    Mr__Jobs *jobs = peer_asks(s->client, MR__QUESTION__ONE_JOB, s->job, FRAME_JOBS);

    assert_int_equal(bytes_are(workers->workers[0]->state, "full"), full);
    assert_int_equal(bytes_are(workers->workers[0]->reason, "write 'run': it is full"), full);
    assert_int_equal(bytes_contain(jobs->jobs[0]->reason, "no worker has room"), full);
    assert_int_equal(jobs->jobs[0]->failed_attempts, 0);
    frame_free(&workers->base);
    frame_free(&jobs->base);
}

static void a_full_worker_gets_nothing_until_its_heartbeats_tell_of_room(void **state)
{
    struct scene *s = scene_open(0, false);

    (void)state;
    s->worker->beats = s->client->beats = false;
    fill_up(s, ERROR_SPACE);
    expect_full(s, true);
    beat_with(s, FREE + (1 << 20) - 1);
    expect_full(s, true);
    beat_with(s, FREE + (1 << 20));
    expect_full(s, false);
    do_next(s, MR__TASK_KIND__MAP);
    peer_works(s->worker, s->job);
    frame_free(&peer_sees_end(s->client, s->job, "done")->base);
    scene_close(s);
}

static void a_disk_that_fails_has_no_room_however_much_is_free(void **state)
{
    struct scene *s = scene_open(0, false);

    (void)state;
    s->worker->beats = s->client->beats = false;
    fill_up(s, ERROR_DISK);
    beat_with(s, UINT64_C(1) << 40);
    expect_full(s, true);
    scene_close(s);
}

static void without_room_anywhere_a_job_fails_after_a_lease(void **state)
{
    struct scene *s = scene_open(1000, false);

    (void)state;
    fill_up(s, ERROR_SPACE);
    expect_failure(s, ERROR_SPACE, "no worker has room on its scratch disk: worker '");
    scene_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_add_up_is_said_by_part),
        cmocka_unit_test(parts_that_there_are_not_make_no_sense),
        cmocka_unit_test(other_pairs_than_were_used_fail_the_job_whatever_was_restarted),
        cmocka_unit_test(the_same_pairs_are_as_good_as_those_that_were_lost),
        cmocka_unit_test(a_job_whose_output_was_lost_behind_its_last_reducer_is_done),
        cmocka_unit_test(a_full_worker_gets_nothing_until_its_heartbeats_tell_of_room),
        cmocka_unit_test(a_disk_that_fails_has_no_room_however_much_is_free),
        cmocka_unit_test(without_room_anywhere_a_job_fails_after_a_lease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
