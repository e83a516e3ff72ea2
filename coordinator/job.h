/* What the coordinator knows of a job beside the scheduler's state: the specification, the
 * plan, what was accepted, what went wrong. Ids are the scheduler's. One thread. */
#ifndef COORDINATOR_JOB_H
#define COORDINATOR_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/output.h"
#include "coordinator/plan.h"
#include "coordinator/sched/sched.h"
#include "coordinator/stragglers.h"
#include "record/format.h"
#include "wire/mr.pb-c.h"

/* A failed attempt's own words; or, with attempt 0, what an executor printed last. */
struct job_failure {
    struct sched_attempt attempt;
    char task[24]; /* "map-3", for people */
    char worker[65];
    struct error error;
    bool charged;         /* it cost the task an attempt */
    Mr__Culprit *culprit; /* owned; what it failed on; NULL: that is not certain */
    char *log_tail;
};

/* An accepted map output that other workers may fetch, until that attempt no longer counts. */
struct job_news {
    uint32_t task, attempt;
};

/* A copy of an output that a worker says it has, not judged yet. */
struct job_claim {
    uint64_t worker;
    uint32_t task, attempt;
    char *path;
};

/* An output on its way from a worker that leaves. */
struct job_move {
    uint64_t taker; /* 0: nobody */
    uint32_t attempt, failures;
    uint64_t size;
    uint64_t avoid;   /* who failed last */
    int64_t retry_ms; /* not before */
    bool no_room;     /* nobody has had room for it */
};

/* An answer that was not judged yet. */
struct job_answer {
    uint64_t worker;
    Mr__TaskDone *done;
    uint32_t
        *changed; /* of a map made again: parts that hold other pairs now, owned; or NULL */
};

struct job {
    uint64_t id;
    char name[24]; /* of the id, for people and paths */
    char *title;   /* what the user calls it, or the object's name */
    char *object;  /* the object's file name */
    uint64_t client;
    Mr__Submit *submit; /* owned; the specification */
    struct plan plan;
    struct output output;
    int64_t started_ms;
    int64_t time_ms; /* of the submission, by the wall clock */
    uint64_t token;  /* the client's, 0: none */
    uint32_t lives;  /* of coordinators that had it before */
    bool admitted;   /* the client was told, or will be when it asks */
    uint32_t priority;
    struct stragglers stragglers;

    Mr__TaskDone *check; /* owned; carries the description */
    Mr__TaskDone
        *sample;         /* owned; carries where the parts begin; NULL: nobody asked, or not yet
                          */
    Mr__TaskDone **maps; /* accepted ones by task, owned; NULL: not yet */
    Mr__TaskDone **parts;
    Mr__TaskDone **former; /* by map, owned: the output that was lost, until there is another */
    bool remade;           /* a map was made again */
    uint32_t map_count, part_count;
    struct job_answer *reported; /* done, not yet accepted or refused */
    size_t reported_count, reported_capacity;

    struct job_move *moves; /* by map; NULL: none ever moved */
    uint32_t *moved;        /* maps whose outputs have moved, not yet announced */
    size_t moved_count, moved_capacity;
    struct job_claim *claims;
    size_t claim_count, claim_capacity;
    struct job_failure *failures;
    size_t failure_count, failure_capacity;
    size_t log_bytes;    /* that failures keep of outputs */
    Mr__Skipped **skips; /* owned; in the order in which they were found */
    size_t skip_count, skip_capacity;
    struct error lost;   /* restored: why its inputs are not there any more */
    struct error broken; /* why planning or committing failed */
    struct error unread; /* the last run of a map that could not be read */
    struct error unseen; /* what the last worker did not see that was left out for it */
    bool maps_done;      /* workers may be told where the map outputs are */
    bool committing;     /* that it may is decided */
    bool committed;
    bool shrunk; /* finished, and what only running needs is gone */
    enum sched_state state;
    Mr__Finished *ending; /* owned; how it will have ended once that is on disk */
    Mr__Finished *result; /* owned; how it ended; NULL: not yet */
    uint64_t *cancels;    /* clients that want to know whether it was cancelled */
    size_t cancel_count, cancel_capacity;
    uint64_t *watchers; /* clients that wait for the end */
    size_t watcher_count, watcher_capacity;
    uint64_t *workers; /* that were told of this job */
    size_t worker_count, worker_capacity;
    uint64_t *fed; /* workers that know all map outputs */
    size_t fed_count, fed_capacity;
    struct job_news *news; /* in the order of acceptance */
    size_t news_count, news_capacity;
    size_t announced; /* when outputs were announced last, there were so many news */
    size_t *told;     /* how many of them each home knows; NULL: nothing was announced yet */
    struct sched_progress
        shown; /* last progress that the clients were told, and why it waits */
    char reason[512];
    int64_t told_ms; /* when those that watch were told last how far it is */
};

