/* What the scheduler decides, done: messages to workers and clients, plans, commits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "coordinator/ledger.h"
#include "coordinator/record.h"
#include "coordinator/skips.h"
#include "coordinator/tally.h"
#include "coordinator/told.h"
#include "wire/bytes.h"
#include "wire/frame.h"

/* Of a cluster: splits are cut for so many at least. */
enum { WORKERS_EXPECTED = 4 };

void carry_open(struct coordinator *coordinator, struct job *job, uint64_t worker)
{
    struct told_job told;

    if (!job_note_worker(&job->workers, &job->worker_count, &job->worker_capacity, worker))
        return;
    told_job(coordinator, job, &told);
    core_send(coordinator, worker, FRAME_JOB_OPEN, &told.message.base);
}

static void assign(struct coordinator *coordinator, struct job *job,
                   const struct sched_action *action)
{
    struct told_task told;

    slow_began(job, action);
    carry_open(coordinator, job, action->worker);
    if (action->attempt.kind == SCHED_REDUCE)
        announce_all(coordinator, job, action->worker);
    told_task(coordinator, job, &action->attempt, &told);
    told.message.alone = action->alone;
    told.message.single = action->single;
    core_send(coordinator, action->worker, FRAME_ASSIGN, &told.message.base);
    told_task_done(&told);
}

static void admit(struct coordinator *coordinator, struct job *job)
{
    Mr__Submitted message = MR__SUBMITTED__INIT;

    job->admitted = true;
    message.job = job->id;
    core_send(coordinator, job->client, FRAME_SUBMITTED, &message.base);
    public_submitted(coordinator, job);
}

static void plan(struct coordinator *coordinator, struct job *job)
{
    struct sched_event event = {.job = job->id};
    uint32_t workers = coordinator->worker_count;

    /* Where workers may join while it runs, there is to be something left for them. */
    if (coordinator->options.patient && workers < WORKERS_EXPECTED)
        workers = WORKERS_EXPECTED;
    if (job_plan(job, workers, &job->broken) ||
        (coordinator->journal && record_check_plan(job, &job->broken))) {
        plan_drop(&job->plan);
        event.type = EVENT_JOB_BROKEN;
        event.code = job->broken.code;
    } else {
        event.type = EVENT_JOB_PLANNED;
        event.maps = job->map_count;
        event.reduces = job->part_count;
        event.sample = job->plan.sample_count > 0;
        log_event(LOG_INFO, "job planned", LOG_ID("job", job->id),
                  LOG_NUMBER("maps", event.maps), LOG_NUMBER("reduces", event.reduces));
    }
    core_post(coordinator, &event);
}

static void commit(struct coordinator *coordinator, struct job *job)
{
    struct sched_event event = {.type = EVENT_JOB_COMMITTED, .job = job->id};

    if (job_commit(job, &job->broken)) {
        event.type = EVENT_JOB_BROKEN;
        event.code = job->broken.code;
    }
    core_post(coordinator, &event);
}

static void describe_queue(const struct coordinator *coordinator, const struct job *job,
                           char text[512])
{
    static const char *const ends[] = {"th", "st", "nd", "rd"};
    uint32_t running, place = sched_queued(coordinator->sched, job->id, &running);
    bool teen = place % 100 / 10 == 1;

    snprintf(text, 512, "%u job%s, as many as may: %u%s in the queue", running,
             running == 1 ? " runs" : "s run", place,
             ends[teen || place % 10 > 3 ? 0 : place % 10]);
}

const char *carry_reason(const struct coordinator *coordinator, const struct job *job,
                         char text[512])
{
    *text = '\0';
    if (job->result)
        return text;
    switch (sched_waits(coordinator->sched, job->id)) {
    case SCHED_WAITS_NOT:
        break;
    case SCHED_WAITS_WORKER:
        snprintf(text, 512,
                 drain_count(coordinator) ? "no worker but those that are to leave"
                                          : "no worker");
        break;
    case SCHED_WAITS_SIGHT:
        snprintf(text, 512, "no worker sees its files: %.460s", job->unseen.text);
        break;
    case SCHED_WAITS_OUTPUTS:
        snprintf(text, 512, "the workers that have its map outputs are not back yet");
        break;
    case SCHED_WAITS_TURN:
        snprintf(text, 512, "the workers are busy with other jobs");
        break;
    case SCHED_WAITS_ROOM:
        room_waits(coordinator, text);
        break;
    case SCHED_WAITS_QUEUE:
        describe_queue(coordinator, job, text);
        break;
    }
    return text;
}

