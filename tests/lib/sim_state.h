/* The simulated cluster, for its own files:
 *   sim.c         time, steps of the scheduler, what its actions lead to
 *   sim_net.c     messages on their way
 *   sim_worker.c  workers, attempts and how they end
 *   sim_holder.c  workers that say that they hold outputs
 *   sim_drain.c   workers that are to leave
 *   sim_skip.c    bad records in the input
 *   sim_restart.c the coordinator dies and is started anew
 *   sim_chaos.c   what befalls the cluster, and how large it is */
#ifndef TESTS_SIM_STATE_H
#define TESTS_SIM_STATE_H

#include "base/rng.h"
#include "tests/lib/sim.h"
#include "tests/lib/sim_model.h"

enum { SIM_TAIL = 40 };

enum happening_type {
    HAPPEN_EVENT,     /* the scheduler is told */
    HAPPEN_TO_WORKER, /* a message arrives: action */
    HAPPEN_FROM_WORKER,
    HAPPEN_ATTEMPT_ENDS,
    HAPPEN_LEASE_ENDS,
    HAPPEN_JOIN,
    HAPPEN_SAVED,
    HAPPEN_FORGET,
    HAPPEN_CHAOS,
    HAPPEN_MOVE,    /* outputs of a worker that is to leave */
    HAPPEN_NOTHING, /* what would have happened was lost with the coordinator */
};

struct happening {
    enum happening_type type;
    uint64_t at, serial;
    uint64_t worker, sent;
    struct sched_event event;
    struct sched_action action;
    uint32_t doomed, version; /* ATTEMPT_ENDS of a reduce: the map that it cannot read + 1, and
                                 which of its outputs */
    bool cut;                 /* because it does not reach who holds it */
};

/* An attempt that a worker has heard of. */
struct sim_attempt {
    struct sched_attempt key;
    bool revoked, started;
};

struct sim_worker {
    uint32_t threads;
    bool slow;
    bool here, lost; /* it joined; the scheduler was told that it is gone */
    bool drains, dismissed;
    uint64_t crashed_at; /* 0: it lives */
    uint64_t cut_from, cut_until;
    uint64_t busy_until;
    uint64_t newest[2]; /* when the newest message that arrived was sent: from it, to it */
    uint64_t released;  /* a bit for each job */
    uint64_t was;       /* who it was before, when it was fenced; 0: nobody */
    uint64_t blind;     /* a bit for each job, some of whose files it does not see */
    struct sim_attempt *attempts;
    size_t attempt_count, attempt_capacity;
};

/* How well an attempt sees which record it failed on. */
enum sim_sight { SIM_SEES_ALL, SIM_SEES_BLOCKS, SIM_SEES_NOTHING };

enum sim_badness { NOT_BAD, BAD_BLAMED, BAD_SUSPECT, BAD_INPUT, BAD_OUTPUT };

struct sim_job {
    enum sim_badness badness;
    struct sched_attempt bad; /* which task */
    bool plan_breaks, commit_breaks, cancelled, finished, sampled, committing;
    bool starved; /* it may have been told that there is no room */
    uint32_t priority;
    bool steady;
    uint32_t hidden; /* from so many workers in a thousand */
    uint32_t maps, reduces;
    uint8_t *failures_left[SCHED_KINDS]; /* by kind and task: blamed failures still to come */
    uint32_t skips;                      /* bad records that it does without */
    uint32_t spoiled;                    /* that it has */
    bool overflows;                      /* these are more */
    enum sim_sight sees;
    uint32_t counts[SCHED_KINDS];      /* of tasks */
    uint8_t *bad_records[SCHED_KINDS]; /* by kind and task */
    uint8_t *skipped[SCHED_KINDS];     /* as far as anyone was told */
    uint64_t *holders;                 /* by map: who holds the output */
    uint32_t *attempts;                /* by map: whose output counts */
    uint64_t *owners;                  /* by map: who has the files of it */
    uint32_t *versions,
        *complained; /* by map: accepted so often; complained of so many versions */
    uint32_t *last_complained;
};

/* A record of the coordinator, with what the scheduler does not know by itself. */
struct sim_record {
    struct sched_action action;
    uint32_t maps, reduces;
    bool sample;
    struct sched_culprit culprit; /* of FAILED and SKIPPED */
};

