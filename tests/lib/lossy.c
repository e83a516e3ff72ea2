#include "tests/lib/lossy.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "wire/mr.pb-c.h"

enum { EPOCH = 77 };

void lossy_init(struct lossy *network, uint64_t seed)
{
    *network = (struct lossy){.rng = {seed}};
    for (int i = 0; i < 2; i++)
        network->ends[i] = (struct lossy_end){network, session_new(), .index = i};
}

void lossy_done(struct lossy *network)
{
    for (size_t i = 0; i < network->count; i++)
        free(network->flights[i].frame);
    free(network->flights);
    for (int i = 0; i < 2; i++)
        session_free(network->ends[i].session);
}

void lossy_put(struct lossy_end *end, size_t size)
{
    cleanup_free uint8_t *bytes = memory_zeroed(1, size);
    Mr__Blob blob = MR__BLOB__INIT;
    uint8_t *frame;

    blob.offset = ++end->put;
    blob.data = (ProtobufCBinaryData){size, bytes};
    frame = frame_pack(FRAME_BLOB, &blob.base, &size);
    session_put(end->session, frame, size);
}

uint64_t lossy_number(const uint8_t *frame, size_t size)
{
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;
    uint64_t number;

    check(!frame_unpack(frame, size, &type, &message, &err) && type == FRAME_BLOB);
    number = ((Mr__Blob *)message)->offset;
    frame_free(message);
    return number;
}

static void fly(struct lossy_end *end, const uint8_t *frame, size_t size)
{
    struct lossy *network = end->network;
    uint8_t *copy = memory_new(size);

    memcpy(copy, frame, size);
    memory_reserve(&network->flights, &network->capacity, network->count + 1,
                   sizeof *network->flights);
    network->flights[network->count++] = (struct lossy_flight){
        network->now_ms + (int64_t)rng_below(&network->rng, (uint64_t)network->delay_ms + 1),
        ++network->order, copy, size, !end->index};
}

static bool chance(struct lossy *network, unsigned percent)
{
    return network->now_ms < network->heals_ms && rng_below(&network->rng, 100) < percent;
}

static bool offer(void *context, const uint8_t *frame, size_t size)
{
    struct lossy_end *end = context;
    struct lossy *network = end->network;

    end->tried++;
    check(frame_get_stamp(frame).epoch == EPOCH);
    if (chance(network, network->block)) {
        network->blocked++;
        return false;
    }
    end->sent++;
    end->sent_bytes += size;
    if (chance(network, network->drop)) {
        network->dropped++;
        return true;
    }
    fly(end, frame, size);
    if (chance(network, network->twice)) {
        network->doubled++;
        fly(end, frame, size);
    }
    return true;
}

void lossy_tend(struct lossy_end *end)
{
    session_tend(end->session, EPOCH, end->network->now_ms, offer, end);
}

/* The index of the next flight; `count` if there is none. */
static size_t next_flight(const struct lossy *network)
{
    size_t best = 0;

    for (size_t i = 1; i < network->count; i++) {
        const struct lossy_flight *flight = &network->flights[i];
        const struct lossy_flight *earliest = &network->flights[best];

        if (flight->at_ms < earliest->at_ms ||
            (flight->at_ms == earliest->at_ms && flight->order < earliest->order))
            best = i;
    }
    return best;
}

int64_t lossy_next(const struct lossy *network)
{
    int64_t next = INT64_MAX;

    if (network->count)
        next = network->flights[next_flight(network)].at_ms;
    for (int i = 0; i < 2; i++) {
        int64_t due = session_due(network->ends[i].session, network->now_ms);

        check(due >= network->now_ms);
        next = due < next ? due : next;
    }
    return next;
}

static void arrive(struct lossy *network)
{
    size_t at = next_flight(network);
    struct lossy_flight flight = network->flights[at];
    struct lossy_end *end = &network->ends[flight.to];
    struct frame_stamp stamp = frame_get_stamp(flight.frame);

    network->flights[at] = network->flights[--network->count];
    network->reordered += flight.order < network->last_order[flight.to];
    network->last_order[flight.to] = flight.order;
    if (session_take(end->session, &stamp) && stamp.sequence) {
        end->got++;
        check(lossy_number(flight.frame, flight.size) == end->got);
        check(end->got <= network->ends[!flight.to].put);
    }
    free(flight.frame);
    lossy_tend(end);
}

void lossy_step(struct lossy *network)
{
    int64_t next = lossy_next(network);

    check(next < INT64_MAX && next >= network->now_ms);
    network->now_ms = next;
    for (int i = 0; i < 2; i++) {
        struct lossy_end *end = &network->ends[i];
        uint64_t tried = end->tried;

        if (session_due(end->session, next) > next)
            continue;
        lossy_tend(end);
        /* Due is honest: there was something to do, and now there is not. */
        check(end->tried > tried);
        check(session_due(end->session, next) > next);
    }
    if (network->count && network->flights[next_flight(network)].at_ms <= next)
        arrive(network);
}
