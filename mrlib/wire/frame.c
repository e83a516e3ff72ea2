/* Frames around messages: checksum outside, capped unpacking inside. */
#include "wire/frame.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "wire/mr.pb-c.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Marram's wire and run files are little-endian, and so must the machine be"
#endif

enum { MAGIC = 0x314d524d }; /* "MRM1" */

struct header {
    uint32_t magic;
    uint16_t version, type;
    uint32_t length, zero;
    struct frame_stamp stamp;
    uint64_t checksum;
};
_Static_assert(sizeof(struct header) == FRAME_HEADER, "the header has no holes");

static const ProtobufCMessageDescriptor *const descriptors[FRAME_TYPES] = {
    [FRAME_HELLO] = &mr__hello__descriptor,
    [FRAME_WELCOME] = &mr__welcome__descriptor,
    [FRAME_SUBMIT] = &mr__submit__descriptor,
    [FRAME_SUBMITTED] = &mr__submitted__descriptor,
    [FRAME_CANCEL] = &mr__cancel__descriptor,
    [FRAME_PROGRESS] = &mr__progress__descriptor,
    [FRAME_FINISHED] = &mr__finished__descriptor,
    [FRAME_JOB_OPEN] = &mr__job_open__descriptor,
    [FRAME_JOB_CLOSE] = &mr__job_close__descriptor,
    [FRAME_ASSIGN] = &mr__assign__descriptor,
    [FRAME_REVOKE] = &mr__revoke__descriptor,
    [FRAME_MAP_OUTPUTS] = &mr__map_outputs__descriptor,
    [FRAME_TASK_DONE] = &mr__task_done__descriptor,
    [FRAME_TASK_FAILED] = &mr__task_failed__descriptor,
    [FRAME_REFUSED] = &mr__refused__descriptor,
    [FRAME_HEARTBEAT] = &mr__heartbeat__descriptor,
    [FRAME_HEARTBEAT_ACK] = &mr__heartbeat_ack__descriptor,
    [FRAME_BLOB_GET] = &mr__blob_get__descriptor,
    [FRAME_BLOB] = &mr__blob__descriptor,
    [FRAME_QUERY] = &mr__query__descriptor,
    [FRAME_JOBS] = &mr__jobs__descriptor,
    [FRAME_WORKERS] = &mr__workers__descriptor,
    [FRAME_LOGS] = &mr__logs__descriptor,
    [FRAME_REPLY] = &mr__reply__descriptor,
    [FRAME_JOB_CLOSED] = &mr__job_closed__descriptor,
    [FRAME_PART_WANTED] = &mr__part_wanted__descriptor,
    [FRAME_PART_FETCHED] = &mr__part_fetched__descriptor,
    [FRAME_FETCH] = &mr__fetch__descriptor,
    [FRAME_FETCHED] = &mr__fetched__descriptor,
    [FRAME_HELD] = &mr__held__descriptor,
    [FRAME_DRAIN] = &mr__drain__descriptor,
    [FRAME_DRAINING] = &mr__draining__descriptor,
    [FRAME_TAKE] = &mr__take__descriptor,
    [FRAME_TOOK] = &mr__took__descriptor,
    [FRAME_CONFINED] = &mr__confinement__descriptor,
    [FRAME_REPLAY] = &mr__replay__descriptor,
    [FRAME_CLUSTER] = &mr__cluster__descriptor,
    [FRAME_EVENT] = &mr__event__descriptor,
    [FRAME_ROSTER] = &mr__roster__descriptor,
};

static bool is_bare(unsigned type)
{
    return type == FRAME_GOODBYE || type == FRAME_FENCED || type == FRAME_ACK;
}

static uint64_t checksum(const struct header *header, const uint8_t *payload)
{
    XXH3_state_t state;

    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, header, offsetof(struct header, checksum));
    XXH3_64bits_update(&state, payload, header->length);
    return XXH3_64bits_digest(&state);
}

