/* Server-sent events: the latest ones, and those who read them. Events are numbered; who comes
 * back with the number of the last one that it saw goes on behind it, as far back as they are
 * kept. Any thread. */
#ifndef HTTP_EVENTS_H
#define HTTP_EVENTS_H

#include <jansson.h>
#include <microhttpd.h>
#include <stdint.h>

enum {
    EVENTS_KEPT = 1000,
    EVENTS_STREAMS = 32, /* who reads at a time */
};

struct events;
struct events *events_new(void);
/* Ends all streams, which their connections see when they are closed. */
void events_close(struct events *events);
/* After all connections are closed. Takes NULL. */
void events_free(struct events *events);

/* Something happened; takes `event` over. */
void events_push(struct events *events, json_t *event);
/* A sign of life to all: a connection that is only waited on would not be seen to be closed. */
void events_ping(struct events *events);

/* An answer that goes on until the reader leaves, or falls behind what is kept. NULL: too many
 * read already. `last` is the number of the last event that it has seen; 0: only what comes. */
struct MHD_Response *events_stream(struct events *events, struct MHD_Connection *connection,
                                   uint64_t last);

#endif
