/* The scheduler's state, for its own files alone:
 *   sched.c   events come in, progress goes out
 *   gate.c    what must wait for PERSISTED
 *   job.c     the life of a job
 *   task.c    the life of a task: attempts, failures, lost outputs
 *   holder.c  who holds the outputs of maps
 *   retire.c  workers that are to leave
 *   room.c    workers whose disk is full
 *   restore.c what was before this life
 *   share.c   which job is next, and which ones must wait
 *   place.c   which task goes to which worker
 *   copy.c    second attempts of slow tasks
 *   cuts.c    which workers do not reach each other
 *   skip.c    bad records: found, and left out */
#ifndef SCHED_STATE_H
#define SCHED_STATE_H

#include "base/heap.h"
#include "base/map.h"
#include "coordinator/sched/sched.h"

enum task_state {
    TASK_BLOCKED, /* waits for its phase */
    TASK_PENDING, /* in one of its job's heaps */
    TASK_RUNNING, /* with a worker, running or in hand */
    TASK_DONE,    /* the attempt that counts is known */
};

struct task {
    struct job *job;
    enum sched_kind kind;
    uint32_t number;
    enum task_state state;
    uint32_t attempt; /* the one that runs or counts, else the last one */
    uint32_t given;   /* the highest number given out */
    uint32_t blamed;  /* failures that were its own */
    uint32_t remade;  /* map: times that its output was lost in a fetch */
    uint32_t freed;   /* failures that cost nothing */
    bool alone, single;
    bool began_alone, began_single; /* RUNNING: that attempt; copies are neither */
    struct worker *worker;          /* RUNNING: where; DONE map: who holds the output */
    struct copy *copy;              /* RUNNING: another attempt beside it, owned; NULL: none */
    uint64_t age;      /* the job's: REDUCE: when it started; DONE map: when it was accepted */
    uint64_t answered; /* DONE: by which worker; it may be lost by now */
    uint64_t avoid;    /* the worker of the last free failure, 0: none */
    struct task *prev, *next; /* in the worker's list */
    uint32_t cause_attempt;   /* the blamed failure that will be told; 0: none */
    enum error_code cause;
    bool cause_exact;             /* it names a record or key */
    uint32_t known;               /* RUNNING: skips that the attempt was told of */
    struct sched_culprit *narrow; /* blocks that attempts failed on, owned */
    size_t narrow_count, narrow_capacity;
    uint32_t found;            /* bad records and keys that attempts failed on */
    struct sched_place sifted; /* from here on there may be more of them */
};

/* A second attempt of a task that runs. */
struct copy {
    struct task *task;
    struct worker *worker;
    uint32_t attempt;
    uint64_t age;             /* as the task's */
    uint32_t known;           /* as the task's */
    uint64_t slots;           /* threads that it was counted for */
    struct copy *prev, *next; /* in the worker's list */
};

/* Workers by what they could take. */
struct worker_list {
    struct worker *first, *last;
};

enum job_phase {
    JOB_SUBMITTING, /* until it is persisted */
    JOB_CHECKING,
    JOB_PLANNING,
    JOB_SAMPLING,
    JOB_MAPPING,  /* maps_left > 0 */
    JOB_REDUCING, /* maps may be made again in between */
    JOB_COMMITTING,
    JOB_ENDING, /* FINISHED is decided, not yet said */
    JOB_FINISHED,
};

/* Two workers that do not reach each other, as far as one job has met it. */
struct cut {
    uint64_t a, b;
};

/* A worker that had better reduce the parts of one residue. */
struct home {
    uint64_t worker;
    uint32_t next; /* no part of it before this one is pending */
};

