/* The model's state, for its own files: sim_model.c works out what events mean, sim_check.c
 * judges actions, sim_model_cuts.c knows who does not reach whom, sim_share.c what jobs take
 * from each other, sim_compare.c compares what the scheduler says when it is asked. */
#ifndef TESTS_SIM_MODEL_STATE_H
#define TESTS_SIM_MODEL_STATE_H

#include "tests/lib/sim_model.h"

/* Culprits, in the order in which they were found. */
struct model_list {
    struct sched_culprit *items;
    size_t count, capacity;
};

struct model_task {
    uint32_t attempt;  /* the highest given out */
    uint64_t runs_on;  /* 0: does not run */
    uint32_t current;  /* the attempt that does */
    uint64_t copy_on;  /* where another attempt runs beside it; 0: none does */
    uint32_t copy;     /* that one */
    uint64_t copy_age; /* as age */
    uint32_t copy_slots;
    uint32_t counted;  /* the attempt that counts, or did last */
    uint64_t answered; /* who gave the answer that counts; 0: none counts */
    uint64_t holder;   /* map: who has the output that counts; 0: nobody */
    uint64_t sequence; /* of the record that it counts, 0 until asked for */
    uint64_t lost;     /* of the record that it no longer counts */
    uint64_t age; /* count of accepted maps when it was accepted (map) or assigned (reduce) */
    uint32_t blamed, excused, remade;
    bool alone, single;
    bool runs_alone, runs_single; /* the attempt that does */
    uint32_t known, copy_known;   /* skips that it, and the other one, was told of */
    struct model_list blocks;     /* that are fed record by record */
    uint32_t cause_attempt;
    enum error_code cause;
    bool cause_exact;
};

struct model_job {
    bool known, planning, planned, said_maps_done, committing, ended;
    enum sched_state state;
    enum error_code code;
    struct sched_attempt cause;
    struct model_task check, sample, *tasks[SCHED_KINDS]; /* by kind */
    uint32_t counts[SCHED_KINDS], accepted[SCHED_KINDS], waiting[SCHED_KINDS];
    uint32_t lonely;    /* of the waiting reduces, those that must be alone */
    uint32_t unclaimed; /* accepted maps that nobody holds */
    uint32_t lives;     /* former ones */
    uint32_t running;
    uint64_t submitted, planned_at, last; /* sequences of records; 0: not asked for */
    uint64_t barrier; /* of the last record before which none of its tasks may go */
    enum sched_wait wait;
    uint64_t failed_attempts, map_reruns, drain_reruns, drain_restarts, age;
    bool queued, steady;
    uint32_t skips_max;
    struct model_list skips;
    uint64_t searched; /* attempts that ended in search of bad records */
    uint32_t priority;
    uint64_t serial;
    bool given[MODEL_WORKERS];
    bool blind[MODEL_WORKERS]; /* workers that do not see its files */
    bool aside[MODEL_WORKERS]; /* those of them that were set aside, for others' sake */
    uint32_t blind_count;
    struct model_cut {
        uint64_t low, high;
    } * cuts; /* pairs that do not reach each other */
    size_t cut_count, cut_capacity;
};

struct model_worker {
    bool lives;
    uint32_t threads, whole, single;
    bool alone;
    bool draining, leaves, dismissed; /* it gets nothing; is to be let go; was */
    bool full;       /* it gets nothing until it has room; never together with draining */
    uint64_t let_go; /* by when that must be on disk, + 1; 0: something needs it */
};

/* An action that must come in the step after which `after` is persisted, and not before. */
struct due {
    uint64_t after;
    struct sched_action action;
};

struct model {
    struct model_job *jobs[MODEL_JOBS];
    struct model_worker workers[MODEL_WORKERS];
    uint64_t *leavers; /* workers that are to leave, some of them gone */
    size_t leaver_count, leaver_capacity;
    uint32_t full;        /* living workers that are */
    uint64_t filled;      /* in this step it became full; 0: nobody did */
    uint64_t late_worker; /* in this step what runs there is stopped; 0: nowhere */
    uint32_t active_max;
    uint64_t serial;                /* of the last submission */
    uint32_t threads;               /* of workers that are not to leave */
    uint32_t copy_slots, losers;    /* losers: running attempts of tasks that are done */
    struct sched_attempt straggler; /* of this step; attempt 0: none */
    bool copy_due;                  /* and it must be given a copy */
    uint32_t living, idle,          /* but for those that are barred: */
        partial; /* workers; that hold nothing; that hold reduces, with a free thread */
    uint64_t sequence, persisted;
    uint64_t emitted; /* the `after` of the last one emitted in this step */
    struct due *due;
    size_t due_count, due_capacity;
    struct sched_attempt stopped; /* in this step, for its task is searched for bad records;
                                     attempt 0: none */
    uint32_t revokes; /* attempts of workers set aside, to be revoked in this step */
    struct sched_action *records; /* PERSIST actions that this step must contain */
    size_t record_count, record_capacity;
    uint64_t highest;   /* worker that joined */
    uint64_t next_look; /* the worker whose attempts are compared next */
    uint64_t *touched;  /* workers that hold more or less since the last comparison */
    size_t touched_count, touched_capacity;
    struct model_tally tally;
    char complaint[512];
};

