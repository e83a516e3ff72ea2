/* Links and peers that are not ours: rubbish, frames of other lives, sockets that speak
 * something else. It is counted, and nothing else happens. */
#include "tests/lib/cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "wire/link.h"
#include "wire/mr.pb-c.h"

enum { DEADLINE_MS = 60000 };

/* A listener, an honest client, and a foreign socket. */
struct scene {
    void *context, *foreign;
    struct link *listener, *client;
    uint64_t asked, answered, others; /* by the client; messages of anyone else */
    uint64_t peer;                    /* who said the last of the others */
    int64_t end_ms;
};

static void *open_foreign(void *context, const char *endpoint, const char *identity,
                          size_t identity_size)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);

    assert_non_null(socket);
    zmq_setsockopt(socket, ZMQ_LINGER, &(int){0}, sizeof(int));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &(int){0}, sizeof(int));
    if (identity_size)
        assert_int_equal(zmq_setsockopt(socket, ZMQ_ROUTING_ID, identity, identity_size), 0);
    assert_int_equal(zmq_connect(socket, endpoint), 0);
    return socket;
}

static void open_scene(struct scene *scene, const char *endpoint)
{
    struct error err;

    *scene = (struct scene){.context = link_context_new(), .end_ms = clock_ms() + DEADLINE_MS};
    assert_int_equal(link_listen(scene->context, endpoint, &scene->listener, &err), 0);
    assert_int_equal(
        link_connect(scene->context, link_endpoint(scene->listener), &scene->client, &err), 0);
    scene->foreign =
        open_foreign(scene->context, link_endpoint(scene->listener), "foreign!", 8);
}

static void close_scene(struct scene *scene)
{
    zmq_close(scene->foreign);
    link_close(scene->client);
    link_close(scene->listener);
    link_context_free(scene->context);
}

/* One turn of an honest conversation: questions with growing numbers, each answered. */
static void turn(struct scene *scene)
{
    struct link_event events[] = {{.link = scene->listener}, {.link = scene->client}};
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;

    assert_true(clock_ms() < scene->end_ms);
    if (scene->asked == scene->answered) {
        Mr__Cancel cancel = MR__CANCEL__INIT;

        cancel.job = ++scene->asked;
        link_send(scene->client, 0, FRAME_CANCEL, &cancel.base);
    }
    link_tend(scene->client);
    link_tend(scene->listener);
    link_wait(events, 2, 20);
    while (link_receive(scene->listener, &peer, &type, &message)) {
        if (type == FRAME_CANCEL) {
            assert_int_equal(((Mr__Cancel *)message)->job, scene->asked);
            link_send(scene->listener, peer, FRAME_CANCEL, message);
        } else {
            scene->others++;
            scene->peer = peer;
        }
        frame_free(message);
    }
    while (link_receive(scene->client, &peer, &type, &message)) {
        assert_int_equal(type, FRAME_CANCEL);
        assert_int_equal(((Mr__Cancel *)message)->job, ++scene->answered);
        frame_free(message);
    }
}

/* Goes on until the honest client has had so many more answers. */
static void converse(struct scene *scene, uint64_t answers)
{
    uint64_t until = scene->answered + answers;

    while (scene->answered < until)
        turn(scene);
}

static uint8_t *pack(uint64_t epoch, uint64_t sequence, uint64_t acknowledged, size_t *ret_size)
{
    Mr__Reply reply = MR__REPLY__INIT;
    uint8_t *frame = frame_pack(FRAME_REPLY, &reply.base, ret_size);

    frame_set_stamp(frame, *ret_size, &(struct frame_stamp){epoch, sequence, acknowledged});
    return frame;
}

static void send_stamped(void *socket, uint64_t epoch, uint64_t sequence, uint64_t acknowledged)
{
    size_t size;
    cleanup_free uint8_t *frame = pack(epoch, sequence, acknowledged, &size);

    assert_int_equal(zmq_send(socket, frame, size, 0), size);
}

/* The next frame that the foreign socket is sent; false when there is none now. */
static bool hear_foreign(struct scene *scene, enum frame_type *ret_type,
                         struct frame_stamp *ret_stamp)
{
    uint8_t bytes[4096];
    int n = zmq_recv(scene->foreign, bytes, sizeof bytes, ZMQ_DONTWAIT);
    ProtobufCMessage *message;
    struct error err;