struct job {
    uint64_t id;
    enum job_phase phase;
    enum sched_state state;
    uint64_t gate; /* nothing of the job is assigned before this sequence is persisted */
    struct task check, sample;
    bool sampled; /* the plan asks for a sample */
    struct task *maps, *reduces;
    uint32_t map_count, reduce_count, maps_done, reduces_done;
    struct heap pending[2]; /* maps; reduces: those that wait, and some that waited once */
    struct heap lonely[2];  /* those that must run alone */
    uint32_t waiting[2];    /* of pending, those that do wait */
    uint32_t waiting_alone[2];
    struct task *prelude; /* CHECK or SAMPLE, while it is pending; NULL: neither is */
    uint32_t running;
    uint64_t failed_attempts, map_reruns, drain_reruns, drain_restarts;
    uint32_t unclaimed;  /* accepted maps that are needed and that nobody holds */
    uint32_t lives;      /* former ones */
    uint32_t unsteady;   /* the part in which a map made again differs from what was used */
    struct task *doomed; /* restored: it had its last attempt; NULL: none */
    uint64_t age;        /* counts accepted maps, those made again too */
    struct map excluded; /* workers here that do not see its files: id -> job, as a marker; or
                            that were set aside: id -> excluded */
    struct cut *cuts;    /* of workers that are here and were not set aside */
    size_t cut_count, cut_capacity;
    struct map workers; /* that were given something of it: id -> worker's id, as a marker */
    struct home *homes; /* of part p: homes[p % home_count] */
    uint32_t home_count;
    struct map home_of;      /* worker's id -> its home */
    struct job *prev, *next; /* in order of submission */

    /* share.c */
    uint32_t priority;
    bool active;     /* not queued, not finished */
    bool queued;     /* waits until fewer jobs run */
    uint64_t ticket; /* in order of submission; while queued, its place in its line */
    struct job *behind, *before; /* in its line */
    uint64_t slots;              /* threads that its attempts hold */
    uint64_t pass;  /* what it was given since it began, by weight (stride scheduling) */
    uint64_t turn;  /* when it was given something last */
    uint64_t stuck; /* the last step in which nothing more could be placed */
    struct worker_list handy; /* run its task, and have room for one in hand */
    struct worker_list full;  /* run its task, and have room for none */
    bool steady;              /* no copies are wanted */

    /* skip.c */
    uint32_t skips_max;
    struct sched_culprit *skips; /* in the order in which they were found */
    size_t skip_count, skip_capacity;
    uint64_t searched; /* attempts that ended in search of bad records, at no cost */
    uint64_t speculative_attempts;
};

struct worker {
    uint64_t id;
    uint32_t threads;
    uint32_t whole;  /* CHECK, SAMPLE and MAP attempts held: each takes all threads */
    uint32_t single; /* REDUCE attempts held: each takes one */
    bool alone;      /* holds an attempt that must be alone */
    bool draining;   /* gets nothing more */
    bool full;       /* gets nothing until it has room; never together with draining */
    bool leaves;     /* is dismissed when nothing needs it ... */
    bool dismissed;  /* ... and was */
    bool kept;       /* gets nothing until it is empty: a job that is short waits for it */
    struct task *running, *outputs; /* lists of attempts held, of accepted maps */
    struct copy *copies;            /* attempts held that are another's copy */
    struct worker *prev, *next;     /* in `list` */
    struct worker_list *list;
};

/* An action that waits for a sequence to be persisted. */
struct held {
    uint64_t after;
    struct sched_action action;
};

struct sched {
    struct map workers, jobs;
    struct job *first, *last;
    struct worker_list idle;     /* hold nothing */
    struct worker_list partial;  /* hold reduces, and have threads left */
    struct worker_list kept;     /* are kept */
    struct worker_list draining; /* get nothing more, or nothing now for they are full, whatever
                                    they hold; all others are in lists of jobs */
    size_t draining_count, full_count;
    uint32_t kept_count;
    uint64_t kept_threads;
    uint64_t threads;    /* of all workers that are neither to leave nor full */
    uint32_t widest;     /* the most threads that a worker had */
    uint64_t copy_slots; /* threads that copies hold */
    struct job **active; /* jobs that run, in the order in which they began */
    size_t active_count, active_capacity;
    uint32_t active_max;
    struct line {
        struct job *first, *last;
        uint64_t base; /* one less than the first one's ticket */
        uint32_t count;
    } lines[SCHED_PRIORITIES]; /* jobs that must wait for others to end */
    uint64_t step, turns;
    struct held *held;
    size_t held_count, held_capacity;
    uint64_t sequence, persisted;
    struct sched_actions *actions; /* of the step being made */
};

