#include "coordinator/serve.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "coordinator/admit.h"
#include "coordinator/core.h"
#include "coordinator/ledger.h"
#include "coordinator/record.h"
#include "coordinator/skips.h"
#include "wire/bytes.h"

enum {
    PLANS_KEPT = 16,
    JOBS_A_MS = 100, /* so many cost a millisecond until they are looked at again */
    TOLD_MS = 5000,  /* between two lines of the log about refused frames */
};

struct job *core_job(const struct coordinator *coordinator, uint64_t id)
{
    for (size_t i = coordinator->job_count; i-- > 0;)
        if (coordinator->jobs[i]->id == id)
            return coordinator->jobs[i];
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
    link_send(coordinator->link, peer, type, message);
}

void core_revoke(struct coordinator *coordinator, uint64_t worker,
                 const struct sched_attempt *attempt)
{
    Mr__Revoke message = MR__REVOKE__INIT;

    message.job = attempt->job;
    message.kind = (Mr__TaskKind)attempt->kind;
    message.task = attempt->task;
    message.attempt = attempt->attempt;
    core_send(coordinator, worker, FRAME_REVOKE, &message.base);
}

void core_error(Mr__Error *message, const struct error *error)
{
    mr__error__init(message);
    message->code = error->code;
    message->text = bytes_of(error->text);
}

/* What others are told of an answer must be there, and fit into messages. */
static bool makes_sense(const struct job *job, Mr__TaskDone *done)
{
    if (done->kind == MR__TASK_KIND__CHECK)
        return done->description && done->description->n_counters <= LIMIT_COUNTERS;
    if (done->kind == MR__TASK_KIND__MAP)
        return done->output && done->output->path.len < PATH_MAX &&
               done->task < job->map_count && ledger_take(job, done);
    if (done->kind == MR__TASK_KIND__SAMPLE)
        return job_takes_ranges(job, done->ranges);
    return true;
}

/* Takes over the message. */
static void task_done(struct coordinator *coordinator, uint64_t worker, Mr__TaskDone *done)
{
    struct sched_event event = {
        .type = EVENT_TASK_DONE,
        .worker = worker,
        .attempt = {done->job, (enum sched_kind)done->kind, done->task, done->attempt}};
    struct job *job = core_job(coordinator, done->job);
    uint32_t *changed = NULL;

    if (!job || job->result || !makes_sense(job, done)) {
        frame_free(&done->base);
        return;
    }
    coordinator->totals.attempts_done++;
    if (done->kind == MR__TASK_KIND__MAP)
        event.changed = changed = ledger_changed(job, done, &event.changed_count);
    job_report(job, worker, done, changed);
    core_post(coordinator, &event);
}

/* A run could not be read: says whose it is, and keeps that for who asks about the job. */
static void note_unread(const struct coordinator *coordinator, struct job *job, uint32_t map,
                        struct error *error)
{
    const Mr__TaskDone *done = job->maps && map < job->map_count ? job->maps[map] : NULL;

    for (size_t i = 0; done && i < coordinator->member_count; i++) {
        const Mr__Hello *hello = coordinator->members[i]->hello;

        if (hello->data_endpoint.len &&
            bytes_equal(hello->data_endpoint, done->output->endpoint)) {
            error_wrap(error, "from worker %.*s", (int)hello->name.len,
                       (const char *)hello->name.data);
            break;
        }
    }
    job->unread = *error;
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
    struct job_failure *failure;
    char name[65];

    if (!job || job->result || !failed->error || failed->error->code >= ERROR_CODES)
        return;
    /* It must not speak for the attempt that counts. */
    if (!sched_runs(coordinator->sched, worker, &event.attempt))
        return;
    failure = job_failed(job, &event.attempt, members_name(coordinator, worker, name), failed);
    if (coordinator->options.patient)
        job_judge_sight(job, &event.attempt, failure);
    event.code = failure->error.code;
    if (event.code == ERROR_FETCH)
        note_unread(coordinator, job, failed->lost_map, &failure->error);
    if (error_policy(event.code) == POLICY_NO_ROOM)
        room_gone_at(coordinator, worker, job->id, failed->scratch_free, &failure->error);
    event.culprit = skips_identity(failure->culprit);
    event.sifted = skips_sifted(job, failed);
    coordinator->totals.attempts_failed++;
    log_event(LOG_INFO, "attempt failed", LOG_ID("job", job->id),
              LOG_TEXT("task", failure->task), LOG_NUMBER("attempt", failed->attempt),
              LOG_TEXT("worker", name), LOG_TEXT("why", failure->error.text));
    stragglers_forget(&job->stragglers, &event.attempt);
    core_post(coordinator, &event);
}

