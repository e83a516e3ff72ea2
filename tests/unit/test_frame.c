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

static void a_stamp_is_part_of_what_is_checked(void **state)
{
    const struct frame_stamp stamp = {0x1122334455667788, 42, UINT64_MAX};
    size_t size;
    cleanup_free uint8_t *frame = pack_assign(&size);
    ProtobufCMessage *message;
    struct frame_stamp got;
    enum frame_type type;
    struct error err;

    (void)state;
    got = frame_get_stamp(frame);
    assert_true(!got.epoch && !got.sequence && !got.acknowledged);
    frame_set_stamp(frame, size, &stamp);
    got = frame_get_stamp(frame);
    assert_memory_equal(&got, &stamp, sizeof stamp);
    assert_int_equal(frame_unpack(frame, size, &type, &message, &err), 0);
    assert_int_equal(((const Mr__Assign *)message)->attempt, 3);
    frame_free(message);
    for (size_t i = 16; i < 40; i++) {
        frame[i] ^= 1;
        assert_int_equal(frame_unpack(frame, size, &type, &message, &err), -1);
        assert_int_equal(err.code, ERROR_DAMAGE);
        frame[i] ^= 1;
    }
}

/* The header byte by byte, as docs/protocol.md has it. */
static void the_header_is_the_same_on_every_machine(void **state)
{
    static const uint8_t expected[40] = "MRM1\2\0\22\0\0\0\0\0\0\0\0\0"
                                        "\1\0\0\0\0\0\0\0\2\1\0\0\0\0\0\0\3\0\0\0\0\0\0";
    size_t size;
    cleanup_free uint8_t *frame = frame_pack(FRAME_ACK, NULL, &size);

    (void)state;
    frame_set_stamp(frame, size, &(struct frame_stamp){1, 0x102, 3});
    assert_int_equal(size, 48);
    assert_memory_equal(frame, expected, sizeof expected);
}

static void a_bare_type_with_a_payload_is_refused(void **state)
{
    static const enum frame_type bare[] = {FRAME_GOODBYE, FRAME_FENCED, FRAME_ACK};

    (void)state;
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++) {
        size_t size;
        cleanup_free uint8_t *frame = pack_assign(&size);
        ProtobufCMessage *message = NULL;
        enum frame_type type;
        struct error err;

        frame[6] = (uint8_t)bare[i];
        frame_set_stamp(frame, size, &(struct frame_stamp){0}); /* sums it up anew */
        assert_int_equal(frame_unpack(frame, size, &type, &message, &err), -1);
        assert_int_equal(err.code, ERROR_DAMAGE);
        assert_null(message);
    }
}

static void unknown_types_and_versions_are_refused_by_number(void **state)
{
    size_t size;
    cleanup_free uint8_t *frame = pack_assign(&size);
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    (void)state;
    for (unsigned number = 0; number < 0x10000; number += number < 300 ? 1 : 7919) {
        if (number > 0 && number < FRAME_TYPES)
            continue;
        frame[6] = (uint8_t)number;
        frame[7] = (uint8_t)(number >> 8);
        frame_set_stamp(frame, size, &(struct frame_stamp){0});
        assert_int_equal(frame_unpack(frame, size, &type, &message, &err), -1);
        assert_non_null(strstr(err.text, "unknown message type"));
    }
    frame[6] = FRAME_ASSIGN;
    frame[7] = 0;
    frame[4] = 1; /* the version before */
    frame_set_stamp(frame, size, &(struct frame_stamp){0});
    assert_int_equal(frame_unpack(frame, size, &type, &message, &err), -1);
    assert_non_null(strstr(err.text, "version 1"));
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
    static const char text[] = "printf debugging into descriptor three, of a header's length";
    int pair[2];
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    (void)state;
    _Static_assert(sizeof text >= FRAME_HEADER, "less is waited for");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    channel_init(&b, pair[1]);
    assert_int_equal(write(pair[0], text, sizeof text), sizeof text);
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
        cmocka_unit_test(a_stamp_is_part_of_what_is_checked),
        cmocka_unit_test(the_header_is_the_same_on_every_machine),
        cmocka_unit_test(a_bare_type_with_a_payload_is_refused),
        cmocka_unit_test(unknown_types_and_versions_are_refused_by_number),
        cmocka_unit_test(random_payloads_under_a_right_checksum_do_no_harm),
        cmocka_unit_test(a_channel_hands_over_whole_messages_and_then_the_end),
        cmocka_unit_test(garbage_on_a_channel_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
