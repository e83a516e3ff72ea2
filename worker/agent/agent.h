/* The worker agent: one event loop on one thread. It takes tasks from the coordinator, hands
 * them to executors, watches these, and reports. It never runs user code and never uses OpenMP.
 * In `marram run` it is a thread of the client. */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/keys.h"
#include "wire/porter.h"

struct agent_options {
    void *context;           /* of links */
    const char *endpoint;    /* of the coordinator */
    const struct keys *keys; /* to be known by, NULL: none ... */
    struct porter *porter;   /* ... and with `listen`, of whom its runs are for */
    const char *listen;      /* where others fetch its runs; NULL: nowhere, paths are enough */
    const char *advertise;   /* the host of `listen` that others are told, a name or an address,
                                looked up each time it joins; NULL: that of `listen` */
    const char *name;
    const char *program; /* path of marram-executor */
    const char *scratch; /* folder for runs and job objects; made, and removed at the end */
    uint32_t threads;
    uint64_t memory;   /* bytes for the executors together */
    bool direct_reads; /* try the paths of other workers' runs before fetching them */
    bool far;          /* `listen` can be reached from other machines */
    bool keep_spare;   /* an idle executor for the job after this one; false: one job is all */
};

struct agent;

/* Connects, starts a spare executor and says hello. The options' texts must outlive the agent.
 */
int agent_open(const struct agent_options *options, struct agent **ret, struct error *err);

/* Works until `stop_fd` becomes readable or the worker has left in order (0), or the
 * coordinator refuses the worker (-1). When the coordinator cannot be reached, or has given the
 * worker up, it stops its work and begins anew by itself. Call it on the thread that called
 * agent_open: executors die with the thread that started them. */
int agent_run(struct agent *agent, int stop_fd, struct error *err);

/* The worker is to leave: it takes no more tasks, what runs goes on for timeout_ms at most,
 * others take over what it holds; then agent_run, which is to be called again, returns. */
void agent_drain(struct agent *agent, int64_t timeout_ms);

/* Kills what runs and removes the scratch folder. Takes NULL. */
void agent_close(struct agent *agent);

#endif