static void job_closed(struct coordinator *coordinator, uint64_t worker,
                       const Mr__JobClosed *message)
{
    struct job *job = core_job(coordinator, message->job);
    char name[65];

    if (job && message->log_tail.len)
        job_said(job, members_name(coordinator, worker, name), &message->log_tail);
}

static void from_worker(struct coordinator *coordinator, uint64_t peer, enum frame_type type,
                        ProtobufCMessage *message)
{
    switch (type) {
    case FRAME_TASK_DONE:
        task_done(coordinator, peer, (Mr__TaskDone *)message);
        return;
    case FRAME_TASK_FAILED:
        task_failed(coordinator, peer, (const Mr__TaskFailed *)message);
        break;
    case FRAME_BLOB_GET:
        submit_blob_get(coordinator, peer, (const Mr__BlobGet *)message);
        break;
    case FRAME_HELD:
        holders_said(coordinator, peer, (const Mr__Held *)message);
        break;
    case FRAME_DRAIN:
        drain_member(coordinator, members_find(coordinator, peer),
                     ((const Mr__Drain *)message)->timeout_ms, false);
        break;
    case FRAME_TOOK:
        drain_took(coordinator, peer, (const Mr__Took *)message);
        break;
    case FRAME_JOB_CLOSED:
        job_closed(coordinator, peer, (const Mr__JobClosed *)message);
        break;
    default:
        break;
    }
    frame_free(message);
}

static void from_client(struct coordinator *coordinator, uint64_t peer, enum frame_type type,
                        ProtobufCMessage *message)
{
    switch (type) {
    case FRAME_SUBMIT:
        submit_job(coordinator, peer, (Mr__Submit *)message);
        return;
    case FRAME_BLOB:
        submit_blob(coordinator, peer, (const Mr__Blob *)message);
        break;
    case FRAME_CANCEL:
        submit_cancel(coordinator, peer, (const Mr__Cancel *)message);
        break;
    case FRAME_DRAIN:
        drain_asked(coordinator, peer, (const Mr__Drain *)message);
        break;
    case FRAME_BLOB_GET:
        submit_blob_get(coordinator, peer, (const Mr__BlobGet *)message);
        break;
    case FRAME_QUERY:
        answer_query(coordinator, peer, (const Mr__Query *)message);
        break;
    default:
        break;
    }
    frame_free(message);
}

void core_receive(struct coordinator *coordinator, uint64_t peer, enum frame_type type,
                  ProtobufCMessage *message)
{
    const struct member *member = members_find(coordinator, peer);

    if (type == FRAME_HELLO) {
        members_join(coordinator, peer, (Mr__Hello *)message);
    } else if (!member) {
        /* A session begins with HELLO, or it is none; the link would take the message anew. */
        link_send_once(coordinator->link, peer, FRAME_FENCED, NULL);
        link_forget(coordinator->link, peer);
        frame_free(message);
    } else if (type == FRAME_HEARTBEAT) {
        members_beat(coordinator, peer, (Mr__Heartbeat *)message);
    } else if (type == FRAME_GOODBYE) {
        members_leave(coordinator, peer, "worker left");
        frame_free(message);
    } else if (member->hello->role == MR__ROLE__WORKER) {
        from_worker(coordinator, peer, type, message);
    } else {
        from_client(coordinator, peer, type, message);
    }
}

/* Tells those that wait how far their jobs are. To look at thousands of jobs takes a while: it
 * is not done for each message then. Returns in how many milliseconds there is something to
 * tell, -1: nothing is. */
static long show_progress(struct coordinator *coordinator)
{
    int64_t now_ms = clock_ms(), open = 0;

    if (!coordinator->stale)
        return -1;
    if (now_ms < coordinator->show_ms)
        return (long)(coordinator->show_ms - now_ms);
    coordinator->stale = false;
    for (size_t i = 0; i < coordinator->job_count; i++)
        if (!coordinator->jobs[i]->result) {
            carry_progress(coordinator, coordinator->jobs[i]);
            open++;
        }
    coordinator->show_ms = now_ms + open / JOBS_A_MS;
    return -1;
}

