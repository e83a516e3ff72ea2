/* What the coordinator knows of a job beside the scheduler's state: the specification, the
 * plan, what was accepted, what went wrong. Ids are the scheduler's. One thread. */
#ifndef COORDINATOR_JOB_H
#define COORDINATOR_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/output.h"
#include "coordinator/plan.h"
#include "coordinator/sched/sched.h"
#include "wire/mr.pb-c.h"

/* A failed attempt's own words, kept until the job's cause is known. */
struct job_failure {
    struct sched_attempt attempt;
    struct error error;
    char *log_tail;
};

struct job {
    uint64_t id;
    char name[24]; /* of the id, for people and paths */
    uint64_t client;
    Mr__Submit *submit; /* owned; the specification */
    struct plan plan;
    struct output output;
    int64_t started_ms;

    Mr__TaskDone *check; /* owned; carries the description */
    Mr__TaskDone **maps; /* accepted ones by task, owned; NULL: not yet */
    Mr__TaskDone **parts;
    uint32_t map_count, part_count;
    Mr__TaskDone **reported; /* done, not yet accepted or refused */
    size_t reported_count, reported_capacity;

    struct job_failure *failures;
    size_t failure_count, failure_capacity;
    struct error broken; /* why planning or committing failed */
    bool maps_done;      /* workers may be told where the map outputs are */
    bool committed;
    bool finished;
    uint64_t *workers; /* that were told of this job */
    size_t worker_count, worker_capacity;
    uint64_t *fed; /* workers that know all map outputs */
    size_t fed_count, fed_capacity;
    struct sched_progress shown; /* last progress that the client was told */
};

/* Takes over `submit`. Expands the inputs and checks the output; touches no file. */
int job_open(uint64_t id, uint64_t client, Mr__Submit *submit, struct job **ret,
             struct error *err);
void job_free(struct job *job);

/* Cuts the splits and makes the staging folder; the CHECK task has been accepted. */
int job_plan(struct job *job, uint32_t workers, struct error *err);

/* Checks that what the maps emitted is what the reducers received, and commits the output. */
int job_commit(struct job *job, struct error *err);

/* Keeps a TASK_DONE until the scheduler says what becomes of it; takes it over. */
void job_report(struct job *job, Mr__TaskDone *done);
/* The attempt counts: its message moves to check, maps or parts. */
void job_accept(struct job *job, const struct sched_attempt *attempt);
/* The attempt does not count, or no longer does. */
void job_refuse(struct job *job, const struct sched_attempt *attempt);

/* Keeps what a failed attempt said; and finds the words for the scheduler's cause. */
void job_failed(struct job *job, const struct sched_attempt *attempt,
                const Mr__TaskFailed *failed);
const struct job_failure *job_cause(const struct job *job, const struct sched_attempt *attempt);

/* Remembers that `worker` is in *set; false if it was already. */
bool job_note_worker(uint64_t **set, size_t *count, size_t *capacity, uint64_t worker);

#endif
