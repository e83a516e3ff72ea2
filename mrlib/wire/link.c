/* Frames over ZeroMQ sockets, with the options that experience demands. */
#include "wire/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zmq.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"

enum { IDENTITY = 8, EVENTS_MAX = 1024 };

struct link {
    void *socket;
    bool router;
    uint64_t dropped;
};

void *link_context_new(void)
{
    return zmq_ctx_new();
}

void link_context_free(void *context)
{
    if (context)
        zmq_ctx_term(context);
}

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
    set_option(link->socket, ZMQ_RCVHWM, 100000);
    check(zmq_setsockopt(link->socket, ZMQ_MAXMSGSIZE, &size_max, sizeof size_max) == 0);
    return link;
}

int link_listen(void *context, const char *endpoint, struct link **ret, struct error *err)
{
    struct link *link = link_new(context, ZMQ_ROUTER);

    if (!link)
        return error_errno(err, ERROR_IO, "open a socket");
    set_option(link->socket, ZMQ_ROUTER_MANDATORY, 1);
    set_option(link->socket, ZMQ_ROUTER_HANDOVER, 1);
    set_option(link->socket, ZMQ_BACKLOG, 4096);
    if (zmq_bind(link->socket, endpoint)) {
        error_set(err, ERROR_IO, "listen on %s: %s", endpoint, zmq_strerror(errno));
        link_close(link);
        return -1;
    }
    *ret = link;
    return 0;
}

int link_connect(void *context, const char *endpoint, struct link **ret, struct error *err)
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
    if (zmq_connect(link->socket, endpoint)) {
        error_set(err, ERROR_IO, "connect to %s: %s", endpoint, zmq_strerror(errno));
        link_close(link);
        return -1;
    }
    *ret = link;
    return 0;
}

void link_close(struct link *link)
{
    if (!link)
        return;
    zmq_close(link->socket);
    free(link);
}

int link_send(struct link *link, uint64_t peer, enum frame_type type,
              const ProtobufCMessage *message, struct error *err)
{
    size_t size;
    cleanup_free uint8_t *frame = frame_pack(type, message, &size);

    if (link->router &&
        zmq_send(link->socket, &peer, IDENTITY, ZMQ_SNDMORE | ZMQ_DONTWAIT) != IDENTITY)
        return error_set(err, ERROR_LOST, "send to a peer: %s", zmq_strerror(errno));
    if (zmq_send(link->socket, frame, size, ZMQ_DONTWAIT) != (int)size)
        return error_set(err, ERROR_LOST, "send: %s", zmq_strerror(errno));
    return 0;
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

/* One multipart message: a peer may send any number of parts, only the right number is looked
 * at. 0: nothing there, 1: a good frame, -1: dropped. */
static int receive_one(struct link *link, uint64_t *ret_peer, enum frame_type *ret_type,
                       ProtobufCMessage **ret_message)
{
    zmq_msg_t part;
    struct error err;
    uint64_t peer = 0;
    int result = -1, index = 0, payload = link->router ? 1 : 0;
    bool more = true;

    zmq_msg_init(&part);
    for (; more; index++) {
        if (!receive_part(link, &part, &more)) {
            result = 0;
            break;
        }
        if (link->router && index == 0 && zmq_msg_size(&part) == IDENTITY)
            memcpy(&peer, zmq_msg_data(&part), IDENTITY);
        else if (index == payload && !more && (peer || !link->router) &&
                 !frame_unpack(zmq_msg_data(&part), zmq_msg_size(&part), ret_type, ret_message,
                               &err))
            result = 1;
    }
    zmq_msg_close(&part);
    *ret_peer = peer;
    return result;
}

int link_receive(struct link *link, uint64_t *ret_peer, enum frame_type *ret_type,
                 ProtobufCMessage **ret_message)
{
    int result;

    while ((result = receive_one(link, ret_peer, ret_type, ret_message)) < 0)
        link->dropped++;
    return result;
}

const char *link_library(void)
{
    static char version[32];
    int major, minor, patch;

    zmq_version(&major, &minor, &patch);
    snprintf(version, sizeof version, "%d.%d.%d", major, minor, patch);
    return version;
}

uint64_t link_dropped(const struct link *link)
{
    return link->dropped;
}

int link_wait(struct link_event *events, int n, long timeout_ms)
{
    zmq_pollitem_t items[EVENTS_MAX];
    int count;

    check(n <= EVENTS_MAX);
    for (int i = 0; i < n; i++)
        items[i] = (zmq_pollitem_t){events[i].link ? events[i].link->socket : NULL,
                                    events[i].fd, ZMQ_POLLIN, 0};
    count = zmq_poll(items, n, timeout_ms);
    for (int i = 0; i < n; i++)
        events[i].ready = count > 0 && items[i].revents;
    return count > 0 ? count : 0;
}
