/* Guarded links: who is let in, who is not, what both are told, and that nothing hangs. */
#include "tests/lib/cmocka_all.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/memory.h"
#include "wire/link.h"
#include "wire/monitor.h"
#include "wire/mr.pb-c.h"

enum { DEADLINE_MS = 60000, QUIET_MS = 300, ROUNDS = 60 };

/* A guarded listener and what it takes to come to it. */
struct scene {
    void *context;
    struct porter *porter;
    struct certificate server, client, other;
    struct link *listener;
    int64_t end_ms;
};

static struct certificate made(enum key_role role, const char *name)
{
    struct certificate pair;
    struct error err;

    assert_int_equal(certificate_make(&pair, role, name, &err), 0);
    return pair;
}

static struct porter_key key_for(const struct certificate *pair)
{
    struct porter_key key = {.role = pair->role};

    strcpy(key.key, pair->public_key);
    strcpy(key.name, pair->name);
    return key;
}

static void admit(struct scene *scene, const struct certificate *a, const struct certificate *b)
{
    struct porter_key keys[2];
    size_t n = 0;

    if (a)
        keys[n++] = key_for(a);
    if (b)
        keys[n++] = key_for(b);
    porter_admit(scene->porter, keys, n);
}

static void open_scene(struct scene *scene)
{
    struct link_guard guard;
    struct error err;

    *scene = (struct scene){.context = link_context_new(),
                            .server = made(KEY_COORDINATOR, "coordinator"),
                            .client = made(KEY_CLIENT, "client"),
                            .other = made(KEY_WORKER, "other"),
                            .end_ms = clock_ms() + DEADLINE_MS};
    assert_int_equal(porter_open(scene->context, &scene->porter, &err), 0);
    guard = (struct link_guard){&scene->server, scene->porter, NULL};
    assert_int_equal(link_listen_guarded(scene->context, "tcp://127.0.0.1:0", &guard,
                                         &scene->listener, &err),
                     0);
}

static void close_scene(struct scene *scene)
{
    link_close(scene->listener);
    porter_close(scene->porter);
    link_context_free(scene->context);
}

static struct link *come(struct scene *scene, const struct certificate *own, const char *server)
{
    const struct link_guard guard = {own, NULL, server};
    Mr__Cancel cancel = MR__CANCEL__INIT;
    struct link *link;
    struct error err;

    assert_int_equal(link_connect_watched(scene->context, link_endpoint(scene->listener),
                                          own ? &guard : NULL, &link, &err),
                     0);
    link_send(link, 0, FRAME_CANCEL, &cancel.base);
    link_tend(link);
    return link;
}

/* Waits for a message at the listener, at most so long; its peer, or 0. */
static uint64_t heard(struct scene *scene, struct link *link, int64_t for_ms)
{
    struct link_event events[] = {{.link = scene->listener}, {.link = link}};
    int64_t end_ms = clock_ms() + for_ms;
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;

    while (clock_ms() < end_ms) {
        link_tend(link);
        link_tend(scene->listener);
        link_wait(events, 2, 20);
        while (link_receive(link, &peer, &type, &message))
            frame_free(message);
        if (link_receive(scene->listener, &peer, &type, &message)) {
            frame_free(message);
            return peer;
        }
    }
    return 0;
}

static enum link_reach becomes(struct scene *scene, struct link *link, enum link_reach wanted)
{
    while (link_reach(link) != wanted && clock_ms() < scene->end_ms) {
        struct link_event event = {.link = link};

        link_wait(&event, 1, 50);
    }
    return link_reach(link);
}

static void who_is_admitted_is_heard_under_his_key(void **state)
{
    struct scene scene;
    struct link *link;
    uint64_t peer;

    (void)state;
    open_scene(&scene);
    admit(&scene, &scene.client, &scene.other);
    link = come(&scene, &scene.client, scene.server.public_key);
    peer = heard(&scene, link, DEADLINE_MS);
    assert_true(peer);
    assert_string_equal(link_peer_key(scene.listener, peer), scene.client.public_key);
    assert_string_equal(link_peer_address(scene.listener, peer), "127.0.0.1");
    assert_int_equal(link_reach(link), LINK_REACHED);
    assert_int_equal(porter_refused(scene.porter), 0);
    link_close(link);
    close_scene(&scene);
}

