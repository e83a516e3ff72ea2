#include "coordinator/judge.h"

#include <string.h>

#include "base/limits.h"
#include "coordinator/skips.h"
#include "coordinator/spec.h"
#include "wire/frame.h"

static int refuse(struct error *err, const char *what)
{
    return error_set(err, ERROR_DAMAGE, "%s", what);
}

/* Higher ones cannot have been given out, and have no room for those that will be. */
static bool is_number(uint32_t attempt)
{
    return attempt && attempt / SCHED_LIFE_ATTEMPTS < SCHED_LIVES_MAX + 2;
}

static bool describes(const Mr__TaskDone *check)
{
    return check && check->description && check->description->n_counters <= LIMIT_COUNTERS;
}

static int judge_submitted(const struct job *job, const Mr__Record *record, struct error *err)
{
    if (job)
        return refuse(err, "that job was submitted before");
    if (spec_check(record->submit ? record->submit->spec : NULL, err)) {
        err->code = ERROR_DAMAGE;
        return error_wrap(err, "such a job is not accepted");
    }
    if (record->check && !describes(record->check))
        return refuse(err, "its object does not describe itself");
    if (record->lives > SCHED_LIVES_MAX || record->time_ms < 0)
        return refuse(err, "it is of no time");
    return 0;
}

static int judge_files(const Mr__Record *record, struct error *err)
{
    uint64_t bytes = 0;

    if (record->n_sizes != record->n_paths || record->n_mtimes_ns != record->n_paths)
        return refuse(err, "its files lack sizes or times");
    for (size_t i = 0; i < record->n_paths; i++)
        if (!spec_is_path(record->paths[i]) ||
            __builtin_add_overflow(bytes, record->sizes[i], &bytes))
            return refuse(err, "one of its files cannot be one");
    return 0;
}

/* File, offset and length of each. */
static int judge_extents(const Mr__Record *record, const uint64_t *flat, size_t n,
                         struct error *err)
{
    for (size_t i = 0; i + 2 < n; i += 3)
        if (flat[i] >= record->n_paths || flat[i + 1] > record->sizes[flat[i]] ||
            flat[i + 2] > record->sizes[flat[i]] - flat[i + 1])
            return refuse(err, "it reads where no file is");
    return n % 3 ? refuse(err, "it reads a piece without an end") : 0;
}

/* First extent, how many, and the part of each. */
static int judge_splits(const Mr__Record *record, struct error *err)
{
    size_t extents = record->n_extents / 3;

    if (record->n_splits % 3 || record->n_splits / 3 > LIMIT_MAPS)
        return refuse(err, "it has no such number of map tasks");
    for (size_t i = 0; i + 2 < record->n_splits; i += 3) {
        const uint32_t *split = &record->splits[i];

        if (split[0] > extents || split[1] > extents - split[0] || split[2] >= record->parts)
            return refuse(err, "a map task is outside of the plan");
    }
    return 0;
}

/* Folders that were made for the output lie above it. */
static bool is_above(ProtobufCBinaryData made, const char *staging)
{
    return spec_is_path(made) && made.len < strlen(staging) &&
           !memcmp(made.data, staging, made.len) && staging[made.len] == '/';
}

static int judge_planned(const struct job *job, const Mr__Record *record, struct error *err)
{
    if (job->maps)
        return refuse(err, "that job was planned before");
    if (!record->parts || record->parts > LIMIT_PARTS)
        return refuse(err, "it has no such number of parts");
    if (!describes(record->check))
        return refuse(err, "its object does not describe itself");
    if (judge_files(record, err) ||
        judge_extents(record, record->extents, record->n_extents, err) ||
        judge_extents(record, record->sample, record->n_sample, err))
        return -1;
    if (record->made.len && !is_above(record->made, job->output.staging))
        return refuse(err, "its folders are elsewhere");
    return judge_splits(record, err);
}

/* Whether the job has such a task, as far as it is planned. */
static bool has_task(const struct job *job, Mr__TaskKind kind, uint32_t task)
{
    switch (kind) {
    case MR__TASK_KIND__CHECK:
        return !task;
    case MR__TASK_KIND__SAMPLE:
        return !task && job->plan.sample_count;
    case MR__TASK_KIND__MAP:
        return task < job->map_count;
    case MR__TASK_KIND__REDUCE:
        return task < job->part_count;
    default:
        return false;
    }
}

static const Mr__TaskDone *accepted(const struct job *job, const Mr__Record *record)
{
    return record->kind == MR__TASK_KIND__SAMPLE ? job->sample
           : record->kind == MR__TASK_KIND__MAP  ? job->maps[record->task]
                                                 : job->parts[record->task];
}