    if (n < 0)
        return false;
    assert_in_range(n, FRAME_HEADER, sizeof bytes);
    assert_int_equal(frame_unpack(bytes, (size_t)n, ret_type, &message, &err), 0);
    *ret_stamp = frame_get_stamp(bytes);
    frame_free(message);
    return true;
}

static struct frame_stamp await_foreign(struct scene *scene, enum frame_type expected)
{
    struct frame_stamp stamp;
    enum frame_type type;

    while (!hear_foreign(scene, &type, &stamp))
        turn(scene);
    assert_int_equal(type, expected);
    return stamp;
}

static void send_noise(void *socket, struct rng *rng, int flags)
{
    uint8_t noise[300];
    size_t n = (size_t)rng_below(rng, sizeof noise);

    for (size_t i = 0; i < n; i++)
        noise[i] = (uint8_t)rng_next(rng);
    if (rng_below(rng, 3) == 0 && n >= 8)
        memcpy(noise, "MRM1\2\0\20\0", 8);
    assert_int_equal(zmq_send(socket, noise, n, flags), n);
}

/* A message that is wrong in one of six ways. */
static void send_rubbish(void *socket, struct rng *rng)
{
    size_t size, parts = 2 + (size_t)rng_below(rng, 60);
    cleanup_free uint8_t *frame = pack(0, 1, 0, &size);

    switch (rng_below(rng, 6)) {
    case 0:
        send_noise(socket, rng, 0);
        break;
    case 1:
        while (--parts)
            send_noise(socket, rng, ZMQ_SNDMORE);
        send_noise(socket, rng, 0);
        break;
    case 2:
        frame[rng_below(rng, size)] ^= (uint8_t)(1 << rng_below(rng, 8));
        zmq_send(socket, frame, size, 0);
        break;
    case 3:
        zmq_send(socket, frame, (size_t)rng_below(rng, size), 0);
        break;
    case 4: /* a good frame, with something behind it */
        zmq_send(socket, frame, size, ZMQ_SNDMORE);
        send_noise(socket, rng, 0);
        break;
    case 5: /* and before it */
        zmq_send(socket, "", 0, ZMQ_SNDMORE);
        zmq_send(socket, frame, size, 0);
        break;
    }
}

static void rubbish_is_counted_and_nothing_else_happens(void **state)
{
    static const char *const endpoints[] = {"tcp://127.0.0.1:0", "inproc://rubbish"};
    static const char long_name[200] = "x";
    enum { EACH = 1500 };

    (void)state;
    for (size_t e = 0; e < 2; e++) {
        struct rng rng = {e};
        struct scene scene;
        void *more[2], *sockets[3];

        open_scene(&scene, endpoints[e]);
        more[0] = open_foreign(scene.context, link_endpoint(scene.listener), NULL, 0);
        more[1] = open_foreign(scene.context, link_endpoint(scene.listener), long_name, 200);
        sockets[0] = scene.foreign;
        sockets[1] = more[0];
        sockets[2] = more[1];
        for (int i = 0; i < 3 * EACH; i++)
            send_rubbish(sockets[i % 3], &rng);
        while (link_counts(scene.listener).damaged < 3 * EACH)
            turn(&scene);
        converse(&scene, 20);
        assert_int_equal(link_counts(scene.listener).damaged, 3 * EACH);
        assert_int_equal(link_counts(scene.listener).fenced, 0);
        assert_int_equal(link_counts(scene.listener).peers, 1);
        assert_int_equal(scene.others, 0);
        for (int i = 0; i < 3; i++)
            assert_int_equal(zmq_recv(sockets[i], (uint8_t[8]){0}, 8, ZMQ_DONTWAIT), -1);
        zmq_close(more[0]);
        zmq_close(more[1]);
        close_scene(&scene);
    }
}

static void a_good_frame_under_an_identity_of_another_size_is_rubbish(void **state)
{
    struct scene scene;
    void *anonymous;

    (void)state;
    open_scene(&scene, "inproc://anonymous");
    anonymous = open_foreign(scene.context, link_endpoint(scene.listener), NULL, 0);
    send_stamped(anonymous, 0, 1, 0);
    while (!link_counts(scene.listener).damaged)
        turn(&scene);
    converse(&scene, 1);
    assert_int_equal(link_counts(scene.listener).peers, 1);
    assert_int_equal(scene.others, 0);
    zmq_close(anonymous);
    close_scene(&scene);
}

