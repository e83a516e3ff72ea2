/* The agent's own state, shared by its files alone:
 *   agent.c     the loop
 *   lease.c     membership: hello, heartbeats, the lease
 *   jobs.c      what the coordinator announced and assigned
 *   children.c  executors: what they say, and their ends
 *   kept.c      runs of maps that are done
 *   ahead.c     what is fetched while maps still run
 *   drain.c     leaving in order, and taking over from those that leave */
#ifndef AGENT_CORE_H
#define AGENT_CORE_H

#include "store/blobs.h"
#include "wire/link.h"
#include "worker/agent/agent.h"
#include "worker/agent/ahead.h"
#include "worker/agent/blame.h"
#include "worker/agent/child.h"
#include "worker/agent/fences.h"
#include "worker/agent/fetch.h"
#include "worker/agent/guard.h"
#include "worker/agent/share.h"
#include "worker/agent/sources.h"
#include "worker/agent/take.h"

enum {
    CHILDREN_MAX = 64,
    WATCH_MS = 100,
    EVENTS_A_CHILD = 4,
    PROGRESS_MAX = 512,
    GOODBYE_MS = 1000
};

/* A run that this worker made. */
struct kept {
    uint32_t task, attempt;
    uint64_t id;
    char *path;
};

/* A job that the coordinator announced: what each new executor of it must be told. */
struct known_job {
    uint64_t id;
    Mr__JobOpen *open;
    char *object;         /* path of its object; NULL: not here yet */
    uint64_t have;        /* bytes of the object that came */
    Mr__Assign **waiting; /* tasks that came before the object */
    size_t waiting_count, waiting_capacity;
    Mr__MapOutputs **outputs;
    size_t output_count, output_capacity;
    struct kept *kept;
    size_t kept_count, kept_capacity;
    bool former;         /* announced in a session that is over */
    int named;           /* backtraces of it that got names */
    struct ahead *ahead; /* NULL: nothing was announced yet */
};

struct sight;
struct agent {
    struct agent_options options;
    struct link *link;
    struct blobs *blobs;
    struct sources sources; /* whose key is at which endpoint */
    struct share *share;    /* serves our runs; NULL: nobody fetches from here */
    struct fetch *fetch;    /* brings others' runs; NULL: none was wanted yet */
    uint64_t bundles;       /* numbers their files */
    struct sight *sight;    /* of a file that the coordinator asked about; NULL: never yet */
    struct take *take;      /* takes over runs of workers that leave; NULL: none yet */
    bool welcome;           /* the coordinator knows us */
    bool lost;              /* it has given us up: begin anew */
    bool moved;             /* it was told an address that is no longer ours: begin anew */
    struct error refused;   /* it does not want us */
    bool objected;          /* a log line says what speaks against our connection */
    bool draining;          /* it is to leave ... */
    int64_t drain_until_ms;
    bool dismissed; /* ... and may go */
    int64_t dismissed_ms;
    int64_t heartbeat_ms, lease_ms;
    int64_t hello_ms;     /* when HELLO was said */
    int64_t beaten_ms;    /* when the last heartbeat was sent */
    int64_t confirmed_ms; /* when the last one was sent that was answered */
    struct cgroup_base groups;
    struct guard *guard;
    struct fences fences;
    struct child *children[CHILDREN_MAX];
    int child_count;
    int64_t bound_ms; /* when an executor was given a job last */
    bool spare_died;  /* before it was given one: no other until then */
    struct known_job *jobs;
    size_t job_count, job_capacity;
};

/* children.c */
struct child *children_find(const struct agent *agent, uint64_t job); /* job 0: a spare */
struct child *children_start(struct agent *agent, struct error *err);
/* Starts a spare executor if there is none, once that is in nobody's way: between jobs, or when
 * the last job that took one has run for a while. */
void children_keep_spare(struct agent *agent);
/* Frees it; it is dead. */
void children_forget(struct agent *agent, struct child *child);
/* Reports a failed attempt; `log` may be NULL. */
void children_report(struct agent *agent, const Mr__Assign *task, const struct verdict *verdict,
                     const char *log);
