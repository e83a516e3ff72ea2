/* Frames over a stream: however the bytes arrive, whole messages come out, in order, or an
 * error. */
#include "tests/lib/cmocka_all.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "wire/channel.h"
#include "wire/mr.pb-c.h"

/* A channel, and the bare other end of its socket pair. */
struct fixture {
    struct channel channel;
    int peer;
};

static struct fixture open_pair(void)
{
    struct fixture fixture;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    channel_init(&fixture.channel, pair[0]);
    fixture.peer = pair[1];
    return fixture;
}

static void close_pair(struct fixture *fixture)
{
    if (fixture->peer >= 0)
        close(fixture->peer);
    channel_done(&fixture->channel);
}

static void write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;

    while (size) {
        ssize_t n = write(fd, at, size);

        assert_true(n > 0);
        at += n;
        size -= (size_t)n;
    }
}

/* A frame that says `number`, with `size` bytes of its own behind it. */
static uint8_t *pack_output(uint64_t number, size_t size, size_t *ret_size)
{
    cleanup_free uint8_t *path = memory_new(size);
    Mr__MapOutput output = MR__MAP_OUTPUT__INIT, *outputs[] = {&output};
    Mr__MapOutputs message = MR__MAP_OUTPUTS__INIT;

    memset(path, (int)(number % 251), size);
    output.run_id = number;
    output.path = (ProtobufCBinaryData){size, path};
    message.job = number;
    message.outputs = outputs;
    message.n_outputs = 1;
    return frame_pack(FRAME_MAP_OUTPUTS, &message.base, ret_size);
}

static void expect_output(const ProtobufCMessage *message, uint64_t number, size_t size)
{
    const Mr__MapOutputs *outputs = (const Mr__MapOutputs *)message;

    assert_ptr_equal(message->descriptor, &mr__map_outputs__descriptor);
    assert_int_equal(outputs->job, number);
    assert_int_equal(outputs->n_outputs, 1);
    assert_int_equal(outputs->outputs[0]->path.len, size);
    for (size_t i = 0; i < size; i += 97)
        assert_int_equal(outputs->outputs[0]->path.data[i], number % 251);
}

static void expect_next(struct channel *channel, uint64_t number, size_t size)
{
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    assert_int_equal(channel_receive(channel, false, &type, &message, &err), 1);
    assert_int_equal(type, FRAME_MAP_OUTPUTS);
    expect_output(message, number, size);
    frame_free(message);
}

/* What channel_receive says when it gives no message. */
static int poll_once(struct channel *channel, struct error *err)
{
    ProtobufCMessage *message = NULL;
    enum frame_type type = FRAME_TYPES;
    int result = channel_receive(channel, false, &type, &message, err);

    assert_int_not_equal(result, 1);
    assert_null(message);
    assert_int_equal(type, FRAME_TYPES);
    return result;
}

static void a_frame_that_comes_byte_by_byte_is_taken_once_it_is_whole(void **state)
{
    struct fixture fixture = open_pair();
    size_t size;
    cleanup_free uint8_t *frame = pack_output(9, 300, &size);
    struct error err;

    (void)state;
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(poll_once(&fixture.channel, &err), 2);
        write_all(fixture.peer, frame + i, 1);
    }
    expect_next(&fixture.channel, 9, 300);
    assert_int_equal(poll_once(&fixture.channel, &err), 2);
    close_pair(&fixture);
}

static void many_frames_of_one_write_come_out_one_by_one(void **state)
{
    struct fixture fixture = open_pair();
    cleanup_free uint8_t *all = NULL;
    size_t used = 0, capacity = 0;
    struct error err;

    (void)state;
    for (uint64_t i = 0; i < 500; i++) {
        size_t size;
        cleanup_free uint8_t *frame = pack_output(i, i % 70, &size);

        memory_reserve(&all, &capacity, used + size, 1);
        memcpy(all + used, frame, size);
        used += size;
    }
    write_all(fixture.peer, all, used);
    for (uint64_t i = 0; i < 500; i++)
        expect_next(&fixture.channel, i, i % 70);
    assert_int_equal(poll_once(&fixture.channel, &err), 2);
    close_pair(&fixture);
}

struct stream {
    int fd;
    uint64_t count, seed;
};

static size_t size_of(uint64_t number)
{
    return number % 50 == 49 ? 900000 : number * 7919 % 5000;
}

/* Sends frames 0, 1, ... in pieces that know nothing of where frames end. */
static void *send_pieces(void *context)
{
    const struct stream *stream = context;
    struct rng rng = {stream->seed};

    for (uint64_t i = 0; i < stream->count; i++) {
        size_t size;
        cleanup_free uint8_t *frame = pack_output(i, size_of(i), &size);

        for (size_t at = 0, n; at < size; at += n) {
            n = 1 + (size_t)rng_below(&rng, size > 100000 ? 100000 : 700);
            n = n < size - at ? n : size - at;
            write_all(stream->fd, frame + at, n);
        }
    }
    close(stream->fd);
    return NULL;
}