/* gate.c */
void gate_emit(struct sched *sched, const struct sched_action *action);
/* Emits once `after` is persisted, behind all that was held before it. */
void gate_hold(struct sched *sched, uint64_t after, const struct sched_action *action);
uint64_t gate_persist(struct sched *sched, enum sched_record record, uint64_t job,
                      const struct sched_attempt *attempt, uint64_t worker);
/* FINISHED, with what the action says. */
uint64_t gate_persist_end(struct sched *sched, const struct sched_action *finished);
/* FAILED or SKIPPED, with what the action says; nothing waits for it. */
void gate_persist_like(struct sched *sched, enum sched_record record,
                       const struct sched_action *like);
void gate_open(struct sched *sched, uint64_t sequence);

/* job.c */
/* Takes a new job in; NULL if it is known. */
struct job *job_new(struct sched *sched, uint64_t id, uint32_t priority, bool steady);
void job_submit(struct sched *sched, const struct sched_event *event);
void job_make_tasks(struct job *job, uint32_t maps, uint32_t reduces, bool sampled);
void job_planned(struct sched *sched, struct job *job, const struct sched_event *event);
void job_broken(struct sched *sched, struct job *job, enum error_code code);
void job_committed(struct sched *sched, struct job *job);
void job_cancelled(struct sched *sched, struct job *job);
/* Moves a job on when what its phase waited for is there. */
void job_advance(struct sched *sched, struct job *job);
void job_end(struct sched *sched, struct job *job, enum sched_state state, enum error_code code,
             const struct sched_attempt *cause);
void job_delete(struct sched *sched, struct job *job);

/* task.c */
struct task *task_find(const struct sched *sched, const struct sched_attempt *attempt);
struct sched_attempt task_attempt(const struct task *task);
void task_ready(struct task *task);
void task_start(struct sched *sched, struct task *task, struct worker *worker);
void task_done(struct sched *sched, const struct sched_event *event);
void task_note_blame(struct task *task, uint32_t attempt, enum error_code code,
                     const struct sched_culprit *culprit);
void task_failed(struct sched *sched, const struct sched_event *event);
void task_output_lost(struct sched *sched, struct task *map);
/* The attempt ends without a result: its worker has room again. If there is a copy, that one is
 * the attempt from now on. */
void task_detach(struct sched *sched, struct task *task);
/* The attempt goes to another worker at no cost, unless a copy of it runs. */
void task_give_back(struct sched *sched, struct task *task);
/* Stops what runs of the task. */
void task_revoke(struct sched *sched, struct task *task);
/* A worker holds more or less of a job. */
void task_count(struct sched *sched, struct task *task, struct worker *worker, int change);
void task_forget_output(struct task *map);
/* A worker's lists. */
void task_list_add(struct task **list, struct task *task);
void task_list_remove(struct task **list, struct task *task);

/* holder.c */
/* Whether anyone will still read the map's output. */
bool holder_is_needed(const struct task *map);
void holder_set(struct task *map, struct worker *worker);
void holder_said(struct sched *sched, const struct sched_event *event);
void holder_unclaimed(struct sched *sched);

/* retire.c */
/* Nothing is placed there from now on. */
void retire_begin(struct sched *sched, struct worker *worker);
void retire_asked(struct sched *sched, const struct sched_event *event);
void retire_output_broken(struct sched *sched, const struct sched_event *event);
/* Dismisses those that nothing needs any more. */
void retire_dismiss(struct sched *sched);
/* What the worker has not begun goes elsewhere. */
void retire_empty_hand(struct sched *sched, struct worker *worker);

