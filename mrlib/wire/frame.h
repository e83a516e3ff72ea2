/* Frames: what every message of ours is wrapped in, on a socket of ZeroMQ or on a stream.
 *
 *   u32 'MRM1'   u16 version   u16 type   u32 length   u32 0
 *   u64 epoch   u64 sequence   u64 acknowledged
 *   u64 xxh3(of the 40 bytes before and the payload)
 *   payload[length]                                            all little-endian
 *
 * The stamp in the middle belongs to sessions (wire/session.h); a stream has none, all zero.
 *
 * Random bytes reach us as messages wherever a port is open: a frame is checked before any of
 * it is decoded, and messages are unpacked by an allocator with a cap. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { FRAME_HEADER = 48, FRAME_VERSION = 2 };

/* Which life of a coordinator, which message of a session, and up to which the sender has all.
 */
struct frame_stamp {
    uint64_t epoch, sequence, acknowledged;
};

/* The type of a message; frame.c has the table of their descriptors. Never renumbered. */
enum frame_type {
    FRAME_HELLO = 1,
    FRAME_WELCOME = 2,
    FRAME_SUBMIT = 3,
    FRAME_SUBMITTED = 4,
    FRAME_CANCEL = 5,
    FRAME_PROGRESS = 6,
    FRAME_FINISHED = 7,
    FRAME_JOB_OPEN = 8,
    FRAME_JOB_CLOSE = 9,
    FRAME_ASSIGN = 10,
    FRAME_REVOKE = 11,
    FRAME_MAP_OUTPUTS = 12,
    FRAME_TASK_DONE = 13,
    FRAME_TASK_FAILED = 14,
    FRAME_GOODBYE = 15, /* no payload: the peer leaves in order */
    FRAME_REFUSED = 16,
    FRAME_FENCED = 17, /* no payload: you are not known (any more); begin anew */
    FRAME_ACK = 18,    /* no payload: only the stamp matters */
    FRAME_HEARTBEAT = 19,
    FRAME_HEARTBEAT_ACK = 20,
    FRAME_BLOB_GET = 21,
    FRAME_BLOB = 22,
    FRAME_QUERY = 23,
    FRAME_JOBS = 24,
    FRAME_WORKERS = 25,
    FRAME_LOGS = 26,
    FRAME_REPLY = 27,
    FRAME_JOB_CLOSED = 28,
    FRAME_PART_WANTED = 29,
    FRAME_PART_FETCHED = 30,
    FRAME_FETCH = 31,
    FRAME_FETCHED = 32,
    FRAME_HELD = 33,
    FRAME_DRAIN = 37,
    FRAME_DRAINING = 38,
    FRAME_TAKE = 39,
    FRAME_TOOK = 40,
    FRAME_CONFINED = 60,
    FRAME_REPLAY = 65,
    FRAME_CLUSTER = 95,
    FRAME_EVENT = 96,
    FRAME_ROSTER = 100,
    FRAME_TYPES
};

/* Packs `message` (NULL: no payload), which must be of the type's descriptor, into a new frame
 * that the caller frees. A message above LIMIT_MESSAGE is our own bug. */
uint8_t *frame_pack(enum frame_type type, const ProtobufCMessage *message, size_t *ret_size);

/* The payload's length from a header of FRAME_HEADER bytes, checked but for its checksum; or
 * -1. */
int frame_length(const uint8_t *header, size_t *ret_length, struct error *err);

/* Writes the stamp into a packed frame, and the checksum anew. */
void frame_set_stamp(uint8_t *frame, size_t size, const struct frame_stamp *stamp);
/* The stamp of a frame that frame_unpack took. */
struct frame_stamp frame_get_stamp(const uint8_t *frame);

/* Checks a whole frame and unpacks it; *ret_message (NULL without payload) is freed with
 * frame_free. */
int frame_unpack(const uint8_t *frame, size_t size, enum frame_type *ret_type,
                 ProtobufCMessage **ret_message, struct error *err);
void frame_free(ProtobufCMessage *message);

/* A copy of a message of our own that borrows nothing; frame_free. */
ProtobufCMessage *frame_copy(const ProtobufCMessage *message);

#endif
