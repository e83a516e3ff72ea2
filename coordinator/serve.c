#include "coordinator/serve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "coordinator/core.h"

struct job *core_job(const struct coordinator *coordinator, uint64_t id)
{
    for (size_t i = 0; i < coordinator->job_count; i++)
        if (coordinator->jobs[i]->id == id)
            return coordinator->jobs[i];
    return NULL;
}

struct member *core_member(const struct coordinator *coordinator, uint64_t id)
{
    for (size_t i = 0; i < coordinator->member_count; i++)
        if (coordinator->members[i].id == id)
            return &coordinator->members[i];
    return NULL;
}

void core_post(struct coordinator *coordinator, const struct sched_event *event)
{
    if (coordinator->event_head == coordinator->event_count)
        coordinator->event_head = coordinator->event_count = 0;
    memory_reserve(&coordinator->events, &coordinator->event_capacity,
                   coordinator->event_count + 1, sizeof *coordinator->events);
    coordinator->events[coordinator->event_count++] = *event;
}

void core_send(struct coordinator *coordinator, uint64_t peer, enum frame_type type,
               const ProtobufCMessage *message)
{
    struct error ignored;

    link_send(coordinator->link, peer, type, message, &ignored);
}

/* Ids sort by time and do not meet those of other coordinators on the same storage: 32 bits of
 * seconds, 16 of chance. */
static uint64_t new_job_id(const struct coordinator *coordinator)
{
    uint64_t id;

    do {
        uint16_t chance;

        check(getrandom(&chance, sizeof chance, 0) == sizeof chance);
        id = ((uint64_t)time(NULL) & 0xffffffff) << 16 | chance;
    } while (core_job(coordinator, id));
    return id;
}

static int check_spec(const Mr__JobSpec *spec, struct error *err)
{
    if (!spec || !spec->object.len || !spec->output.len || spec->object_sha256.len != 32)
        return error_set(err, ERROR_USAGE, "the submission lacks an object or an output");
    if (spec->reducers > LIMIT_PARTS)
        return error_set(err, ERROR_USAGE, "%u reducers are more than the limit of %d",
                         spec->reducers, LIMIT_PARTS);
    return 0;
}

/* Takes over the message. */
static void submit(struct coordinator *coordinator, uint64_t client, Mr__Submit *message)
{
    struct sched_event event = {.type = EVENT_JOB_SUBMITTED};
    struct error err = {0};
    struct job *job;

    if (check_spec(message->spec, &err)) {
        frame_free(&message->base);
    } else if (!job_open(new_job_id(coordinator), client, message, &job, &err)) {
        memory_reserve(&coordinator->jobs, &coordinator->job_capacity,
                       coordinator->job_count + 1, sizeof *coordinator->jobs);
        coordinator->jobs[coordinator->job_count++] = job;
        event.job = job->id;
        core_post(coordinator, &event);
        return;
    }
    Mr__Error error = MR__ERROR__INIT;
    Mr__Submitted reply = MR__SUBMITTED__INIT;
    error.code = err.code;
    error.text = (ProtobufCBinaryData){strlen(err.text), (uint8_t *)err.text};
    reply.error = &error;
    core_send(coordinator, client, FRAME_SUBMITTED, &reply.base);
}

static void join(struct coordinator *coordinator, uint64_t worker, const Mr__Hello *hello)
{
    struct sched_event event = {.type = EVENT_WORKER_JOINED,
                                .worker = worker,
                                .threads = hello->threads ? hello->threads : 1};
    Mr__Welcome welcome = MR__WELCOME__INIT;

    if (core_member(coordinator, worker))
        return;
    memory_reserve(&coordinator->members, &coordinator->member_capacity,
                   coordinator->member_count + 1, sizeof *coordinator->members);
    coordinator->members[coordinator->member_count++] = (struct member){worker, event.threads};
    welcome.worker = worker;
    core_send(coordinator, worker, FRAME_WELCOME, &welcome.base);
    core_post(coordinator, &event);
}

static void leave(struct coordinator *coordinator, uint64_t worker)
{
    struct sched_event event = {.type = EVENT_WORKER_LOST, .worker = worker};
    struct member *member = core_member(coordinator, worker);

    if (!member)
        return;
    *member = coordinator->members[--coordinator->member_count];
    core_post(coordinator, &event);
}

/* Takes over the message. */
static void task_done(struct coordinator *coordinator, uint64_t worker, Mr__TaskDone *done)
{
    struct sched_event event = {
        .type = EVENT_TASK_DONE,
        .worker = worker,
        .attempt = {done->job, (enum sched_kind)done->kind, done->task, done->attempt}};
    struct job *job = core_job(coordinator, done->job);

    if (!job || (done->kind == MR__TASK_KIND__CHECK && !done->description) ||
        (done->kind == MR__TASK_KIND__MAP && !done->output)) {
        frame_free(&done->base);
        return;
    }
    job_report(job, done);
    core_post(coordinator, &event);
}

