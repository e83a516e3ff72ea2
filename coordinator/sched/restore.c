/* What was before this life: facts that the journal kept are told one by one, and phases follow
 * from them. Whatever was not on disk is done again: nothing that depended on it was seen by
 * anyone. Outputs of maps have no holder until a worker claims them. */
#include "base/limits.h"
#include "coordinator/sched/state.h"

static void accepted(struct job *job, const struct sched_fact *fact, struct task *task)
{
    if (!task || task->state == TASK_DONE)
        return;
    task->state = TASK_DONE;
    task->attempt = fact->attempt.attempt;
    if (task->kind == SCHED_MAP) {
        job->maps_done++;
        job->unclaimed++;
        task->age = ++job->age;
    } else if (task->kind == SCHED_REDUCE) {
        job->reduces_done++;
    }
}

static void lost(struct job *job, struct task *map)
{
    if (!map || map->kind != SCHED_MAP || map->state != TASK_DONE)
        return;
    map->state = TASK_BLOCKED;
    job->maps_done--;
    job->unclaimed--;
    job->map_reruns++;
}

static void failed(const struct sched_fact *fact, struct task *task)
{
    if (!task)
        return;
    if (task->attempt < fact->attempt.attempt)
        task->attempt = fact->attempt.attempt;
    task_note_blame(task, fact->attempt.attempt, fact->code, &fact->culprit);
    if (task->blamed == LIMIT_ATTEMPTS)
        task->job->doomed = task;
}

static void planned(struct job *job, const struct sched_fact *fact)
{
    if (job->reduce_count || !fact->reduces)
        return;
    job->check.state = TASK_DONE;
    job_make_tasks(job, fact->maps, fact->reduces, fact->sample);
    job->phase = JOB_SAMPLING;
}

static void submitted(struct sched *sched, const struct sched_fact *fact)
{
    struct job *job = job_new(sched, fact->job, fact->priority, fact->steady);

    if (!job)
        return;
    job->phase = JOB_CHECKING;
    job->lives = fact->lives;
    job->skips_max = fact->skips < LIMIT_SKIPS ? fact->skips : LIMIT_SKIPS;
    job->map_reruns = fact->map_reruns;
    if (fact->checked)
        job->check.state = TASK_DONE;
    share_queue(sched, job);
}

static void started(const struct sched *sched)
{
    for (struct job *job = sched->first; job; job = job->next)
        job->lives += job->lives < SCHED_LIVES_MAX;
}

void sched_restore(struct sched *sched, const struct sched_fact *fact)
{
    struct job *job = map_get(&sched->jobs, fact->job);
    struct task *task = task_find(sched, &fact->attempt);

    sched->persisted = ++sched->sequence;
    if (fact->record == SCHED_RECORD_SUBMITTED)
        submitted(sched, fact);
    else if (fact->record == SCHED_RECORD_STARTED)
        started(sched);
    if (!job)
        return;
    switch (fact->record) {
    case SCHED_RECORD_PLANNED:
        planned(job, fact);
        break;
    case SCHED_RECORD_ACCEPTED:
        accepted(job, fact, task);
        break;
    case SCHED_RECORD_LOST:
        lost(job, task);
        break;
    case SCHED_RECORD_FAILED:
        failed(fact, task);
        break;
    case SCHED_RECORD_SKIPPED:
        skip_restore(job, task, &fact->culprit);
        break;
    case SCHED_RECORD_COMMITTING:
        job->phase = JOB_COMMITTING;
        break;
    case SCHED_RECORD_FINISHED:
        job_delete(sched, job);
        break;
    case SCHED_RECORD_SUBMITTED:
    case SCHED_RECORD_STARTED:
        break;
    }
}

static void ready_rest(struct task *tasks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (tasks[i].state != TASK_DONE)
            task_ready(&tasks[i]);
}

/* The end was decided, but did not reach the disk. */
static void end(struct sched *sched, struct job *job)
{
    struct sched_attempt cause = task_attempt(job->doomed);

    cause.attempt = job->doomed->cause_attempt;
    job_end(sched, job, SCHED_FAILED, job->doomed->cause, &cause);
}

/* What its tasks wait for is there again, or is asked for again. What had a plan ran; the
 * others wait in line again. */
static void go_on(struct sched *sched, struct job *job)
{
    struct sched_action commit = {.type = ACTION_COMMIT, .job = job->id};

    if (job->doomed && job->phase != JOB_COMMITTING) {
        end(sched, job);
        return;
    }
    if (job->phase == JOB_CHECKING) {
        if (job->check.state != TASK_DONE)
            task_ready(&job->check);
        return;
    }
    if (job->phase == JOB_COMMITTING) {
        gate_emit(sched, &commit);
    } else if (job->sampled && job->sample.state != TASK_DONE) {
        task_ready(&job->sample);
    } else {
        job->phase = job->reduces_done ? JOB_REDUCING : JOB_MAPPING;
        ready_rest(job->maps, job->map_count);
        if (job->phase == JOB_REDUCING)
            ready_rest(job->reduces, job->reduce_count);
    }
    share_begin(sched, job);
}

void restore_go_on(struct sched *sched)
{
    for (struct job *job = sched->first; job; job = job->next)
        go_on(sched, job);
}
