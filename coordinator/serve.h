/* The coordinator: one event loop on one thread. Messages become events of the scheduler; its
 * actions become messages, plans and commits. In `marram run` it is a thread of the client. */
#ifndef COORDINATOR_SERVE_H
#define COORDINATOR_SERVE_H

#include "base/error.h"

struct coordinator;

/* Listens on `endpoint` with the process's link context. */
int serve_open(void *context, const char *endpoint, struct coordinator **ret,
               struct error *err);

/* Serves until `stop_fd` becomes readable. */
void serve_run(struct coordinator *coordinator, int stop_fd);

/* Closes; jobs that are not finished leave no staging folder. Takes NULL. */
void serve_close(struct coordinator *coordinator);

#endif
