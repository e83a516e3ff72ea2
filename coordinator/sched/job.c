/* The life of a job, from submission to the end that everyone is told of. */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "coordinator/sched/state.h"

static void hold(struct sched *sched, struct job *job, uint64_t after,
                 enum sched_action_type type)
{
    struct sched_action action = {.type = type, .job = job->id};

    gate_hold(sched, after, &action);
}

struct job *job_new(struct sched *sched, uint64_t id, uint32_t priority, bool steady)
{
    struct job *job;

    if (map_get(&sched->jobs, id))
        return NULL;
    job = memory_zeroed(1, sizeof *job);
    job->id = id;
    job->priority = priority < SCHED_PRIORITIES ? priority : SCHED_PRIORITIES - 1;
    job->steady = steady;
    job->check = (struct task){.job = job, .kind = SCHED_CHECK};
    job->sample = (struct task){.job = job, .kind = SCHED_SAMPLE};
    job->prev = sched->last;
    if (sched->last)
        sched->last->next = job;
    else
        sched->first = job;
    sched->last = job;
    map_put(&sched->jobs, id, job);
    return job;
}

void job_submit(struct sched *sched, const struct sched_event *event)
{
    struct job *job = job_new(sched, event->job, event->priority, event->steady);

    if (!job)
        return;
    job->skips_max = event->skips < LIMIT_SKIPS ? event->skips : LIMIT_SKIPS;
    job->gate = gate_persist(sched, SCHED_RECORD_SUBMITTED, job->id, NULL, 0);
    hold(sched, job, job->gate, ACTION_ADMITTED);
    job->phase = JOB_CHECKING;
    if (event->checked)
        job->check.state = TASK_DONE;
    else
        task_ready(&job->check);
    share_queue(sched, job);
}

static struct task *make_tasks(struct job *job, enum sched_kind kind, uint32_t count)
{
    struct task *tasks = memory_zeroed(count, sizeof *tasks);

    for (uint32_t i = 0; i < count; i++)
        tasks[i] = (struct task){.job = job, .kind = kind, .number = i};
    return tasks;
}

void job_make_tasks(struct job *job, uint32_t maps, uint32_t reduces, bool sampled)
{
    job->maps = make_tasks(job, SCHED_MAP, maps);
    job->reduces = make_tasks(job, SCHED_REDUCE, reduces);
    job->map_count = maps;
    job->reduce_count = reduces;
    job->sampled = sampled;
}

void job_planned(struct sched *sched, struct job *job, const struct sched_event *event)
{
    if (job->phase != JOB_PLANNING)
        return;
    job_make_tasks(job, event->maps, event->reduces, event->sample);
    job->phase = JOB_SAMPLING;
    place_homes(sched, job);
    job->gate = gate_persist(sched, SCHED_RECORD_PLANNED, job->id, NULL, 0);
    if (job->sampled)
        task_ready(&job->sample);
    job_advance(sched, job);
}

void job_advance(struct sched *sched, struct job *job)
{
    if (job->phase == JOB_CHECKING && job->check.state == TASK_DONE && job->active) {
        job->phase = JOB_PLANNING;
        hold(sched, job, job->gate, ACTION_PLAN);
    }
    if (job->phase == JOB_SAMPLING && (!job->sampled || job->sample.state == TASK_DONE)) {
        job->phase = JOB_MAPPING;
        /* After a restart some may be done that were known before the sample was. */
        for (uint32_t i = 0; i < job->map_count; i++)
            if (job->maps[i].state != TASK_DONE)
                task_ready(&job->maps[i]);
    }
    if (job->phase == JOB_MAPPING && job->maps_done == job->map_count) {
        job->phase = JOB_REDUCING;
        for (uint32_t i = 0; i < job->reduce_count; i++)
            task_ready(&job->reduces[i]);
        hold(sched, job, job->gate, ACTION_MAPS_DONE);
    }
    if (job->phase == JOB_REDUCING && job->reduces_done == job->reduce_count) {
        /* A map that is being made again has nobody left to read it. */
        for (struct task *map = job->maps; map < job->maps + job->map_count; map++)
            if (map->state == TASK_RUNNING)
                task_revoke(sched, map);
        job->phase = JOB_COMMITTING;
        job->gate = gate_persist(sched, SCHED_RECORD_COMMITTING, job->id, NULL, 0);
        hold(sched, job, job->gate, ACTION_COMMIT);
    }
}

