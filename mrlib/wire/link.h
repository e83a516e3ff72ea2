/* A link: frames over ZeroMQ. The only room that knows the library.
 *
 * A coordinator listens with a ROUTER, everyone else connects with a DEALER that carries a new
 * random identity for each process start; a peer is known by that identity, a 64-bit number.
 * Sending means nothing until the peer answers: what must arrive is acknowledged in the
 * messages themselves. A link belongs to one thread.
 *
 * Never set the library's own heartbeat options: they abort the process in two ways
 * (docs/decisions). */
#ifndef WIRE_LINK_H
#define WIRE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/frame.h"

/* One a process, shared by its links; NULL when the library has no resources. */
void *link_context_new(void);
/* Waits for its links to be closed. */
void link_context_free(void *context);

struct link;
int link_listen(void *context, const char *endpoint, struct link **ret, struct error *err);
int link_connect(void *context, const char *endpoint, struct link **ret, struct error *err);
/* Closes; what was sent may be lost after a second. Takes NULL. */
void link_close(struct link *link);

/* Sends to `peer` (0 on a connected link). Never blocks: -1 with ERROR_LOST when the peer is
 * unknown or its queue is full. */
int link_send(struct link *link, uint64_t peer, enum frame_type type,
              const ProtobufCMessage *message, struct error *err);

/* Takes the next message: 1, or 0 when there is none. Frames that fail their check are counted
 * and dropped. *ret_message (NULL without payload) is freed with frame_free. */
int link_receive(struct link *link, uint64_t *ret_peer, enum frame_type *ret_type,
                 ProtobufCMessage **ret_message);
uint64_t link_dropped(const struct link *link);

/* The library's version, "4.3.4". */
const char *link_library(void);

/* What to wait for: a link or a descriptor. `ready` is set by link_wait. */
struct link_event {
    struct link *link; /* or NULL and fd */
    int fd;
    bool ready;
};

/* Waits until something is ready to read, or for timeout_ms (-1: for ever). Returns the number
 * ready, 0 on a timeout or a signal. */
int link_wait(struct link_event *events, int n, long timeout_ms);

#endif
