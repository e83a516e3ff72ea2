/* A session: the messages between two peers, each once and in order, whatever the sockets below
 * lose, double or delay. Sequence numbers, cumulative acknowledgements, going back to the
 * oldest unacknowledged message when time runs out, and sending that one alone until it is
 * confirmed (as in RFC 1122's TCP, without the rest of its congestion control: TCP is below us,
 * losses come from broken connections and full queues alone).
 *
 * Pure: no socket, no clock. Frames leave through a function; time is given, in milliseconds of
 * any monotonic clock. One thread. */
#ifndef WIRE_SESSION_H
#define WIRE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/frame.h"

enum {
    SESSION_RESEND_MS = 300,      /* first wait for an acknowledgement; doubles ... */
    SESSION_RESEND_MAX_MS = 3000, /* ... up to this */
    SESSION_WINDOW = 4 << 20,     /* bytes on their way; more wait here */
};

struct session;
struct session *session_new(void);
/* Takes NULL. */
void session_free(struct session *session);

/* Keeps a packed frame until the peer has it; takes it over (as free does). */
void session_put(struct session *session, uint8_t *frame, size_t size);

/* Judges a frame that arrived: true if its message is to be used, false if it is a double, or
 * came too early and will come again. Frames of sequence 0 stand outside the order and are
 * always used. */
bool session_take(struct session *session, const struct frame_stamp *stamp);

/* Sends one stamped frame; false when that is not possible now. */
typedef bool session_sender(void *context, const uint8_t *frame, size_t size);

/* Sends what is due: new messages, old ones again, or a bare acknowledgement if one is owed and
 * nothing else left. Every frame carries `epoch`. */
void session_tend(struct session *session, uint64_t epoch, int64_t now_ms, session_sender *send,
                  void *context);

/* When session_tend has something to do next: now_ms or later, INT64_MAX: never. */
int64_t session_due(const struct session *session, int64_t now_ms);

/* The stamp of a frame outside the order. */
struct frame_stamp session_stamp(const struct session *session, uint64_t epoch);

/* Bytes kept: a peer that takes nothing makes them grow. */
size_t session_bytes(const struct session *session);

#endif
