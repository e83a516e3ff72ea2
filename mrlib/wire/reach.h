/* What a socket that connects knows of its connection. For link.c alone; enum link_reach says
 * what it can be. */
#ifndef WIRE_REACH_H
#define WIRE_REACH_H

#include <stdbool.h>

#include "base/error.h"

enum link_reach {
    LINK_TRYING,    /* nothing yet */
    LINK_CONNECTED, /* somebody took the connection */
    LINK_REACHED,   /* the handshake is done */
    LINK_REFUSED,   /* nobody takes connections there */
    LINK_DENIED,    /* the listener does not let our key in: for good */
    LINK_MISMATCH,  /* one side wants keys, the other has none: for good */
    LINK_BROKEN,    /* the handshake was broken off, more than once: it is not the listener that
                       we have the key of, or it cannot look at keys */
};

struct reach {
    void *reader; /* NULL: nobody watches */
    enum link_reach state;
    int broken; /* handshakes in a row */
};

/* Before the socket is connected. */
int reach_open(struct reach *reach, void *context, void *socket, struct error *err);
/* While the socket is still open. Takes one that was not opened. */
void reach_close(struct reach *reach, void *socket);
/* Takes in what is new. */
enum link_reach reach_look(struct reach *reach);
/* Waits for anything but LINK_TRYING, at most timeout_ms. */
enum link_reach reach_await(struct reach *reach, long timeout_ms);
/* What speaks against a connection, in words; false: nothing. `key` is what was shown, NULL:
 * none. */
bool reach_objection(const struct reach *reach, const char *endpoint, const char *key,
                     struct error *ret);

#endif
