/* Links over real sockets: messages arrive once and in order whatever breaks below, and who is
 * not in session is told so. */
#include "tests/lib/cmocka_all.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "tests/lib/proxy.h"
#include "wire/link.h"
#include "wire/mr.pb-c.h"

enum { DEADLINE_MS = 60000, LINKS = 8 };

extern char **environ;

/* The links of a test, the first one listens. All are driven by one thread. */
struct world {
    void *context;
    struct link *links[LINKS];
    int count;
    int64_t end_ms;
    struct link *speaker; /* one that is only spoken from, or NULL */
};

struct heard {
    uint64_t peer, number;
    enum frame_type type;
};

static struct link *listen_on(struct world *world, const char *endpoint)
{
    struct error err;

    *world = (struct world){
        .context = link_context_new(), .count = 1, .end_ms = clock_ms() + DEADLINE_MS};
    assert_int_equal(link_listen(world->context, endpoint, &world->links[0], &err), 0);
    return world->links[0];
}

/* On a port that the system gives to nobody by itself, so that it is free again later. */
static struct link *listen_apart(struct world *world)
{
    char endpoint[64];
    struct error err;

    *world = (struct world){
        .context = link_context_new(), .count = 1, .end_ms = clock_ms() + DEADLINE_MS};
    for (int port = 20000 + getpid() % 10000;; port++) {
        assert_true(port < 32000);
        snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
        if (!link_listen(world->context, endpoint, &world->links[0], &err))
            return world->links[0];
    }
}

static struct link *join(struct world *world, const char *endpoint)
{
    struct error err;

    assert_true(world->count < LINKS);
    assert_int_equal(link_connect(world->context, endpoint, &world->links[world->count], &err),
                     0);
    return world->links[world->count++];
}

static void end(struct world *world)
{
    for (int i = 0; i < world->count; i++)
        link_close(world->links[i]);
    link_context_free(world->context);
}

static uint16_t port_of(const struct link *link)
{
    const char *colon = strrchr(link_endpoint(link), ':');

    assert_non_null(colon);
    return (uint16_t)strtoul(colon + 1, NULL, 10);
}

static void say(struct link *link, uint64_t peer, uint64_t number)
{
    Mr__Cancel cancel = MR__CANCEL__INIT;

    cancel.job = number;
    link_send(link, peer, FRAME_CANCEL, &cancel.base);
}

/* Reads what a link was told, which is nothing but confirmations. */
static void read_confirmations(struct link *link)
{
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;

    if (link)
        assert_false(link_receive(link, &peer, &type, &message));
}

/* Tends all links and waits until one of them has something, or is to be tended again. */
static void turn(struct world *world)
{
    struct link_event events[LINKS];
    long wait = 1000;
    int n = 0;

    read_confirmations(world->speaker);
    if (clock_ms() > world->end_ms)
        fail_msg("this should have happened within %d s", DEADLINE_MS / 1000);
    for (int i = 0; i < world->count; i++) {
        long due;

        if (!world->links[i])
            continue;
        due = link_tend(world->links[i]);
        wait = due >= 0 && due < wait ? due : wait;
        events[n++] = (struct link_event){.link = world->links[i]};
    }
    link_wait(events, n, wait);
}

static bool hear(struct link *link, struct heard *heard)
{
    ProtobufCMessage *message;

    if (!link_receive(link, &heard->peer, &heard->type, &message))
        return false;
    heard->number = heard->type == FRAME_CANCEL ? ((Mr__Cancel *)message)->job : 0;
    frame_free(message);
    return true;
}

/* The next message on a link. */
static struct heard await(struct world *world, struct link *link)
{
    struct heard heard;

    while (!hear(link, &heard)) {
        /* Acknowledgements to others must not pile up; what they are told comes in its turn. */
        turn(world);
    }
    return heard;
}

static void expect(struct world *world, struct link *link, uint64_t number)
{
    struct heard heard = await(world, link);

    assert_int_equal(heard.type, FRAME_CANCEL);
    assert_int_equal(heard.number, number);
}

static void messages_arrive_once_and_in_order(void **state)
{
    static const char *const endpoints[] = {"tcp://127.0.0.1:0", "inproc://order"};

    (void)state;
    for (size_t e = 0; e < 2; e++) {
        struct world world;
        struct link *listener = listen_on(&world, endpoints[e]), *client;
        struct heard heard;

        client = join(&world, link_endpoint(listener));
        assert_string_equal(link_endpoint(client), link_endpoint(listener));
        for (uint64_t i = 1; i <= 3000; i++)
            say(client, 0, i);
        for (uint64_t i = 1; i <= 3000; i++) {
            heard = await(&world, listener);
            assert_int_equal(heard.number, i);
            say(listener, heard.peer, i * 7);
        }
        assert_int_equal(link_counts(listener).peers, 1);
        for (uint64_t i = 1; i <= 3000; i++)
            expect(&world, client, i * 7);
        assert_int_equal(link_counts(listener).damaged, 0);
        assert_int_equal(link_counts(listener).fenced, 0);
        end(&world);
    }
}

