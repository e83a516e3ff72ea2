/* What the verbs `cluster up`, `scale`, `status` and `down`, a file each, have in common. */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "cli/cluster_state.h"
#include "cli/verb.h"

/* `marram cluster` with none of these behind it; the exit status. */
int cluster_no_verb(int argc, char **argv);

/* Starts a process of the cluster, our own program by the name in argv[0], and notes it. Call
 * it while there are no threads. */
int cluster_start(struct cluster *cluster, const char *name, char **argv, struct error *err);
/* worker-NUMBER, as large as the others. */
int cluster_start_worker(struct cluster *cluster, uint64_t number, struct error *err);

/* How long to wait for processes that start. */
enum { CLUSTER_PATIENCE_MS = 20000 };
struct cluster_patience {
    int signals; /* of signals_open */
    int64_t until_ms;
    int status; /* set when there is no hope: what to exit with */
};
/* Lets a moment pass. -1 when there is no hope: one of our children ended, time is up, a signal
 * came. */
int cluster_wait(struct cluster_patience *patience, const struct cluster *cluster,
                 const char *what, struct error *err);
/* Waits until `wanted` workers of the cluster have joined. */
int cluster_await_workers(struct cluster_patience *patience, const struct cluster *cluster,
                          uint64_t wanted, struct error *err);

/* Ends all processes, workers first: SIGTERM, and SIGKILL to those that live on after ten
 * seconds. */
void cluster_stop(const struct cluster *cluster);

/* A row for the --dir of those that find a cluster. */
#define CLUSTER_DIR "~/.local/state/marram/cluster"
struct option_row cluster_row(const char **ret_dir);

/* "marram cluster VERB: TEXT" on stderr; the exit status of the error. */
int cluster_fail(const char *verb, struct error *err);

#endif