static void the_caller_has_its_turn_while_rubbish_pours_in(void **state)
{
    struct scene scene;
    struct link_event event;
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;

    (void)state;
    open_scene(&scene, "inproc://pours");
    for (int i = 0; i < 5000; i++)
        zmq_send(scene.foreign, "rubbish", 7, 0);
    event.link = scene.listener;
    assert_int_equal(link_wait(&event, 1, -1), 1);
    assert_int_equal(link_receive(scene.listener, &peer, &type, &message), 0);
    assert_in_range(link_counts(scene.listener).damaged, 1, 1000);
    /* And what is left is not forgotten. */
    assert_int_equal(link_wait(&event, 1, -1), 1);
    while (link_counts(scene.listener).damaged < 5000)
        turn(&scene);
    converse(&scene, 3);
    close_scene(&scene);
}

static void a_message_of_another_epoch_opens_no_session(void **state)
{
    struct frame_stamp stamp;
    struct scene scene;

    (void)state;
    open_scene(&scene, "tcp://127.0.0.1:0");
    for (uint64_t i = 1; i <= 3; i++) {
        send_stamped(scene.foreign, 99, 1, i == 3 ? 5 : 0);
        stamp = await_foreign(&scene, FRAME_FENCED);
        assert_int_equal(stamp.sequence, 0);
        assert_int_not_equal(stamp.epoch, 0);
        assert_int_equal(link_counts(scene.listener).fenced, i);
    }
    converse(&scene, 2);
    assert_int_equal(link_counts(scene.listener).peers, 1);
    assert_int_equal(scene.others, 0);
    close_scene(&scene);
}

static void a_peer_in_session_with_a_wrong_epoch_is_fenced_and_not_heard(void **state)
{
    struct frame_stamp stamp;
    struct scene scene;

    (void)state;
    open_scene(&scene, "tcp://127.0.0.1:0");
    send_stamped(scene.foreign, 0, 1, 0);
    stamp = await_foreign(&scene, FRAME_ACK);
    assert_int_equal(scene.others, 1);
    send_stamped(scene.foreign, stamp.epoch + 1, 2, 0);
    await_foreign(&scene, FRAME_FENCED);
    assert_int_equal(scene.others, 1);
    send_stamped(scene.foreign, stamp.epoch, 2, 0);
    await_foreign(&scene, FRAME_ACK);
    assert_int_equal(scene.others, 2);
    close_scene(&scene);
}

static void a_session_whose_first_message_was_lost_is_not_over(void **state)
{
    struct frame_stamp stamp;
    struct scene scene;

    (void)state;
    open_scene(&scene, "tcp://127.0.0.1:0");
    send_stamped(scene.foreign, 0, 2, 0);
    send_stamped(scene.foreign, 0, 3, 0);
    send_stamped(scene.foreign, 0, 1, 0);
    send_stamped(scene.foreign, 0, 2, 0);
    do {
        stamp = await_foreign(&scene, FRAME_ACK);
    } while (stamp.acknowledged < 2);
    assert_int_equal(scene.others, 2);
    assert_int_equal(link_counts(scene.listener).fenced, 0);
    assert_int_equal(link_counts(scene.listener).peers, 2);
    close_scene(&scene);
}

/* It would hold a place in the table, and nobody would ever hear of it. */
static void a_numbered_acknowledgement_opens_no_session(void **state)
{
    struct scene scene;
    uint8_t *frame;
    size_t size;

    (void)state;
    open_scene(&scene, "tcp://127.0.0.1:0");
    frame = frame_pack(FRAME_ACK, NULL, &size);
    frame_set_stamp(frame, size, &(struct frame_stamp){.sequence = 1});
    assert_int_equal(zmq_send(scene.foreign, frame, size, 0), size);
    while (!link_counts(scene.listener).damaged)
        turn(&scene);
    converse(&scene, 2);
    assert_int_equal(link_counts(scene.listener).peers, 1);
    assert_int_equal(scene.others, 0);
    /* Who says something after it begins as anyone. */
    send_stamped(scene.foreign, 0, 1, 0);
    assert_int_equal(await_foreign(&scene, FRAME_ACK).acknowledged, 1);
    assert_int_equal(scene.others, 1);
    free(frame);
    close_scene(&scene);
}