static void each_peer_is_known_by_a_number_of_its_own(void **state)
{
    struct world world;
    struct link *listener = listen_on(&world, "tcp://127.0.0.1:0");
    uint64_t peers[5] = {0};

    (void)state;
    for (int i = 0; i < 5; i++)
        say(join(&world, link_endpoint(listener)), 0, (uint64_t)i);
    for (int i = 0; i < 5; i++) {
        struct heard heard = await(&world, listener);

        assert_int_equal(peers[heard.number], 0);
        peers[heard.number] = heard.peer;
    }
    for (int i = 4; i >= 0; i--)
        say(listener, peers[i], 100 + (uint64_t)i);
    for (int i = 0; i < 5; i++) {
        expect(&world, world.links[1 + i], 100 + (uint64_t)i);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(peers[i], peers[k]);
    }
    assert_int_equal(link_counts(listener).peers, 5);
    end(&world);
}

static void who_connects_before_anyone_listens_is_heard_later(void **state)
{
    struct world world;
    struct link *listener = listen_apart(&world), *client;
    cleanup_free char *endpoint = memory_text(link_endpoint(listener));
    int64_t until_ms;
    struct error err;

    (void)state;
    link_close(listener);
    world.links[0] = NULL;
    client = join(&world, endpoint);
    world.speaker = client;
    for (uint64_t i = 1; i <= 10; i++)
        say(client, 0, i);
    /* Past the first repetition, so that there are doubles as well. */
    until_ms = clock_ms() + 500;
    while (clock_ms() < until_ms)
        turn(&world);
    while (link_listen(world.context, endpoint, &world.links[0], &err))
        turn(&world); /* until the old socket is gone */
    for (uint64_t i = 1; i <= 10; i++)
        expect(&world, world.links[0], i);
    end(&world);
}

static void a_forgotten_peer_is_fenced_until_it_begins_anew(void **state)
{
    struct world world;
    struct link *listener = listen_on(&world, "tcp://127.0.0.1:0"), *client;
    struct heard heard;

    (void)state;
    client = join(&world, link_endpoint(listener));
    say(client, 0, 1);
    heard = await(&world, listener);
    say(listener, heard.peer, 2);
    expect(&world, client, 2);
    link_forget(listener, heard.peer);
    link_forget(listener, heard.peer);
    link_forget(listener, heard.peer + 1);
    assert_int_equal(link_counts(listener).peers, 0);
    say(listener, heard.peer, 3); /* nobody is there to hear it */
    say(client, 0, 4);
    while (!hear(client, &heard)) {
        struct heard nothing;

        assert_false(hear(listener, &nothing));
        turn(&world);
    }
    assert_int_equal(heard.type, FRAME_FENCED);
    assert_true(link_counts(listener).fenced > 0);
    say(join(&world, link_endpoint(listener)), 0, 5);
    do
        heard = await(&world, listener);
    while (heard.type != FRAME_CANCEL);
    assert_int_equal(heard.number, 5);
    assert_int_equal(link_counts(listener).peers, 1);
    end(&world);
}

static void a_beat_of_a_peer_out_of_session_is_answered_by_fenced(void **state)
{
    struct world world;
    struct link *listener = listen_on(&world, "inproc://beat"), *client;
    Mr__Heartbeat beat = MR__HEARTBEAT__INIT;
    struct heard heard;

    (void)state;
    client = join(&world, link_endpoint(listener));
    link_send_once(client, 0, FRAME_HEARTBEAT, &beat.base);
    while (!hear(client, &heard)) {
        struct heard nothing;

        assert_false(hear(listener, &nothing));
        turn(&world);
    }
    assert_int_equal(heard.type, FRAME_FENCED);
    assert_int_equal(link_counts(listener).fenced, 1);
    assert_int_equal(link_counts(listener).peers, 0);
    end(&world);
}

