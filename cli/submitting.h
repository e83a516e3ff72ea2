/* The conversation that gives a job to a coordinator: SUBMIT, the blobs that it lacks, SUBMIT
 * again. */
#ifndef CLI_SUBMITTING_H
#define CLI_SUBMITTING_H

#include "cli/client.h"
#include "wire/mr.pb-c.h"

/* Submits `message`, whose job object lies at path `object`. 1: admitted as *ret_job, PROGRESS
 * and FINISHED follow; 0: a descriptor in `fds` became readable before; -1: refused, or no
 * coordinator. */
int submitting(struct client *client, const Mr__Submit *message, const char *object,
               const int *fds, int n, uint64_t *ret_job, struct error *err);

#endif