static void any_cutting_of_a_stream_gives_the_same_messages(void **state)
{
    (void)state;
    for (uint64_t round = 0; round < 6; round++) {
        struct fixture fixture = open_pair();
        struct stream stream = {fixture.peer, 200, round};
        ProtobufCMessage *message;
        enum frame_type type;
        struct error err;
        pthread_t thread;

        if (round % 2) /* waiting must not depend on a blocking descriptor */
            fcntl(fixture.channel.fd, F_SETFL, O_NONBLOCK);
        assert_int_equal(pthread_create(&thread, NULL, send_pieces, &stream), 0);
        for (uint64_t i = 0; i < stream.count; i++) {
            assert_int_equal(channel_receive(&fixture.channel, true, &type, &message, &err), 1);
            expect_output(message, i, size_of(i));
            frame_free(message);
        }
        assert_int_equal(channel_receive(&fixture.channel, true, &type, &message, &err), 0);
        pthread_join(thread, NULL);
        fixture.peer = -1;
        close_pair(&fixture);
    }
}

struct sender {
    struct channel *channel;
    uint64_t number;
    int failures;
};

static void *send_many(void *context)
{
    struct sender *sender = context;
    cleanup_free uint8_t *text = memory_zeroed(40000, 1);
    Mr__Error error = MR__ERROR__INIT;
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;

    failed.error = &error;
    error.text = (ProtobufCBinaryData){40000, text};
    failed.job = sender->number;
    for (uint32_t i = 0; i < 60; i++) {
        struct error err;

        failed.task = i;
        sender->failures +=
            channel_send(sender->channel, FRAME_TASK_FAILED, &failed.base, &err) != 0;
    }
    return NULL;
}

static void frames_of_several_senders_do_not_mix(void **state)
{
    enum { SENDERS = 4 };
    struct fixture fixture = open_pair();
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    uint32_t next[SENDERS] = {0};
    struct channel receiver;

    (void)state;
    channel_init(&receiver, fixture.peer);
    /* Much smaller than a frame, so that each send takes several calls. */
    fcntl(fixture.channel.fd, F_SETFL, O_NONBLOCK);
    setsockopt(fixture.channel.fd, SOL_SOCKET, SO_SNDBUF, &(int){4096}, sizeof(int));
    for (uint64_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){&fixture.channel, i, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
    }
    for (int i = 0; i < SENDERS * 60; i++) {
        const Mr__TaskFailed *failed;
        ProtobufCMessage *message;
        enum frame_type type;
        struct error err;

        assert_int_equal(channel_receive(&receiver, true, &type, &message, &err), 1);
        failed = (const Mr__TaskFailed *)message;
        assert_in_range(failed->job, 0, SENDERS - 1);
        assert_int_equal(failed->task, next[failed->job]++);
        assert_int_equal(failed->error->text.len, 40000);
        frame_free(message);
    }
    for (int i = 0; i < SENDERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(senders[i].failures, 0);
    }
    channel_done(&receiver);
    fixture.peer = -1;
    close_pair(&fixture);
}

static void what_arrived_before_the_end_still_counts(void **state)
{
    struct fixture fixture = open_pair();
    size_t size;
    cleanup_free uint8_t *frame = pack_output(4, 50, &size);
    struct error err;

    (void)state;
    write_all(fixture.peer, frame, size);
    write_all(fixture.peer, frame, size / 2);
    close(fixture.peer);
    fixture.peer = -1;
    expect_next(&fixture.channel, 4, 50);
    assert_int_equal(poll_once(&fixture.channel, &err), 0);
    assert_int_equal(poll_once(&fixture.channel, &err), 0);
    close_pair(&fixture);
}

static void sending_to_a_peer_that_is_gone_is_an_error_not_a_signal(void **state)
{
    struct fixture fixture = open_pair();
    Mr__Cancel cancel = MR__CANCEL__INIT;
    struct error err = {0};

    (void)state;
    close(fixture.peer);
    fixture.peer = -1;
    assert_int_equal(channel_send(&fixture.channel, FRAME_CANCEL, &cancel.base, &err), -1);
    assert_int_equal(err.code, ERROR_LOST);
    assert_int_equal(poll_once(&fixture.channel, &err), 0);
    close_pair(&fixture);
}