static void a_listener_that_was_started_anew_fences_old_peers(void **state)
{
    struct world world;
    struct link *listener = listen_apart(&world), *client;
    cleanup_free char *endpoint = memory_text(link_endpoint(listener));
    struct heard heard;
    struct error err;

    (void)state;
    client = join(&world, endpoint);
    say(client, 0, 1);
    heard = await(&world, listener);
    say(listener, heard.peer, 2);
    expect(&world, client, 2);
    link_close(listener);
    world.links[0] = NULL;
    while (link_listen(world.context, endpoint, &world.links[0], &err))
        turn(&world);
    say(client, 0, 3);
    while (!hear(client, &heard)) {
        struct heard nothing;

        assert_false(hear(world.links[0], &nothing));
        turn(&world);
    }
    assert_int_equal(heard.type, FRAME_FENCED);
    assert_int_equal(link_counts(world.links[0]).peers, 0);
    assert_true(link_counts(world.links[0]).fenced > 0);
    end(&world);
}

static void what_is_sent_outside_the_session_keeps_no_order_and_no_place(void **state)
{
    struct world world;
    struct link *listener = listen_on(&world, "tcp://127.0.0.1:0"), *client;
    Mr__HeartbeatAck answer = MR__HEARTBEAT_ACK__INIT;
    struct heard heard;

    (void)state;
    client = join(&world, link_endpoint(listener));
    say(client, 0, 1);
    heard = await(&world, listener);
    link_send_once(listener, heard.peer, FRAME_HEARTBEAT_ACK, &answer.base);
    link_send_once(listener, heard.peer + 1, FRAME_HEARTBEAT_ACK, &answer.base);
    heard = await(&world, client);
    assert_int_equal(heard.type, FRAME_HEARTBEAT_ACK);
    say(client, 0, 2);
    expect(&world, listener, 2);
    end(&world);
}

static void draining_waits_until_the_peer_has_all(void **state)
{
    struct world world;
    struct link *listener = listen_on(&world, "tcp://127.0.0.1:0"), *client;
    int64_t start_ms;

    (void)state;
    client = join(&world, link_endpoint(listener));
    say(client, 0, 1);
    /* Nobody reads: it gives up in time. */
    start_ms = clock_ms();
    link_drain(client, 200);
    assert_true(clock_ms() - start_ms >= 200);
    expect(&world, listener, 1);
    link_tend(listener);
    start_ms = clock_ms();
    link_drain(client, DEADLINE_MS);
    assert_true(clock_ms() - start_ms < DEADLINE_MS);
    link_drain(client, DEADLINE_MS); /* there is nothing left */
    assert_true(clock_ms() - start_ms < DEADLINE_MS);
    end(&world);
}

static void draining_ends_when_the_session_is_over(void **state)
{
    struct world world;
    struct link *listener = listen_on(&world, "inproc://drain"), *client;
    struct heard heard;
    int64_t start_ms;

    (void)state;
    client = join(&world, link_endpoint(listener));
    say(client, 0, 1);
    heard = await(&world, listener);
    say(listener, heard.peer, 2);
    expect(&world, client, 2);
    link_forget(listener, heard.peer);
    say(client, 0, 3);
    link_tend(client);
    while (!link_counts(listener).fenced) {
        hear(listener, &heard);
        turn(&world);
    }
    start_ms = clock_ms();
    link_drain(client, DEADLINE_MS);
    assert_true(clock_ms() - start_ms < DEADLINE_MS);
    end(&world);
}

static void an_endpoint_that_cannot_be_is_an_error(void **state)
{
    struct world world;
    struct link *listener = listen_on(&world, "tcp://127.0.0.1:0"), *link = NULL;
    struct error err = {0};

    (void)state;
    assert_int_equal(link_listen(world.context, link_endpoint(listener), &link, &err), -1);
    assert_int_equal(err.code, ERROR_IO);
    assert_non_null(strstr(err.text, link_endpoint(listener)));
    assert_int_equal(link_listen(world.context, "carrier://pigeon", &link, &err), -1);
    assert_int_equal(link_connect(world.context, "carrier://pigeon", &link, &err), -1);
    assert_non_null(strstr(err.text, "carrier://pigeon"));
    assert_int_equal(link_connect(world.context, "", &link, &err), -1);
    assert_null(link);
    assert_true(port_of(listener) > 0);
    assert_true(strlen(link_library()) >= 5);
    end(&world);
}

/* Clients that each have a few questions open, echoed by the listener, through a proxy that
 * cuts every connection after some KiB. */