static void who_is_not_admitted_is_told_so(void **state)
{
    struct scene scene;
    struct link *link;
    struct error why;

    (void)state;
    open_scene(&scene);
    admit(&scene, &scene.client, NULL);
    link = come(&scene, &scene.other, scene.server.public_key);
    assert_int_equal(becomes(&scene, link, LINK_DENIED), LINK_DENIED);
    assert_true(link_objection(link, &why));
    assert_int_equal(why.code, ERROR_REFUSED);
    assert_non_null(strstr(why.text, scene.other.public_key));
    assert_int_equal(heard(&scene, link, QUIET_MS), 0);
    assert_true(porter_refused(scene.porter) >= 1);
    link_close(link);
    close_scene(&scene);
}

static void an_empty_set_admits_nobody(void **state)
{
    struct scene scene;
    struct link *link;

    (void)state;
    open_scene(&scene);
    link = come(&scene, &scene.client, scene.server.public_key);
    assert_int_equal(becomes(&scene, link, LINK_DENIED), LINK_DENIED);
    link_close(link);
    close_scene(&scene);
}

static void who_takes_the_listener_for_another_gets_nowhere(void **state)
{
    struct scene scene;
    struct link *link;
    struct error why;

    (void)state;
    open_scene(&scene);
    admit(&scene, &scene.client, NULL);
    link = come(&scene, &scene.client, scene.other.public_key);
    assert_int_equal(becomes(&scene, link, LINK_BROKEN), LINK_BROKEN);
    assert_true(link_objection(link, &why));
    assert_int_equal(heard(&scene, link, QUIET_MS), 0);
    link_close(link);
    close_scene(&scene);
}

static void who_has_no_key_gets_nowhere(void **state)
{
    struct scene scene;
    struct link *link;
    struct error why;

    (void)state;
    open_scene(&scene);
    admit(&scene, &scene.client, NULL);
    link = come(&scene, NULL, NULL);
    while (!link_objection(link, &why) && clock_ms() < scene.end_ms) {
        struct link_event event = {.link = link};

        link_wait(&event, 1, 50);
    }
    assert_non_null(strstr(why.text, "--keys DIR"));
    assert_int_equal(heard(&scene, link, QUIET_MS), 0);
    link_close(link);
    close_scene(&scene);
}

static void who_is_revoked_is_not_heard_any_more(void **state)
{
    struct scene scene;
    struct link *link;
    Mr__Cancel cancel = MR__CANCEL__INIT;
    uint64_t peer;

    (void)state;
    open_scene(&scene);
    admit(&scene, &scene.client, &scene.other);
    link = come(&scene, &scene.client, scene.server.public_key);
    peer = heard(&scene, link, DEADLINE_MS);
    assert_true(peer);
    admit(&scene, &scene.other, NULL);
    link_send(link, 0, FRAME_CANCEL, &cancel.base);
    assert_int_equal(heard(&scene, link, QUIET_MS), 0);
    assert_true(link_counts(scene.listener).strange > 0);
    assert_true(link_in_session(scene.listener, peer));
    link_prune(scene.listener);
    assert_false(link_in_session(scene.listener, peer));
    link_close(link);
    /* He knows that it is over for good as soon as he comes again. */
    link = come(&scene, &scene.client, scene.server.public_key);
    assert_int_equal(becomes(&scene, link, LINK_DENIED), LINK_DENIED);
    link_close(link);
    close_scene(&scene);
}

