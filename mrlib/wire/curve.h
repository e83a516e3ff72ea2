/* Keys on a socket of ZeroMQ. */
#ifndef WIRE_CURVE_H
#define WIRE_CURVE_H

#include "base/error.h"
#include "wire/certificate.h"
#include "wire/porter.h"

/* How a link is guarded; both must outlive it. Whoever listens shows its own pair and lets in
 * whom the porter lets in; who connects shows its own pair to the one with the key `server` and
 * to nobody else. What passes between them nobody else can read or change. Endpoints of this
 * process (inproc) are not guarded. */
struct link_guard {
    const struct certificate *own;
    struct porter *porter; /* to listen */
    const char *server;    /* to connect: a public key */
};

/* For link.c: sets up a socket before it is bound or connected. Without a handler that answers,
 * a listener lets in nobody. */
int curve_listen(void *socket, const struct link_guard *guard, struct error *err);
int curve_connect(void *socket, const struct link_guard *guard, struct error *err);

#endif
