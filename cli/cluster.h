/* The subcommands of `marram cluster`, a file each. They get their arguments with their own
 * name ("cluster up") first and return the exit status. */
#ifndef CLI_CLUSTER_H
#define CLI_CLUSTER_H

#include "cli/cluster_state.h"

int cluster_up(int argc, char **argv);
int cluster_status(int argc, char **argv);
int cluster_down(int argc, char **argv);

/* Ends all processes, workers first: SIGTERM, and SIGKILL to those that live on after ten
 * seconds. */
void cluster_stop(const struct cluster *cluster);

/* "marram cluster VERB: TEXT" on stderr; the exit status of the error. */
int cluster_fail(const char *verb, const struct error *err);

#endif
