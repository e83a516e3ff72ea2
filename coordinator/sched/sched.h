/* The scheduler: which attempt of which task runs where, and what counts. A pure state machine:
 * no clock, no socket, no file, no random source. Everything that happens arrives as an event;
 * everything that must be done leaves as an action; the same events give the same actions.
 *
 *     sched_step(sched, &event, &actions);   // then carry the actions out, in order
 *
 * Persistence. An action that must not be seen by the world before a fact is on disk is held
 * back: the step emits PERSIST with a sequence number, and the actions that depend on it come
 * out of the step for the event PERSISTED with that number (or a later one: persistence is in
 * order). A backend in memory answers at once.
 *
 * The life of a job:
 *
 *   JOB_SUBMITTED -> PERSIST -> [PERSISTED] -> ADMITTED, then its CHECK task is assigned
 *   CHECK done (or JOB_SUBMITTED as checked) -> PLAN -> JOB_PLANNED (or JOB_BROKEN) -> PERSIST
 * -> MAP tasks
 *   a plan with `sample`: a SAMPLE task first; done -> PERSIST -> ACCEPTED -> MAP tasks
 *   all maps done -> MAPS_DONE -> REDUCE tasks
 *   a MAP or REDUCE attempt done -> PERSIST -> ACCEPTED: from now on this attempt is the one
 * that counts all reduces accepted -> PERSIST -> COMMIT -> JOB_COMMITTED (or JOB_BROKEN) ->
 * PERSIST -> FINISHED a failure that gives up, the last attempt blamed, or JOB_CANCELLED ->
 * REVOKE each running attempt, PERSIST -> FINISHED; RELEASE to every worker that knew the job
 *
 * Who holds an output. The worker that made an accepted map's output holds it, until another
 * one says that it has a copy (OUTPUT_HELD -> ADOPTED); when its holder is lost the map is made
 * again. To who holds what nobody needs the answer is DROP, or RELEASE if the job is over or
 * unknown; all of it once what was decided before is on disk.
 *
 * A worker that is to leave. WORKER_DRAINING: nothing more is placed there. What runs there
 * ends, or is revoked with a second WORKER_DRAINING that is `late`. Its outputs (sched_outputs)
 * are moved by the caller: OUTPUT_HELD by another worker takes one off it. Then DISMISS: it may
 * leave.
 *
 * A job waits in a line until fewer jobs run than the cap: by priority, then by submission.
 * Jobs that run share the workers' threads by weight (share.c), and none has to wait longer
 * than a task takes.
 *
 * A worker whose disk is full (TASK_FAILED with ERROR_SPACE or ERROR_DISK) gets nothing more
 * until WORKER_ROOM; the failure costs the task nothing.
 *
 * An attempt that is slow (STRAGGLER: who has a clock judges) gets a copy on another worker if
 * nothing else waits for that. The first of the two that is done counts, the other is revoked.
 *
 * Bad records. A job may say how many records and keys it does without (`skips`): the first so
 * many that its attempts fail on are skipped (a record SKIPPED each), and cost no attempt. The
 * caller tells each ASSIGN which they are, and which stretches to feed with care
 * (sched_narrowed); and where a map that met several begins to search for more, so that not
 * each of them costs a pass over its split (sched_sifts). One more fails the job.
 *
 * The caller owns event and actions; ids are the caller's. One thread. */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum sched_kind { /* as TaskKind on the wire */
                  SCHED_CHECK,
                  SCHED_MAP,
                  SCHED_REDUCE,
                  SCHED_SAMPLE, /* once, before the maps, where the plan asks for it */
                  SCHED_KINDS
};

/* An attempt of a task: what every message about work is keyed by. Attempts count from 1. */
struct sched_attempt {
    uint64_t job;
    enum sched_kind kind;
    uint32_t task;
    uint32_t attempt;
};

enum { SCHED_PRIORITIES = 10, SCHED_PRIORITY_USUAL = 5 };

