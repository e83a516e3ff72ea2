#include "wire/reach.h"

#include <errno.h>
#include <stdint.h>
#include <zmq.h>

#include "base/check.h"
#include "base/clock.h"
#include "wire/monitor.h"

/* A handshake may break off because the other side is ended just now; not twice in a row. */
enum { BROKEN_OFTEN = 2 };

enum {
    WATCHED = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED |
              ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
              ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
};

int reach_open(struct reach *reach, void *context, void *socket, struct error *err)
{
    reach->reader = monitor_open(context, socket, WATCHED);
    return reach->reader ? 0
                         : error_set(err, ERROR_IO, "watch a socket: %s", zmq_strerror(errno));
}

void reach_close(struct reach *reach, void *socket)
{
    if (!reach->reader)
        return;
    monitor_stop(socket);
    monitor_close(reach->reader);
    reach->reader = NULL;
}

static void take(struct reach *reach, int event, uint32_t value)
{
    switch (event) {
    case ZMQ_EVENT_CONNECTED:
        if (reach->state != LINK_BROKEN)
            reach->state = LINK_CONNECTED;
        break;
    case ZMQ_EVENT_DISCONNECTED:
        if (reach->state != LINK_BROKEN)
            reach->state = LINK_TRYING;
        break;
    case ZMQ_EVENT_CLOSED: /* one that never came to be */
        if (reach->state == LINK_TRYING)
            reach->state = LINK_REFUSED;
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        reach->state = LINK_REACHED;
        reach->broken = 0;
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        reach->state = LINK_DENIED;
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        if (value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH) {
            reach->state = LINK_MISMATCH;
            break;
        } /* fall through */
    default:
        if (++reach->broken >= BROKEN_OFTEN)
            reach->state = LINK_BROKEN;
    }
}

enum link_reach reach_look(struct reach *reach)
{
    uint32_t value;
    int event;

    while (reach->reader && monitor_next(reach->reader, &event, &value))
        if (reach->state != LINK_DENIED && reach->state != LINK_MISMATCH)
            take(reach, event, value);
    return reach->state;
}

enum link_reach reach_await(struct reach *reach, long timeout_ms)
{
    int64_t end_ms = clock_ms() + timeout_ms;
    enum link_reach state;

    check(reach->reader);
    while ((state = reach_look(reach)) == LINK_TRYING) {
        zmq_pollitem_t item = {reach->reader, 0, ZMQ_POLLIN, 0};
        long left = (long)(end_ms - clock_ms());

        if (left <= 0)
            break;
        zmq_poll(&item, 1, left);
    }
    return state;
}

bool reach_objection(const struct reach *reach, const char *endpoint, const char *key,
                     struct error *ret)
{
    switch (reach->state) {
    case LINK_DENIED:
        error_set(ret, ERROR_REFUSED,
                  "%s does not let in the key %s: it was revoked, or was never allowed there "
                  "('marram keys DIR --list' shows who is)",
                  endpoint, key ? key : "none");
        return true;
    case LINK_MISMATCH:
        error_set(ret, ERROR_REFUSED,
                  key ? "%s asks for no keys, but some were given: is it another cluster's? It "
                        "has to be started with --keys"
                      : "%s lets in nobody without keys: add --keys DIR, a folder that 'marram "
                        "keys' made for its cluster",
                  endpoint);
        return true;
    case LINK_BROKEN:
        if (key)
            error_set(ret, ERROR_REFUSED,
                      "%s breaks off the handshake: its key is not the one in our "
                      "coordinator.cert, or it cannot look at keys just now",
                      endpoint);
        else
            error_set(
                ret, ERROR_REFUSED,
                "%s breaks off the handshake: it lets in nobody without keys (--keys DIR), "
                "or is no coordinator",
                endpoint);
        return true;
    default:
        return false;
    }
}
