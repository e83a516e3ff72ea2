/* What the model makes of bad records: what is skipped, and what the search for it costs. */
#include "base/limits.h"
#include "base/memory.h"
#include "tests/lib/sim_model_state.h"

static bool same(const struct sched_culprit *a, const struct sched_culprit *b)
{
    return a->type == b->type && a->file == b->file && a->low == b->low && a->high == b->high;
}

static bool has(const struct model_list *list, const struct sched_culprit *culprit,
                size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (same(&list->items[i], culprit))
            return true;
    return false;
}

static void add(struct model_list *list, const struct sched_culprit *culprit)
{
    memory_reserve(&list->items, &list->capacity, list->count + 1, sizeof *list->items);
    list->items[list->count++] = *culprit;
}

bool model_narrow(struct model_task *task, const struct sched_culprit *block)
{
    if (has(&task->blocks, block, task->blocks.count))
        return false;
    add(&task->blocks, block);
    return true;
}

/* Tried again at no cost; what else runs of the task has to stop. */
static void search(struct model *model, const struct sched_attempt *attempt)
{
    struct model_task *task = model_task(model, attempt);

    model_job(model, attempt->job)->searched++;
    model->stopped = *attempt;
    model->stopped.attempt = task->runs_on ? task->current : 0;
}

static bool look_closer(struct model *model, const struct sched_attempt *attempt,
                        bool was_single)
{
    struct model_task *task = model_task(model, attempt);

    if (was_single)
        return false;
    model_job(model, attempt->job)->lonely +=
        attempt->kind == SCHED_REDUCE && !task->alone && !task->runs_on;
    task->alone = task->single = true;
    search(model, attempt);
    return true;
}

static void skip(struct model *model, const struct sched_event *event)
{
    struct model_job *job = model_job(model, event->attempt.job);

    if (job->skips.count == job->skips_max) {
        model_end(model, event->attempt.job, SCHED_FAILED, event->code, &event->attempt);
        return;
    }
    add(&job->skips, &event->culprit);
    model_want(model, SCHED_RECORD_SKIPPED, event->attempt.job, &event->attempt, event->worker);
    search(model, &event->attempt);
}

bool model_skip(struct model *model, const struct sched_event *event, uint32_t known,
                bool was_single)
{
    struct model_job *job = model_job(model, event->attempt.job);
    const struct sched_culprit *culprit = &event->culprit;

    if (!job->skips_max || (event->code != ERROR_JOB && event->code != ERROR_CRASH &&
                            event->code != ERROR_TIMEOUT && event->code != ERROR_MEMORY))
        return false;
    if (culprit->type == CULPRIT_BLOCK &&
        model_narrow(model_task(model, &event->attempt), culprit)) {
        search(model, &event->attempt);
        return true;
    }
    if (culprit->type == CULPRIT_NONE || culprit->type == CULPRIT_BLOCK)
        return look_closer(model, &event->attempt, was_single);
    if (has(&job->skips, culprit, known))
        return false;
    if (has(&job->skips, culprit, job->skips.count))
        search(model, &event->attempt);
    else
        skip(model, event);
    return true;
}

void model_skip_restored(struct model *model, const struct sched_fact *fact)
{
    add(&model_job(model, fact->job)->skips, &fact->culprit);
}
