/* A network for two sessions in virtual time: it drops, doubles, reorders, delays and blocks as
 * a seed says, until it heals. */
#ifndef TESTS_LOSSY_H
#define TESTS_LOSSY_H

#include "base/rng.h"
#include "wire/session.h"

struct lossy_flight {
    int64_t at_ms;
    uint64_t order; /* of equal times */
    uint8_t *frame;
    size_t size;
    int to;
};

struct lossy_end {
    struct lossy *network;
    struct session *session;
    int index;
    uint64_t put, got;    /* messages */
    uint64_t tried, sent; /* frames offered to the network, and taken by it */
    uint64_t sent_bytes;
};

struct lossy {
    struct rng rng;
    int64_t now_ms, heals_ms;
    unsigned drop, twice, block; /* percent */
    int64_t delay_ms;            /* at most */
    struct lossy_end ends[2];
    struct lossy_flight *flights;
    size_t count, capacity;
    uint64_t order, last_order[2];
    uint64_t dropped, doubled, blocked, reordered;
};

void lossy_init(struct lossy *network, uint64_t seed);
/* Zero flights and sessions are left. */
void lossy_done(struct lossy *network);

/* Puts the end's next message, of about `size` bytes; its number is inside. */
void lossy_put(struct lossy_end *end, size_t size);

/* session_tend, now. */
void lossy_tend(struct lossy_end *end);

/* The time of the next arrival or of what a session has due; INT64_MAX: nothing is left. */
int64_t lossy_next(const struct lossy *network);

/* Goes on to lossy_next, lets what is due there happen, and checks each message that comes out
 * against its number. */
void lossy_step(struct lossy *network);

/* The number of a frame that lossy_put made. */
uint64_t lossy_number(const uint8_t *frame, size_t size);

#endif