/* It would hold up whoever sends, and all that depends on him. */
static void a_peer_that_takes_nothing_breaks_the_channel(void **state)
{
    struct fixture fixture = open_pair();
    cleanup_free uint8_t *text = memory_zeroed(1, 100000);
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    struct error err = {0};
    int sent = 0;

    (void)state;
    fixture.channel.patience_ms = 100;
    failed.log_tail = (ProtobufCBinaryData){100000, text};
    while (!channel_send(&fixture.channel, FRAME_TASK_FAILED, &failed.base, &err))
        assert_in_range(++sent, 1, 1000);
    assert_int_equal(err.code, ERROR_TIMEOUT);
    assert_non_null(strstr(err.text, "the peer took no message for 100 ms"));
    assert_true(fixture.channel.broken);
    /* From then on nothing is tried: half a frame is on its way. */
    fixture.channel.patience_ms = 1000000;
    assert_int_equal(channel_send(&fixture.channel, FRAME_TASK_FAILED, &failed.base, &err), -1);
    assert_non_null(strstr(err.text, "takes no messages"));
    close_pair(&fixture);
}

/* A good frame, then `size` bytes: the frame is delivered, then the rest is refused again and
 * again. */
static void expect_damage(const void *bytes, size_t size, const char *words)
{
    struct fixture fixture = open_pair();
    size_t good_size;
    cleanup_free uint8_t *good = pack_output(1, 10, &good_size);

    write_all(fixture.peer, good, good_size);
    write_all(fixture.peer, bytes, size);
    expect_next(&fixture.channel, 1, 10);
    for (int i = 0; i < 2; i++) {
        struct error err = {0};

        assert_int_equal(poll_once(&fixture.channel, &err), -1);
        assert_int_equal(err.code, ERROR_DAMAGE);
        if (!strstr(err.text, words))
            fail_msg("'%s' does not say '%s'", err.text, words);
    }
    close_pair(&fixture);
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

static void a_header_that_makes_no_sense_is_refused_before_its_payload_comes(void **state)
{
    size_t size;
    cleanup_free uint8_t *frame = pack_output(2, 10, &size);
    uint8_t header[FRAME_HEADER];

    (void)state;
    memset(header, 'w', sizeof header);
    expect_damage(header, sizeof header, "not a Marram frame");
    memcpy(header, frame, sizeof header);
    header[4] = 9;
    expect_damage(header, sizeof header, "version 9");
    memcpy(header, frame, sizeof header);
    put32(header + 8, (uint32_t)LIMIT_MESSAGE + 1);
    expect_damage(header, sizeof header, "above the limit");
    put32(header + 8, UINT32_MAX);
    expect_damage(header, sizeof header, "above the limit");
}

static void a_damaged_payload_is_refused(void **state)
{
    size_t size, empty_size;
    cleanup_free uint8_t *frame = pack_output(2, 10, &size);
    cleanup_free uint8_t *empty = frame_pack(FRAME_GOODBYE, NULL, &empty_size);

    (void)state;
    frame[size - 1] ^= 1;
    expect_damage(frame, size, "checksum");
    empty[6] = FRAME_TYPES;
    expect_damage(empty, empty_size, "checksum");
}

static void random_bytes_never_make_a_message(void **state)
{
    struct rng rng = {8};

    (void)state;
    for (int round = 0; round < 300; round++) {
        struct fixture fixture = open_pair();
        uint8_t noise[500];
        size_t n = 4 + (size_t)rng_below(&rng, sizeof noise - 4);
        struct error err;
        int result;

        for (size_t i = 0; i < n; i++)
            noise[i] = (uint8_t)rng_next(&rng);
        if (round % 2)
            memcpy(noise, "MRM1\2\0\12\0", n < 8 ? n : 8);
        if (round % 4 == 3 && n >= FRAME_HEADER)
            memset(noise + 8, 0, 8);
        write_all(fixture.peer, noise, n);
        close(fixture.peer);
        fixture.peer = -1;
        result = poll_once(&fixture.channel, &err);
        assert_true(result == -1 || (n < FRAME_HEADER && result == 0));
        close_pair(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_that_comes_byte_by_byte_is_taken_once_it_is_whole),
        cmocka_unit_test(many_frames_of_one_write_come_out_one_by_one),
        cmocka_unit_test(any_cutting_of_a_stream_gives_the_same_messages),
        cmocka_unit_test(frames_of_several_senders_do_not_mix),
        cmocka_unit_test(what_arrived_before_the_end_still_counts),
        cmocka_unit_test(a_peer_that_takes_nothing_breaks_the_channel),
        cmocka_unit_test(sending_to_a_peer_that_is_gone_is_an_error_not_a_signal),
        cmocka_unit_test(a_header_that_makes_no_sense_is_refused_before_its_payload_comes),
        cmocka_unit_test(a_damaged_payload_is_refused),
        cmocka_unit_test(random_bytes_never_make_a_message),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