/* Keeps the first complaint. */
void model_complain(struct model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct model_job *model_job(struct model *model, uint64_t id); /* NULL: unknown */
struct model_worker *model_worker(struct model *model, uint64_t id);
struct model_task *model_task(struct model *model, const struct sched_attempt *attempt);
bool model_is_current(struct model *model, uint64_t worker,
                      const struct sched_attempt *attempt);

bool model_is_idle(const struct model_worker *worker); /* it holds nothing */
/* It holds reduces, and has a free thread. */
bool model_is_partial(const struct model_worker *worker);
/* How many living workers may have tasks of the job, reduces or others, and are `such`. */
uint32_t model_seeing(const struct model *model, const struct model_job *job, bool reduces,
                      bool (*such)(const struct model_worker *));
/* What is held by the worker is to be compared. */
void model_touch(struct model *model, uint64_t worker);

/* The job's state is that of one whose submission, or plan, was taken. */
void model_submitted(struct model *model, const struct sched_event *event);
void model_planned(struct model *model, const struct sched_event *event);
/* A blamed failure of the task. */
void model_blame(struct model *model, const struct sched_attempt *attempt, enum error_code code,
                 const struct sched_culprit *culprit);
void model_end(struct model *model, uint64_t job, enum sched_state state, enum error_code code,
               const struct sched_attempt *cause);
void model_restored(struct model *model);
/* The step must contain this record. */
void model_want(struct model *model, enum sched_record record, uint64_t job,
                const struct sched_attempt *attempt, uint64_t worker);

/* Adds to what a worker holds, or takes away. */
void model_hold(struct model *model, struct model_worker *worker,
                const struct sched_attempt *attempt, bool alone, int change);
/* The current attempt of the task ends; the task waits again. */
void model_stop(struct model *model, const struct sched_attempt *attempt);
void model_owe(struct model *model, uint64_t after, const struct sched_action *action);
/* An attempt that runs failed (sim_model_fail.c). */
void model_failed(struct model *model, const struct sched_event *event);
/* The output of an accepted map is gone. */
void model_output_lost(struct model *model, struct sched_attempt attempt);

/* sim_model_skip.c */
/* The block is fed record by record from now on; false if it was already. */
bool model_narrow(struct model_task *task, const struct sched_culprit *block);
/* Whether the failure is one step in the search for bad records, of an attempt that was told of
 * `known` skips. */
bool model_skip(struct model *model, const struct sched_event *event, uint32_t known,
                bool was_single);
void model_skip_restored(struct model *model, const struct sched_fact *fact);

/* sim_model_cuts.c */
/* Two workers do not reach each other. */
void model_cut(struct model *model, uint64_t job, uint64_t a, uint64_t b);
/* Who is there has changed: draws the consequences for a job. */
void model_settle(struct model *model, uint64_t job);
/* Whether the worker is one of a pair. */
bool model_is_cut(const struct model_job *job, uint64_t worker);

/* sim_full.c: disks that are full */
bool model_is_barred(const struct model_worker *worker);
/* It counts no more, or again, among those that may be given something. */
void model_bar(struct model *model, uint64_t worker);
void model_unbar(struct model *model, uint64_t worker);
void model_filled(struct model *model, uint64_t worker);
void model_room(struct model *model, uint64_t worker);
void model_no_room(struct model *model, uint64_t job);
void model_check_filled(struct model *model);
/* sim_compare.c: why nothing of the job runs. */
enum sched_wait model_wait(const struct model *model, const struct model_job *job);

/* sim_leave.c: a worker is to leave; what it may be told; what was left out. */
void model_leave(struct model *model, uint64_t worker);
void model_draining(struct model *model, const struct sched_event *event);
void model_output_broken(struct model *model, const struct sched_event *event);
bool model_gives_back(struct model *model, const struct sched_action *action);
void model_judge_dismiss(struct model *model, const struct sched_action *action);
void model_check_leavers(struct model *model);
/* sim_model_holders.c */
/* Somebody has a copy of an output. */
void model_held(struct model *model, const struct sched_event *event);
/* Nobody else will say that he has an output. */
void model_unclaimed(struct model *model);

/* sim_share.c: what jobs take from each other */
void model_straggler(struct model *model, const struct sched_attempt *attempt);
/* Why the running task may not be given this attempt beside the other; NULL: it may. */
const char *model_no_copy(struct model *model, const struct sched_action *action);
void model_admit(struct model *model);
/* The number of the task's next attempt. */
uint32_t model_next_attempt(const struct model_job *job, const struct model_task *task);
/* Whether something of the job could run if a worker were free. */
bool model_wants(const struct model *model, const struct model_job *job);
bool model_others_want(const struct model *model, const struct model_job *job);
/* The job's place in the queue, from 1; 0: it is not in it. */
uint32_t model_queued(const struct model *model, const struct model_job *job);

/* Judges one action. */
void model_judge(struct model *model, const struct sched_action *action);

#endif