static void nonsense_stamps_of_a_peer_in_session_take_nothing_away(void **state)
{
    struct rng rng = {5};
    struct frame_stamp stamp;
    enum frame_type type;
    struct scene scene;
    Mr__Reply reply = MR__REPLY__INIT;

    (void)state;
    open_scene(&scene, "tcp://127.0.0.1:0");
    send_stamped(scene.foreign, 0, 1, 0);
    stamp = await_foreign(&scene, FRAME_ACK);
    link_send(scene.listener, scene.peer, FRAME_REPLY, &reply.base);
    for (int i = 0; i < 500; i++)
        send_stamped(scene.foreign, stamp.epoch, 3 + (rng_next(&rng) >> 2),
                     2 + (rng_next(&rng) >> rng_below(&rng, 60)));
    converse(&scene, 10);
    assert_int_equal(scene.others, 1);
    /* It was not believed that it has the reply: that comes again. */
    for (int copies = 0; copies < 3;) {
        if (hear_foreign(&scene, &type, &stamp))
            copies += type == FRAME_REPLY && stamp.sequence == 1;
        else
            turn(&scene);
    }
    assert_int_equal(link_counts(scene.listener).damaged, 0);
    close_scene(&scene);
}

static void a_port_survives_who_does_not_even_speak_the_library_s_language(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct rng rng = {6};
    struct scene scene;
    int written = 0;

    (void)state;
    open_scene(&scene, "tcp://127.0.0.1:0");
    address.sin_port = htons((uint16_t)atoi(strrchr(link_endpoint(scene.listener), ':') + 1));
    for (int i = 0; i < 60; i++) {
        cleanup_close int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        /* The greeting of a peer that speaks it, to get further. */
        uint8_t bytes[4000] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL";

        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
        for (size_t at = i % 3 == 0 ? 0 : i % 3 == 1 ? 12 : 64; at < sizeof bytes; at++)
            bytes[at] = (uint8_t)rng_next(&rng);
        written += send(fd, bytes, sizeof bytes, MSG_NOSIGNAL) > 0;
        converse(&scene, 1);
    }
    assert_int_equal(written, 60);
    converse(&scene, 10);
    assert_int_equal(link_counts(scene.listener).peers, 1);
    assert_int_equal(scene.others, 0);
    close_scene(&scene);
}

static void a_message_above_the_limit_cuts_off_its_sender_alone(void **state)
{
    cleanup_free uint8_t *large = memory_zeroed(1, LIMIT_MESSAGE + FRAME_HEADER + 1);
    struct scene scene;

    (void)state;
    open_scene(&scene, "tcp://127.0.0.1:0");
    zmq_send(scene.foreign, large, LIMIT_MESSAGE + FRAME_HEADER + 1, 0);
    zmq_send(scene.foreign, large, LIMIT_MESSAGE + FRAME_HEADER,
             0); /* comes in, and is rubbish */
    while (!link_counts(scene.listener).damaged) {
        turn(&scene);
        if (scene.answered % 50 == 49) /* the first cut may have taken it along */
            zmq_send(scene.foreign, large, LIMIT_MESSAGE + FRAME_HEADER, 0);
    }
    converse(&scene, 5);
    assert_int_equal(scene.others, 0);
    assert_int_equal(link_counts(scene.listener).peers, 1);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rubbish_is_counted_and_nothing_else_happens),
        cmocka_unit_test(a_good_frame_under_an_identity_of_another_size_is_rubbish),
        cmocka_unit_test(the_caller_has_its_turn_while_rubbish_pours_in),
        cmocka_unit_test(a_message_of_another_epoch_opens_no_session),
        cmocka_unit_test(a_peer_in_session_with_a_wrong_epoch_is_fenced_and_not_heard),
        cmocka_unit_test(a_session_whose_first_message_was_lost_is_not_over),
        cmocka_unit_test(a_numbered_acknowledgement_opens_no_session),
        cmocka_unit_test(nonsense_stamps_of_a_peer_in_session_take_nothing_away),
        cmocka_unit_test(a_port_survives_who_does_not_even_speak_the_library_s_language),
        cmocka_unit_test(a_message_above_the_limit_cuts_off_its_sender_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
