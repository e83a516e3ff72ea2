/* What is told of a job, and of an attempt of a task: to workers, and to those who replay it.
 * One thread. */
#ifndef COORDINATOR_TOLD_H
#define COORDINATOR_TOLD_H

#include "coordinator/core.h"
#include "coordinator/skips.h"

/* A JOB_OPEN, which borrows from the job. */
struct told_job {
    Mr__JobOpen message;
    Mr__JobSpec spec;
};
void told_job(const struct coordinator *coordinator, const struct job *job,
              struct told_job *ret);

/* An ASSIGN of a planned job's attempt, which borrows from the job. */
struct told_task {
    Mr__Assign message;
    Mr__Extent *extents, **pointers;
    struct skips_told skips;
};
void told_task(const struct coordinator *coordinator, const struct job *job,
               const struct sched_attempt *attempt, struct told_task *ret);
void told_task_done(struct told_task *told);

/* Answers REPLAY_TASK. */
void told_replay(struct coordinator *coordinator, uint64_t client, const struct job *job,
                 const Mr__Query *query);

#endif
