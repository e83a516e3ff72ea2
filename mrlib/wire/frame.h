/* Frames: what every message of ours is wrapped in, on a socket of ZeroMQ or on a stream.
 *
 *   u32 'MRM1'   u16 version   u16 type   u32 length   u32 0   u64 xxh3(of the 16 bytes before
 * and the payload) payload[length]                                                         all
 * little-endian
 *
 * Random bytes reach us as messages wherever a port is open: a frame is checked before any of
 * it is decoded, and messages are unpacked by an allocator with a cap. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { FRAME_HEADER = 24, FRAME_VERSION = 1 };

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
    FRAME_TYPES
};

/* Packs `message` (NULL: no payload), which must be of the type's descriptor, into a new frame
 * that the caller frees. A message above LIMIT_MESSAGE is our own bug. */
uint8_t *frame_pack(enum frame_type type, const ProtobufCMessage *message, size_t *ret_size);

/* The payload's length from a header of FRAME_HEADER bytes, checked but for its checksum; or
 * -1. */
int frame_length(const uint8_t *header, size_t *ret_length, struct error *err);

/* Checks a whole frame and unpacks it; *ret_message (NULL without payload) is freed with
 * frame_free. */
int frame_unpack(const uint8_t *frame, size_t size, enum frame_type *ret_type,
                 ProtobufCMessage **ret_message, struct error *err);
void frame_free(ProtobufCMessage *message);

#endif
