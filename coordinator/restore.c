/* After a restart: records become jobs again. What a record told is put where it was, the
 * scheduler is told the same, and then both go on. What makes no sense (judge.c) is refused by
 * name. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "coordinator/journal.h"
#include "coordinator/judge.h"
#include "coordinator/ledger.h"
#include "coordinator/record.h"
#include "coordinator/skips.h"
#include "store/expand.h"
#include "wire/bytes.h"
#include "wire/link.h"

static void keep(struct coordinator *coordinator, struct job *job)
{
    memory_reserve(&coordinator->jobs, &coordinator->job_capacity, coordinator->job_count + 1,
                   sizeof *coordinator->jobs);
    coordinator->jobs[coordinator->job_count++] = job;
}

/* When that was, by our clock. */
static int64_t since(int64_t time_ms)
{
    struct timespec now;
    int64_t ago_ms;

    clock_gettime(CLOCK_REALTIME, &now);
    ago_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 - time_ms;
    return clock_ms() - (ago_ms > 0 ? ago_ms : 0);
}

static void take_submitted(struct coordinator *coordinator, Mr__Record *record)
{
    struct job *job = job_restore(record->job, record->submit, record->mounted);

    record->submit = NULL;
    job->check = record->check;
    record->check = NULL;
    job->time_ms = record->time_ms;
    job->started_ms = since(record->time_ms);
    job->lives = record->lives;
    job->remade = record->map_reruns > 0;
    keep(coordinator, job);
}

static void take_files(struct plan *plan, const Mr__Record *record)
{
    memory_reserve(&plan->files.items, &plan->files.capacity, record->n_paths + 1,
                   sizeof *plan->files.items);
    for (size_t i = 0; i < record->n_paths; i++) {
        plan->files.items[i] = (struct input_file){bytes_text(record->paths[i]),
                                                   record->sizes[i], record->mtimes_ns[i]};
        plan->bytes += record->sizes[i];
    }
    plan->files.count = record->n_paths;
}

static struct extent *take_extents(const uint64_t *flat, size_t n)
{
    struct extent *extents = memory_zeroed(n / 3 + 1, sizeof *extents);

    for (size_t i = 0; i < n / 3; i++)
        extents[i] = (struct extent){(uint32_t)flat[3 * i], flat[3 * i + 1], flat[3 * i + 2]};
    return extents;
}

static void take_splits(struct plan *plan, const Mr__Record *record)
{
    size_t n = record->n_splits / 3;

    plan->splits = memory_zeroed(n + 1, sizeof *plan->splits);
    for (size_t i = 0; i < n; i++) {
        const uint32_t *flat = &record->splits[3 * i];

        plan->splits[i] = (struct split){flat[0], flat[1], flat[2]};
    }
    plan->split_count = plan->split_capacity = n;
}

static void take_planned(struct job *job, Mr__Record *record)
{
    struct plan *plan = &job->plan;

    take_files(plan, record);
    plan->parts = record->parts;
    plan->extents = take_extents(record->extents, record->n_extents);
    plan->extent_count = plan->extent_capacity = record->n_extents / 3;
    plan->sample_count = record->n_sample / 3;
    plan->sample = plan->sample_count ? take_extents(record->sample, record->n_sample) : NULL;
    take_splits(plan, record);
    job_make_room(job);
    if (job->check)
        frame_free(&job->check->base);
    job->check = record->check;
    record->check = NULL;
    job->output.staged = true;
    job->output.folder = record->folder;
    job->output.made = record->made.len ? bytes_text(record->made) : NULL;
}

/* Where the message of an accepted task belongs. */
static Mr__TaskDone **place_of(struct job *job, const Mr__Record *record)
{
    if (record->kind == MR__TASK_KIND__SAMPLE)
        return &job->sample;
    return record->kind == MR__TASK_KIND__MAP ? &job->maps[record->task]
                                              : &job->parts[record->task];
}

