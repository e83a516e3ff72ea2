/* Events in, actions out. */
#include "coordinator/sched/sched.h"

#include <stdlib.h>

#include "base/memory.h"
#include "coordinator/sched/state.h"

void sched_actions_done(struct sched_actions *actions)
{
    free(actions->items);
    *actions = (struct sched_actions){0};
}

enum { ACTIVE_MAX = 64 };

struct sched *sched_new(void)
{
    struct sched *sched = memory_zeroed(1, sizeof *sched);

    sched->active_max = ACTIVE_MAX;
    return sched;
}

void sched_limit(struct sched *sched, uint32_t jobs)
{
    sched->active_max = jobs;
}

void sched_free(struct sched *sched)
{
    if (!sched)
        return;
    while (sched->first)
        job_delete(sched, sched->first);
    for (size_t i = 0; i < sched->workers.capacity; i++)
        free(sched->workers.slots[i].value);
    map_done(&sched->workers);
    map_done(&sched->jobs);
    free(sched->active);
    free(sched->held);
    free(sched);
}

static void worker_joined(struct sched *sched, const struct sched_event *event)
{
    struct worker *worker;

    if (map_get(&sched->workers, event->worker))
        return;
    worker = memory_zeroed(1, sizeof *worker);
    worker->id = event->worker;
    worker->threads = event->threads ? event->threads : 1;
    map_put(&sched->workers, worker->id, worker);
    sched->threads += worker->threads;
    if (worker->threads > sched->widest)
        sched->widest = worker->threads;
    place_worker(sched, worker);
    if (event->draining)
        retire_begin(sched, worker);
}

static void worker_lost(struct sched *sched, uint64_t id)
{
    struct worker *worker = map_remove(&sched->workers, id);

    if (!worker)
        return;
    place_unkeep(sched, worker);
    sched->draining_count -= worker->draining;
    sched->full_count -= worker->full;
    if (!room_bars(worker))
        sched->threads -= worker->threads;
    while (worker->running) {
        struct task *task = worker->running;

        task_detach(sched, task);
        if (task->state != TASK_RUNNING)
            task_ready(task);
    }
    while (worker->copies)
        copy_detach(sched, worker->copies->task);
    while (worker->outputs) {
        struct task *map = worker->outputs;

        if (holder_is_needed(map)) {
            map->job->drain_reruns += worker->draining;
            task_output_lost(sched, map);
        } else {
            task_forget_output(map);
        }
    }
    for (struct job *job = sched->first; job; job = job->next) {
        map_remove(&job->excluded, id);
        cuts_forget(sched, job, id);
    }
    place_unlist(worker);
    free(worker);
}

void sched_step(struct sched *sched, const struct sched_event *event,
                struct sched_actions *actions)
{
    struct job *job = map_get(&sched->jobs, event->job);

    sched->actions = actions;
    switch (event->type) {
    case EVENT_JOB_SUBMITTED:
        job_submit(sched, event);
        break;
    case EVENT_JOB_PLANNED:
        if (job && event->reduces)
            job_planned(sched, job, event);
        break;
    case EVENT_JOB_BROKEN:
        if (job)
            job_broken(sched, job, event->code);
        break;
    case EVENT_JOB_COMMITTED:
        if (job)
            job_committed(sched, job);
        break;
    case EVENT_JOB_CANCELLED:
        if (job)
            job_cancelled(sched, job);
        break;
    case EVENT_WORKER_JOINED:
        worker_joined(sched, event);
        break;
    case EVENT_WORKER_LOST:
        worker_lost(sched, event->worker);
        break;
    case EVENT_WORKER_DRAINING:
        retire_asked(sched, event);
        break;
    case EVENT_TASK_DONE:
        task_done(sched, event);
        break;
    case EVENT_TASK_FAILED:
        task_failed(sched, event);
        break;
    case EVENT_STRAGGLER:
        copy_straggler(sched, event);
        break;
    case EVENT_PERSISTED:
        gate_open(sched, event->sequence);
        break;
    case EVENT_RESTORED:
        restore_go_on(sched);
        break;
    case EVENT_OUTPUT_HELD:
        holder_said(sched, event);
        break;
    case EVENT_OUTPUT_BROKEN:
        retire_output_broken(sched, event);
        break;
    case EVENT_OUTPUTS_UNCLAIMED:
        holder_unclaimed(sched);
        break;
    case EVENT_WORKER_ROOM:
        room_again(sched, event);
        break;
    case EVENT_NO_ROOM:
        if (job)
            room_none(sched, job);
        break;
    }
    place_all(sched);
    retire_dismiss(sched);
    sched->actions = NULL;
}

