/* What the model knows of a former life, and what it wants of the scheduler that goes on. */
#include "base/limits.h"
#include "tests/lib/sim_model_state.h"

/* Who answered in a former life: nobody who could answer again. */
#define FORMER UINT64_MAX

static void count_accepted(struct model_job *job, enum sched_kind kind, struct model_task *task)
{
    task->answered = FORMER;
    job->waiting[kind]--;
    job->accepted[kind]++;
}

static void restore_plan(struct model *model, struct model_job *job,
                         const struct sched_fact *fact)
{
    struct sched_event event = {
        .job = fact->job, .maps = fact->maps, .reduces = fact->reduces, .sample = fact->sample};

    job->planning = true;
    job->queued = false; /* what had a plan ran */
    count_accepted(job, SCHED_CHECK, &job->check);
    model_planned(model, &event);
    job->planned_at = model->sequence;
}

static void restore_accepted(struct model *model, struct model_job *job,
                             const struct sched_fact *fact)
{
    struct model_task *task = model_task(model, &fact->attempt);

    task->attempt = task->counted = fact->attempt.attempt;
    task->sequence = model->sequence;
    count_accepted(job, fact->attempt.kind, task);
    if (fact->attempt.kind != SCHED_MAP)
        return;
    job->unclaimed++;
    task->age = ++job->age;
}

static void restore_lost(struct model *model, struct model_job *job,
                         const struct sched_fact *fact)
{
    struct model_task *map = model_task(model, &fact->attempt);

    map->answered = 0;
    map->lost = model->sequence;
    job->unclaimed--;
    job->accepted[SCHED_MAP]--;
    job->waiting[SCHED_MAP]++;
    job->map_reruns++;
}

static void restore_failed(struct model *model, const struct sched_fact *fact)
{
    struct model_task *task = model_task(model, &fact->attempt);

    if (task->attempt < fact->attempt.attempt)
        task->attempt = fact->attempt.attempt;
    model_blame(model, &fact->attempt, fact->code, &fact->culprit);
}

void model_restore(struct model *model, const struct sched_fact *fact)
{
    struct model_job *job = model_job(model, fact->job);
    struct sched_event event = {.job = fact->job,
                                .priority = fact->priority,
                                .steady = fact->steady,
                                .skips = fact->skips};

    model->persisted = ++model->sequence;
    switch (fact->record) {
    case SCHED_RECORD_SUBMITTED:
        model_submitted(model, &event);
        model_job(model, fact->job)->submitted = model->sequence;
        break;
    case SCHED_RECORD_PLANNED:
        restore_plan(model, job, fact);
        break;
    case SCHED_RECORD_ACCEPTED:
        restore_accepted(model, job, fact);
        break;
    case SCHED_RECORD_LOST:
        restore_lost(model, job, fact);
        break;
    case SCHED_RECORD_FAILED:
        restore_failed(model, fact);
        break;
    case SCHED_RECORD_SKIPPED:
        model_skip_restored(model, fact);
        break;
    case SCHED_RECORD_COMMITTING:
        job->committing = true;
        break;
    case SCHED_RECORD_FINISHED:
        job->ended = true;
        model_forget(model, fact->job);
        break;
    case SCHED_RECORD_STARTED:
        for (uint64_t id = 0; id < MODEL_JOBS; id++)
            if (model->jobs[id])
                model->jobs[id]->lives++;
    }
}

/* A task whose last attempt failed before: the job ends now. */
static bool end_doomed(struct model *model, struct model_job *job, uint64_t id)
{
    for (int kind = 0; kind < SCHED_KINDS; kind++)
        for (uint32_t i = 0; i < job->counts[kind]; i++) {
            const struct model_task *task = &job->tasks[kind][i];
            struct sched_attempt cause = {id, (enum sched_kind)kind, i, task->cause_attempt};

            if (task->blamed < LIMIT_ATTEMPTS)
                continue;
            model_end(model, id, SCHED_FAILED, task->cause, &cause);
            return true;
        }
    return false;
}

static void go_on(struct model *model, struct model_job *job, uint64_t id)
{
    struct sched_action action = {.type = ACTION_COMMIT, .job = id};

    if (job->committing) {
        model_owe(model, 0, &action);
        return;
    }
    if (end_doomed(model, job, id))
        return;
    if (!job->planned || job->accepted[SCHED_SAMPLE] < job->counts[SCHED_SAMPLE])
        return;
    job->said_maps_done = job->accepted[SCHED_REDUCE] > 0;
    if (!job->said_maps_done && job->accepted[SCHED_MAP] == job->counts[SCHED_MAP]) {
        job->said_maps_done = true;
        action.type = ACTION_MAPS_DONE;
        model_owe(model, 0, &action);
    }
    if (job->accepted[SCHED_REDUCE] == job->counts[SCHED_REDUCE]) {
        job->committing = true;
        model_want(model, SCHED_RECORD_COMMITTING, id, NULL, 0);
    }
}

void model_restored(struct model *model)
{
    for (uint64_t id = 0; id < MODEL_JOBS; id++)
        if (model->jobs[id])
            go_on(model, model->jobs[id], id);
}
