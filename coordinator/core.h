/* The coordinator's own state, shared by its files:
 *   serve.c    the loop: what comes in, and time
 *   members.c  who is there: workers and clients, their leases
 *   admit.c    whom it lets in
 *   submit.c   submissions, the blobs that they need, cancels
 *   answer.c   questions
 *   listing.c  the list of all jobs
 *   past.c     jobs that only the history knows
 *   carry.c    what the scheduler decided, done
 *   record.c   what it wants on disk, written down
 *   restore.c  what was written down in a former life
 *   judge.c    whether that makes sense
 *   spec.c     whether what is submitted does
 *   announce.c where map outputs are
 *   holders.c  which workers say that they have one
 *   drain.c    workers that are to leave, and where their outputs go
 *   room.c     workers whose disk is full
 *   slow.c     which attempts are slow
 *   public.c   numbers and events for those who watch */
#ifndef COORDINATOR_CORE_H
#define COORDINATOR_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/resources.h"
#include "coordinator/checked.h"
#include "coordinator/history.h"
#include "coordinator/job.h"
#include "coordinator/journal.h"
#include "coordinator/sched/sched.h"
#include "coordinator/serve.h"
#include "store/blobs.h"
#include "wire/link.h"

/* What a worker told of a file that somebody asks about. */
struct sight {
    uint64_t probe; /* which; 0: it told nothing */
    uint64_t digest;
    char error[160]; /* "": it sees the file */
};

/* A file that somebody asks about just now, as long as he does. */
struct probe {
    uint64_t number; /* 0: none */
    char *path;
    int64_t asked_ms;
};
enum { PROBES = 4 };

struct member {
    uint64_t id;              /* its link's identity: new with each life of the peer */
    Mr__Hello *hello;         /* owned; its role says what it is */
    Mr__Heartbeat *heartbeat; /* the last one, owned; NULL: none yet */
    int64_t joined_ms, heard_ms;
    struct full *full;       /* of a worker whose scratch disk is full, owned; else NULL */
    bool listens;            /* a client that is told of events */
    struct leaving *leaving; /* of a worker that is to leave, owned; else NULL */
    struct sight sights[PROBES];
    uint64_t given,
        taking; /* bytes that it was told to take over: in all; still on their way */
};

/* A record on its way to the disk. */
struct unsaved {
    uint64_t number, sequence; /* the journal's, the scheduler's */
};

/* How long accepted attempts of one kind took. */
enum { DURATION_BOUNDS = 12 };
struct durations {
    uint64_t counts[DURATION_BOUNDS + 1];
    double seconds;
};

/* Counted since the start; the second half when a job ends, from its counters. */
struct public_totals {
    uint64_t attempts_done, attempts_failed;
    struct durations maps, reduces;
    uint64_t late_heartbeats;
    uint64_t workers_joined, peers_refused;
    uint64_t journal_records;
    uint64_t jobs_done, jobs_failed, jobs_cancelled;
    uint64_t attempts_speculative, map_reruns, drain_reruns;
    uint64_t map_input_bytes, shuffle_bytes, spilled_bytes;
};

struct coordinator {
    struct coordinator_options options;
    struct link *link;
    struct sched *sched;
    struct blobs *blobs;
    struct journal *journal; /* NULL: nothing outlives this process */
    struct unsaved *unsaved; /* in order */
    size_t unsaved_count, unsaved_capacity;
    int64_t claims_end_ms;   /* until then workers may claim what they kept; 0: that is over */
    struct history *history; /* NULL: there is none */
    struct checked checked;
    struct admit *admit; /* NULL: everybody is let in */
    struct probe probes[PROBES];
    uint64_t probe_count; /* numbers them */
    char kernel[RESOURCES_KERNEL];
    struct job **jobs; /* in order of submission; finished ones until they are too many */
    size_t job_count, job_capacity;
    struct member **members;
    size_t member_count, member_capacity;
    uint32_t worker_count;
    uint64_t lost; /* workers, since the start */
    struct public_totals totals;
    size_t listener_count; /* members that listen */
    int64_t started_ms;
    bool stale;                         /* jobs may be farther than was told of them ... */
    int64_t show_ms;                    /* ... until then they are not looked at again */
    int64_t looked_ms;                  /* when slow attempts were looked for last */
    int64_t expired_ms;                 /* when leases were looked at last */
    uint64_t told_damaged, told_fenced; /* frames that the log has told of ... */
    int64_t told_ms;                    /* ... when it did last */
    struct sched_event *events; /* a queue: events[event_head .. event_count) are waiting */
    size_t event_head, event_count, event_capacity;
    struct sched_actions actions;
    struct drained *drained; /* workers that were to leave and are gone, the latest */
    size_t drained_count;
    int64_t no_room_ms; /* since when all workers are full and nothing runs; 0: it is not so */
    int64_t drain_ms;   /* when outputs that have to move were looked for last; 0: look now */
};

