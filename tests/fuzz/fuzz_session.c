/* Two sessions over a network that the input plays: each byte is a deed, its upper half the
 * choice. Messages must come out once, in order, whatever is lost, doubled, swapped or held
 * back; a foreign stamp must not disturb; and once the network is whole all must arrive. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "wire/mr.pb-c.h"
#include "wire/session.h"

enum { EPOCH = 5, FLIGHTS = 256, MESSAGES = 500 };

struct end {
    struct session *session;
    uint64_t put, got;
    uint8_t *flights[FLIGHTS]; /* to this end, in order of sending; what is beyond is lost */
    size_t sizes[FLIGHTS];
    size_t count;
};

struct world {
    struct end ends[2];
    int64_t now_ms;
    bool blocked;
};

struct way {
    struct world *world;
    struct end *to;
    unsigned frames;
};

static bool fly(void *context, const uint8_t *frame, size_t size)
{
    struct way *way = context;
    struct end *to = way->to;

    way->frames++;
    check(frame_get_stamp(frame).epoch == EPOCH);
    if (way->world->blocked)
        return false;
    if (to->count < FLIGHTS) {
        to->flights[to->count] = memory_new(size);
        memcpy(to->flights[to->count], frame, size);
        to->sizes[to->count++] = size;
    }
    return true;
}

static void put(struct end *end, size_t size)
{
    static const uint8_t zeros[4096];
    Mr__Blob blob = MR__BLOB__INIT;
    uint8_t *frame;

    if (end->put == MESSAGES)
        return;
    blob.offset = ++end->put;
    blob.data = (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)zeros};
    frame = frame_pack(FRAME_BLOB, &blob.base, &size);
    session_put(end->session, frame, size);
}

static void tend(struct world *world, int index)
{
    struct session *session = world->ends[index].session;
    struct way way = {world, &world->ends[!index], 0};
    int64_t due = session_due(session, world->now_ms);

    check(due >= world->now_ms);
    session_tend(session, EPOCH, world->now_ms, fly, &way);
    check((way.frames > 0) == (due == world->now_ms));
    check(session_due(session, world->now_ms) > world->now_ms);
}

/* Lets the end see flight `at`; it stays in the air if it is to come twice. */
static void arrive(struct world *world, struct end *end, size_t at, bool twice)
{
    uint8_t *frame = end->flights[at];
    struct frame_stamp stamp = frame_get_stamp(frame);
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    check(!frame_unpack(frame, end->sizes[at], &type, &message, &err));
    check((type == FRAME_BLOB) == (stamp.sequence > 0));
    if (session_take(end->session, &stamp) && stamp.sequence) {
        check(((Mr__Blob *)message)->offset == ++end->got);
        check(end->got <= world->ends[end == &world->ends[0]].put);
    }
    frame_free(message);
    if (twice)
        return;
    free(frame);
    end->count--;
    memmove(end->flights + at, end->flights + at + 1, (end->count - at) * sizeof *end->flights);
    memmove(end->sizes + at, end->sizes + at + 1, (end->count - at) * sizeof *end->sizes);
}

static void lose(struct end *end, size_t at)
{
    free(end->flights[at]);
    end->flights[at] = end->flights[--end->count];
    end->sizes[at] = end->sizes[end->count];
}

/* A stamp that no honest peer would send: a message from nowhere is not taken, an
 * acknowledgement of what was never put confirms nothing. */
static void disturb(struct world *world, struct end *end, unsigned choice)
{
    uint64_t far = UINT64_MAX >> choice * 3;
    struct frame_stamp stamp = {EPOCH, 0, end->put + 1 + far % UINT32_MAX};
    size_t bytes = session_bytes(end->session);

    check(session_take(end->session, &stamp));
    check(session_bytes(end->session) == bytes);
    stamp = (struct frame_stamp){EPOCH, world->ends[end == &world->ends[0]].put + 2, 0};
    if (choice & 1)
        check(!session_take(end->session, &stamp));
}

static void play(struct world *world, uint8_t deed)
{
    static const int64_t steps[16] = {1,   2,   5,   20,  49,   50,   51,   100,
                                      299, 300, 301, 600, 1200, 2999, 3000, 10000};
    unsigned choice = deed >> 4;
    int index = deed >> 3 & 1;
    struct end *end = &world->ends[index];
    size_t at = end->count ? choice * 37 % end->count : 0;

    switch (deed & 7) {
    case 0:
        put(end, choice * choice * 17);
        break;
    case 1:
        tend(world, index);
        break;
    case 2:
    case 3:
        if (end->count)
            arrive(world, end, (deed & 7) == 2 ? 0 : at, choice == 15);
        break;
    case 4:
        if (end->count)
            lose(end, at);
        break;
    case 5:
        world->now_ms += steps[choice];
        break;
    case 6:
        world->blocked = choice & 1;
        break;
    case 7:
        disturb(world, end, choice);
        break;
    }
}

/* A whole network: each round all that flies arrives, then time goes on to what is due. */
static void heal(struct world *world)
{
    int64_t bound_ms =
        world->now_ms + 2 * SESSION_RESEND_MAX_MS + (int64_t)(2 * MESSAGES) * SESSION_RESEND_MS;

    world->blocked = false;
    for (;;) {
        int64_t due = INT64_MAX;

        for (int i = 0; i < 2; i++) {
            while (world->ends[i].count)
                arrive(world, &world->ends[i], 0, false);
            tend(world, i);
        }
        for (int i = 0; i < 2; i++) {
            int64_t next = session_due(world->ends[i].session, world->now_ms);

            due = next < due ? next : due;
        }
        if (world->ends[0].count || world->ends[1].count)
            continue;
        if (due == INT64_MAX)
            break;
        world->now_ms = due;
        check(due <= bound_ms);
    }
    for (int i = 0; i < 2; i++) {
        check(world->ends[i].got == world->ends[!i].put);
        check(!session_bytes(world->ends[i].session));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {0};

    if (size > 8192)
        return 0;
    for (int i = 0; i < 2; i++)
        world.ends[i].session = session_new();
    for (size_t i = 0; i < size; i++)
        play(&world, data[i]);
    heal(&world);
    for (int i = 0; i < 2; i++)
        session_free(world.ends[i].session);
    return 0;
}
