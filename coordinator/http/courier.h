/* The way from the HTTP server to the coordinator: one of its clients, on a thread of its own,
 * over inproc. So nobody but the coordinator's own loop touches its state, and a busy
 * coordinator makes HTTP wait, never the other way round. */
#ifndef HTTP_COURIER_H
#define HTTP_COURIER_H

#include <stdbool.h>

#include "base/error.h"
#include "wire/frame.h"
#include "wire/mr.pb-c.h"

/* The answer, borrowed for the call; NULL: none came in time. On the courier's thread. */
typedef void courier_done(void *context, enum frame_type type, const ProtobufCMessage *answer);

struct courier_hooks {
    void (*event)(void *context, const Mr__Event *event);
    void (*tick)(void *context); /* every COURIER_TICK_MS */
    void *context;
};

enum {
    COURIER_ASKED_MAX = 256,    /* questions without an answer */
    COURIER_PATIENCE_MS = 5000, /* for an answer */
    COURIER_TICK_MS = 1000,
};

struct courier;
/* Connects to the coordinator at `endpoint` and listens for events from then on. */
int courier_open(void *context, const char *endpoint, const struct courier_hooks *hooks,
                 struct courier **ret, struct error *err);
/* Any thread. False: too many wait already, or it is closing; done is not called then. */
bool courier_ask(struct courier *courier, const Mr__Query *query, courier_done *done,
                 void *context);
/* Answers what waits with NULL and ends the thread: questions are refused from then on. */
void courier_stop(struct courier *courier);
/* Of a courier that was stopped. Takes NULL. */
void courier_free(struct courier *courier);

#endif