void carry_progress_to(struct coordinator *coordinator, const struct job *job, uint64_t client)
{
    struct sched_progress now = sched_progress(coordinator->sched, job->id);
    Mr__Progress message = MR__PROGRESS__INIT;
    char reason[512];

    message.job = job->id;
    message.maps = now.maps;
    message.maps_done = now.maps_done;
    message.reduces = now.reduces;
    message.reduces_done = now.reduces_done;
    message.reason = bytes_of(carry_reason(coordinator, job, reason));
    core_send(coordinator, client, FRAME_PROGRESS, &message.base);
}

/* Whether anything is news; what is shown is remembered. */
static bool is_news(struct coordinator *coordinator, struct job *job)
{
    struct sched_progress now = sched_progress(coordinator->sched, job->id),
                          *shown = &job->shown;
    char reason[512];
    bool news = now.maps_done != shown->maps_done || now.maps != shown->maps ||
                now.reduces_done != shown->reduces_done || now.reduces != shown->reduces;

    *shown = now;
    carry_reason(coordinator, job, reason);
    if (strcmp(reason, job->reason)) {
        strcpy(job->reason, reason);
        if (*reason)
            log_event(LOG_INFO, "job waits", LOG_ID("job", job->id), LOG_TEXT("why", reason));
        news = true;
    }
    return news;
}

void carry_progress(struct coordinator *coordinator, struct job *job)
{
    if (!is_news(coordinator, job))
        return;
    for (size_t i = 0; i < job->watcher_count; i++)
        carry_progress_to(coordinator, job, job->watchers[i]);
    public_progress(coordinator, job);
}

/* The words for why a job ended as it did. */
static void explain(const struct job *job, const struct sched_action *action,
                    Mr__Finished *message, Mr__Error *error, char **ret_overflow)
{
    const struct job_failure *failure =
        action->cause.attempt ? job_cause(job, &action->cause) : NULL;
    const char *text = error_name(action->code);

    if (action->state == SCHED_DONE)
        return;
    error->code = action->code;
    if (failure) {
        text =
            skips_overflowed(job, failure, ret_overflow) ? *ret_overflow : failure->error.text;
        message->log_tail = bytes_of(failure->log_tail);
        if (job->plan.splits && error_policy(action->code) == POLICY_BLAME)
            message->replay = bytes_of(failure->task);
    } else if (job->broken.code) {
        text = job->broken.text;
    } else if (action->state == SCHED_CANCELLED) {
        text = "cancelled";
    }
    error->text = bytes_of(text);
    message->error = error;
}

/* How the job ends: known now, told once it is on disk. */
static void prepare_end(struct coordinator *coordinator, struct job *job,
                        const struct sched_action *action)
{
    struct sched_progress progress = sched_progress(coordinator->sched, job->id);
    Mr__Finished message = MR__FINISHED__INIT;
    Mr__Error error = MR__ERROR__INIT;
    cleanup_free Mr__Counter *counters = NULL;
    cleanup_free Mr__Counter **pointers = NULL;
    char *overflow = NULL;
    struct tally tally;

    if (action->code == ERROR_UNSTEADY)
        error_set(
            &job->broken, ERROR_UNSTEADY,
            "map is not deterministic: task %u, part %u: its attempt %u emitted other pairs "
            "than one before it, which reducers have used; a map may depend on its record, "
            "parameters and side files alone",
            action->cause.task, action->part, action->cause.attempt);
    tally_job(&tally, job, &progress);
    counters = memory_new(tally.count * sizeof *counters);
    pointers = memory_new(tally.count * sizeof *pointers);
    for (size_t i = 0; i < tally.count; i++) {
        mr__counter__init(&counters[i]);
        counters[i].name = bytes_of(tally.items[i].name);
        counters[i].value = tally.items[i].value;
        pointers[i] = &counters[i];
    }
    message.job = job->id;
    message.state = bytes_of(job_state_name(action->state));
    message.counters = pointers;
    message.n_counters = tally.count;
    message.maps = progress.maps;
    message.reduces = progress.reduces;
    message.parts = job->part_count;
    message.seconds = (double)(clock_ms() - job->started_ms) / 1000;
    message.output = bytes_of(job->output.target);
    message.skipped = job->skips;
    message.n_skipped = skips_shown(job);
    message.skipped_count = (uint32_t)job->skip_count;
    explain(job, action, &message, &error, &overflow);
    job->ending = (Mr__Finished *)frame_copy(&message.base);
    free(overflow);
    tally_done(&tally);
}

