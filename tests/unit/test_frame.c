/* Frames: what goes in comes out; what was changed on the way is refused. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/rng.h"
#include "wire/channel.h"
#include "wire/frame.h"
#include "wire/mr.pb-c.h"

static uint8_t *pack_assign(size_t *ret_size)
{
    Mr__Assign assign = MR__ASSIGN__INIT;
    Mr__Extent extent = MR__EXTENT__INIT, *extents[] = {&extent};

    extent.path = (ProtobufCBinaryData){9, (uint8_t *)"/data/a.b"};
    extent.length = 77;
    assign.job = 5;
    assign.kind = MR__TASK_KIND__REDUCE;
    assign.task = 12;
    assign.attempt = 3;
    assign.extents = extents;
    assign.n_extents = 1;
    return frame_pack(FRAME_ASSIGN, &assign.base, ret_size);
}

static void a_message_survives_the_frame(void **state)
{
    size_t size;
    cleanup_free uint8_t *frame = pack_assign(&size);
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;
    const Mr__Assign *assign;

    (void)state;
    assert_int_equal(frame_unpack(frame, size, &type, &message, &err), 0);
    assert_int_equal(type, FRAME_ASSIGN);
    assign = (const Mr__Assign *)message;
    assert_int_equal(assign->task, 12);
    assert_int_equal(assign->n_extents, 1);
    assert_memory_equal(assign->extents[0]->path.data, "/data/a.b", 9);
    frame_free(message);
}

static void every_flipped_bit_and_every_cut_is_refused(void **state)
{
    size_t size;
    cleanup_free uint8_t *frame = pack_assign(&size);
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    (void)state;
    for (size_t bit = 0; bit < size * 8; bit++) {
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(frame_unpack(frame, size, &type, &message, &err), -1);
        assert_int_equal(err.code, ERROR_DAMAGE);
        frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(frame_unpack(frame, cut, &type, &message, &err), -1);
}

static void random_payloads_under_a_right_checksum_do_no_harm(void **state)
{
    struct rng rng = {7};

    (void)state;
    for (int round = 0; round < 2000; round++) {
        Mr__Submitted carrier = MR__SUBMITTED__INIT;
        Mr__Error error = MR__ERROR__INIT;
        uint8_t noise[200];
        size_t size;
        ProtobufCMessage *message;
        enum frame_type type;
        struct error err;

        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (uint8_t)rng_next(&rng);
        error.text = (ProtobufCBinaryData){rng_below(&rng, sizeof noise), noise};
        carrier.error = &error;
        cleanup_free uint8_t *frame = frame_pack(FRAME_SUBMITTED, &carrier.base, &size);
        assert_int_equal(frame_unpack(frame, size, &type, &message, &err), 0);
        frame_free(message);
    }
}

static void a_channel_hands_over_whole_messages_and_then_the_end(void **state)
{
    struct channel a, b;
    int pair[2];
    Mr__Cancel cancel = MR__CANCEL__INIT;
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    channel_init(&a, pair[0]);
    channel_init(&b, pair[1]);
    assert_int_equal(channel_receive(&b, false, &type, &message, &err), 2);
    for (uint64_t i = 1; i <= 3; i++) {
        cancel.job = i;
        assert_int_equal(channel_send(&a, FRAME_CANCEL, &cancel.base, &err), 0);
    }
    assert_int_equal(channel_send(&a, FRAME_GOODBYE, NULL, &err), 0);
    channel_done(&a);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(channel_receive(&b, true, &type, &message, &err), 1);
        assert_int_equal(((Mr__Cancel *)message)->job, i);
        frame_free(message);
    }
    assert_int_equal(channel_receive(&b, true, &type, &message, &err), 1);
    assert_int_equal(type, FRAME_GOODBYE);
    assert_null(message);
    assert_int_equal(channel_receive(&b, true, &type, &message, &err), 0);
    channel_done(&b);
}

static void garbage_on_a_channel_is_an_error(void **state)
{
    struct channel b;
    int pair[2];
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    channel_init(&b, pair[1]);
    assert_int_equal(write(pair[0], "printf debugging into descriptor three", 38), 38);
    assert_int_equal(channel_receive(&b, true, &type, &message, &err), -1);
    assert_int_equal(err.code, ERROR_DAMAGE);
    close(pair[0]);
    channel_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_survives_the_frame),
        cmocka_unit_test(every_flipped_bit_and_every_cut_is_refused),
        cmocka_unit_test(random_payloads_under_a_right_checksum_do_no_harm),
        cmocka_unit_test(a_channel_hands_over_whole_messages_and_then_the_end),
        cmocka_unit_test(garbage_on_a_channel_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