uint8_t *frame_pack(enum frame_type type, const ProtobufCMessage *message, size_t *ret_size)
{
    size_t length = message ? protobuf_c_message_get_packed_size(message) : 0;
    struct header header = {.magic = MAGIC,
                            .version = FRAME_VERSION,
                            .type = (uint16_t)type,
                            .length = (uint32_t)length};
    uint8_t *frame;

    check(!message || message->descriptor == descriptors[type]);
    check(length <= LIMIT_MESSAGE);
    frame = memory_new(sizeof header + length);
    if (message)
        protobuf_c_message_pack(message, frame + sizeof header);
    header.checksum = checksum(&header, frame + sizeof header);
    memcpy(frame, &header, sizeof header);
    *ret_size = sizeof header + length;
    return frame;
}

void frame_set_stamp(uint8_t *frame, size_t size, const struct frame_stamp *stamp)
{
    struct header header;

    check(size >= sizeof header);
    memcpy(&header, frame, sizeof header);
    header.stamp = *stamp;
    header.checksum = checksum(&header, frame + sizeof header);
    memcpy(frame, &header, sizeof header);
}

struct frame_stamp frame_get_stamp(const uint8_t *frame)
{
    struct header header;

    memcpy(&header, frame, sizeof header);
    return header.stamp;
}

int frame_length(const uint8_t *bytes, size_t *ret_length, struct error *err)
{
    struct header header;

    memcpy(&header, bytes, sizeof header);
    if (header.magic != MAGIC)
        return error_set(err, ERROR_DAMAGE, "not a Marram frame");
    if (header.version != FRAME_VERSION)
        return error_set(err, ERROR_DAMAGE, "frame version %u, this program speaks %d",
                         header.version, FRAME_VERSION);
    if (header.length > LIMIT_MESSAGE || header.zero)
        return error_set(err, ERROR_DAMAGE, "frame of %u bytes is above the limit",
                         header.length);
    *ret_length = header.length;
    return 0;
}

/* Unpacking takes from a budget of 64 bytes for each byte received, and a base: an honest
 * message needs far less, a hostile one ends there. protobuf-c frees piece by piece, so plain
 * malloc serves and only the running total is kept. */
struct budget {
    size_t left;
};

static void *budget_alloc(void *data, size_t size)
{
    struct budget *budget = data;

    if (size > budget->left)
        return NULL;
    budget->left -= size;
    return malloc(size ? size : 1);
}

static void budget_free(void *data, void *pointer)
{
    (void)data;
    free(pointer);
}

int frame_unpack(const uint8_t *frame, size_t size, enum frame_type *ret_type,
                 ProtobufCMessage **ret_message, struct error *err)
{
    struct budget budget = {4096 + 64 * size};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
    ProtobufCMessage *message = NULL;
    struct header header;
    size_t length;

    if (size < sizeof header)
        return error_set(err, ERROR_DAMAGE, "a frame of %zu bytes is too short", size);
    if (frame_length(frame, &length, err))
        return -1;
    memcpy(&header, frame, sizeof header);
    if (length != size - sizeof header ||
        header.checksum != checksum(&header, frame + sizeof header))
        return error_set(err, ERROR_DAMAGE, "a frame's length or checksum is wrong");
    if (header.type >= FRAME_TYPES || (!descriptors[header.type] && !is_bare(header.type)))
        return error_set(err, ERROR_DAMAGE, "unknown message type %u", header.type);
    if (descriptors[header.type]) {
        message = protobuf_c_message_unpack(descriptors[header.type], &allocator, length,
                                            frame + sizeof header);
        if (!message)
            return error_set(err, ERROR_DAMAGE, "a %s message cannot be decoded",
                             descriptors[header.type]->short_name);
    } else if (length) {
        return error_set(err, ERROR_DAMAGE, "unexpected payload");
    }
    *ret_type = (enum frame_type)header.type;
    *ret_message = message;
    return 0;
}

void frame_free(ProtobufCMessage *message)
{
    if (message)
        protobuf_c_message_free_unpacked(message, NULL);
}

ProtobufCMessage *frame_copy(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    cleanup_free uint8_t *packed = memory_new(size + 1);
    ProtobufCMessage *copy;

    protobuf_c_message_pack(message, packed);
    copy = protobuf_c_message_unpack(message->descriptor, NULL, size, packed);
    check(copy);
    return copy;
}
