/* A link: messages over ZeroMQ. What knows the library is behind this header: link.c,
 * context.c, curve.c, porter.c, monitor.c and reach.c; certificate.c makes keys with its help.
 *
 * A coordinator listens with a ROUTER, everyone else connects with a DEALER that carries a new
 * random identity for each link; a peer is known by that identity, a 64-bit number. Whatever
 * the library loses, messages arrive once and in order, as long as the peer is in session: from
 * its first message until link_forget. A peer that is not (any more) is told FENCED by the link
 * itself, and must begin anew with another link. Who listens has an epoch, new with each start:
 * a session does not outlive it.
 *
 * A link belongs to one thread, which must call link_tend before it waits.
 *
 * Never set the library's own heartbeat options: they abort the process in two ways
 * (docs/decisions). */
#ifndef WIRE_LINK_H
#define WIRE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/curve.h"
#include "wire/frame.h"
#include "wire/porter.h"
#include "wire/reach.h"

/* One a process, shared by its links; NULL when the library has no resources. */
void *link_context_new(void);
/* Waits for its links to be closed. */
void link_context_free(void *context);

struct link;
/* Port 0 ("tcp://127.0.0.1:0") takes a free one: link_endpoint says which. */
int link_listen(void *context, const char *endpoint, struct link **ret, struct error *err);
/* Listens on one more endpoint, of this process alone: "inproc://...". */
int link_listen_also(struct link *link, const char *endpoint, struct error *err);
int link_connect(void *context, const char *endpoint, struct link **ret, struct error *err);
/* The same with a guard, which is copied; NULL: without one. */
int link_listen_guarded(void *context, const char *endpoint, const struct link_guard *guard,
                        struct link **ret, struct error *err);
int link_connect_guarded(void *context, const char *endpoint, const struct link_guard *guard,
                         struct link **ret, struct error *err);
/* The same, and it knows what becomes of its connection, which costs it descriptors. */
int link_connect_watched(void *context, const char *endpoint, const struct link_guard *guard,
                         struct link **ret, struct error *err);
/* Closes; what was sent may be lost after a second. Takes NULL. */
void link_close(struct link *link);
/* What it listens on or is connected to. */
const char *link_endpoint(const struct link *link);

/* Puts a message into the session with `peer` (0 on a connected link); it leaves with
 * link_tend. Nothing happens when the peer is not in session. */
void link_send(struct link *link, uint64_t peer, enum frame_type type,
               const ProtobufCMessage *message);

/* Sends outside the session, at once or not at all: for what is worth nothing later. */
void link_send_once(struct link *link, uint64_t peer, enum frame_type type,
                    const ProtobufCMessage *message);

/* Sends what is due, old messages again where the peer has not confirmed them. Returns how many
 * milliseconds link_wait may wait, -1: for ever. */
long link_tend(struct link *link);

/* Waits until the peer of a connected link has confirmed all, at most timeout_ms. */
void link_drain(struct link *link, long timeout_ms);

/* Takes the next message: 1, or 0 when there is none, or so much rubbish before it that the
 * caller should look after others first (link_wait then returns at once). Frames that fail
 * their check are counted and dropped. *ret_message (NULL without payload) is freed with
 * frame_free. On a connected link FRAME_FENCED says that the session is over. */
int link_receive(struct link *link, uint64_t *ret_peer, enum frame_type *ret_type,
                 ProtobufCMessage **ret_message);

/* Bytes that are kept for a peer in session because it has not confirmed them yet. */
size_t link_kept(const struct link *link, uint64_t peer);

/* The session with a peer in it ends when more than so many bytes are kept for it. */
void link_bound(struct link *link, uint64_t peer, size_t bytes);

/* Ends the session with a peer. */
void link_forget(struct link *link, uint64_t peer);

/* Whether there is a session with a peer. */
bool link_in_session(const struct link *link, uint64_t peer);

/* The key by which a peer in session was let in; "" when the link is not guarded, or the peer
 * is in this process. */
const char *link_peer_key(const struct link *link, uint64_t peer);
/* The address that its first message came from; "" when the link is not guarded, or it is in
 * this process. */
const char *link_peer_address(const struct link *link, uint64_t peer);
/* Ends the sessions with peers that the porter does not let in any more. */
void link_prune(struct link *link);

/* What a watched link knows of its connection; LINK_TRYING of others. link_wait returns when
 * there is news. */
enum link_reach link_reach(struct link *link);
/* Waits for anything but LINK_TRYING, at most timeout_ms. */
enum link_reach link_await(struct link *link, long timeout_ms);
/* What speaks against a connection, beginning with the endpoint: "tcp://10.0.0.1:7077 lets in
 * nobody without keys: ..."; false: nothing that is known. */
bool link_objection(struct link *link, struct error *ret);

/* Counters since the link was opened. */
struct link_counts {
    uint64_t damaged; /* frames that failed their check */
    uint64_t fenced;  /* messages of peers that were not in session */
    uint64_t strange; /* messages whose key is not, or no longer, that of their session */
    uint64_t peers;   /* in session now */
};
struct link_counts link_counts(const struct link *link);

/* The library's version, "4.3.4". */
const char *link_library(void);

/* What to wait for: a link or a descriptor. `ready` is set by link_wait. */
struct link_event {
    struct link *link; /* or NULL and fd */
    int fd;
    bool ready;
};

/* The sooner of two waits in milliseconds, of which -1 is for ever. */
static inline long link_sooner(long a, long b)
{
    return a < 0 ? b : b < 0 ? a : a < b ? a : b;
}

/* Waits until something is ready to read, or for timeout_ms (-1: for ever). Returns the number
 * ready, 0 on a timeout or a signal. */
int link_wait(struct link_event *events, int n, long timeout_ms);

#endif
