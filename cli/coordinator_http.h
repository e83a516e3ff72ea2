/* The HTTP server of `marram coordinator`: its options, and where it is to be found. */
#ifndef CLI_COORDINATOR_HTTP_H
#define CLI_COORDINATOR_HTTP_H

#include "base/error.h"
#include "cli/options.h"

#define COORDINATOR_INSIDE "inproc://coordinator"

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
void coordinator_http_close(struct coordinator_http *http, const char *state);

#endif
