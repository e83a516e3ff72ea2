/* What becomes of a socket's handshakes, as the library tells it. For the files that know the
 * library: reach.c and porter.c.
 *
 * The library sends its events from the thread that moves all data, and stands still for ever
 * when nobody takes them: so the reader has a queue without end, is there before the first
 * event, and goes only after the socket has stopped sending. */
#ifndef WIRE_MONITOR_H
#define WIRE_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

/* Has the socket tell of `events` (ZMQ_EVENT_..., or-ed) and returns the socket to read them
 * from; NULL: no resources. Before the socket is bound or connected. */
void *monitor_open(void *context, void *socket, int events);

/* The socket tells nothing more. Then, or later and on any thread, the reader can be closed.
 * Takes a NULL reader. */
void monitor_stop(void *socket);
void monitor_close(void *reader);

/* The next event, if there is one; its value depends on it. */
bool monitor_next(void *reader, int *ret_event, uint32_t *ret_value);

/* What is known of the last failed handshake; all zero: nothing, or none failed. */
struct monitor_failure {
    int event;
    uint32_t value;
};
/* A ZMQ_EVENT_HANDSHAKE_FAILED_... came. Of several before the connection is closed the one
 * that knows the cause counts. */
void monitor_failed(struct monitor_failure *failure, int event, uint32_t value);
/* In words, of somebody who is gone again. */
const char *monitor_reason(const struct monitor_failure *failure);

#endif
