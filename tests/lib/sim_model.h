/* What the scheduler must do, written down a second time and in another way: plain arrays, no
 * placement, no sharing of code with coordinator/sched. The model sees each event and the
 * actions that followed, works out for itself what the event means, and complains of the first
 * action that must not be there or is missing. Where the scheduler is free to choose (which
 * worker, which task first) it checks the rules only. */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/sched/sched.h"

enum { MODEL_JOBS = 64, MODEL_WORKERS = 2048 }; /* ids beyond are never used for real ones */

struct model;
struct model *model_new(void);
void model_free(struct model *model);

/* Takes one step of the scheduler; returns what is wrong with it, or NULL. After a complaint
 * the model is of no further use. The text is the model's. */
const char *model_step(struct model *model, const struct sched_event *event,
                       const struct sched_action *actions, size_t count);

/* Compares the progress of all jobs, why they wait, and what workers hold; returns what is
 * wrong, or NULL. */
const char *model_compare(struct model *model, const struct sched *sched);

/* A new model is told what was before, as the scheduler is by sched_restore. */
void model_restore(struct model *model, const struct sched_fact *fact);
/* At most so many jobs run at once, as sched_limit says. */
void model_limit(struct model *model, uint32_t jobs);

/* The job was forgotten by sched_forget. */
void model_forget(struct model *model, uint64_t job);

/* What the model has seen happen. */
struct model_tally {
    uint64_t excluded;      /* workers from jobs */
    uint64_t held, counted; /* attempts that they went on with; that then were accepted */
    uint64_t cuts, aside;   /* pairs that did not reach each other; workers set aside */
    uint64_t waits[7];      /* times that a job began to wait, by enum sched_wait */
    uint64_t copies, won;   /* copies begun; that were accepted */
    uint64_t orphaned;      /* copies whose first attempt ended without a result */
    uint64_t given_back;    /* attempts of tasks with a copy, or copies, taken from a worker
                               that is to leave or was set aside */
    uint64_t room, starved; /* full disks that had room again; jobs that ended for want of it */
    uint64_t hands;         /* attempts taken back from hands */
};
struct model_tally model_tally(const struct model *model);

#endif