/* Faults of one run, in a thousand. */
struct sim_rates {
    uint32_t drop, twice, stall, innocent, suspect, unread, flaky, slow_disk, hidden, apart,
        slow, full, restart;
};

struct sim {
    struct rng rng;
    struct sched *sched;
    struct sched_actions actions, falsified;
    struct model *model;
    sim_falsify *falsify;
    void *falsify_context;
    uint64_t now, serial, faults_end;
    struct happening **queue; /* a heap by time, then serial */
    size_t queue_count, queue_capacity;
    struct sim_worker workers[MODEL_WORKERS];
    uint64_t worker_count; /* ids are 1..worker_count */
    struct sim_job jobs[MODEL_JOBS];
    uint64_t job_count; /* ids are 1..job_count */
    struct sim_rates rates;
    uint32_t limit; /* of jobs that run at once; 0: as the scheduler has it */
    uint64_t lease_us, chaos_us, delay_us, disk_us, work_us;
    struct sim_record *records;
    size_t record_count, record_capacity;
    struct sched_event told;       /* the event of this step */
    uint64_t asked, saved, saving; /* records wanted on disk; there; being written (0: none) */
    struct {
        bool is_event;
        uint64_t at;
        struct sched_event event;
        struct sched_action action;
    } tail[SIM_TAIL];
    uint64_t tail_count;
    struct sim_report *report;
};

/* sim.c: microseconds from now. */
void sim_later(struct sim *sim, uint64_t delay_us, const struct happening *happening);
void sim_event_later(struct sim *sim, uint64_t delay_us, const struct sched_event *event);
void sim_count(struct sim *sim, enum sim_count count);
void sim_fail(struct sim *sim, const char *why);
bool sim_is_quiet(const struct sim *sim);
/* True so many times in a thousand, and never once the faults have stopped. */
bool sim_fault(struct sim *sim, uint32_t in_thousand);
uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high);

void sim_finished(struct sim *sim, const struct sched_action *action);
/* Adds up what the model has seen, before it is freed. */
void sim_count_sights(struct sim *sim);

/* sim_net.c */
void sim_send_to_worker(struct sim *sim, uint64_t worker, const struct sched_action *action);
void sim_send_from_worker(struct sim *sim, uint64_t worker, const struct sched_event *event);
void sim_deliver(struct sim *sim, const struct happening *message);

/* sim_worker.c */
bool sim_is_reachable(const struct sim *sim, uint64_t worker);
void sim_worker_told(struct sim *sim, uint64_t worker, const struct sched_action *action);
void sim_attempt_ends(struct sim *sim, const struct happening *end);

/* sim_holder.c */
/* A worker says that it has a copy of some output. */
void sim_claim(struct sim *sim, uint64_t worker);
void sim_answered(struct sim *sim, const struct sched_action *action);
/* Who was someone else before says what it kept. */
void sim_reclaim(struct sim *sim, uint64_t worker);

/* sim_skip.c */
/* Puts bad records into the input of a job's tasks. */
void sim_spoil(struct sim *sim, struct sim_job *job, enum sched_kind kind, uint32_t count);
/* Whether the attempt fails on one. */
bool sim_meets_bad(struct sim *sim, const struct sched_action *assign,
                   struct sched_event *event);
/* One more is skipped. */
void sim_skipped(struct sim *sim, const struct sched_attempt *attempt);
/* Only those are that the records tell of. */
void sim_skips_again(struct sim *sim);

/* sim_restart.c */
void sim_note_record(struct sim *sim, const struct sched_action *action);
/* Loses all that is not on disk; everyone is fenced and comes back. */
/* False: there were too many already. */
bool sim_restart(struct sim *sim);

/* sim_drain.c */
/* The worker is to leave. */
void sim_drain(struct sim *sim, uint64_t worker);
void sim_move(struct sim *sim, uint64_t worker);
void sim_dismissed(struct sim *sim, uint64_t worker);
/* All that were to leave have left. */
void sim_check_drains(struct sim *sim);

/* sim_chaos.c */
void sim_prepare(struct sim *sim);
void sim_plan(struct sim *sim, uint64_t job);
void sim_chaos(struct sim *sim);
void sim_lease_ends(struct sim *sim, uint64_t worker);
void sim_join(struct sim *sim, uint64_t delay_us);
void sim_joined(struct sim *sim, uint64_t worker);

#endif