/* An executor is dead or to be killed: what it said before counts, what it holds is judged. */
void children_bury(struct agent *agent, struct child *child);
/* Fills the events of one executor, EVENTS_A_CHILD at most; returns how many. */
int children_events(struct child *child, struct link_event *events);
/* Looks at what became ready; the child may be gone then. */
void children_serve(struct agent *agent, struct child *child, const struct link_event *events,
                    int n);
/* Hands out what was fetched for reducers. */
void children_fetched(struct agent *agent);
bool children_busy(const struct agent *agent);
/* Ends executors whose tasks stand still or that outgrow their memory. */
void children_watch(struct agent *agent);

/* jobs.c: open, assign and outputs take over their messages */
struct known_job *jobs_find(struct agent *agent, uint64_t id);
/* Where its files are. Caller frees. */
char *jobs_folder(const struct agent *agent, uint64_t job);
void jobs_open(struct agent *agent, Mr__JobOpen *open);
void jobs_assign(struct agent *agent, Mr__Assign *task);
/* Tells the executors what each may use now, after one came or went. */
void jobs_share_memory(struct agent *agent);
void jobs_outputs(struct agent *agent, Mr__MapOutputs *outputs);
void jobs_piece(struct agent *agent, const Mr__Blob *piece);
void jobs_withdraw(struct agent *agent, const Mr__Revoke *revoke);
/* Removes what a map attempt that does not count has written; of other kinds nothing. */
void jobs_drop_run(const struct agent *agent, uint64_t job, Mr__TaskKind kind, uint32_t task,
                   uint32_t attempt);
void jobs_close(struct agent *agent, uint64_t id);
/* Drops all work. */
void jobs_stop(struct agent *agent);
/* Drops all but the runs of maps that are done. */
void jobs_suspend(struct agent *agent);

/* kept.c */
void kept_note(struct known_job *job, const Mr__MapOutput *output);
/* Removes the run of that attempt; false if there is none. */
bool kept_drop(struct known_job *job, const Mr__Revoke *revoke);
/* Forgets the runs; their files stay. */
void kept_done(struct known_job *job);
/* Removes all other files of the job. */
void kept_sweep(const struct agent *agent, const struct known_job *job);
/* Tells the coordinator which runs are here. */
void kept_say(struct agent *agent);

/* drain.c */
/* Tells the coordinator that we are to leave, if we are. */
void drain_say(struct agent *agent);
void drain_told(struct agent *agent, const Mr__Drain *drain);
/* Whether it is time to go; and how long to wait at most before looking again. */
bool drain_over(const struct agent *agent);
/* -1: its time is over and no coordinator answers: it goes, and says what is lost. */
int drain_keep(const struct agent *agent, struct error *err);
long drain_may_wait(const struct agent *agent);
/* Takes over runs; and says what became of those. */
void drain_take(struct agent *agent, const Mr__Take *wanted);
void drain_taken(struct agent *agent);

/* lease.c */
void lease_hello(struct agent *agent);
/* Free bytes on the scratch disk. */
uint64_t lease_scratch_free(const struct agent *agent);
void lease_welcomed(struct agent *agent, const Mr__Welcome *welcome);
void lease_confirmed(struct agent *agent, const Mr__HeartbeatAck *ack);
void lease_refused(struct agent *agent, const Mr__Refused *message);
/* Whom to let in. */
void lease_roster(struct agent *agent, const Mr__Roster *roster);
/* Sends a heartbeat when it is due, and begins anew when the lease is over; -1: the worker
 * cannot go on. */
int lease_keep(struct agent *agent, struct error *err);

/* agent.c */
/* By which it is known to other workers; NULL: none. */
const struct certificate *agent_own(const struct agent *agent);
void agent_tell(struct agent *agent, enum frame_type type, const ProtobufCMessage *message);
/* Given up by the coordinator, or cut off from it for a lease: what runs here may run elsewhere
 * by now. */
int agent_begin_anew(struct agent *agent, const char *why, struct error *err);

#endif