struct sched_progress sched_progress(const struct sched *sched, uint64_t id)
{
    const struct job *job = map_get(&sched->jobs, id);

    if (!job)
        return (struct sched_progress){0};
    return (struct sched_progress){
        .state = job->state,
        .maps = job->map_count,
        .maps_done = job->maps_done,
        .reduces = job->reduce_count,
        .reduces_done = job->reduces_done,
        .running = job->running,
        .failed_attempts = job->failed_attempts,
        .map_reruns = job->map_reruns,
        .speculative_attempts = job->speculative_attempts,
        .drain_reruns = job->drain_reruns,
        .drain_restarts = job->drain_restarts,
    };
}

enum sched_wait sched_waits(const struct sched *sched, uint64_t id)
{
    const struct job *job = map_get(&sched->jobs, id);

    if (!job || job->running || job->gate > sched->persisted || job->phase == JOB_PLANNING ||
        job->phase >= JOB_COMMITTING)
        return SCHED_WAITS_NOT;
    if (job->queued)
        return SCHED_WAITS_QUEUE;
    if (sched->workers.count == sched->draining_count)
        return SCHED_WAITS_WORKER;
    if (job->unclaimed && job->maps_done == job->map_count)
        return SCHED_WAITS_OUTPUTS;
    if (sched->workers.count == sched->draining_count + sched->full_count)
        return SCHED_WAITS_ROOM;
    return cuts_takers(sched, job) ? SCHED_WAITS_TURN : SCHED_WAITS_SIGHT;
}

bool sched_tail(const struct sched *sched, uint64_t id, enum sched_kind *ret_kind)
{
    const struct job *job = map_get(&sched->jobs, id);

    if (!job || !job->active || job->steady || !job->running || job->gate > sched->persisted ||
        (job->phase != JOB_MAPPING && job->phase != JOB_REDUCING))
        return false;
    *ret_kind = place_maps_ready(job) ? SCHED_REDUCE : SCHED_MAP;
    return !job->waiting[*ret_kind == SCHED_REDUCE] &&
           !job->waiting_alone[*ret_kind == SCHED_REDUCE];
}

uint32_t sched_homes(const struct sched *sched, uint64_t id)
{
    const struct job *job = map_get(&sched->jobs, id);

    return job ? job->home_count : 0;
}

uint64_t sched_home(const struct sched *sched, uint64_t id, uint32_t part)
{
    const struct job *job = map_get(&sched->jobs, id);
    const struct worker *worker;
    uint64_t home;

    if (!job || part >= job->reduce_count || !job->home_count)
        return 0;
    home = job->homes[part % job->home_count].worker;
    worker = map_get(&sched->workers, home);
    return worker && !room_bars(worker) && !map_get(&job->excluded, home) ? home : 0;
}

uint32_t sched_held(const struct sched *sched, uint64_t id)
{
    const struct worker *worker = map_get(&sched->workers, id);

    return worker ? worker->whole + worker->single : 0;
}

void sched_forget(struct sched *sched, uint64_t id)
{
    struct job *job = map_get(&sched->jobs, id);

    if (job && job->phase == JOB_FINISHED)
        job_delete(sched, job);
}