/* What an attempt failed on, if that is certain. */
enum sched_culprit_type {
    CULPRIT_NONE,
    CULPRIT_BLOCK,  /* several records: the next attempt feeds them singly */
    CULPRIT_RECORD, /* may be skipped, ... */
    CULPRIT_KEY     /* ... and so may this */
};
struct sched_culprit {
    enum sched_culprit_type type;
    uint32_t file;
    uint64_t low, high; /* BLOCK: offset, length; RECORD: offset, 0; KEY: its digest */
};

/* In the input: the records that begin there and behind. */
struct sched_place {
    bool known;
    uint32_t file;
    uint64_t offset;
};

enum sched_event_type {
    EVENT_JOB_SUBMITTED, /* job, checked, priority, steady, skips */
    EVENT_JOB_PLANNED,   /* job, maps, reduces (maps may be 0: then reduces write empty parts),
                            sample */
    EVENT_JOB_BROKEN,    /* job, code: planning or committing failed */
    EVENT_JOB_COMMITTED, /* job */
    EVENT_JOB_CANCELLED, /* job */
    EVENT_WORKER_JOINED, /* worker, threads, draining */
    EVENT_WORKER_LOST,   /* worker: its attempts are lost, and the map outputs that it holds */
    EVENT_WORKER_DRAINING, /* worker, late: it is to leave once nothing needs it */
    EVENT_TASK_DONE,       /* worker, attempt */
    EVENT_TASK_FAILED,     /* worker, attempt, code, blamed, suspect, culprit, sifted, lost_map
                            */
    EVENT_STRAGGLER,       /* attempt: it is slow; a copy of it elsewhere may be done sooner */
    EVENT_PERSISTED,       /* sequence */
    EVENT_RESTORED,        /* all facts of the former life were told: goes on from there */
    EVENT_OUTPUT_HELD,     /* worker, attempt (of a map): it has a good copy of its output */
    EVENT_OUTPUT_BROKEN,   /* worker, attempt: the output that it holds cannot be read */
    EVENT_OUTPUTS_UNCLAIMED, /* who holds an output has said so by now: the others are lost */
    EVENT_WORKER_ROOM,       /* worker: there is room on its disk again */
    EVENT_NO_ROOM, /* job: if it waits for a worker with room, none will have any: it fails */
};

struct sched_event {
    enum sched_event_type type;
    uint64_t job;
    uint64_t worker; /* an incarnation: never used twice */
    uint32_t threads;
    bool checked;      /* what its CHECK task would find is known already */
    uint32_t priority; /* 0 to SCHED_PRIORITIES - 1: each step doubles the job's share */
    bool steady;       /* no copies of its slow tasks */
    uint32_t skips;    /* bad records and keys that it does without, LIMIT_SKIPS at most */
    uint32_t maps, reduces;
    bool sample; /* no map goes before a SAMPLE task is accepted */
    struct sched_attempt attempt;
    enum error_code code;
    bool blamed;  /* the task is the cause of the failure */
    bool suspect; /* it may be the cause: run it alone next time */
    struct sched_culprit culprit;
    struct sched_place sifted; /* with `culprit`: how far a search has got */
    uint32_t lost_map; /* with code ERROR_FETCH: the map task whose output cannot be read */
    uint64_t sequence;
    bool draining; /* it joins in order to leave: it gets nothing, and says so again when it has
                      said which outputs it holds */
    bool late;     /* what runs there is stopped and runs elsewhere */
    const uint32_t *changed; /* TASK_DONE of a map made again: the parts that hold other pairs
                                than before, the caller's */
    size_t changed_count;
};