/* Identities are chosen by the peers. */
static void nobody_speaks_in_another_ones_session(void **state)
{
    struct scene scene;
    struct link *link;
    void *thief;
    Mr__Cancel cancel = MR__CANCEL__INIT;
    struct frame_stamp stamp = {.sequence = 2};
    cleanup_free uint8_t *frame = NULL;
    size_t size;
    uint64_t peer;
    int none = 0;

    (void)state;
    open_scene(&scene);
    admit(&scene, &scene.client, &scene.other);
    link = come(&scene, &scene.client, scene.server.public_key);
    peer = heard(&scene, link, DEADLINE_MS);
    thief = zmq_socket(scene.context, ZMQ_DEALER);
    zmq_setsockopt(thief, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(thief, ZMQ_ROUTING_ID, &peer, sizeof peer);
    zmq_setsockopt(thief, ZMQ_CURVE_SERVERKEY, scene.server.public_key, KEY_TEXT);
    zmq_setsockopt(thief, ZMQ_CURVE_PUBLICKEY, scene.other.public_key, KEY_TEXT);
    zmq_setsockopt(thief, ZMQ_CURVE_SECRETKEY, scene.other.secret_key, KEY_TEXT);
    assert_int_equal(zmq_connect(thief, link_endpoint(scene.listener)), 0);
    frame = frame_pack(FRAME_CANCEL, &cancel.base, &size);
    frame_set_stamp(frame, size, &stamp);
    assert_int_equal(zmq_send(thief, frame, size, 0), (int)size);
    while (!link_counts(scene.listener).strange && clock_ms() < scene.end_ms) {
        struct link_event event = {.link = scene.listener};
        ProtobufCMessage *message;
        enum frame_type type;
        uint64_t who;

        link_wait(&event, 1, 50);
        assert_false(link_receive(scene.listener, &who, &type, &message));
    }
    assert_int_equal(link_counts(scene.listener).strange, 1);
    assert_string_equal(link_peer_key(scene.listener, peer), scene.client.public_key);
    zmq_close(thief);
    link_close(link);
    close_scene(&scene);
}

static void peers_of_this_process_need_no_key(void **state)
{
    struct scene scene;
    struct link *link;
    Mr__Cancel cancel = MR__CANCEL__INIT;
    struct error err;
    uint64_t peer;

    (void)state;
    open_scene(&scene);
    assert_int_equal(link_listen_also(scene.listener, "inproc://inside", &err), 0);
    assert_int_equal(link_connect(scene.context, "inproc://inside", &link, &err), 0);
    link_send(link, 0, FRAME_CANCEL, &cancel.base);
    peer = heard(&scene, link, DEADLINE_MS);
    assert_true(peer);
    assert_string_equal(link_peer_key(scene.listener, peer), "");
    link_prune(scene.listener);
    assert_true(link_in_session(scene.listener, peer));
    link_close(link);
    close_scene(&scene);
}

/* Everything is closed in the middle of handshakes, at another moment each time. */
static void nothing_hangs_however_it_ends(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct scene scene;
        struct link *links[6];

        open_scene(&scene);
        admit(&scene, &scene.client, NULL);
        for (int k = 0; k < 6; k++)
            links[k] = come(&scene,
                            k % 3 == 0   ? &scene.client
                            : k % 3 == 1 ? &scene.other
                                         : NULL,
                            scene.server.public_key);
        if (i % 2)
            heard(&scene, links[0], i % 7);
        if (i % 3 == 0)
            link_close(scene.listener);
        for (int k = 0; k < 6; k++)
            link_close(links[k]);
        if (i % 3)
            link_close(scene.listener);
        porter_close(scene.porter);
        link_context_free(scene.context);
    }
}

/* As the library tells of one handshake after the other, with whatever errno is at its end. */
static void of_several_events_the_one_that_knows_the_cause_counts(void **state)
{
    static const int told[] = {EPIPE, EAGAIN, ECONNRESET, 0};
    struct monitor_failure failure = {0};

    (void)state;
    assert_string_equal(monitor_reason(&failure), "what it sent is no handshake");
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        failure = (struct monitor_failure){0};
        monitor_failed(&failure, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, EFAULT);
        monitor_failed(&failure, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, (uint32_t)told[i]);
        assert_string_equal(monitor_reason(&failure), "nobody answers for keys here");
        failure = (struct monitor_failure){0};
        monitor_failed(&failure, ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL, (uint32_t)told[i]);
        assert_string_equal(monitor_reason(&failure), "it left in the middle of the handshake");
    }
    monitor_failed(&failure, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                   ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH);
    assert_string_equal(monitor_reason(&failure), "it has no key");
    monitor_failed(&failure, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
                   ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC);
    assert_string_equal(monitor_reason(&failure),
                        "its handshake is not for the key of this process");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_admitted_is_heard_under_his_key),
        cmocka_unit_test(who_is_not_admitted_is_told_so),
        cmocka_unit_test(an_empty_set_admits_nobody),
        cmocka_unit_test(who_takes_the_listener_for_another_gets_nowhere),
        cmocka_unit_test(who_has_no_key_gets_nowhere),
        cmocka_unit_test(who_is_revoked_is_not_heard_any_more),
        cmocka_unit_test(nobody_speaks_in_another_ones_session),
        cmocka_unit_test(peers_of_this_process_need_no_key),
        cmocka_unit_test(nothing_hangs_however_it_ends),
        cmocka_unit_test(of_several_events_the_one_that_knows_the_cause_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