/* Steps the scheduler until no event is left: carrying out its actions makes new ones. */
static void settle(struct coordinator *coordinator)
{
    if (coordinator->event_head == coordinator->event_count)
        return;
    while (coordinator->event_head < coordinator->event_count) {
        struct sched_event event = coordinator->events[coordinator->event_head++];

        coordinator->actions.count = 0;
        sched_step(coordinator->sched, &event, &coordinator->actions);
        for (size_t i = 0; i < coordinator->actions.count; i++)
            carry_out(coordinator, &coordinator->actions.items[i]);
    }
    coordinator->stale = true;
    show_progress(coordinator);
}

/* The plans of the jobs that failed last are kept: their tasks can be replayed. */
static void forget_plans(struct coordinator *coordinator)
{
    size_t kept = 0;

    for (size_t i = coordinator->job_count; i-- > 0;) {
        struct job *job = coordinator->jobs[i];

        if (job->shrunk && job->plan.splits && ++kept > PLANS_KEPT)
            job_forget_plan(job);
    }
}

/* Of the finished jobs the latest are kept, without what only running needs. */
static void forget_finished(struct coordinator *coordinator)
{
    size_t finished = 0, kept = 0;

    for (size_t i = 0; i < coordinator->job_count; i++) {
        struct job *job = coordinator->jobs[i];

        if (!job->result)
            continue;
        finished++;
        if (!job->shrunk) {
            sched_forget(coordinator->sched, job->id);
            job_shrink(job);
            forget_plans(coordinator);
        }
    }
    for (size_t i = 0; i < coordinator->job_count; i++) {
        struct job *job = coordinator->jobs[i];

        if (job->result && finished > coordinator->options.retained) {
            finished--;
            job_free(job);
        } else {
            coordinator->jobs[kept++] = job;
        }
    }
    coordinator->job_count = kept;
}

/* Who may come in is known before anybody can. */
static int listen_guarded(struct coordinator *coordinator, struct error *err)
{
    const struct coordinator_options *options = &coordinator->options;
    struct link_guard guard = {0};

    if (options->keys)
        guard = (struct link_guard){&options->keys->own, options->porter, NULL};
    admit_open(coordinator);
    return link_listen_guarded(options->context, options->endpoint,
                               options->keys ? &guard : NULL, &coordinator->link, err);
}

int serve_open(const struct coordinator_options *options, struct coordinator **ret,
               struct error *err)
{
    struct coordinator *coordinator = memory_zeroed(1, sizeof *coordinator);
    cleanup_free char *blobs = memory_format("%s/blobs", options->state);

    coordinator->options = *options;
    coordinator->started_ms = clock_ms();
    resources_kernel(coordinator->kernel);
    coordinator->sched = sched_new();
    if (options->max_running)
        sched_limit(coordinator->sched, options->max_running);
    if (blobs_open(blobs, options->journal, &coordinator->blobs, err) ||
        (options->journal && restore_open(coordinator, err)) ||
        listen_guarded(coordinator, err) ||
        (options->inside && link_listen_also(coordinator->link, options->inside, err))) {
        serve_close(coordinator);
        return -1;
    }
    past_open(coordinator);
    *ret = coordinator;
    return 0;
}

const char *serve_endpoint(const struct coordinator *coordinator)
{
    return link_endpoint(coordinator->link);
}

/* Messages of one peer after the other, but not for ever: time is to be looked at in between.
 */
static void receive_some(struct coordinator *coordinator)
{
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;

    for (int i = 0; i < 1000 && link_receive(coordinator->link, &peer, &type, &message); i++) {
        core_receive(coordinator, peer, type, message);
        settle(coordinator);
    }
}

/* After a restart: whoever has outputs has had a lease's time to say so. Returns in how many
 * milliseconds that is, -1: it was. */
static long end_claims(struct coordinator *coordinator)
{
    struct sched_event unclaimed = {.type = EVENT_OUTPUTS_UNCLAIMED};
    int64_t left_ms = coordinator->claims_end_ms - clock_ms();

    if (!coordinator->claims_end_ms)
        return -1;
    if (left_ms > 0)
        return (long)left_ms;
    coordinator->claims_end_ms = 0;
    core_post(coordinator, &unclaimed);
    return -1;
}

