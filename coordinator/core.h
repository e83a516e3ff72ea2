/* The coordinator's own state, shared by serve.c (what comes in) and carry.c (what goes out).
 */
#ifndef COORDINATOR_CORE_H
#define COORDINATOR_CORE_H

#include <stddef.h>
#include <stdint.h>

#include "coordinator/job.h"
#include "coordinator/sched/sched.h"
#include "wire/link.h"

struct member {
    uint64_t id; /* its link's identity: new with each start of the worker */
    uint32_t threads;
};

struct coordinator {
    struct link *link;
    struct sched *sched;
    struct job **jobs;
    size_t job_count, job_capacity;
    struct member *members;
    size_t member_count, member_capacity;
    struct sched_event *events; /* a queue: events[event_head .. event_count) are waiting */
    size_t event_head, event_count, event_capacity;
    struct sched_actions actions;
};

struct job *core_job(const struct coordinator *coordinator, uint64_t id);
struct member *core_member(const struct coordinator *coordinator, uint64_t id);

/* Queues an event for the scheduler. */
void core_post(struct coordinator *coordinator, const struct sched_event *event);

/* Carries out one action of the scheduler; may post events. */
void carry_out(struct coordinator *coordinator, const struct sched_action *action);

/* Tells the waiting client how far its job is, if that has changed. */
void carry_progress(struct coordinator *coordinator, struct job *job);

/* Sends to a worker or client. A peer that cannot be reached is noticed by its lease or not at
 * all: nothing here depends on a send. */
void core_send(struct coordinator *coordinator, uint64_t peer, enum frame_type type,
               const ProtobufCMessage *message);

#endif
