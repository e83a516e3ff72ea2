/* The coordinator: one event loop on one thread. Messages become events of the scheduler; its
 * actions become messages, plans and commits. In `marram run` it is a thread of the client. */
#ifndef COORDINATOR_SERVE_H
#define COORDINATOR_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/keys.h"
#include "wire/porter.h"

struct coordinator_options {
    void *context;        /* of links */
    const char *endpoint; /* to listen on */
    const char
        *inside; /* and for clients of this process, inproc://...; NULL: there are none */
    const struct keys *keys; /* that it shows, with whom to let in below their folder ... */
    struct porter *porter;   /* ... and what lets them in; NULL, both: it is open to all */
    const char *state;       /* an existing folder for what it keeps: job objects */
    uint32_t heartbeat_ms;   /* how often workers and clients say that they live */
    uint32_t lease_ms;       /* who says nothing for so long is lost */
    bool journal; /* keeps its jobs in the state folder, and goes on with those that it finds
                     there */
    bool patient; /* a worker that does not see a file is left out of the job, which waits if
                     need be; else the job fails */
    uint32_t max_running; /* jobs at once, the others wait; 0: the usual number */
    uint32_t retained;    /* finished jobs that can still be asked about */
    uint32_t remembered;  /* finished jobs in the history; 0: there is none */
    int hangups; /* a descriptor that is readable when keys are to be looked at now; -1: none */
};

enum {
    DEFAULT_HEARTBEAT_MS = 1000,
    DEFAULT_LEASE_MS = 10000,
    DEFAULT_RETAINED = 1000,
    DEFAULT_REMEMBERED = 10000,
    DEFAULT_RUNNING = 64
};

struct coordinator;

/* Listens. The options' texts must outlive the coordinator. */
int serve_open(const struct coordinator_options *options, struct coordinator **ret,
               struct error *err);

/* What it listens on, with the port that the system chose. */
const char *serve_endpoint(const struct coordinator *coordinator);

/* Serves until `stop_fd` becomes readable; -1: the journal cannot be written any more. */
int serve_run(struct coordinator *coordinator, int stop_fd, struct error *err);

/* Closes; jobs that are not finished leave no staging folder, unless a journal keeps them.
 * Takes NULL. */
void serve_close(struct coordinator *coordinator);

#endif