struct job *core_job(const struct coordinator *coordinator, uint64_t id);

/* Queues an event for the scheduler. */
void core_post(struct coordinator *coordinator, const struct sched_event *event);

/* One message from a peer, which may say anything. Takes over the message. */
void core_receive(struct coordinator *coordinator, uint64_t peer, enum frame_type type,
                  ProtobufCMessage *message);

/* Sends to a worker or client; lost with the peer's session. */
void core_send(struct coordinator *coordinator, uint64_t peer, enum frame_type type,
               const ProtobufCMessage *message);

/* Tells a worker that nobody needs the attempt, nor what it left. */
void core_revoke(struct coordinator *coordinator, uint64_t worker,
                 const struct sched_attempt *attempt);

/* Fills an error message, which borrows the text. */
void core_error(Mr__Error *message, const struct error *error);

/* members.c */
struct member *members_find(const struct coordinator *coordinator, uint64_t id);
/* Its name, "?" when it is gone. */
const char *members_name(const struct coordinator *coordinator, uint64_t id, char text[65]);
/* Where it serves its runs; it borrows. */
struct job_holder members_holder(const struct coordinator *coordinator, uint64_t id);
/* Takes over the message. */
void members_join(struct coordinator *coordinator, uint64_t peer, Mr__Hello *hello);
void members_leave(struct coordinator *coordinator, uint64_t peer, const char *why);
/* Ends a member's session against its will; it is told why, and lost. */
void members_cut(struct coordinator *coordinator, uint64_t peer, const struct error *why);
/* Takes over the message. */
void members_beat(struct coordinator *coordinator, uint64_t peer, Mr__Heartbeat *heartbeat);
/* Gives up those whose lease has run out. Returns in how many milliseconds to look again, -1:
 * no one is there. */
long members_expire(struct coordinator *coordinator);
void members_done(struct coordinator *coordinator);

/* submit.c */
/* Takes over the message. */
void submit_job(struct coordinator *coordinator, uint64_t client, Mr__Submit *message);
void submit_blob(struct coordinator *coordinator, uint64_t client, const Mr__Blob *piece);
void submit_blob_get(struct coordinator *coordinator, uint64_t worker,
                     const Mr__BlobGet *wanted);
void submit_cancel(struct coordinator *coordinator, uint64_t client, const Mr__Cancel *message);

/* probe.c: files that somebody asks the workers about. */
int probe_ask(struct coordinator *coordinator, const Mr__Query *query, int *ret_place,
              struct error *err);
void probe_heard(struct coordinator *coordinator, struct member *member,
                 const Mr__Heartbeat *heartbeat);
/* Asks a worker what it has not told yet. */
void probe_tell(const struct coordinator *coordinator, const struct member *member,
                Mr__HeartbeatAck *ack);
void probe_describe(const struct coordinator *coordinator, const struct member *member,
                    int place, Mr__WorkerInfo *info);
void probe_close(struct coordinator *coordinator);

/* answer.c */
void answer_query(struct coordinator *coordinator, uint64_t client, const Mr__Query *query);
/* REPLY with an error. */
void answer_error(struct coordinator *coordinator, uint64_t client, const struct error *error);

/* What is known of a job; it borrows from it and from `reason`. */
void answer_describe(const struct coordinator *coordinator, const struct job *job,
                     char reason[512], Mr__JobInfo *info);

/* listing.c */
/* JOBS: those that have not ended, then the newest of those that have, `limit` in all. */
void listing_answer(struct coordinator *coordinator, uint64_t client, uint32_t limit);

/* past.c */
/* Opens the history, if there is to be one. Without it the work goes on; a log line says so. */
void past_open(struct coordinator *coordinator);
/* The job has just ended. */
void past_keep(struct coordinator *coordinator, const struct job *job);
/* Answers a question about a job that only the history knows; false: it does not. */
bool past_answer(struct coordinator *coordinator, uint64_t client, const Mr__Query *query);
/* What is known of such a job; it borrows from it, and its error and counters are in *ret. */
struct past_info {
    Mr__JobInfo info;
    Mr__Error error;
};
void past_describe(const struct history_job *past, struct past_info *ret);

/* announce.c */
/* Tells a worker where all map outputs are, once. */
void announce_all(struct coordinator *coordinator, struct job *job, uint64_t worker);
/* A map's output counts from now on: tells the homes of the job's parts of it, in batches, so
 * that they can fetch while other maps run. */
void announce_output(struct coordinator *coordinator, struct job *job,
                     const struct sched_attempt *attempt);

