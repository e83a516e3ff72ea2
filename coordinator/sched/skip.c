/* Bad records, of a job that does without some. An attempt that fails on one, for certain, is
 * the last that is told to feed it: the record, or the key, is skipped from then on, whichever
 * task comes across it. Where an attempt failed on a block of records, or without a word, the
 * next one looks closer. None of it costs the task an attempt, for each step finds out
 * something that was not known; what finds nothing new is charged as ever.
 *
 * A map that has met several searches before it begins anew, and tells how far it has got when
 * it finds one more: the next attempt goes on from there, and the split is read twice, not once
 * for each.
 *
 * What else ran of the task is stopped: it has the same record before it, and if it got by, the
 * list and the output would contradict each other. */
#include <stdlib.h>

#include "base/memory.h"
#include "coordinator/sched/state.h"

/* Of one task: then it searches. */
enum { SEVERAL = 2 };

static bool is_same(const struct sched_culprit *a, const struct sched_culprit *b)
{
    return a->type == b->type && a->file == b->file && a->low == b->low && a->high == b->high;
}

/* Its index, or the count. */
static size_t find(const struct sched_culprit *list, size_t count,
                   const struct sched_culprit *culprit)
{
    size_t i = 0;

    while (i < count && !is_same(&list[i], culprit))
        i++;
    return i;
}

static void append(struct sched_culprit **list, size_t *count, size_t *capacity,
                   const struct sched_culprit *culprit)
{
    memory_reserve(list, capacity, *count + 1, sizeof **list);
    (*list)[(*count)++] = *culprit;
}

bool skip_narrow(struct task *task, const struct sched_culprit *block)
{
    if (find(task->narrow, task->narrow_count, block) < task->narrow_count)
        return false;
    append(&task->narrow, &task->narrow_count, &task->narrow_capacity, block);
    return true;
}

const struct sched_culprit *sched_narrowed(const struct sched *sched,
                                           const struct sched_attempt *attempt,
                                           size_t *ret_count)
{
    const struct task *task = task_find(sched, attempt);

    *ret_count = task ? task->narrow_count : 0;
    return task ? task->narrow : NULL;
}

bool sched_sifts(const struct sched *sched, const struct sched_attempt *attempt,
                 struct sched_place *ret_from)
{
    const struct task *task = task_find(sched, attempt);

    if (!task || task->kind != SCHED_MAP || task->found < SEVERAL)
        return false;
    *ret_from = task->sifted;
    return true;
}

/* Whether user code failed, in which records are: not a disk. */
static bool is_of_records(enum error_code code)
{
    return code == ERROR_JOB || code == ERROR_CRASH || code == ERROR_TIMEOUT ||
           code == ERROR_MEMORY;
}

/* Tried again at no cost. */
static void search_on(struct sched *sched, struct task *task)
{
    task->job->searched++;
    task_revoke(sched, task);
    task_ready(task);
}

static void skip(struct sched *sched, struct task *task, const struct sched_event *event)
{
    struct job *job = task->job;
    struct sched_action skipped = {.job = job->id,
                                   .worker = event->worker,
                                   .attempt = event->attempt,
                                   .code = event->code};

    if (job->skip_count == job->skips_max) {
        job_end(sched, job, SCHED_FAILED, event->code, &event->attempt);
        return;
    }
    append(&job->skips, &job->skip_count, &job->skip_capacity, &event->culprit);
    task->found++;
    gate_persist_like(sched, SCHED_RECORD_SKIPPED, &skipped);
    search_on(sched, task);
}

/* Without a word of where. */
static bool look_closer(struct sched *sched, struct task *task)
{
    if (task->began_single)
        return false;
    task_revoke(sched, task);
    task->alone = task->single = true;
    search_on(sched, task);
    return true;
}

bool skip_failed(struct sched *sched, struct task *task, const struct sched_event *event,
                 uint32_t known)
{
    struct job *job = task->job;
    size_t index;

    if (!job->skips_max || !is_of_records(event->code))
        return false;
    if (event->sifted.known)
        task->sifted = event->sifted;
    if (event->culprit.type == CULPRIT_NONE)
        return look_closer(sched, task);
    if (event->culprit.type == CULPRIT_BLOCK) {
        if (!skip_narrow(task, &event->culprit))
            return look_closer(sched, task);
        search_on(sched, task);
        return true;
    }
    index = find(job->skips, job->skip_count, &event->culprit);
    /* An attempt that had been told of it should not have met it. */
    if (index < known)
        return false;
    if (index < job->skip_count)
        search_on(sched, task);
    else
        skip(sched, task, event);
    return true;
}

void skip_restore(struct job *job, struct task *task, const struct sched_culprit *culprit)
{
    if (task)
        task->found++;
    if (find(job->skips, job->skip_count, culprit) == job->skip_count)
        append(&job->skips, &job->skip_count, &job->skip_capacity, culprit);
}

void skip_done(struct job *job)
{
    for (uint32_t i = 0; i < job->map_count; i++)
        free(job->maps[i].narrow);
    for (uint32_t i = 0; i < job->reduce_count; i++)
        free(job->reduces[i].narrow);
    free(job->check.narrow);
    free(job->sample.narrow);
    free(job->skips);
}
