/* Waiting for a job of a coordinator that lives on without us: progress, the result, and what
 * the signals of an attached client mean. */
#ifndef CLI_FOLLOWING_H
#define CLI_FOLLOWING_H

#include <stdint.h>

#include "cli/client.h"
#include "cli/report.h"

struct following {
    const char *verb; /* for texts */
    struct client *client;
    struct report *report;
    int signals; /* of signals_open */
    uint64_t job;
};

/* Takes PROGRESS until FINISHED; the exit status. The first SIGINT says how to attach again; a
 * second one within two seconds cancels the job, else we leave it to itself, as after any other
 * signal: 130. */
int following(const struct following *following);

#endif
