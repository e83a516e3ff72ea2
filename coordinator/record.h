/* What is written into the journal, and read again after a restart: Record messages. */
#ifndef COORDINATOR_RECORD_H
#define COORDINATOR_RECORD_H

#include <stdbool.h>

#include "base/error.h"
#include "coordinator/sched/sched.h"

struct coordinator;
struct job;

/* Writes down what the scheduler wants on disk; EVENT_PERSISTED follows, at once if there is no
 * journal. */
void record_persist(struct coordinator *coordinator, const struct sched_action *action);

/* Posts EVENT_PERSISTED for what has become durable; -1: the journal has failed. */
int record_durable(struct coordinator *coordinator, struct error *err);

/* Whether the plan of a job is small enough to be written down. */
int record_check_plan(const struct job *job, struct error *err);

/* Writes a snapshot of all jobs; nothing may be on its way to the disk. */
int record_snapshot(struct coordinator *coordinator, struct error *err);

/* restore.c: opens the journal in the state folder, takes all in that it holds, and begins a
 * new life, which is on disk when it returns. */
int restore_open(struct coordinator *coordinator, struct error *err);

#endif
