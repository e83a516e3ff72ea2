/* The coordinator and who comes to it: joining, leases, sessions, floods. The peers are the
 * test's own. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "tests/lib/folder.h"
#include "tests/lib/peer.h"
#include "wire/hello.h"

static void two_hundred_workers_are_welcome_within_five_seconds(void **state)
{
    enum { WORKERS = 200 };
    struct coordinator_options options = house_usual();
    struct peer *peers[WORKERS];
    struct peer *client;
    Mr__Workers *workers;
    struct house *house;
    int64_t begin_ms;

    (void)state;
    options.heartbeat_ms = 1234;
    options.lease_ms = 56789;
    house = house_open(&options);
    begin_ms = clock_ms();
    for (int i = 0; i < WORKERS; i++) {
        char name[32];

        snprintf(name, sizeof name, "worker-%d", i);
        peers[i] = peer_connect(house);
        peer_greet(peers[i], MR__ROLE__WORKER, name);
    }
    for (int i = 0; i < WORKERS; i++) {
        Mr__Welcome *welcome = peer_hears(peers[i], FRAME_WELCOME);

        assert_int_equal(welcome->heartbeat_ms, 1234);
        assert_int_equal(welcome->lease_ms, 56789);
        peers[i]->id = welcome->worker;
        for (int k = 0; k < i; k++)
            assert_int_not_equal(welcome->worker, peers[k]->id);
        frame_free(&welcome->base);
    }
    assert_true(clock_ms() - begin_ms < 5000);
    client = peer_join(house, MR__ROLE__CLIENT, "client");
    workers = peer_asks(client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
    assert_int_equal(workers->n_workers, WORKERS);
    frame_free(&workers->base);
    for (int i = 0; i < WORKERS; i++)
        peer_close(peers[i]);
    peer_close(client);
    house_close(house);
}

/* Says the HELLO; the words with which it is refused (caller frees), NULL if it is welcome. */
static char *answer_to(struct house *house, const Mr__Hello *hello)
{
    struct peer *peer = peer_connect(house);
    ProtobufCMessage *message;
    enum frame_type type;
    char *words = NULL;

    peer_say(peer, FRAME_HELLO, &hello->base);
    type = peer_next(peer, &message);
    if (type == FRAME_REFUSED) {
        const Mr__Error *error = ((const Mr__Refused *)message)->error;

        assert_int_equal(error->code, ERROR_REFUSED);
        words = memory_format("%.*s", (int)error->text.len, (const char *)error->text.data);
    } else {
        assert_int_equal(type, FRAME_WELCOME);
    }
    frame_free(message);
    peer_close(peer);
    return words;
}

static void expect_words(char *words, const char *one, const char *other)
{
    assert_non_null(words);
    assert_non_null(strstr(words, one));
    assert_non_null(strstr(words, other));
    free(words);
}

static void who_speaks_another_protocol_is_refused_with_both_named(void **state)
{
    struct house *house = house_open(NULL);
    char ours[32], theirs[32];
    Mr__Hello hello;

    (void)state;
    snprintf(ours, sizeof ours, "%d.%d", PROTOCOL_MAJOR, PROTOCOL_MINOR);
    for (int role = MR__ROLE__WORKER; role <= MR__ROLE__CLIENT; role++) {
        hello_fill(&hello, (Mr__Role)role);
        hello.major++;
        snprintf(theirs, sizeof theirs, "%u.%u", hello.major, hello.minor);
        expect_words(answer_to(house, &hello), ours, theirs);
        hello.major--;
        hello.minor += 2;
        snprintf(theirs, sizeof theirs, "%u.%u", hello.major, hello.minor);
        expect_words(answer_to(house, &hello), ours, theirs);
        hello.minor = UINT32_MAX;
        expect_words(answer_to(house, &hello), ours, "4294967295");
        hello.minor = PROTOCOL_MINOR + 1;
        assert_null(answer_to(house, &hello));
    }
    house_close(house);
}

static void a_worker_of_another_machine_is_refused_but_a_client_is_not(void **state)
{
    struct house *house = house_open(NULL);
    Mr__Hello hello;
    char ours[32];

    (void)state;
    hello_fill(&hello, MR__ROLE__WORKER);
    snprintf(ours, sizeof ours, "%.*s", (int)hello.arch.len, (char *)hello.arch.data);
    hello.arch = BYTES("vax");
    expect_words(answer_to(house, &hello), "vax", ours);
    hello.arch.len = 0;
    expect_words(answer_to(house, &hello), "machine is ,", ours);
    hello.role = MR__ROLE__CLIENT;
    assert_null(answer_to(house, &hello));
    house_close(house);
}