static void connections_that_break_lose_double_and_swap_nothing(void **state)
{
    enum { CLIENTS = 5, EACH = 1000, OPEN = 48 };
    struct world world;
    struct link *listener = listen_on(&world, "tcp://127.0.0.1:0");
    struct proxy *proxy = proxy_new(port_of(listener), 11, 3000, 20000);
    cleanup_free char *endpoint = memory_format("tcp://127.0.0.1:%u", proxy_port(proxy));
    uint64_t asked[CLIENTS] = {0}, answered[CLIENTS] = {0}, seen[CLIENTS] = {0};
    int done = 0;

    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        join(&world, endpoint);
    while (done < CLIENTS) {
        struct heard heard;

        for (uint64_t i = 0; i < CLIENTS; i++)
            while (asked[i] < EACH && asked[i] - answered[i] < OPEN)
                say(world.links[1 + i], 0, i << 32 | ++asked[i]);
        turn(&world);
        while (hear(listener, &heard)) {
            assert_int_equal(heard.number & UINT32_MAX, ++seen[heard.number >> 32]);
            say(listener, heard.peer, heard.number);
        }
        for (uint64_t i = 0; i < CLIENTS; i++)
            while (hear(world.links[1 + i], &heard)) {
                assert_int_equal(heard.type, FRAME_CANCEL);
                assert_int_equal(heard.number, i << 32 | ++answered[i]);
                done += answered[i] == EACH;
            }
    }
    printf("%llu connections cut\n", (unsigned long long)proxy_cuts(proxy));
    assert_true(proxy_cuts(proxy) >= 2 * CLIENTS);
    assert_int_equal(link_counts(listener).fenced, 0);
    assert_int_equal(link_counts(listener).peers, CLIENTS);
    assert_int_equal(link_counts(listener).damaged, 0);
    end(&world);
    proxy_free(proxy);
}

/* In a process of its own: sends without end. */
static int flood(const char *endpoint)
{
    void *context = link_context_new();
    struct link *link;
    struct error err;

    if (link_connect(context, endpoint, &link, &err))
        return 1;
    for (uint64_t i = 1;; i++) {
        say(link, 0, i);
        link_tend(link);
    }
}

static void a_peer_that_floods_and_dies_while_the_listener_is_busy_harms_nobody(void **state)
{
    struct world world;
    struct link *listener = listen_on(&world, "tcp://127.0.0.1:0"), *client;
    char program[] = "/proc/self/exe", verb[] = "flood", name[] = "test_link";
    cleanup_free char *endpoint = memory_text(link_endpoint(listener));
    char *arguments[] = {name, verb, endpoint, NULL};
    uint64_t flooder = 0, received = 0, last = 0;
    struct heard heard;
    pid_t child;

    (void)state;
    assert_int_equal(posix_spawn(&child, program, NULL, NULL, arguments, environ), 0);
    client = join(&world, endpoint);
    /* The first word of the flood is heard, the rest piles up and is cut in the middle. */
    while (!flooder) {
        heard = await(&world, listener);
        flooder = heard.peer;
        last = heard.number;
    }
    link_wait(&(struct link_event){.link = client}, 1, 300);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    say(client, 0, UINT64_MAX);
    for (;;) {
        heard = await(&world, listener);
        if (heard.number == UINT64_MAX)
            break;
        assert_int_equal(heard.peer, flooder);
        assert_int_equal(heard.number, last + 1);
        last = heard.number;
        received++;
    }
    printf("%llu messages of the flood\n", (unsigned long long)received);
    assert_true(received > 0);
    say(listener, heard.peer, 7);
    say(listener, flooder, 8); /* nobody takes it */
    expect(&world, client, 7);
    while (hear(listener, &heard))
        assert_int_equal(heard.peer, flooder);
    assert_int_equal(link_counts(listener).peers, 2);
    link_forget(listener, flooder);
    assert_int_equal(link_counts(listener).peers, 1);
    say(client, 0, 9);
    do
        heard = await(&world, listener);
    while (heard.number != 9);
    end(&world);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_arrive_once_and_in_order),
        cmocka_unit_test(each_peer_is_known_by_a_number_of_its_own),
        cmocka_unit_test(who_connects_before_anyone_listens_is_heard_later),
        cmocka_unit_test(a_forgotten_peer_is_fenced_until_it_begins_anew),
        cmocka_unit_test(a_beat_of_a_peer_out_of_session_is_answered_by_fenced),
        cmocka_unit_test(a_listener_that_was_started_anew_fences_old_peers),
        cmocka_unit_test(what_is_sent_outside_the_session_keeps_no_order_and_no_place),
        cmocka_unit_test(draining_waits_until_the_peer_has_all),
        cmocka_unit_test(draining_ends_when_the_session_is_over),
        cmocka_unit_test(an_endpoint_that_cannot_be_is_an_error),
        cmocka_unit_test(connections_that_break_lose_double_and_swap_nothing),
        cmocka_unit_test(a_peer_that_floods_and_dies_while_the_listener_is_busy_harms_nobody),
    };

    if (count == 3 && !strcmp(arguments[1], "flood"))
        return flood(arguments[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
