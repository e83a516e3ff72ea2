/* The read-only HTTP server of a coordinator: what is asked for by GET, from its own thread. It
 * asks the coordinator as a client does (courier.h), so that neither waits for the other.
 * Beyond loopback only with a token; the Host header is looked at in any case. There is no TLS:
 * a proxy in front of it does that. */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stddef.h>

#include "base/error.h"

struct http_options {
    void *context;            /* of links */
    const char *coordinator;  /* its inproc endpoint */
    const char *address;      /* ADDR:PORT; port 0 takes a free one */
    const char *token;        /* NULL: none is asked for */
    const char *const *hosts; /* more names that a Host header may have */
    size_t host_count;
};

enum {
    HTTP_CONNECTIONS = 128, /* at a time: one more pushes out one that asks for nothing ... */
    HTTP_SPARE = 32,        /* ... which takes a moment */
    HTTP_IDLE_S = 15,       /* without a byte: closed */
    HTTP_REQUEST = 16384,   /* bytes of memory for a request's line and headers */
};

struct http;
/* The options' texts must outlive the server. ERROR_REFUSED: the address is beyond loopback,
 * and there is no token. ERROR_IO: nobody can listen there. */
int http_open(const struct http_options *options, struct http **ret, struct error *err);
/* The coordinator has ended, for a reason: whoever asks is told so with status 503 from now on.
 */
void http_fail(struct http *http, const char *why);
/* ADDR:PORT, with the port that it has. */
const char *http_address(const struct http *http);
/* Before the coordinator is closed. Takes NULL. */
void http_close(struct http *http);

#endif