/* Tells those that were told all outputs which of them have moved since. */
void announce_moved(struct coordinator *coordinator, struct job *job);
/* Workers that served their outputs at these endpoints are lost: whoever may wait for some is
 * told. The scheduler must not have heard of it yet. */
void announce_gone(struct coordinator *coordinator, ProtobufCBinaryData *endpoints, size_t n);

/* drain.c */
/* A client's DRAIN: asks a worker to leave, or how far it is. */
void drain_asked(struct coordinator *coordinator, uint64_t client, const Mr__Drain *drain);
/* The worker is to leave; what runs there may go on for timeout_ms (0: the usual). `tell`: it
 * does not know yet. */
void drain_member(struct coordinator *coordinator, struct member *member, uint32_t timeout_ms,
                  bool tell);
/* A worker could not take an output over. */
void drain_took(struct coordinator *coordinator, uint64_t worker, const Mr__Took *took);
/* An output is where it was to go, or elsewhere. */
void drain_adopted(struct coordinator *coordinator, struct job *job,
                   const struct sched_action *action);
/* The scheduler lets it go. */
void drain_dismiss(struct coordinator *coordinator, uint64_t worker);
/* It is gone. */
void drain_gone(struct coordinator *coordinator, struct member *member);
/* Finds takers for what has to move, stops what runs for too long. Returns in how many
 * milliseconds to look again, -1: nobody leaves. */
long drain_tend(struct coordinator *coordinator);
/* How far it is, for people. NULL: it is not to leave. */
const char *drain_reason(const struct member *member);
uint64_t drain_outputs(const struct member *member);
/* How many workers are to leave. */
uint32_t drain_count(const struct coordinator *coordinator);

/* holders.c */
/* A worker says that it holds outputs of a job. */
void holders_said(struct coordinator *coordinator, uint64_t worker, const Mr__Held *held);
void holders_adopted(struct coordinator *coordinator, struct job *job,
                     const struct sched_action *action);

/* slow.c */
/* The attempt goes to a worker. */
void slow_began(struct job *job, const struct sched_action *action);
/* A worker told how far it is. */
void slow_heard(struct coordinator *coordinator, const Mr__Heartbeat *heartbeat);
/* Tells the scheduler which attempts are slow. Returns in how many milliseconds to look again,
 * -1: when something has happened. */
long slow_look(struct coordinator *coordinator);

/* room.c */
/* An attempt failed for want of room on its worker's disk, or because that fails; so much was
 * free when what it had written was gone. */
void room_gone_at(struct coordinator *coordinator, uint64_t worker, uint64_t job,
                  uint64_t free_bytes, const struct error *error);
/* The job has ended, and leaves nothing on any disk. */
void room_job_ended(struct coordinator *coordinator, uint64_t job);
/* The worker's heartbeat has come. */
void room_heard(struct coordinator *coordinator, struct member *member);
/* Why it gets nothing, for people. NULL: it is not full. */
const char *room_reason(const struct member *member);
/* Why a job waits when all workers are full, in words. */
void room_waits(const struct coordinator *coordinator, char text[512]);
/* Ends a job when there is room nowhere. Returns in how many milliseconds to look again, -1:
 * when something has happened. */
long room_tend(struct coordinator *coordinator);

/* public.c */
/* A job was accepted, is farther than before, has ended: told to those that listen. */
void public_submitted(struct coordinator *coordinator, const struct job *job);
void public_progress(struct coordinator *coordinator, struct job *job);
void public_finished(struct coordinator *coordinator, const struct job *job);
/* An attempt was accepted, after so many seconds; negative: nobody knows. */
void public_accepted(struct coordinator *coordinator, enum sched_kind kind, double seconds);
/* "worker_joined", "worker_draining", "worker_left", "worker_lost". */
void public_worker(struct coordinator *coordinator, const char *what,
                   const struct member *member);
/* The client is told of events from now on. */
void public_listen(struct coordinator *coordinator, uint64_t client);
/* CLUSTER. */
void public_answer(struct coordinator *coordinator, uint64_t client);

/* carry.c */
/* Carries out one action of the scheduler; may post events. */
void carry_out(struct coordinator *coordinator, const struct sched_action *action);
/* Announces the job to a worker, once; and once more when its ranges are known. */
void carry_open(struct coordinator *coordinator, struct job *job, uint64_t worker);
/* Tells those that wait how far their job is, if that has changed. */
void carry_progress(struct coordinator *coordinator, struct job *job);
/* Tells one of them. */
void carry_progress_to(struct coordinator *coordinator, const struct job *job, uint64_t client);
/* Why the job waits, in words; "" if it does not. */
const char *carry_reason(const struct coordinator *coordinator, const struct job *job,
                         char text[512]);

#endif