/* room.c */
/* Whether the worker is given nothing, be it to leave or full. */
bool room_bars(const struct worker *worker);
/* Its disk is full; NULL: it is gone. */
void room_gone(struct sched *sched, struct worker *worker);
void room_again(struct sched *sched, const struct sched_event *event);
void room_forget(struct sched *sched, struct worker *worker);
/* There will be none for the job, if it waits for some. */
void room_none(struct sched *sched, struct job *job);

/* cuts.c */
/* A reducer on `reader` does not reach `holder`, where a map's output is. */
void cuts_note(struct sched *sched, struct job *job, uint64_t reader, uint64_t holder);
/* The worker is gone. */
void cuts_forget(struct sched *sched, struct job *job, uint64_t worker);
/* Who may have tasks of the job has changed. */
void cuts_settle(struct sched *sched, struct job *job);
/* Whether the worker may reduce nothing of the job: there is another that it does not reach. */
bool cuts_hinder(const struct job *job, uint64_t worker);
/* How many workers may have tasks of the job. */
size_t cuts_takers(const struct sched *sched, const struct job *job);
/* How many may reduce parts of it. */
size_t cuts_reducers(const struct sched *sched, const struct job *job);

/* restore.c */
void restore_go_on(struct sched *sched);

/* share.c */
/* The job waits until it may run. */
void share_queue(struct sched *sched, struct job *job);
/* It runs from now on, whatever the cap. */
void share_begin(struct sched *sched, struct job *job);
/* It has ended, queued or not. */
void share_end(struct sched *sched, struct job *job);
/* Lets queued ones begin. */
void share_admit(struct sched *sched);
/* Whether something of the job waits for a worker. */
bool share_wants(const struct sched *sched, const struct job *job);
/* Of the jobs for which something waits the one that is next: of those that are not stuck in
 * this step, or of those that are. NULL: none. */
struct job *share_next(const struct sched *sched, bool stuck);
/* The job got so many threads. */
void share_charge(struct sched *sched, struct job *job, uint64_t threads);
/* Sees to it that workers become free for a job that has less than its share; true when others
 * gave something back for it. */
bool share_keep(struct sched *sched, struct job *job);
/* Whether two jobs or more wait for workers. */
bool share_is_contested(const struct sched *sched);
/* No worker is kept any more. */
void share_release(struct sched *sched);

/* copy.c */
void copy_straggler(struct sched *sched, const struct sched_event *event);
/* The copy and the attempt change places. */
void copy_swap(struct task *task);
/* Stops the copy. */
void copy_revoke(struct sched *sched, struct task *task);
/* The copy ends without a result. */
void copy_detach(struct sched *sched, struct task *task);

/* skip.c */
/* Whether the failure, the task's own, was one on the way to a bad record that may be skipped:
 * then it is dealt with, and costs nothing. The attempt was told of `known` skips. */
bool skip_failed(struct sched *sched, struct task *task, const struct sched_event *event,
                 uint32_t known);
/* The block is fed singly from now on; false if it was already. */
bool skip_narrow(struct task *task, const struct sched_culprit *block);
/* Restored; `task`, which may be NULL, failed on it. */
void skip_restore(struct job *job, struct task *task, const struct sched_culprit *culprit);
void skip_done(struct job *job);

/* place.c */
void place_all(struct sched *sched);
void place_worker(struct sched *sched, struct worker *worker);
void place_unlist(struct worker *worker);
/* It is kept no longer. */
void place_unkeep(struct sched *sched, struct worker *worker);
/* Whether it may have tasks of the job, reduces or others, as long as it is not to leave. */
bool place_may_have(const struct job *job, const struct worker *worker, bool reduces);
/* The first from here on that may. */
struct worker *place_seeing(const struct job *job, struct worker *worker, bool reduces);
/* Whether the outputs of maps are all there. */
bool place_maps_ready(const struct job *job);
/* Fixes which worker had better reduce what. */
void place_homes(const struct sched *sched, struct job *job);

#endif