static int judge_accepted(const struct job *job, const Mr__Record *record, struct error *err)
{
    const Mr__TaskDone *done = record->done;

    if (record->kind == MR__TASK_KIND__CHECK || !has_task(job, record->kind, record->task))
        return refuse(err, "it has no such task");
    if (record->kind == MR__TASK_KIND__REDUCE && job->plan.sample_count && !job->sample)
        return refuse(err, "it was reduced before its parts were known");
    if (accepted(job, record) || job->committing)
        return refuse(err, "that task was done before");
    if (!done || done->kind != record->kind || done->task != record->task ||
        done->attempt != record->attempt || !is_number(record->attempt))
        return refuse(err, "it is the answer of another attempt");
    if (record->kind == MR__TASK_KIND__MAP &&
        (!done->output || done->output->path.len > LIMIT_PATH))
        return refuse(err, "a map without an output");
    if (record->kind == MR__TASK_KIND__SAMPLE && !job_takes_ranges(job, done->ranges))
        return refuse(err, "its parts cannot begin there");
    return 0;
}

static int judge_lost(const struct job *job, const Mr__Record *record, struct error *err)
{
    if (record->kind != MR__TASK_KIND__MAP || !has_task(job, record->kind, record->task) ||
        !job->maps[record->task])
        return refuse(err, "there is no such output to be lost");
    return 0;
}

static int judge_failed(const struct job *job, const Mr__Record *record, struct error *err)
{
    const Mr__Error *error = record->failed ? record->failed->error : NULL;

    if (!has_task(job, record->kind, record->task) || !is_number(record->attempt))
        return refuse(err, "it has no such task");
    if (!error || error->code == ERROR_NONE || error->code >= ERROR_CODES)
        return refuse(err, "a failure without a cause");
    return 0;
}

static int judge_skipped(const struct job *job, const Mr__Record *record, struct error *err)
{
    struct sched_attempt attempt = {record->job, (enum sched_kind)record->kind, record->task,
                                    record->attempt};
    Mr__Culprit *culprit;
    bool good;

    if (judge_failed(job, record, err))
        return -1;
    culprit = skips_culprit(job, &attempt, record->failed);
    good = culprit && !culprit->block && !skips_has(job, culprit) &&
           job->skip_count < job->submit->spec->skip_bad_records;
    if (culprit)
        frame_free(&culprit->base);
    return good ? 0 : refuse(err, "there was nothing to be skipped");
}

/* All that the commit will ask for. */
static int judge_committing(const struct job *job, struct error *err)
{
    if (!job->maps || job->committing || (job->plan.sample_count && !job->sample))
        return refuse(err, "its tasks were not done");
    for (uint32_t i = 0; i < job->map_count; i++)
        if (!job->maps[i] && !job->former[i])
            return refuse(err, "its maps were not done");
    for (uint32_t i = 0; i < job->part_count; i++)
        if (!job->parts[i])
            return refuse(err, "its parts were not done");
    return 0;
}

/* How it ended is told to those that ask, in one message with its names. */
static int judge_finished(const struct job *job, const Mr__Record *record, struct error *err)
{
    const Mr__Finished *finished = record->finished;
    enum sched_state state;

    if (!finished || !job_state_of_end(finished->state, &state))
        return refuse(err, "it ended in no way");
    if (job && job->result)
        return refuse(err, "that job ended before");
    if (job && state == SCHED_DONE && !job->committing)
        return refuse(err, "it was not done");
    if (mr__finished__get_packed_size(finished) + record->title.len + record->object.len >
        LIMIT_MESSAGE - 4096)
        return refuse(err, "its end is too long to be told");
    if (record->time_ms < 0 || record->priority > SCHED_PRIORITIES)
        return refuse(err, "it is of no time or priority");
    return 0;
}

int judge_record(const struct job *job, const Mr__Record *record, struct error *err)
{
    if (record->type == SCHED_RECORD_STARTED)
        return 0;
    if (!record->job)
        return refuse(err, "a job without a number");
    if (record->type == SCHED_RECORD_SUBMITTED)
        return judge_submitted(job, record, err);
    if (record->type == SCHED_RECORD_FINISHED)
        return judge_finished(job, record, err);
    if (!job)
        return refuse(err, "there is no such job");
    if (job->result)
        return refuse(err, "that job ended before");
    switch (record->type) {
    case SCHED_RECORD_PLANNED:
        return judge_planned(job, record, err);
    case SCHED_RECORD_ACCEPTED:
        return judge_accepted(job, record, err);
    case SCHED_RECORD_LOST:
        return judge_lost(job, record, err);
    case SCHED_RECORD_FAILED:
        return judge_failed(job, record, err);
    case SCHED_RECORD_SKIPPED:
        return judge_skipped(job, record, err);
    case SCHED_RECORD_COMMITTING:
        return judge_committing(job, err);
    default:
        return refuse(err, "there is no such type");
    }
}
