#include "coordinator/told.h"

#include <stdlib.h>

#include "base/memory.h"
#include "wire/bytes.h"

/* So few small parts are synced together with the manifest, in one wait instead of two. */
enum { SYNCED_HERE_MAX = 8 };

void told_job(const struct coordinator *coordinator, const struct job *job,
              struct told_job *ret)
{
    /* The inputs are the coordinator's business: tasks name their own files. */
    ret->spec = *job->submit->spec;
    ret->spec.n_inputs = 0;
    ret->spec.inputs = NULL;
    mr__job_open__init(&ret->message);
    ret->message.job = job->id;
    ret->message.spec = &ret->spec;
    ret->message.parts = job->plan.parts;
    ret->message.staging = bytes_of(job->output.staging);
    if (job->sample)
        ret->message.ranges = job->sample->ranges;
    if (ret->spec.sync && job->plan.parts <= SYNCED_HERE_MAX)
        ret->message.syncs_on = bytes_of(coordinator->kernel);
}

static void describe_extent(const struct job *job, const struct extent *extent,
                            Mr__Extent *message)
{
    const struct input_file *file = &job->plan.files.items[extent->file];

    mr__extent__init(message);
    message->file = extent->file;
    message->path = bytes_of(file->path);
    message->offset = extent->offset;
    message->length = extent->length;
    message->file_size = file->size;
    message->file_mtime_ns = file->mtime_ns;
}

/* What the attempt reads. */
static const struct extent *extents_of(const struct job *job,
                                       const struct sched_attempt *attempt, size_t *ret_count)
{
    const struct split *split;

    if (attempt->kind == SCHED_SAMPLE) {
        *ret_count = job->plan.sample_count;
        return job->plan.sample;
    }
    if (attempt->kind != SCHED_MAP) {
        *ret_count = 0;
        return NULL;
    }
    split = &job->plan.splits[attempt->task];
    *ret_count = split->count;
    return &job->plan.extents[split->first];
}

void told_task(const struct coordinator *coordinator, const struct job *job,
               const struct sched_attempt *attempt, struct told_task *ret)
{
    Mr__Assign *message = &ret->message;
    size_t n;
    const struct extent *read = extents_of(job, attempt, &n);

    ret->extents = memory_new((n + 1) * sizeof *ret->extents);
    ret->pointers = memory_new((n + 1) * sizeof(Mr__Extent *));
    mr__assign__init(message);
    message->job = job->id;
    message->kind = (Mr__TaskKind)attempt->kind;
    message->task = attempt->task;
    message->attempt = attempt->attempt;
    for (size_t i = 0; i < n; i++) {
        describe_extent(job, &read[i], &ret->extents[i]);
        ret->pointers[i] = &ret->extents[i];
    }
    message->extents = ret->pointers;
    message->n_extents = n;
    if (attempt->kind == SCHED_MAP) {
        message->part = job->plan.splits[attempt->task].part;
        message->input_size = job->plan.bytes;
    } else if (attempt->kind == SCHED_REDUCE) {
        message->maps = job->map_count;
    }
    skips_tell(coordinator->sched, job, attempt, message, &ret->skips);
}

void told_task_done(struct told_task *told)
{
    skips_told_done(&told->skips);
    free(told->extents);
    free(told->pointers);
}

/* Why there is nothing to replay; NULL: there is. */
static const char *no_replay(const struct job *job, const struct sched_attempt *attempt)
{
    if (!job->plan.splits && job->result)
        return "its plan is no longer kept: that of failed jobs is, of the last few";
    if (!job->plan.splits)
        return "it has not been planned yet";
    if (attempt->kind == SCHED_MAP && attempt->task < job->map_count)
        return NULL;
    if (attempt->kind == SCHED_REDUCE && attempt->task < job->part_count)
        return job->check->description->map_only
                   ? "it has no reduce function: replay one of its maps"
                   : NULL;
    if (attempt->kind == SCHED_SAMPLE && !attempt->task && job->plan.sample_count)
        return NULL;
    return "it has no such task";
}

void told_replay(struct coordinator *coordinator, uint64_t client, const struct job *job,
                 const Mr__Query *query)
{
    struct sched_attempt attempt = {job->id, (enum sched_kind)query->kind, query->task, 1};
    const char *why = no_replay(job, &attempt);
    Mr__Replay answer = MR__REPLAY__INIT;
    struct told_job opened;
    struct told_task task;
    struct error err;

    if (why) {
        error_set(&err, ERROR_STALE, "job %s cannot be replayed: %s", job->name, why);
        answer_error(coordinator, client, &err);
        return;
    }
    told_job(coordinator, job, &opened);
    told_task(coordinator, job, &attempt, &task);
    answer.open = &opened.message;
    task.message.sift = NULL; /* it has one thread in any case */
    answer.task = &task.message;
    core_send(coordinator, client, FRAME_REPLAY, &answer.base);
    told_task_done(&task);
}
