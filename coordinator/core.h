/* The coordinator's own state, shared by its files:
 *   serve.c    the loop: what comes in, and time
 *   members.c  who is there: workers and clients, their leases
 *   submit.c   submissions, the blobs that they need, cancels
 *   answer.c   questions
 *   carry.c    what the scheduler decided, done
 *   announce.c where map outputs are
 *   holders.c  which workers say that they have one */
#ifndef COORDINATOR_CORE_H
#define COORDINATOR_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "base/resources.h"
#include "coordinator/checked.h"
#include "coordinator/job.h"
#include "coordinator/sched/sched.h"
#include "coordinator/serve.h"
#include "store/blobs.h"
#include "wire/link.h"

struct member {
    uint64_t id;              /* its link's identity: new with each life of the peer */
    Mr__Hello *hello;         /* owned; its role says what it is */
    Mr__Heartbeat *heartbeat; /* the last one, owned; NULL: none yet */
    int64_t joined_ms, heard_ms;
};

struct coordinator {
    struct coordinator_options options;
    struct link *link;
    struct sched *sched;
    struct blobs *blobs;
    struct checked checked;
    char kernel[RESOURCES_KERNEL];
    struct job **jobs; /* in order of submission; finished ones until they are too many */
    size_t job_count, job_capacity;
    struct member **members;
    size_t member_count, member_capacity;
    uint32_t worker_count;
    uint64_t lost;              /* workers, since the start */
    int64_t expired_ms;         /* when leases were looked at last */
    struct sched_event *events; /* a queue: events[event_head .. event_count) are waiting */
    size_t event_head, event_count, event_capacity;
    struct sched_actions actions;
};

struct job *core_job(const struct coordinator *coordinator, uint64_t id);

/* Queues an event for the scheduler. */
void core_post(struct coordinator *coordinator, const struct sched_event *event);

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
/* Takes over the message. */
void members_join(struct coordinator *coordinator, uint64_t peer, Mr__Hello *hello);
void members_leave(struct coordinator *coordinator, uint64_t peer, const char *why);
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

/* answer.c */
void answer_query(struct coordinator *coordinator, uint64_t client, const Mr__Query *query);
/* REPLY with an error. */
void answer_error(struct coordinator *coordinator, uint64_t client, const struct error *error);

/* announce.c */
/* Tells a worker where all map outputs are, once. */
void announce_all(struct coordinator *coordinator, struct job *job, uint64_t worker);
/* A map's output counts from now on: tells the homes of the job's parts of it, in batches, so
 * that they can fetch while other maps run. */
void announce_output(struct coordinator *coordinator, struct job *job,
                     const struct sched_attempt *attempt);

/* holders.c */
/* A worker says that it holds outputs of a job. */
void holders_said(struct coordinator *coordinator, uint64_t worker, const Mr__Held *held);
void holders_adopted(struct coordinator *coordinator, struct job *job,
                     const struct sched_action *action);

/* carry.c */
/* Carries out one action of the scheduler; may post events. */
void carry_out(struct coordinator *coordinator, const struct sched_action *action);
/* Tells those that wait how far their job is, if that has changed. */
void carry_progress(struct coordinator *coordinator, struct job *job);
/* Tells one of them. */
void carry_progress_to(struct coordinator *coordinator, const struct job *job, uint64_t client);
/* Why the job waits, in words; "" if it does not. */
const char *carry_reason(const struct coordinator *coordinator, const struct job *job,
                         char text[512]);

#endif