static void take_accepted(struct job *job, Mr__Record *record)
{
    *place_of(job, record) = record->done;
    record->done = NULL;
    if (record->kind == MR__TASK_KIND__MAP && job->former[record->task]) {
        frame_free(&job->former[record->task]->base);
        job->former[record->task] = NULL;
    }
}

/* With the words that it had. */
static struct job_failure *take_failure(struct job *job, const Mr__Record *record)
{
    struct sched_attempt attempt = {record->job, (enum sched_kind)record->kind, record->task,
                                    record->attempt};
    cleanup_free char *worker = bytes_text(record->worker);

    return job_failed(job, &attempt, worker, record->failed);
}

static void take_skipped(struct job *job, const Mr__Record *record)
{
    struct sched_attempt attempt = {record->job, (enum sched_kind)record->kind, record->task,
                                    record->attempt};

    take_failure(job, record);
    skips_note(job, &attempt);
}

static struct job *finished_job(struct coordinator *coordinator, const Mr__Record *record)
{
    struct job *job = memory_zeroed(1, sizeof *job);

    job->id = record->job;
    snprintf(job->name, sizeof job->name, "%012" PRIx64, job->id);
    job->title = bytes_text(record->title);
    job->object = bytes_text(record->object);
    job->output.target = bytes_text(record->finished->output);
    job->admitted = true;
    job->priority = record->priority ? record->priority - 1 : SCHED_PRIORITY_USUAL;
    job->started_ms = since(record->time_ms);
    job->time_ms = record->time_ms;
    job->token = record->token;
    job->part_count = record->finished->parts;
    keep(coordinator, job);
    return job;
}

static void take_finished(struct coordinator *coordinator, struct job *job, Mr__Record *record)
{
    Mr__Finished *finished = record->finished;

    if (!job)
        job = finished_job(coordinator, record);
    check(job_state_of_end(finished->state, &job->state)); /* judge.c has seen to it */
    /* Of what did not become an output the rest goes now. */
    if (job->state == SCHED_DONE)
        output_leave(&job->output);
    job->result = finished;
    job->shown = (struct sched_progress){.state = job->state,
                                         .maps = finished->maps,
                                         .reduces = finished->reduces,
                                         .failed_attempts = job->failure_count};
    if (job->state == SCHED_DONE) {
        job->shown.maps_done = finished->maps;
        job->shown.reduces_done = finished->reduces;
    }
    record->finished = NULL;
}

/* Counted as the scheduler does. */
static void live_again(const struct coordinator *coordinator)
{
    for (size_t i = 0; i < coordinator->job_count; i++)
        coordinator->jobs[i]->lives += coordinator->jobs[i]->lives < SCHED_LIVES_MAX;
}

static void take_fact(struct coordinator *coordinator, struct job *job, Mr__Record *record)
{
    switch ((enum sched_record)record->type) {
    case SCHED_RECORD_SUBMITTED:
        take_submitted(coordinator, record);
        break;
    case SCHED_RECORD_PLANNED:
        take_planned(job, record);
        break;
    case SCHED_RECORD_ACCEPTED:
        take_accepted(job, record);
        break;
    case SCHED_RECORD_LOST:
        ledger_lost(job, record->task);
        break;
    case SCHED_RECORD_FAILED:
        take_failure(job, record)->charged = true;
        break;
    case SCHED_RECORD_SKIPPED:
        take_skipped(job, record);
        break;
    case SCHED_RECORD_COMMITTING:
        job->committing = true;
        break;
    case SCHED_RECORD_FINISHED:
        take_finished(coordinator, job, record);
        break;
    case SCHED_RECORD_STARTED:
        live_again(coordinator);
        break;
    }
}