/* A table of sessions fills up otherwise, and nobody can join any more. */
static void who_is_refused_leaves_no_session_behind(void **state)
{
    struct house *house = house_open(NULL);
    Mr__Hello hello;

    (void)state;
    hello_fill(&hello, MR__ROLE__WORKER);
    hello.major++;
    for (int i = 0; i < 10; i++)
        expect_words(answer_to(house, &hello), "protocol", "install");
    house_stop(house);
    assert_int_equal(link_counts(house->coordinator->link).peers, 0);
    house_close(house);
}

static void a_name_or_endpoint_that_fits_into_no_answer_is_refused(void **state)
{
    struct house *house = house_open(NULL);
    cleanup_free char *text = memory_new(LIMIT_MESSAGE);
    Mr__Hello hello;

    (void)state;
    memset(text, 'x', LIMIT_MESSAGE);
    hello_fill(&hello, MR__ROLE__WORKER);
    hello.name = (ProtobufCBinaryData){LIMIT_NAME, (uint8_t *)text};
    assert_null(answer_to(house, &hello));
    hello.name.len = LIMIT_NAME + 1;
    expect_words(answer_to(house, &hello), "name", "64");
    hello.name.len = 900 << 10;
    expect_words(answer_to(house, &hello), "name", "64");
    hello.name.len = 1;
    hello.data_endpoint = (ProtobufCBinaryData){900 << 10, (uint8_t *)text};
    expect_words(answer_to(house, &hello), "endpoint", "bytes");
    house_close(house);
}

static void a_first_message_that_is_not_hello_ends_the_session(void **state)
{
    struct house *house = house_open(NULL);
    struct peer *peer = peer_connect(house);
    Mr__Query query = MR__QUERY__INIT;
    ProtobufCMessage *message;

    (void)state;
    peer_say(peer, FRAME_QUERY, &query.base);
    peer_say(peer, FRAME_QUERY, &query.base);
    assert_int_equal(peer_next(peer, &message), FRAME_FENCED);
    assert_null(message);
    /* HELLO comes too late, too. */
    peer_greet(peer, MR__ROLE__CLIENT, "late");
    assert_int_equal(peer_next(peer, &message), FRAME_FENCED);
    peer_close(peer);
    house_close(house);
}

static void a_second_hello_changes_nothing(void **state)
{
    struct house *house = house_open(NULL);
    struct peer *worker = peer_join(house, MR__ROLE__WORKER, "worker");
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    Mr__Workers *workers;

    (void)state;
    peer_greet(worker, MR__ROLE__CLIENT, "another");
    peer_settle(worker);
    workers = peer_asks(client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
    assert_int_equal(workers->n_workers, 1);
    assert_true(bytes_are(workers->workers[0]->name, "worker"));
    frame_free(&workers->base);
    peer_close(worker);
    peer_close(client);
    house_close(house);
}

/* ---- Leases ----------------------------------------------------------------------------- */

static struct house *open_with_lease(uint32_t lease_ms)
{
    struct coordinator_options options = house_usual();

    options.lease_ms = lease_ms;
    options.heartbeat_ms = lease_ms / 10;
    return house_open(&options);
}

static void a_heartbeat_is_answered_with_its_own_time(void **state)
{
    static const uint64_t times[] = {1, 77, 0, UINT64_MAX};
    struct house *house = house_open(NULL);
    struct peer *worker = peer_join(house, MR__ROLE__WORKER, "worker");

    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        Mr__HeartbeatAck *ack;

        peer_beat(worker, times[i]);
        ack = peer_hears(worker, FRAME_HEARTBEAT_ACK);
        assert_true(ack->sent_ms == times[i]);
        frame_free(&ack->base);
    }
    peer_close(worker);
    house_close(house);
}

/* Waits until the worker is told that its session is over. */
static void expect_fenced(struct peer *peer)
{
    ProtobufCMessage *message;
    enum frame_type type;

    while ((type = peer_next(peer, &message)) != FRAME_FENCED)
        frame_free(message);
}

static void do_next(struct peer *peer, Mr__TaskKind kind)
{
    Mr__Assign *assign = peer_task(peer, kind);

    peer_does(peer, assign);
    frame_free(&assign->base);
}