static void task_failed(struct coordinator *coordinator, uint64_t worker,
                        const Mr__TaskFailed *failed)
{
    struct sched_event event = {
        .type = EVENT_TASK_FAILED,
        .worker = worker,
        .attempt = {failed->job, (enum sched_kind)failed->kind, failed->task, failed->attempt},
        .blamed = failed->blamed,
        .suspect = failed->suspect,
        .lost_map = failed->lost_map};
    struct job *job = core_job(coordinator, failed->job);

    if (!job || !failed->error || failed->error->code >= ERROR_CODES)
        return;
    event.code = (enum error_code)failed->error->code;
    job_failed(job, &event.attempt, failed);
    core_post(coordinator, &event);
}

static void cancel(struct coordinator *coordinator, const Mr__Cancel *message)
{
    struct sched_event event = {.type = EVENT_JOB_CANCELLED, .job = message->job};

    if (core_job(coordinator, message->job))
        core_post(coordinator, &event);
}

/* One message from a peer, which may say anything. Takes over the message. */
static void receive(struct coordinator *coordinator, uint64_t peer, enum frame_type type,
                    ProtobufCMessage *message)
{
    switch (type) {
    case FRAME_SUBMIT:
        submit(coordinator, peer, (Mr__Submit *)message);
        return;
    case FRAME_TASK_DONE:
        task_done(coordinator, peer, (Mr__TaskDone *)message);
        return;
    case FRAME_HELLO:
        join(coordinator, peer, (const Mr__Hello *)message);
        break;
    case FRAME_GOODBYE:
        leave(coordinator, peer);
        break;
    case FRAME_TASK_FAILED:
        task_failed(coordinator, peer, (const Mr__TaskFailed *)message);
        break;
    case FRAME_CANCEL:
        cancel(coordinator, (const Mr__Cancel *)message);
        break;
    default:
        break;
    }
    frame_free(message);
}

/* Steps the scheduler until no event is left: carrying out its actions makes new ones. */
static void settle(struct coordinator *coordinator)
{
    while (coordinator->event_head < coordinator->event_count) {
        struct sched_event event = coordinator->events[coordinator->event_head++];

        coordinator->actions.count = 0;
        sched_step(coordinator->sched, &event, &coordinator->actions);
        for (size_t i = 0; i < coordinator->actions.count; i++)
            carry_out(coordinator, &coordinator->actions.items[i]);
    }
    for (size_t i = 0; i < coordinator->job_count; i++)
        if (!coordinator->jobs[i]->finished)
            carry_progress(coordinator, coordinator->jobs[i]);
}

/* Finished jobs are dropped: a private coordinator keeps no history. */
static void forget_finished(struct coordinator *coordinator)
{
    for (size_t i = 0; i < coordinator->job_count;) {
        struct job *job = coordinator->jobs[i];

        if (!job->finished) {
            i++;
            continue;
        }
        sched_forget(coordinator->sched, job->id);
        job_free(job);
        coordinator->jobs[i] = coordinator->jobs[--coordinator->job_count];
    }
}

int serve_open(void *context, const char *endpoint, struct coordinator **ret, struct error *err)
{
    struct coordinator *coordinator = memory_zeroed(1, sizeof *coordinator);

    if (link_listen(context, endpoint, &coordinator->link, err)) {
        free(coordinator);
        return -1;
    }
    coordinator->sched = sched_new();
    *ret = coordinator;
    return 0;
}

void serve_run(struct coordinator *coordinator, int stop_fd)
{
    struct link_event events[] = {{.link = coordinator->link}, {.fd = stop_fd}};

    for (;;) {
        ProtobufCMessage *message;
        enum frame_type type;
        uint64_t peer;

        link_wait(events, 2, -1);
        if (events[1].ready)
            return;
        while (link_receive(coordinator->link, &peer, &type, &message)) {
            receive(coordinator, peer, type, message);
            settle(coordinator);
        }
        forget_finished(coordinator);
    }
}

void serve_close(struct coordinator *coordinator)
{
    if (!coordinator)
        return;
    for (size_t i = 0; i < coordinator->job_count; i++)
        job_free(coordinator->jobs[i]);
    free(coordinator->jobs);
    free(coordinator->members);
    free(coordinator->events);
    sched_actions_done(&coordinator->actions);
    sched_free(coordinator->sched);
    link_close(coordinator->link);
    free(coordinator);
}
