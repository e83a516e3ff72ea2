/* A private cluster for `marram run`: a coordinator and agents as threads of this process, the
 * same code that runs as daemons, in a temporary folder that is removed at the end. Executors
 * are processes. */
#ifndef CLI_PRIVATE_H
#define CLI_PRIVATE_H

#include <stdint.h>

#include "base/error.h"
#include "cli/client.h"

struct private_options {
    uint32_t workers, threads; /* threads of each worker */
    uint64_t memory;           /* of all workers together, bytes */
};

struct private_cluster;

/* Starts the threads; the caller keeps SIGINT and its like blocked. */
int private_start(const struct private_options *options, struct private_cluster **ret,
                  struct error *err);

/* The client's own session with the coordinator; owned by the cluster. */
struct client *private_client(struct private_cluster *cluster);

/* Readable once a worker could not start; private_failure then says why. */
int private_failed_fd(const struct private_cluster *cluster);
const struct error *private_failure(struct private_cluster *cluster);

/* Ends everything and removes the folder. Takes NULL. */
void private_stop(struct private_cluster *cluster);

#endif