/* The other does the silent worker's task, which then says that it did it itself. */
static void a_silent_worker_is_lost_and_its_late_answer_does_not_count(void **state)
{
    struct house *house = open_with_lease(500);
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client"), *silent, *other;
    Mr__Assign *taken, *again;
    Mr__Workers *workers;
    struct order order;
    uint64_t job;
    char *part;

    (void)state;
    client->beats = true;
    order_fill(&order, house, "out");
    job = peer_submits(client, &order);
    silent = peer_join(house, MR__ROLE__WORKER, "silent");
    silent->beats = true;
    do_next(silent, MR__TASK_KIND__CHECK);
    do_next(silent, MR__TASK_KIND__MAP);
    taken = peer_task(silent, MR__TASK_KIND__REDUCE);
    other = peer_join(house, MR__ROLE__WORKER, "other");
    other->beats = true;
    silent->beats = false;
    /* The map's output went with its worker: it is made anew. */
    again = peer_task(other, MR__TASK_KIND__MAP);
    assert_int_equal(again->attempt, 2);
    peer_does(silent, taken);
    expect_fenced(silent);
    peer_does(other, again);
    frame_free(&again->base);
    again = peer_task(other, MR__TASK_KIND__REDUCE);
    assert_int_equal(again->attempt, 2);
    peer_does(other, again);
    frame_free(&again->base);
    frame_free(&peer_sees_end(client, job, "done")->base);
    part = folder_read(house->folder, "out/part-00000", NULL);
    assert_string_equal(part, "other made part 0\n");
    free(part);
    workers = peer_asks(client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
    assert_int_equal(workers->n_workers, 1);
    assert_int_equal(workers->lost, 1);
    assert_true(workers->refused > 0);
    frame_free(&workers->base);
    frame_free(&taken->base);
    peer_close(silent);
    peer_close(other);
    peer_close(client);
    house_close(house);
}

static void heartbeats_keep_a_worker_for_many_leases(void **state)
{
    enum { LEASE_MS = 300 };
    struct house *house = open_with_lease(LEASE_MS);
    struct peer *worker = peer_join(house, MR__ROLE__WORKER, "worker");
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    int64_t begin_ms = clock_ms();
    Mr__Workers *workers;
    double heard;

    (void)state;
    worker->beats = client->beats = true;
    while (clock_ms() - begin_ms < 5 * LEASE_MS)
        frame_free(peer_hears(worker, FRAME_HEARTBEAT_ACK));
    workers = peer_asks(client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
    assert_int_equal(workers->n_workers, 1);
    assert_int_equal(workers->lost, 0);
    assert_true(workers->workers[0]->worker == worker->id);
    assert_true(workers->workers[0]->age > 4 * LEASE_MS / 1000.0);
    frame_free(&workers->base);
    /* And no longer than they last. */
    worker->beats = false;
    do {
        workers = peer_asks(client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
        heard = workers->n_workers ? workers->workers[0]->heard : -1;
        frame_free(&workers->base);
        assert_true(heard < 100 * LEASE_MS / 1000.0);
    } while (heard >= 0);
    peer_say(worker, FRAME_GOODBYE, NULL);
    expect_fenced(worker);
    peer_close(worker);
    peer_close(client);
    house_close(house);
}

static void a_worker_that_says_goodbye_gives_its_task_back_at_once(void **state)
{
    struct house *house = house_open(NULL);
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    struct peer *leaver = peer_join(house, MR__ROLE__WORKER, "leaver"), *other;
    struct order order;
    Mr__Assign *taken;
    Mr__Workers *workers;
    uint64_t job;

    (void)state;
    order_fill(&order, house, "out");
    job = peer_submits(client, &order);
    taken = peer_task(leaver, MR__TASK_KIND__CHECK);
    other = peer_join(house, MR__ROLE__WORKER, "other");
    peer_say(leaver, FRAME_GOODBYE, NULL);
    peer_works(other, job);
    frame_free(&peer_sees_end(client, job, "done")->base);
    workers = peer_asks(client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
    assert_int_equal(workers->n_workers, 1);
    assert_int_equal(workers->lost, 0);
    frame_free(&workers->base);
    frame_free(&taken->base);
    peer_close(leaver);
    peer_close(other);
    peer_close(client);
    house_close(house);
}

/* ---- Floods ----------------------------------------------------------------------------- */

/* A message that a worker may not send, or that says nothing. */
static void say_nonsense(struct peer *peer, uint32_t i)
{
    Mr__TaskDone done = MR__TASK_DONE__INIT;
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Cancel cancel = MR__CANCEL__INIT;
    Mr__Welcome welcome = MR__WELCOME__INIT;

    done.job = failed.job = cancel.job = i;
    done.kind = (Mr__TaskKind)(i % 100);
    switch (i % 5) {
    case 0:
        link_send(peer->link, 0, FRAME_TASK_DONE, &done.base);
        break;
    case 1:
        link_send(peer->link, 0, FRAME_TASK_FAILED, &failed.base);
        break;
    case 2:
        link_send(peer->link, 0, FRAME_CANCEL, &cancel.base);
        break;
    case 3:
        link_send(peer->link, 0, FRAME_WELCOME, &welcome.base);
        break;
    default:
        link_send_once(peer->link, 0, FRAME_FENCED, NULL);
        break;
    }
}

static void a_flood_of_nonsense_does_not_stop_the_job_of_another(void **state)
{
    enum { FRAMES = 100000, BATCH = 1000 };
    struct house *house = house_open(NULL);
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    struct peer *worker = peer_join(house, MR__ROLE__WORKER, "worker");
    struct peer *flood = peer_join(house, MR__ROLE__CLIENT, "flood");
    uint32_t jobs = 0;

    (void)state;
    for (uint32_t i = 0; i < FRAMES; i++) {
        ProtobufCMessage *message;
        enum frame_type type;

        say_nonsense(flood, i);
        if (i % BATCH)
            continue;
        while (peer_glance(flood, &type, &message))
            frame_free(message);
        if (i % (10 * BATCH) == 0) {
            char output[32];
            struct order order;
            uint64_t job;

            snprintf(output, sizeof output, "out-%u", jobs++);
            order_fill(&order, house, output);
            job = peer_submits(client, &order);
            peer_works(worker, job);
            frame_free(&peer_sees_end(client, job, "done")->base);
        }
    }
    assert_int_equal(jobs, 10);
    peer_close(flood);
    peer_close(worker);
    peer_close(client);
    house_close(house);
}

static void a_peer_that_dies_in_the_middle_of_a_flood_is_missed_by_nobody(void **state)
{
    struct house *house = open_with_lease(2000);
    struct peer *client = peer_join(house, MR__ROLE__CLIENT, "client");
    struct peer *worker = peer_join(house, MR__ROLE__WORKER, "worker");
    Mr__Workers *workers;
    struct order order;
    uint64_t job;
    size_t count;

    (void)state;
    client->beats = worker->beats = true;
    for (int i = 0; i < 5; i++) {
        struct peer *flood = peer_join(house, MR__ROLE__WORKER, "flood");

        for (uint32_t k = 0; k < 20000; k++) {
            if (k % 1000 == 0) {
                peer_beat(client, (uint64_t)clock_ms());
                peer_beat(worker, (uint64_t)clock_ms());
            }
            say_nonsense(flood, k);
        }
        peer_close(flood);
    }
    order_fill(&order, house, "out");
    job = peer_submits(client, &order);
    do {
        workers = peer_asks(client, MR__QUESTION__ALL_WORKERS, 0, FRAME_WORKERS);
        count = workers->n_workers;
        frame_free(&workers->base);
    } while (count > 1);
    assert_int_equal(count, 1);
    peer_works(worker, job);
    frame_free(&peer_sees_end(client, job, "done")->base);
    peer_close(worker);
    peer_close(client);
    house_close(house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_hundred_workers_are_welcome_within_five_seconds),
        cmocka_unit_test(who_speaks_another_protocol_is_refused_with_both_named),
        cmocka_unit_test(a_worker_of_another_machine_is_refused_but_a_client_is_not),
        cmocka_unit_test(who_is_refused_leaves_no_session_behind),
        cmocka_unit_test(a_name_or_endpoint_that_fits_into_no_answer_is_refused),
        cmocka_unit_test(a_first_message_that_is_not_hello_ends_the_session),
        cmocka_unit_test(a_second_hello_changes_nothing),
        cmocka_unit_test(a_heartbeat_is_answered_with_its_own_time),
        cmocka_unit_test(a_silent_worker_is_lost_and_its_late_answer_does_not_count),
        cmocka_unit_test(heartbeats_keep_a_worker_for_many_leases),
        cmocka_unit_test(a_worker_that_says_goodbye_gives_its_task_back_at_once),
        cmocka_unit_test(a_flood_of_nonsense_does_not_stop_the_job_of_another),
        cmocka_unit_test(a_peer_that_dies_in_the_middle_of_a_flood_is_missed_by_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