static void finish(struct coordinator *coordinator, struct job *job, enum sched_state state)
{
    Mr__Reply reply = MR__REPLY__INIT;
    cleanup_free char *word = bytes_text(job->ending->state);
    cleanup_free char *why =
        job->ending->error ? bytes_text(job->ending->error->text) : memory_text("");

    carry_progress(coordinator, job);
    output_abandon(&job->output);
    job->result = job->ending;
    job->ending = NULL;
    job->state = state;
    past_keep(coordinator, job);
    room_job_ended(coordinator, job->id);
    public_finished(coordinator, job);
    for (size_t i = 0; i < job->cancel_count; i++)
        core_send(coordinator, job->cancels[i], FRAME_REPLY, &reply.base);
    for (size_t i = 0; i < job->watcher_count; i++)
        core_send(coordinator, job->watchers[i], FRAME_FINISHED, &job->result->base);
    log_event(LOG_INFO, "job finished", LOG_ID("job", job->id), LOG_TEXT("state", word),
              LOG_SECONDS("seconds", job->result->seconds), LOG_TEXT("why", why));
}

static void release(struct coordinator *coordinator, const struct sched_action *action)
{
    Mr__JobClose message = MR__JOB_CLOSE__INIT;

    message.job = action->job;
    core_send(coordinator, action->worker, FRAME_JOB_CLOSE, &message.base);
}

/* A lost map: what counted no longer does, and every worker is told anew where the outputs are.
 */
static void map_again(struct job *job, const struct sched_attempt *attempt)
{
    ledger_lost(job, attempt->task);
    job->maps_done = false;
    job->fed_count = 0;
}

static void accept(struct coordinator *coordinator, struct job *job,
                   const struct sched_action *action)
{
    job_accept(job, action->worker, &action->attempt,
               members_holder(coordinator, action->worker));
    public_accepted(coordinator, action->attempt.kind,
                    stragglers_ended(&job->stragglers, &action->attempt, clock_ms()));
    if (action->attempt.kind == SCHED_MAP)
        announce_output(coordinator, job, &action->attempt);
    if (action->attempt.kind == SCHED_SAMPLE)
        job->worker_count = 0; /* who knows the job is told of it again, with the ranges */
    else if (action->attempt.kind == SCHED_CHECK)
        checked_put(&coordinator->checked, job->submit->spec, job->check->description);
}

void carry_out(struct coordinator *coordinator, const struct sched_action *action)
{
    struct job *job = core_job(coordinator, action->job ? action->job : action->attempt.job);

    if (action->type == ACTION_PERSIST) {
        if (job && action->record == SCHED_RECORD_FINISHED)
            prepare_end(coordinator, job, action);
        if (job && action->record == SCHED_RECORD_COMMITTING)
            job->committing = true;
        if (job && action->record == SCHED_RECORD_SKIPPED)
            skips_note(job, &action->attempt);
        record_persist(coordinator, action);
        return;
    }
    if (action->type == ACTION_DISMISS) {
        drain_dismiss(coordinator, action->worker);
        return;
    }
    if (action->type == ACTION_RELEASE) {
        release(coordinator, action);
        return;
    }
    if (!job)
        return;
    switch (action->type) {
    case ACTION_ADMITTED:
        admit(coordinator, job);
        break;
    case ACTION_PLAN:
        plan(coordinator, job);
        break;
    case ACTION_ASSIGN:
        assign(coordinator, job, action);
        break;
    case ACTION_REVOKE:
        stragglers_forget(&job->stragglers, &action->attempt);
        core_revoke(coordinator, action->worker, &action->attempt);
        break;
    case ACTION_ADOPTED:
        holders_adopted(coordinator, job, action);
        break;
    case ACTION_DROP:
        job_disclaim(job, action->worker, &action->attempt);
        core_revoke(coordinator, action->worker, &action->attempt);
        break;
    case ACTION_REFUSE:
    case ACTION_REPEATED:
        job_refuse(job, action->worker, &action->attempt);
        break;
    case ACTION_ACCEPTED:
        accept(coordinator, job, action);
        break;
    case ACTION_MAP_AGAIN:
        map_again(job, &action->attempt);
        break;
    case ACTION_MAPS_DONE:
        job->maps_done = true;
        break;
    case ACTION_COMMIT:
        commit(coordinator, job);
        break;
    case ACTION_FINISHED:
        finish(coordinator, job, action->state);
        break;
    case ACTION_FAILURE:
    case ACTION_PERSIST:
    case ACTION_RELEASE:
    case ACTION_DISMISS:
        break;
    }
}
