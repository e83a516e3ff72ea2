/* The HTTP server of `marram coordinator`: its options, and where it is to be found. */
#ifndef CLI_COORDINATOR_HTTP_H
#define CLI_COORDINATOR_HTTP_H

#include "base/error.h"
#include "cli/options.h"

#define COORDINATOR_INSIDE "inproc://coordinator"
/* Where it is to be found, if nothing else is said and the port is free. */
#define COORDINATOR_HTTP "127.0.0.1:7080"
enum {
    COORDINATOR_HTTP_PORT = 7080,
    COORDINATOR_HTTP_SIZE = 64, /* of an address as text, with its end */
};

struct coordinator_http {
    const char *address, *token_file; /* NULL: not said */
    struct option_list hosts;
    char *token;
    struct http *server; /* NULL: there is none */
};

void coordinator_http_options(struct coordinator_http *http, struct option_table *table);

/* Starts it, unless it is off, and writes its address into the file `http` of the state folder.
 * That the usual port is taken is a warning; that one that was asked for is, an error. */
int coordinator_http_open(struct coordinator_http *http, void *context, const char *state,
                          struct error *err);
/* The coordinator has ended for a reason. Whoever looks after it is told so for a moment, or
 * until stop_fd becomes readable. */
void coordinator_http_fail(const struct coordinator_http *http, const struct error *why,
                           int stop_fd);
void coordinator_http_close(struct coordinator_http *http, const char *state);

#endif
