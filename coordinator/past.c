/* Jobs that have ended: into the history, and answers out of it, for those that memory no
 * longer has. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "wire/bytes.h"

/* Causes of failed attempts that are kept of a job: the first ones. */
enum { FAILURES_KEPT = 100 };

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void keep_failures(struct history_job *past, const struct job *job)
{
    size_t most =
        job->failure_count < FAILURES_KEPT ? job->failure_count : (size_t)FAILURES_KEPT;

    past->failures = memory_zeroed(most + 1, sizeof *past->failures);
    for (size_t i = 0; i < job->failure_count && past->failure_count < most; i++) {
        const struct job_failure *failure = &job->failures[i];

        if (!failure->attempt.attempt)
            continue; /* what an executor printed last */
        past->failures[past->failure_count++] =
            (struct history_failure){.kind = failure->attempt.kind,
                                     .task = failure->attempt.task,
                                     .attempt = failure->attempt.attempt,
                                     .worker = memory_text(failure->worker),
                                     .error = memory_text(failure->error.text),
                                     .code = failure->error.code};
    }
}

void past_keep(struct coordinator *coordinator, const struct job *job)
{
    const Mr__Finished *result = job->result;
    struct history_job *past;

    if (!coordinator->history)
        return;
    past = memory_zeroed(1, sizeof *past);
    past->id = job->id;
    past->name = memory_text(job->title);
    past->object = memory_text(job->object);
    past->output = bytes_text(result->output);
    past->state = bytes_text(result->state);
    past->submitted = (double)job->time_ms / 1000;
    past->seconds = result->seconds;
    past->maps = result->maps;
    past->maps_done = job->shown.maps_done;
    past->reduces = result->reduces;
    past->reduces_done = job->shown.reduces_done;
    past->parts = result->parts;
    past->failed_attempts = job->shown.failed_attempts;
    past->priority = job->priority;
    past->error_code = result->error ? result->error->code : 0;
    past->error = result->error ? bytes_text(result->error->text) : memory_text("");
    past->counters = memory_zeroed(result->n_counters + 1, sizeof *past->counters);
    for (; past->counter_count < result->n_counters; past->counter_count++) {
        const Mr__Counter *counter = result->counters[past->counter_count];

        past->counters[past->counter_count] =
            (struct history_counter){bytes_text(counter->name), counter->value};
    }
    keep_failures(past, job);
    history_add(coordinator->history, past);
}

/* What the journal does not tell of a job that ended in a former life. */
static void recall(struct job *job, const struct history_job *past)
{
    bool known = job->failure_count > 0;

    job->shown.maps_done = past->maps_done;
    job->shown.reduces_done = past->reduces_done;
    job->shown.failed_attempts = past->failed_attempts;
    job->priority = past->priority;
    for (size_t i = known ? past->failure_count : 0; i < past->failure_count; i++) {
        const struct history_failure *failure = &past->failures[i];
        struct sched_attempt attempt = {job->id, (enum sched_kind)failure->kind, failure->task,
                                        failure->attempt};
        Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
        Mr__Error error = MR__ERROR__INIT;

        error.code = failure->code < ERROR_CODES ? failure->code : ERROR_INTERNAL;
        error.text = bytes_of(failure->error);
        failed.error = &error;
        job_failed(job, &attempt, failure->worker, &failed);
    }
}

/* What ended just before the former life did may not be in the history. */
static void keep_once(struct coordinator *coordinator, struct job *job)
{
    struct history_job *past = history_find(coordinator->history, job->id);

    if (past)
        recall(job, past);
    else
        past_keep(coordinator, job);
    history_job_free(past);
}

void past_open(struct coordinator *coordinator)
{
    cleanup_free char *path = memory_format("%s/history.sqlite", coordinator->options.state);
    struct error err;

    if (!coordinator->options.remembered)
        return;
    if (history_open(path, coordinator->options.remembered, &coordinator->history, &err)) {
        coordinator->history = NULL;
        log_event(LOG_ERRORS, "no history of jobs is kept until the next start",
                  LOG_TEXT("why", err.text));
        return;
    }
    for (size_t i = 0; i < coordinator->job_count; i++)
        if (coordinator->jobs[i]->result)
            keep_once(coordinator, coordinator->jobs[i]);
}

