/* The connections of the HTTP server: so many, and none that holds its place without need. One
 * that comes when all places are taken pushes out the one that has been without a request for
 * the longest; one whose request, or the reading of its answer, takes too long is cut off,
 * however steadily it drips. Any thread. */
#ifndef HTTP_CONNECTIONS_H
#define HTTP_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONNECTIONS_REQUEST_MS = 20000, /* from its first moment, or the end of the one before */
    CONNECTIONS_ANSWER_MS = 60000,  /* from when the request was whole */
};

struct connections;
struct connection;
struct connections *connections_new(size_t most);
/* All must be closed. Takes NULL. */
void connections_free(struct connections *connections);

/* A new one over the socket, which stays the caller's. */
struct connection *connections_open(struct connections *connections, int fd, int64_t now_ms);
/* Before its socket is closed. */
void connections_close(struct connections *connections, struct connection *connection);

/* Its request is whole: it is being answered. `lasting`: for as long as the client likes. */
void connections_asked(struct connections *connections, struct connection *connection,
                       bool lasting, int64_t now_ms);
/* The answer has been read; it may ask again. */
void connections_answered(struct connections *connections, struct connection *connection,
                          int64_t now_ms);

/* Cuts off those whose time is over; returns how many. */
size_t connections_tend(struct connections *connections, int64_t now_ms);

#endif