/* Stops every attempt that runs. */
static void revoke_all(struct sched *sched, struct job *job)
{
    struct task *lists[] = {&job->check, &job->sample, job->maps, job->reduces};
    uint32_t counts[] = {1, 1, job->map_count, job->reduce_count};

    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        for (uint32_t i = 0; i < counts[k] && job->running; i++)
            if (lists[k][i].state == TASK_RUNNING)
                task_revoke(sched, &lists[k][i]);
}

static void release_workers(struct sched *sched, struct job *job)
{
    for (size_t i = 0; i < job->workers.capacity; i++)
        if (job->workers.slots[i].value) {
            struct sched_action release = {
                .type = ACTION_RELEASE, .job = job->id, .worker = job->workers.slots[i].key};

            if (map_get(&sched->workers, release.worker))
                gate_hold(sched, job->gate, &release);
        }
}

void job_end(struct sched *sched, struct job *job, enum sched_state state, enum error_code code,
             const struct sched_attempt *cause)
{
    struct sched_action finished = {.type = ACTION_FINISHED,
                                    .job = job->id,
                                    .state = state,
                                    .code = code,
                                    .part = job->unsteady};

    check(job->phase < JOB_ENDING);
    job->phase = JOB_ENDING;
    job->state = state;
    revoke_all(sched, job);
    for (uint32_t i = 0; i < job->map_count; i++)
        task_forget_output(&job->maps[i]);
    job->prelude = NULL;
    for (int i = 0; i < 2; i++) {
        heap_done(&job->pending[i]);
        heap_done(&job->lonely[i]);
        job->waiting[i] = job->waiting_alone[i] = 0;
    }
    if (cause)
        finished.cause = *cause;
    job->gate = gate_persist_end(sched, &finished);
    gate_hold(sched, job->gate, &finished);
    release_workers(sched, job);
    job->phase = JOB_FINISHED;
    share_end(sched, job);
}

void job_broken(struct sched *sched, struct job *job, enum error_code code)
{
    if (job->phase == JOB_PLANNING || job->phase == JOB_COMMITTING)
        job_end(sched, job, SCHED_FAILED, code, NULL);
}

void job_committed(struct sched *sched, struct job *job)
{
    if (job->phase == JOB_COMMITTING)
        job_end(sched, job, SCHED_DONE, ERROR_NONE, NULL);
}

void job_cancelled(struct sched *sched, struct job *job)
{
    /* From COMMITTING on it is too late: the output may be in place already. */
    if (job->phase < JOB_COMMITTING)
        job_end(sched, job, SCHED_CANCELLED, ERROR_CANCELLED, NULL);
}

void job_delete(struct sched *sched, struct job *job)
{
    if (job->prev)
        job->prev->next = job->next;
    else
        sched->first = job->next;
    if (job->next)
        job->next->prev = job->prev;
    else
        sched->last = job->prev;
    share_end(sched, job);
    skip_done(job);
    for (uint32_t i = 0; i < job->map_count; i++)
        free(job->maps[i].copy);
    for (uint32_t i = 0; i < job->reduce_count; i++)
        free(job->reduces[i].copy);
    map_remove(&sched->jobs, job->id);
    map_done(&job->workers);
    map_done(&job->excluded);
    free(job->cuts);
    map_done(&job->home_of);
    free(job->homes);
    for (int i = 0; i < 2; i++) {
        heap_done(&job->pending[i]);
        heap_done(&job->lonely[i]);
    }
    free(job->maps);
    free(job->reduces);
    free(job);
}