void past_describe(const struct history_job *past, struct past_info *ret)
{
    Mr__JobInfo *info = &ret->info;

    mr__job_info__init(info);
    info->job = past->id;
    info->name = bytes_of(past->name);
    info->object = bytes_of(past->object);
    info->state = bytes_of(past->state);
    info->output = bytes_of(past->output);
    info->maps = past->maps;
    info->maps_done = past->maps_done;
    info->reduces = past->reduces;
    info->reduces_done = past->reduces_done;
    info->failed_attempts = past->failed_attempts;
    info->priority = past->priority;
    info->age = now() - past->submitted;
    info->seconds = past->seconds;
    if (past->error_code) {
        mr__error__init(&ret->error);
        ret->error.code = past->error_code;
        ret->error.text = bytes_of(past->error);
        info->error = &ret->error;
    }
}

/* The counters as messages; the caller frees both arrays. */
static Mr__Counter **counters_of(const struct history_job *past, Mr__Counter **ret_items)
{
    Mr__Counter *items = memory_new((past->counter_count + 1) * sizeof *items);
    Mr__Counter **pointers = memory_new((past->counter_count + 1) * sizeof *pointers);

    for (size_t i = 0; i < past->counter_count; i++) {
        mr__counter__init(&items[i]);
        items[i].name = bytes_of(past->counters[i].name);
        items[i].value = past->counters[i].value;
        pointers[i] = &items[i];
    }
    *ret_items = items;
    return pointers;
}

static void answer_job(struct coordinator *coordinator, uint64_t client,
                       const struct history_job *past)
{
    cleanup_free Mr__Counter *items = NULL;
    cleanup_free Mr__Counter **counters = counters_of(past, &items);
    Mr__Jobs answer = MR__JOBS__INIT;
    struct past_info described;
    Mr__JobInfo *pointer = &described.info;

    past_describe(past, &described);
    described.info.counters = counters;
    described.info.n_counters = past->counter_count;
    answer.jobs = &pointer;
    answer.n_jobs = 1;
    core_send(coordinator, client, FRAME_JOBS, &answer.base);
}

static void answer_wait(struct coordinator *coordinator, uint64_t client,
                        const struct history_job *past)
{
    cleanup_free Mr__Counter *items = NULL;
    cleanup_free Mr__Counter **counters = counters_of(past, &items);
    Mr__Finished answer = MR__FINISHED__INIT;
    struct past_info described;

    past_describe(past, &described);
    answer.job = past->id;
    answer.state = bytes_of(past->state);
    answer.error = described.info.error;
    answer.counters = counters;
    answer.n_counters = past->counter_count;
    answer.maps = past->maps;
    answer.reduces = past->reduces;
    answer.seconds = past->seconds;
    answer.parts = past->parts;
    answer.output = bytes_of(past->output);
    core_send(coordinator, client, FRAME_FINISHED, &answer.base);
}

/* The causes of failed attempts; what they printed is gone. */
static void answer_logs(struct coordinator *coordinator, uint64_t client,
                        const struct history_job *past, const Mr__Query *query)
{
    Mr__Logs answer = MR__LOGS__INIT;
    cleanup_free Mr__LogEntry *entries =
        memory_new((past->failure_count + 1) * sizeof *entries);
    cleanup_free Mr__LogEntry **pointers =
        memory_new((past->failure_count + 1) * sizeof *pointers);
    cleanup_free Mr__Error *errors = memory_new((past->failure_count + 1) * sizeof *errors);

    answer.entries = pointers;
    for (size_t i = 0; i < past->failure_count; i++) {
        const struct history_failure *failure = &past->failures[i];
        Mr__LogEntry *entry = &entries[answer.n_entries];

        if (query->one_task &&
            (failure->kind != (uint32_t)query->kind || failure->task != query->task))
            continue;
        mr__log_entry__init(entry);
        entry->kind = (Mr__TaskKind)failure->kind;
        entry->task = failure->task;
        entry->attempt = failure->attempt;
        entry->worker = bytes_of(failure->worker);
        mr__error__init(&errors[i]);
        errors[i].code = failure->code;
        errors[i].text = bytes_of(failure->error);
        entry->error = &errors[i];
        pointers[answer.n_entries++] = entry;
    }
    core_send(coordinator, client, FRAME_LOGS, &answer.base);
}

bool past_answer(struct coordinator *coordinator, uint64_t client, const Mr__Query *query)
{
    struct history_job *past;
    bool known = true;

    if (!coordinator->history)
        return false;
    past = history_find(coordinator->history, query->job);
    if (!past)
        return false;
    if (query->question == MR__QUESTION__ONE_JOB)
        answer_job(coordinator, client, past);
    else if (query->question == MR__QUESTION__WAIT_JOB)
        answer_wait(coordinator, client, past);
    else if (query->question == MR__QUESTION__JOB_LOGS)
        answer_logs(coordinator, client, past, query);
    else
        known = false;
    history_job_free(past);
    return known;
}
