#include "wire/monitor.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "base/check.h"

void *monitor_open(void *context, void *socket, int events)
{
    static atomic_ulong numbers;
    void *reader = zmq_socket(context, ZMQ_PAIR);
    int none = 0;
    char endpoint[64];

    if (!reader)
        return NULL;
    check(!zmq_setsockopt(reader, ZMQ_RCVHWM, &none, sizeof none));
    check(!zmq_setsockopt(reader, ZMQ_LINGER, &none, sizeof none));
    snprintf(endpoint, sizeof endpoint, "inproc://monitor.%lu", atomic_fetch_add(&numbers, 1));
    if (zmq_socket_monitor(socket, endpoint, events)) {
        zmq_close(reader);
        return NULL;
    }
    if (zmq_connect(reader, endpoint)) {
        monitor_stop(socket);
        zmq_close(reader);
        return NULL;
    }
    return reader;
}

void monitor_stop(void *socket)
{
    zmq_socket_monitor(socket, NULL, 0);
}

void monitor_close(void *reader)
{
    if (reader)
        zmq_close(reader);
}

bool monitor_next(void *reader, int *ret_event, uint32_t *ret_value)
{
    zmq_msg_t part;
    uint16_t event = 0;
    bool more = true, good = false;

    zmq_msg_init(&part);
    for (int i = 0; more; i++) {
        if (zmq_msg_recv(&part, reader, ZMQ_DONTWAIT) < 0)
            break;
        more = zmq_msg_more(&part);
        if (i == 0 && zmq_msg_size(&part) == sizeof event + sizeof *ret_value) {
            memcpy(&event, zmq_msg_data(&part), sizeof event);
            memcpy(ret_value, (const char *)zmq_msg_data(&part) + sizeof event,
                   sizeof *ret_value);
            good = true;
        }
    }
    zmq_msg_close(&part);
    *ret_event = event;
    return good;
}

static bool nobody_answered(const struct monitor_failure *failure)
{
    return failure->event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && failure->value == EFAULT;
}

/* Where nobody answers for keys the library says so, and then, as errno happens to be, closes
 * the connection or leaves it open until the peer has had enough: in which case another event
 * tells of that alone. */
void monitor_failed(struct monitor_failure *failure, int event, uint32_t value)
{
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL && nobody_answered(failure))
        return;
    failure->event = event;
    failure->value = value;
}

const char *monitor_reason(const struct monitor_failure *failure)
{
    if (nobody_answered(failure))
        return "nobody answers for keys here";
    if (failure->event == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        return "it left in the middle of the handshake";
    if (!failure->event)
        return "what it sent is no handshake";
    return failure->value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
               ? "it has no key"
               : "its handshake is not for the key of this process";
}
