#include "wire/curve.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

enum { ZAP_ENFORCE_DOMAIN = 93 }; /* in the library since 4.3.0, in its header as a draft */

static int refuse(struct error *err)
{
    return error_set(err, ERROR_REFUSED, "guard a socket: %s", zmq_strerror(errno));
}

int curve_listen(void *socket, const struct link_guard *guard, struct error *err)
{
    int on = 1;

    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof on) ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, guard->own->secret_key, KEY_TEXT) ||
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, "marram", strlen("marram")) ||
        zmq_setsockopt(socket, ZAP_ENFORCE_DOMAIN, &on, sizeof on))
        return refuse(err);
    return 0;
}

int curve_connect(void *socket, const struct link_guard *guard, struct error *err)
{
    /* It came in a message. */
    if (strlen(guard->server) != KEY_TEXT - 1)
        return error_set(err, ERROR_REFUSED, "guard a socket: '%.*s' is no key", KEY_TEXT,
                         guard->server);
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, guard->server, KEY_TEXT) ||
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, guard->own->public_key, KEY_TEXT) ||
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, guard->own->secret_key, KEY_TEXT))
        return refuse(err);
    return 0;
}
