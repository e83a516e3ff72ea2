/* Frames over ZeroMQ sockets, with the options that experience demands. */
#include "wire/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zmq.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/memory.h"
#include "wire/callers.h"
#include "wire/session.h"

enum {
    IDENTITY = 8,
    EVENTS_MAX = 1024,
    PEERS_MAX = LIMIT_MEMBERS + 1024, /* in session with one link; some only to be refused */
    KEPT_MAX = 256 << 20,             /* bytes for one peer that takes nothing ... */
    RECEIVED_MAX =
        256,         /* messages of one peer that wait to be looked at; then TCP holds it up */
    LOOKS_MAX = 256, /* messages that come to nothing, before the caller has its turn */
};

struct peer {
    uint64_t id;
    struct session *session;
    char key[KEY_TEXT]; /* that it was let in with; "": none */
    char address[CALLER_ADDRESS];
    uint64_t version; /* of the porter, when that was looked at */
    int fd;           /* that it was heard over last */
    size_t kept_max;  /* bytes, of what it has not taken */
};

struct link {
    void *socket;
    bool router;
    char endpoint[256];
    uint64_t epoch;     /* of who listens; 0 on a connected link until it is known */
    struct peer own;    /* on a connected link: the one peer */
    struct map peers;   /* on a listening one: id -> struct peer */
    struct peer **list; /* the same, to walk through */
    size_t count, capacity;
    struct link_counts counts;
    struct porter *porter;  /* of who listens guarded; else NULL */
    char own_key[KEY_TEXT]; /* public, of who connects guarded; else "" */
    struct reach reach;
};