/* What has become durable lets out what waited for it. */
static int take_durable(struct coordinator *coordinator, struct error *err)
{
    if (record_durable(coordinator, err))
        return -1;
    settle(coordinator);
    return 0;
}

/* When the log has grown long enough. What is on its way to the disk comes first: its
 * consequences belong to what a snapshot tells. */
static int keep_journal_short(struct coordinator *coordinator, struct error *err)
{
    struct link_event event = {.link = NULL};

    if (!journal_wants_snapshot(coordinator->journal))
        return 0;
    while (coordinator->unsaved_count) {
        event.fd = journal_fd(coordinator->journal);
        link_wait(&event, 1, -1);
        if (take_durable(coordinator, err))
            return -1;
    }
    return record_snapshot(coordinator, err);
}

/* Frames that were refused, in one line a while: whoever sends them may send many. Returns in
 * how many milliseconds to look again, -1: when something has come. */
static long tell_refused(struct coordinator *coordinator)
{
    struct link_counts counts = link_counts(coordinator->link);
    uint64_t damaged = counts.damaged - coordinator->told_damaged,
             fenced = counts.fenced - coordinator->told_fenced;
    int64_t now_ms = clock_ms(), next_ms = coordinator->told_ms + TOLD_MS;

    if (!damaged && !fenced)
        return -1;
    if (coordinator->told_ms && now_ms < next_ms)
        return (long)(next_ms - now_ms);
    coordinator->told_damaged = counts.damaged;
    coordinator->told_fenced = counts.fenced;
    coordinator->told_ms = now_ms;
    log_event(LOG_WARNINGS, "frames refused", LOG_NUMBER("damaged", (int64_t)damaged),
              LOG_NUMBER("of_no_session", (int64_t)fenced));
    return -1;
}

/* Somebody has changed the keys and does not want to wait for the next look. */
static void take_hangup(struct coordinator *coordinator)
{
    struct signalfd_siginfo info;

    if (read(coordinator->options.hangups, &info, sizeof info) == sizeof info)
        admit_look_again(coordinator);
}

int serve_run(struct coordinator *coordinator, int stop_fd, struct error *err)
{
    struct link_event events[4] = {{.link = coordinator->link}, {.fd = stop_fd}};
    int n = 2, journal = 0, hangups = 0;

    if (coordinator->journal)
        events[journal = n++].fd = journal_fd(coordinator->journal);
    if (coordinator->admit && coordinator->options.hangups >= 0)
        events[hangups = n++].fd = coordinator->options.hangups;
    for (;;) {
        long wait = link_sooner(members_expire(coordinator), end_claims(coordinator));

        wait = link_sooner(wait, slow_look(coordinator));
        wait = link_sooner(wait, tell_refused(coordinator));
        wait = link_sooner(wait, admit_tend(coordinator));
        settle(coordinator);
        wait = link_sooner(wait, drain_tend(coordinator));
        wait = link_sooner(wait, room_tend(coordinator));
        settle(coordinator);
        wait = link_sooner(wait, show_progress(coordinator));
        if (coordinator->journal && keep_journal_short(coordinator, err))
            return -1;
        forget_finished(coordinator);
        link_wait(events, n, link_sooner(wait, link_tend(coordinator->link)));
        if (events[1].ready)
            return 0;
        if (journal && events[journal].ready && take_durable(coordinator, err))
            return -1;
        if (hangups && events[hangups].ready)
            take_hangup(coordinator);
        if (events[0].ready)
            receive_some(coordinator);
    }
}

void serve_close(struct coordinator *coordinator)
{
    if (!coordinator)
        return;
    for (size_t i = 0; i < coordinator->job_count; i++) {
        if (coordinator->options.journal)
            output_leave(&coordinator->jobs[i]->output);
        job_free(coordinator->jobs[i]);
    }
    free(coordinator->jobs);
    journal_close(coordinator->journal);
    free(coordinator->unsaved);
    members_done(coordinator);
    free(coordinator->drained);
    free(coordinator->events);
    sched_actions_done(&coordinator->actions);
    sched_free(coordinator->sched);
    checked_done(&coordinator->checked);
    blobs_close(coordinator->blobs);
    history_close(coordinator->history);
    probe_close(coordinator);
    admit_close(coordinator);
    link_close(coordinator->link);
    free(coordinator);
}