/* Takes over `submit`. Expands the inputs and checks the output; touches no file. */
int job_open(uint64_t id, Mr__Submit *submit, struct job **ret, struct error *err);
/* Expands the inputs and settles the number of parts. */
int job_expand(struct job *job, struct error *err);

/* A job that was accepted before: looks at no file. Takes over `submit`. */
struct job *job_restore(uint64_t id, Mr__Submit *submit, bool mounted);
/* Takes NULL. */
void job_free(struct job *job);
/* Frees all but what can still be asked about once it is finished: of one that failed its plan,
 * too. */
void job_shrink(struct job *job);
/* Frees the plan. */
void job_forget_plan(struct job *job);

/* Room for the messages of its tasks; the plan has been made. */
void job_make_room(struct job *job);

/* Cuts the splits and makes the staging folder; the CHECK task has been accepted. */
int job_plan(struct job *job, uint32_t workers, struct error *err);

/* How the parts of the output are compressed; the CHECK task has been accepted. */
enum output_codec job_output_codec(const struct job *job);

/* Checks that what the maps emitted is what the reducers received, and commits the output. */
int job_commit(struct job *job, struct error *err);

/* Keeps a TASK_DONE until the scheduler says what becomes of it; takes it over, and `changed`.
 */
void job_report(struct job *job, uint64_t worker, Mr__TaskDone *done, uint32_t *changed);
/* Whether these can be where the parts of the job begin: as many as it takes, in order, and
 * small enough to be told to workers. */
bool job_takes_ranges(const struct job *job, const Mr__Ranges *ranges);
/* "running", "done", "failed" or "cancelled"; and of one that ended back again, false: that is
 * none. */
const char *job_state_name(enum sched_state state);
bool job_state_of_end(ProtobufCBinaryData name, enum sched_state *ret);

/* Where a worker serves its runs, and its public key; both empty: nowhere, none. */
struct job_holder {
    ProtobufCBinaryData endpoint, key;
};
/* The attempt counts: its message moves to check, sample, maps or parts. */
void job_accept(struct job *job, uint64_t worker, const struct sched_attempt *attempt,
                struct job_holder holder);
/* The attempt does not count, or no longer does. */
void job_refuse(struct job *job, uint64_t worker, const struct sched_attempt *attempt);

/* Keeps that a worker says where it has the run of a map attempt, until the scheduler says what
 * becomes of that; false if it is another run than the accepted one. */
bool job_claimed(struct job *job, uint64_t worker, const Mr__MapOutput *output);
/* The accepted output is the worker's from now on. */
void job_adopt(struct job *job, uint64_t worker, const struct sched_attempt *attempt,
               struct job_holder holder);
/* The claim comes to nothing. */
void job_disclaim(struct job *job, uint64_t worker, const struct sched_attempt *attempt);

/* The message of an answer that was not judged yet; NULL: there is none. */
Mr__TaskDone *job_reported(const struct job *job, uint64_t worker,
                           const struct sched_attempt *attempt);

/* Keeps what a failed attempt said; and finds the words for the scheduler's cause. */
struct job_failure *job_failed(struct job *job, const struct sched_attempt *attempt,
                               const char *worker, const Mr__TaskFailed *failed);
struct job_failure *job_cause(const struct job *job, const struct sched_attempt *attempt);
/* Keeps what an executor printed last. */
void job_said(struct job *job, const char *worker, const ProtobufCBinaryData *text);

/* A worker could not read an input or write its part. If the coordinator sees the same files as
 * it did when it planned, the fault is the worker's: the failure becomes ERROR_UNSEEN. */
void job_judge_sight(struct job *job, const struct sched_attempt *attempt,
                     struct job_failure *failure);

/* Remembers that `worker` is in *set; false if it was already. */
bool job_note_worker(uint64_t **set, size_t *count, size_t *capacity, uint64_t worker);

/* Who is told of progress and the end. */
void job_watch(struct job *job, uint64_t client);
void job_unwatch(struct job *job, uint64_t client);

#endif