static void tell_scheduler(struct coordinator *coordinator, const Mr__Record *record,
                           const struct sched_fact *like)
{
    const struct job *job = core_job(coordinator, record->job);
    struct sched_fact fact = *like;

    fact.record = (enum sched_record)record->type;
    fact.job = record->job;
    fact.attempt = (struct sched_attempt){record->job, (enum sched_kind)record->kind,
                                          record->task, record->attempt};
    if (record->type == SCHED_RECORD_SUBMITTED) {
        fact.checked = job->check != NULL;
        fact.priority = job->priority;
        fact.steady = job->submit->spec->steady;
        fact.skips = job->submit->spec->skip_bad_records;
        fact.lives = record->lives;
        fact.map_reruns = record->map_reruns;
    } else if (record->type == SCHED_RECORD_PLANNED) {
        fact.maps = job->map_count;
        fact.reduces = job->part_count;
        fact.sample = job->plan.sample_count > 0;
    }
    sched_restore(coordinator->sched, &fact);
}

static int take(void *context, struct mr_bytes bytes, struct error *err)
{
    struct coordinator *coordinator = context;
    Mr__Record *record = mr__record__unpack(NULL, bytes.len, (const uint8_t *)bytes.ptr);
    struct job *job = record ? core_job(coordinator, record->job) : NULL;
    struct sched_fact fact = {0};
    int result = -1;

    if (!record) {
        error_set(err, ERROR_DAMAGE, "it is none");
    } else if (!judge_record(job, record, err)) {
        if (record->failed && record->failed->error)
            fact.code = (enum error_code)record->failed->error->code;
        if (record->failed)
            fact.culprit = skips_identity(record->failed->culprit);
        take_fact(coordinator, job, record);
        tell_scheduler(coordinator, record, &fact);
        result = 0;
    }
    if (result)
        error_wrap(err,
                   "the journal in '%s' has a record (type %u, job %012" PRIx64
                   ") that makes no sense here, another program wrote it",
                   coordinator->options.state, record ? record->type : 0,
                   record ? record->job : 0);
    if (record)
        mr__record__free_unpacked(record, NULL);
    return result;
}

/* From now on attempts have new numbers, and that is on disk before anyone is given one. */
static int begin_life(struct coordinator *coordinator, struct error *err)
{
    Mr__Record record = MR__RECORD__INIT;
    struct sched_fact started = {.record = SCHED_RECORD_STARTED};
    uint8_t bytes[64];
    uint64_t number, durable = 0;
    struct link_event event;

    sched_restore(coordinator->sched, &started);
    live_again(coordinator);
    record.type = SCHED_RECORD_STARTED;
    number = journal_append(
        coordinator->journal,
        (struct mr_bytes){(const char *)bytes, mr__record__pack(&record, bytes)});
    if (record_snapshot(coordinator, err))
        return -1;
    while (durable < number) {
        event = (struct link_event){.fd = journal_fd(coordinator->journal)};
        link_wait(&event, 1, -1);
        if (journal_durable(coordinator->journal, &durable, err))
            return -1;
    }
    return 0;
}

int restore_open(struct coordinator *coordinator, struct error *err)
{
    struct sched_event restored = {.type = EVENT_RESTORED};
    size_t running = 0;

    if (journal_open(coordinator->options.state, take, coordinator, &coordinator->journal, err))
        return -1;
    for (size_t i = 0; i < coordinator->job_count; i++) {
        struct job *job = coordinator->jobs[i];

        running += !job->result;
        /* What is not there any more is told when it would be planned. */
        if (!job->result && !job->maps && job_expand(job, &job->lost))
            plan_done(&job->plan);
        if (!job->result && job->check && job->check->description)
            checked_put(&coordinator->checked, job->submit->spec, job->check->description);
    }
    if (begin_life(coordinator, err))
        return -1;
    if (coordinator->job_count)
        log_event(LOG_INFO, "state restored", LOG_NUMBER("running", running),
                  LOG_NUMBER("finished", coordinator->job_count - running));
    core_post(coordinator, &restored);
    coordinator->claims_end_ms = clock_ms() + coordinator->options.lease_ms;
    return 0;
}