enum sched_action_type {
    ACTION_PERSIST,  /* sequence, record (one of SCHED_RECORD_*), job or attempt, worker */
    ACTION_ADMITTED, /* job: tell the submitter */
    ACTION_PLAN,     /* job: expand inputs, cut splits, make the staging folder */
    ACTION_ASSIGN,   /* worker, attempt, alone, single, copy */
    ACTION_REVOKE,   /* worker, attempt: stop it */
    ACTION_REFUSE,   /* worker, attempt: its answer is stale and changed nothing */
    ACTION_REPEATED, /* worker, attempt: its answer was taken before, and still counts */
    ACTION_ACCEPTED, /* worker, attempt: this one counts */
    ACTION_FAILURE,  /* worker, attempt, code: a blamed failure, recorded as a failed attempt */
    ACTION_MAP_AGAIN, /* attempt (the one that counted until now): an accepted map's output was
                         lost */
    ACTION_MAPS_DONE, /* job: reducers may be told where the map outputs are */
    ACTION_COMMIT,    /* job: move the staging folder to its target */
    ACTION_FINISHED,  /* job, state, code, cause (the first blamed attempt, if any) */
    ACTION_RELEASE,   /* worker, job: drop its runs and executor */
    ACTION_ADOPTED,   /* worker, attempt: of the accepted map's output this copy is read now */
    ACTION_DISMISS,   /* worker: nothing needs it any more, it may leave */
    ACTION_DROP,      /* worker, attempt: nobody needs the output that it holds */
};

enum sched_record {
    SCHED_RECORD_SUBMITTED,
    SCHED_RECORD_PLANNED,
    SCHED_RECORD_ACCEPTED,
    SCHED_RECORD_LOST, /* an accepted map no longer counts */
    SCHED_RECORD_COMMITTING,
    SCHED_RECORD_FINISHED, /* job, state, code, cause */
    SCHED_RECORD_FAILED, /* a failure that the task was charged with: code. Nothing waits for it
                          */
    SCHED_RECORD_STARTED, /* the caller's own: a new life begins, attempts have new numbers */
    SCHED_RECORD_SKIPPED, /* what the attempt failed on is skipped from now on: code. Nothing
                             waits for it: what is accepted without it is written down behind
                             it */
};

enum sched_state { SCHED_RUNNING, SCHED_DONE, SCHED_FAILED, SCHED_CANCELLED };

struct sched_action {
    enum sched_action_type type;
    uint64_t job;
    uint64_t worker;
    struct sched_attempt attempt;
    bool alone, single;
    bool copy; /* ASSIGN: beside another attempt of the task */
    enum sched_record record;
    uint64_t sequence;
    enum sched_state state;
    enum error_code code;
    struct sched_attempt cause; /* attempt 0: none */
    uint32_t part; /* FINISHED with ERROR_UNSTEADY: what the cause emitted into this part is not
                      what its reducer has used */
};

/* A growing list; zero-initialise, reuse with count = 0, release with sched_actions_done. */
struct sched_actions {
    struct sched_action *items;
    size_t count, capacity;
};
void sched_actions_done(struct sched_actions *actions);

struct sched;
struct sched *sched_new(void);
void sched_free(struct sched *sched);
/* At most so many jobs run at once (64 unless told otherwise); the others wait. */
void sched_limit(struct sched *sched, uint32_t jobs);

/* Advances by one event; appends to *actions. An event that makes no sense (an unknown worker,
 * a stale attempt) is answered with REFUSE or REPEATED or ignored, never a crash: peers may say
 * anything. */
void sched_step(struct sched *sched, const struct sched_event *event,
                struct sched_actions *actions);

/* What a record told when it was written: with which a scheduler takes up where another one
 * ended. All records of the journal in their order come before the first event, then RESTORED.
 * They count as persisted, as 1, 2, 3... What was not on disk never happened. */
struct sched_fact {
    enum sched_record record;
    uint64_t job;                 /* STARTED: 0 */
    struct sched_attempt attempt; /* ACCEPTED, LOST, FAILED, SKIPPED */
    bool checked;                 /* SUBMITTED */
    uint32_t priority;            /* SUBMITTED */
    bool steady;                  /* SUBMITTED */
    uint32_t skips;               /* SUBMITTED */
    uint32_t lives;               /* SUBMITTED: how often it was restored already */
    uint64_t map_reruns;          /* SUBMITTED */
    uint32_t maps, reduces;       /* PLANNED */
    bool sample;
    enum error_code code;         /* FAILED */
    struct sched_culprit culprit; /* FAILED, SKIPPED */
};
void sched_restore(struct sched *sched, const struct sched_fact *fact);