static void set_option(void *socket, int option, int value)
{
    check(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

static struct link *link_new(void *context, int type)
{
    struct link *link = memory_zeroed(1, sizeof *link);
    int64_t size_max = (int64_t)LIMIT_MESSAGE + FRAME_HEADER;

    link->socket = zmq_socket(context, type);
    if (!link->socket) {
        free(link);
        return NULL;
    }
    link->router = type == ZMQ_ROUTER;
    set_option(link->socket, ZMQ_LINGER, 1000);
    set_option(link->socket, ZMQ_TCP_KEEPALIVE, 1);
    set_option(link->socket, ZMQ_TCP_KEEPALIVE_IDLE, 2);
    set_option(link->socket, ZMQ_TCP_KEEPALIVE_INTVL, 1);
    set_option(link->socket, ZMQ_TCP_KEEPALIVE_CNT, 3);
    set_option(link->socket, ZMQ_TCP_MAXRT, 5000);
    set_option(link->socket, ZMQ_HANDSHAKE_IVL, 5000);
    set_option(link->socket, ZMQ_SNDHWM, 100000);
    set_option(link->socket, ZMQ_RCVHWM, RECEIVED_MAX);
    check(zmq_setsockopt(link->socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) == 0);
    return link;
}

/* With the port that the system chose. */
static void note_endpoint(struct link *link)
{
    size_t size = sizeof link->endpoint;

    check(!zmq_getsockopt(link->socket, ZMQ_LAST_ENDPOINT, link->endpoint, &size));
}

int link_listen_guarded(void *context, const char *endpoint, const struct link_guard *guard,
                        struct link **ret, struct error *err)
{
    struct link *link = link_new(context, ZMQ_ROUTER);

    if (!link)
        return error_errno(err, ERROR_IO, "open a socket");
    set_option(link->socket, ZMQ_ROUTER_MANDATORY, 1);
    set_option(link->socket, ZMQ_ROUTER_HANDOVER, 1);
    set_option(link->socket, ZMQ_BACKLOG, 4096);
    if (guard && (curve_listen(link->socket, guard, err) ||
                  porter_watch(guard->porter, link->socket, err))) {
        link_close(link);
        return -1;
    }
    link->porter = guard ? guard->porter : NULL;
    if (zmq_bind(link->socket, endpoint)) {
        error_set(err, ERROR_IO, "listen on %s: %s", endpoint, zmq_strerror(errno));
        link_close(link);
        return -1;
    }
    note_endpoint(link);
    check(getrandom(&link->epoch, sizeof link->epoch, 0) == sizeof link->epoch);
    link->epoch |= 1;
    *ret = link;
    return 0;
}

int link_listen(void *context, const char *endpoint, struct link **ret, struct error *err)
{
    return link_listen_guarded(context, endpoint, NULL, ret, err);
}

int link_listen_also(struct link *link, const char *endpoint, struct error *err)
{
    check(link->router && !strncmp(endpoint, "inproc://", 9));
    if (zmq_bind(link->socket, endpoint))
        return error_set(err, ERROR_IO, "listen on %s: %s", endpoint, zmq_strerror(errno));
    return 0;
}

static int connect_link(void *context, const char *endpoint, const struct link_guard *guard,
                        bool watched, struct link **ret, struct error *err)
{
    struct link *link = link_new(context, ZMQ_DEALER);
    uint8_t identity[IDENTITY];

    if (!link)
        return error_errno(err, ERROR_IO, "open a socket");
    check(getrandom(identity, sizeof identity, 0) == sizeof identity);
    identity[0] |= 1; /* a leading zero is the library's own */
    check(zmq_setsockopt(link->socket, ZMQ_ROUTING_ID, identity, sizeof identity) == 0);
    set_option(link->socket, ZMQ_RECONNECT_IVL, 100 + identity[1] % 100);
    set_option(link->socket, ZMQ_RECONNECT_IVL_MAX, 2000);
    link->own.session = session_new();
    if (guard)
        strcpy(link->own_key, guard->own->public_key);
    if ((guard && curve_connect(link->socket, guard, err)) ||
        (watched && reach_open(&link->reach, context, link->socket, err))) {
        link_close(link);
        return -1;
    }
    if (zmq_connect(link->socket, endpoint)) {
        error_set(err, ERROR_IO, "connect to %s: %s", endpoint, zmq_strerror(errno));
        link_close(link);
        return -1;
    }
    snprintf(link->endpoint, sizeof link->endpoint, "%s", endpoint);
    *ret = link;
    return 0;
}

int link_connect(void *context, const char *endpoint, struct link **ret, struct error *err)
{
    return connect_link(context, endpoint, NULL, false, ret, err);
}

int link_connect_guarded(void *context, const char *endpoint, const struct link_guard *guard,
                         struct link **ret, struct error *err)
{
    return connect_link(context, endpoint, guard, false, ret, err);
}

int link_connect_watched(void *context, const char *endpoint, const struct link_guard *guard,
                         struct link **ret, struct error *err)
{
    return connect_link(context, endpoint, guard, true, ret, err);
}

static void free_peer(struct peer *peer)
{
    session_free(peer->session);
    free(peer);
}

void link_close(struct link *link)
{
    if (!link)
        return;
    link_tend(link);
    for (size_t i = 0; i < link->count; i++)
        free_peer(link->list[i]);
    free(link->list);
    map_done(&link->peers);
    session_free(link->own.session);
    /* Nobody was ever there: nobody will take it within the second either. */
    if (!link->router && !link->epoch)
        set_option(link->socket, ZMQ_LINGER, 0);
    reach_close(&link->reach, link->socket);
    if (link->porter)
        porter_unwatch(link->porter, link->socket);
    zmq_close(link->socket);
    free(link);
}

const char *link_endpoint(const struct link *link)
{
    return link->endpoint;
}

/* ---- Sending ---------------------------------------------------------------------------- */

static struct peer *find_peer(struct link *link, uint64_t id)
{
    return link->router ? map_get(&link->peers, id) : &link->own;
}

size_t link_kept(const struct link *link, uint64_t id)
{
    const struct peer *peer = link->router ? map_get(&link->peers, id) : &link->own;

    return peer ? session_bytes(peer->session) : 0;
}

void link_bound(struct link *link, uint64_t id, size_t bytes)
{
    struct peer *peer = map_get(&link->peers, id);

    if (peer)
        peer->kept_max = bytes;
}

/* Where a session's frames go. */
struct way {
    struct link *link;
    uint64_t peer;
};

static bool send_frame(void *context, const uint8_t *frame, size_t size)
{
    const struct way *way = context;
    void *socket = way->link->socket;

    if (way->link->router &&
        zmq_send(socket, &way->peer, IDENTITY, ZMQ_SNDMORE | ZMQ_DONTWAIT) != IDENTITY)
        return false;
    return zmq_send(socket, frame, size, ZMQ_DONTWAIT) == (int)size;
}

void link_send(struct link *link, uint64_t id, enum frame_type type,
               const ProtobufCMessage *message)
{
    struct peer *peer = find_peer(link, id);
    uint8_t *frame;
    size_t size;

    if (!peer)
        return;
    frame = frame_pack(type, message, &size);
    session_put(peer->session, frame, size);
    if (link->router && session_bytes(peer->session) > peer->kept_max)
        link_forget(link, id);
}

void link_send_once(struct link *link, uint64_t id, enum frame_type type,
                    const ProtobufCMessage *message)
{
    const struct peer *peer = find_peer(link, id);
    struct frame_stamp stamp = {.epoch = link->epoch};
    size_t size;
    cleanup_free uint8_t *frame = frame_pack(type, message, &size);

    if (peer)
        stamp = session_stamp(peer->session, link->epoch);
    frame_set_stamp(frame, size, &stamp);
    send_frame(&(struct way){link, id}, frame, size);
}

static int64_t tend_peer(struct link *link, struct peer *peer, int64_t now_ms)
{
    session_tend(peer->session, link->epoch, now_ms, send_frame, &(struct way){link, peer->id});
    return session_due(peer->session, now_ms);
}

long link_tend(struct link *link)
{
    int64_t now_ms = clock_ms(), due = INT64_MAX;

    if (!link->router) {
        due = tend_peer(link, &link->own, now_ms);
    } else {
        for (size_t i = 0; i < link->count; i++) {
            int64_t next = tend_peer(link, link->list[i], now_ms);

            due = next < due ? next : due;
        }
    }
    if (due == INT64_MAX)
        return -1;
    return due > now_ms ? (long)(due - now_ms) : 0;
}

/* ---- Receiving -------------------------------------------------------------------------- */

static struct peer *admit(struct link *link, uint64_t id)
{
    struct peer *peer;

    if (link->count == PEERS_MAX)
        return NULL;
    peer = memory_zeroed(1, sizeof *peer);
    peer->id = id;
    peer->session = session_new();
    peer->kept_max = KEPT_MAX;
    map_put(&link->peers, id, peer);
    memory_reserve(&link->list, &link->capacity, link->count + 1, sizeof *link->list);
    link->list[link->count++] = peer;
    return peer;
}

void link_forget(struct link *link, uint64_t id)
{
    struct peer *peer = map_remove(&link->peers, id);

    for (size_t i = 0; peer && i < link->count; i++)
        if (link->list[i] == peer) {
            link->list[i] = link->list[--link->count];
            break;
        }
    if (peer)
        free_peer(peer);
}

bool link_in_session(const struct link *link, uint64_t id)
{
    return !link->router || map_get(&link->peers, id);
}

const char *link_peer_key(const struct link *link, uint64_t id)
{
    const struct peer *peer = link->router ? map_get(&link->peers, id) : NULL;

    return peer ? peer->key : "";
}

const char *link_peer_address(const struct link *link, uint64_t id)
{
    const struct peer *peer = link->router ? map_get(&link->peers, id) : NULL;

    return peer ? peer->address : "";
}

void link_prune(struct link *link)
{
    for (size_t i = link->count; link->porter && i-- > 0;)
        if (*link->list[i]->key && !porter_admits(link->porter, link->list[i]->key, NULL))
            link_forget(link, link->list[i]->id);
}

/* By whose key a message came, as the library says: "" of a peer in this process, NULL of one
 * that it does not know. */
static const char *key_of(zmq_msg_t *part)
{
    const char *key = zmq_msg_gets(part, "User-Id");

    if (key && *key)
        return strlen(key) < KEY_TEXT ? key : NULL;
    return zmq_msg_gets(part, "Peer-Address") ? NULL : "";
}

static void note_who(struct peer *peer, zmq_msg_t *part)
{
    const char *address = zmq_msg_gets(part, "Peer-Address");

    strcpy(peer->key, key_of(part));
    snprintf(peer->address, sizeof peer->address, "%s", address ? address : "");
}

/* Whether a message may be looked at: its key is let in, and that of its session. Identities
 * are chosen by the peers, keys are not. */
static bool is_entitled(struct link *link, uint64_t id, zmq_msg_t *part)
{
    struct peer *peer = find_peer(link, id);
    const char *key = key_of(part);
    uint64_t version = porter_version(link->porter);
    int fd;

    if (!key || (peer && strcmp(peer->key, key)))
        return false;
    if (*key && (!peer || peer->version != version) && !porter_admits(link->porter, key, NULL))
        return false;
    fd = *key ? zmq_msg_get(part, ZMQ_SRCFD) : -1;
    if (!peer || peer->fd != fd)
        porter_known(link->porter, fd);
    if (peer) {
        peer->version = version;
        peer->fd = fd;
    }
    return true;
}

/* Whether the session lets a frame that came from `id` through. A session begins with a message
 * of number 1 that knows no epoch yet; one with a later number means that the first was lost on
 * its way, and will come again. What else comes from an unknown peer is of a session that is
 * over. */
static bool let_through(struct link *link, uint64_t id, const struct frame_stamp *stamp,
                        enum frame_type type)
{
    struct peer *peer = find_peer(link, id);

    if (!link->router) {
        if (!link->epoch)
            link->epoch = stamp->epoch;
        if (type == FRAME_FENCED)
            return true;
        return stamp->epoch == link->epoch && session_take(peer->session, stamp);
    }
    if (!peer && stamp->sequence && !stamp->epoch && !stamp->acknowledged) {
        if (stamp->sequence > 1)
            return false;
        peer = admit(link, id);
    }
    if (!peer || (stamp->epoch && stamp->epoch != link->epoch)) {
        if (type != FRAME_FENCED) {
            link->counts.fenced++;
            link_send_once(link, id, FRAME_FENCED, NULL);
        }
        return false;
    }
    return session_take(peer->session, stamp);
}

/* Receives one part into *message; *ret_more says whether another follows. 0 when there is
 * none. */
static int receive_part(struct link *link, zmq_msg_t *message, bool *ret_more)
{
    if (zmq_msg_recv(message, link->socket, ZMQ_DONTWAIT) < 0)
        return 0;
    *ret_more = zmq_msg_more(message);
    return 1;
}

/* One frame that passed its check: 1 if its message is to be used, else 0. */
static int judge(struct link *link, uint64_t peer, zmq_msg_t *part, enum frame_type type,
                 ProtobufCMessage *message)
{
    struct frame_stamp stamp = frame_get_stamp(zmq_msg_data(part));
    struct peer *known;

    /* An acknowledgement is no message, and so has no number: it would open a session, of which
     * the caller never hears. */
    if (type == FRAME_ACK && stamp.sequence) {
        link->counts.damaged++;
    } else if (link->porter && !is_entitled(link, peer, part)) {
        link->counts.strange++;
    } else if (let_through(link, peer, &stamp, type)) {
        known = link->porter ? find_peer(link, peer) : NULL;
        if (known && !*known->key)
            note_who(known, part);
        if (type != FRAME_ACK)
            return 1;
    }
    frame_free(message);
    return 0;
}

/* One multipart message: a peer may send any number of parts, only the right number is looked
 * at. 0: nothing there, 1: a message, -1: none, look again. */
static int receive_one(struct link *link, uint64_t *ret_peer, enum frame_type *ret_type,
                       ProtobufCMessage **ret_message)
{
    zmq_msg_t part;
    struct error err;
    uint64_t peer = 0;
    int result = -1, index = 0, payload = link->router ? 1 : 0;
    bool more = true, good = false;

    zmq_msg_init(&part);
    for (; more; index++) {
        if (!receive_part(link, &part, &more)) {
            zmq_msg_close(&part);
            return 0;
        }
        if (link->router && index == 0 && zmq_msg_size(&part) == IDENTITY) {
            memcpy(&peer, zmq_msg_data(&part), IDENTITY);
        } else if (index == payload && !more && (peer || !link->router) &&
                   !frame_unpack(zmq_msg_data(&part), zmq_msg_size(&part), ret_type,
                                 ret_message, &err)) {
            good = true;
            result = judge(link, peer, &part, *ret_type, *ret_message) ? 1 : -1;
        }
    }
    zmq_msg_close(&part);
    if (!good)
        link->counts.damaged++;
    *ret_peer = peer;
    return result;
}

int link_receive(struct link *link, uint64_t *ret_peer, enum frame_type *ret_type,
                 ProtobufCMessage **ret_message)
{
    int result = -1;

    for (int i = 0; result < 0 && i < LOOKS_MAX; i++)
        result = receive_one(link, ret_peer, ret_type, ret_message);
    return result > 0;
}

void link_drain(struct link *link, long timeout_ms)
{
    int64_t end_ms = clock_ms() + timeout_ms;
    struct link_event event = {.link = link};

    check(!link->router);
    for (;;) {
        long wait = link_tend(link), left = (long)(end_ms - clock_ms());
        ProtobufCMessage *message;
        enum frame_type type = FRAME_ACK;
        uint64_t peer;

        while (link_receive(link, &peer, &type, &message)) {
            frame_free(message);
            if (type == FRAME_FENCED)
                return;
        }
        if (!session_bytes(link->own.session) || left <= 0)
            return;
        link_wait(&event, 1, wait >= 0 && wait < left ? wait : left);
    }
}

struct link_counts link_counts(const struct link *link)
{
    struct link_counts counts = link->counts;

    counts.peers = link->count;
    return counts;
}

enum link_reach link_reach(struct link *link)
{
    return reach_look(&link->reach);
}

enum link_reach link_await(struct link *link, long timeout_ms)
{
    return reach_await(&link->reach, timeout_ms);
}

bool link_objection(struct link *link, struct error *ret)
{
    link_reach(link);
    return reach_objection(&link->reach, link->endpoint, *link->own_key ? link->own_key : NULL,
                           ret);
}

int link_wait(struct link_event *events, int n, long timeout_ms)
{
    zmq_pollitem_t items[2 * EVENTS_MAX];
    int count, watched = n;

    check(n <= EVENTS_MAX);
    for (int i = 0; i < n; i++) {
        struct link *link = events[i].link;

        items[i] = (zmq_pollitem_t){link ? link->socket : NULL, events[i].fd, ZMQ_POLLIN, 0};
        if (link && link->reach.reader)
            items[watched++] = (zmq_pollitem_t){link->reach.reader, 0, ZMQ_POLLIN, 0};
    }
    count = zmq_poll(items, watched, timeout_ms);
    watched = n;
    for (int i = 0; i < n; i++) {
        events[i].ready = count > 0 && items[i].revents;
        if (events[i].link && events[i].link->reach.reader)
            events[i].ready |= count > 0 && items[watched++].revents;
    }
    return count > 0 ? count : 0;
}
