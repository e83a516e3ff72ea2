#include "coordinator/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "coordinator/tally.h"
#include "wire/frame.h"

enum { FAILURES_KEPT = 1000 };

static char *text_of(ProtobufCBinaryData bytes)
{
    return memory_format("%.*s", (int)bytes.len, (const char *)bytes.data);
}

static int open_paths(struct job *job, struct error *err)
{
    const Mr__JobSpec *spec = job->submit->spec;
    cleanup_free const char **inputs = memory_zeroed(spec->n_inputs, sizeof *inputs);
    cleanup_free char *target = text_of(spec->output);
    int result;

    for (size_t i = 0; i < spec->n_inputs; i++)
        inputs[i] = text_of(spec->inputs[i]);
    result = plan_inputs(&job->plan, inputs, spec->n_inputs, spec->reducers, err);
    for (size_t i = 0; i < spec->n_inputs; i++)
        free((char *)inputs[i]);
    if (!result)
        result = output_open(&job->output, target, job->name, spec->overwrite, spec->sync, err);
    return result;
}

int job_open(uint64_t id, uint64_t client, Mr__Submit *submit, struct job **ret,
             struct error *err)
{
    struct job *job = memory_zeroed(1, sizeof *job);

    job->id = id;
    job->client = client;
    job->submit = submit;
    job->started_ms = clock_ms();
    snprintf(job->name, sizeof job->name, "%012" PRIx64, id);
    if (open_paths(job, err)) {
        job_free(job);
        return -1;
    }
    *ret = job;
    return 0;
}

static void free_messages(Mr__TaskDone **messages, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (messages[i])
            frame_free(&messages[i]->base);
    free(messages);
}

void job_free(struct job *job)
{
    if (!job)
        return;
    output_abandon(&job->output);
    output_done(&job->output);
    plan_done(&job->plan);
    frame_free(&job->submit->base);
    if (job->check)
        frame_free(&job->check->base);
    free_messages(job->maps, job->map_count);
    free_messages(job->parts, job->part_count);
    free_messages(job->reported, job->reported_count);
    for (size_t i = 0; i < job->failure_count; i++)
        free(job->failures[i].log_tail);
    free(job->failures);
    free(job->workers);
    free(job->fed);
    free(job);
}

int job_plan(struct job *job, uint32_t workers, struct error *err)
{
    const Mr__Description *description = job->check->description;

    plan_splits(&job->plan, job->submit->spec->split_size, workers, description->map_only);
    job->map_count = (uint32_t)job->plan.split_count;
    job->part_count = job->plan.parts;
    job->maps = memory_zeroed(job->map_count, sizeof *job->maps);
    job->parts = memory_zeroed(job->part_count, sizeof *job->parts);
    return output_stage(&job->output, err);
}

int job_commit(struct job *job, struct error *err)
{
    cleanup_free struct output_part *parts = memory_zeroed(job->part_count, sizeof *parts);
    cleanup_free char *manifest = NULL;

    if (tally_balance(job, err))
        return -1;
    for (uint32_t i = 0; i < job->part_count; i++)
        parts[i] =
            (struct output_part){job->parts[i]->attempt, job->parts[i]->part_size,
                                 job->parts[i]->part_records, job->parts[i]->part_checksum};
    manifest = tally_manifest(job);
    if (output_commit(&job->output, parts, job->part_count, manifest, err))
        return -1;
    job->committed = true;
    return 0;
}

void job_report(struct job *job, Mr__TaskDone *done)
{
    memory_reserve(&job->reported, &job->reported_capacity, job->reported_count + 1,
                   sizeof *job->reported);
    job->reported[job->reported_count++] = done;
}

/* Takes the attempt's message out of the reported ones; NULL if it is not there. */
static Mr__TaskDone *take_reported(struct job *job, const struct sched_attempt *attempt)
{
    for (size_t i = 0; i < job->reported_count; i++) {
        Mr__TaskDone *done = job->reported[i];

        if ((uint32_t)done->kind == (uint32_t)attempt->kind && done->task == attempt->task &&
            done->attempt == attempt->attempt) {
            job->reported[i] = job->reported[--job->reported_count];
            return done;
        }
    }
    return NULL;
}

static Mr__TaskDone **place_of(struct job *job, const struct sched_attempt *attempt)
{
    if (attempt->kind == SCHED_CHECK)
        return &job->check;
    if (attempt->kind == SCHED_MAP)
        return attempt->task < job->map_count ? &job->maps[attempt->task] : NULL;
    return attempt->task < job->part_count ? &job->parts[attempt->task] : NULL;
}

void job_accept(struct job *job, const struct sched_attempt *attempt)
{
    Mr__TaskDone *done = take_reported(job, attempt), **place = place_of(job, attempt);

    check(done && place);
    if (*place)
        frame_free(&(*place)->base);
    *place = done;
}

void job_refuse(struct job *job, const struct sched_attempt *attempt)
{
    Mr__TaskDone *done = take_reported(job, attempt);

    if (done)
        frame_free(&done->base);
}

void job_failed(struct job *job, const struct sched_attempt *attempt,
                const Mr__TaskFailed *failed)
{
    struct job_failure *failure;

    if (job->failure_count >= FAILURES_KEPT)
        return;
    memory_reserve(&job->failures, &job->failure_capacity, job->failure_count + 1,
                   sizeof *job->failures);
    failure = &job->failures[job->failure_count++];
    *failure = (struct job_failure){.attempt = *attempt, .log_tail = text_of(failed->log_tail)};
    error_set(&failure->error,
              failed->error ? (enum error_code)failed->error->code : ERROR_INTERNAL, "%.*s",
              failed->error ? (int)failed->error->text.len : 0,
              failed->error ? (const char *)failed->error->text.data : "");
}

const struct job_failure *job_cause(const struct job *job, const struct sched_attempt *attempt)
{
    for (size_t i = 0; i < job->failure_count; i++) {
        const struct sched_attempt *at = &job->failures[i].attempt;

        if (at->kind == attempt->kind && at->task == attempt->task &&
            at->attempt == attempt->attempt)
            return &job->failures[i];
    }
    return NULL;
}

bool job_note_worker(uint64_t **set, size_t *count, size_t *capacity, uint64_t worker)
{
    for (size_t i = 0; i < *count; i++)
        if ((*set)[i] == worker)
            return false;
    memory_reserve(set, capacity, *count + 1, sizeof **set);
    (*set)[(*count)++] = worker;
    return true;
}