/* Attempts of different lives have different numbers, for those of a former one may still run
 * somewhere: in its n-th life a job counts from n times this + 1. */
enum { SCHED_LIFE_ATTEMPTS = 100000, SCHED_LIVES_MAX = 40000 };

/* What people ask for. Zero when the job is unknown. */
struct sched_progress {
    enum sched_state state;
    uint32_t maps, maps_done, reduces, reduces_done;
    uint32_t running;
    uint64_t failed_attempts, map_reruns, speculative_attempts;
    uint64_t drain_reruns;   /* of the map reruns, those of outputs that a worker could not hand
                                over before it left */
    uint64_t drain_restarts; /* attempts that were stopped so that their worker could leave */
};
struct sched_progress sched_progress(const struct sched *sched, uint64_t job);

/* Why nothing of a job runs. */
enum sched_wait {
    SCHED_WAITS_NOT, /* something runs, or the coordinator is at work on it, or it is finished
                      */
    SCHED_WAITS_WORKER,  /* there is no worker, or all are to leave */
    SCHED_WAITS_SIGHT,   /* no worker sees its files: all failed with ERROR_UNSEEN */
    SCHED_WAITS_OUTPUTS, /* for workers of the former life that have outputs of maps */
    SCHED_WAITS_TURN,    /* the workers are busy with other jobs */
    SCHED_WAITS_QUEUE,   /* as many jobs run as may */
    SCHED_WAITS_ROOM,    /* the disks of all workers are full */
};
enum sched_wait sched_waits(const struct sched *sched, uint64_t job);
/* The job's place in the queue, from 1; 0: it is not in it. *ret_running: jobs that run. */
uint32_t sched_queued(const struct sched *sched, uint64_t job, uint32_t *ret_running);

/* Whether all tasks of the job's phase are done or run, and some run that might be copied. */
bool sched_tail(const struct sched *sched, uint64_t job, enum sched_kind *ret_kind);

/* Whether that attempt runs on that worker now: what anyone else says of it is stale. */
bool sched_runs(const struct sched *sched, uint64_t worker,
                const struct sched_attempt *attempt);

/* Whether that attempt runs as the only one of its task. */
bool sched_runs_singly(const struct sched *sched, uint64_t worker,
                       const struct sched_attempt *attempt);

/* The stretches of its input that the attempt of a map or sample has to feed record by record:
 * culprits of type BLOCK, borrowed until the next step. */
const struct sched_culprit *sched_narrowed(const struct sched *sched,
                                           const struct sched_attempt *attempt,
                                           size_t *ret_count);

/* Where the attempt of a map begins to search for bad records before it does its task; false:
 * it does not search. */
bool sched_sifts(const struct sched *sched, const struct sched_attempt *attempt,
                 struct sched_place *ret_from);

/* Where the parts of a job are reduced if there is room: the homes are fixed when it is
 * planned, `sched_homes` of them, and part p belongs to the home p % sched_homes. sched_home
 * says which worker that is; 0: it is gone, or does not see the job's files, or there is no
 * such part. */
uint32_t sched_homes(const struct sched *sched, uint64_t job);
uint64_t sched_home(const struct sched *sched, uint64_t job, uint32_t part);

/* The outputs that a worker holds and that are needed: up to `max` go to `list`, and how many
 * there are is returned. */
size_t sched_outputs(const struct sched *sched, uint64_t worker, struct sched_attempt *list,
                     size_t max);
/* Whether it is to leave. */
bool sched_drains(const struct sched *sched, uint64_t worker);
/* Whether it gets nothing because its disk is full. */
bool sched_is_full(const struct sched *sched, uint64_t worker);

/* How many attempts a worker holds. */
uint32_t sched_held(const struct sched *sched, uint64_t worker);

/* Forgets a finished job. */
void sched_forget(struct sched *sched, uint64_t job);

#endif
