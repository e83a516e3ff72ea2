/* Workers that are to leave. One that drains is given nothing more, and gives back what it only
 * holds in hand. What runs there ends by itself, or is stopped when that takes too long.
 * Somebody else copies its outputs meanwhile (sched_outputs lists them; OUTPUT_HELD says that
 * one has moved). When it holds nothing that is needed any more it is dismissed. */
#include "base/check.h"
#include "coordinator/sched/state.h"

/* What it was given last has not begun: it runs one whole task, or a reduce on each thread. */
void retire_empty_hand(struct sched *sched, struct worker *worker)
{
    while (worker->whole > 1 || worker->single > worker->threads)
        task_give_back(sched, worker->running);
}

static void stop_running(struct sched *sched, struct worker *worker)
{
    while (worker->running) {
        worker->running->job->drain_restarts++;
        task_give_back(sched, worker->running);
    }
    while (worker->copies) {
        worker->copies->task->job->drain_restarts++;
        copy_revoke(sched, worker->copies->task);
    }
}

void retire_begin(struct sched *sched, struct worker *worker)
{
    if (worker->draining)
        return;
    worker->draining = true;
    sched->draining_count++;
    if (worker->full)
        room_forget(sched, worker);
    else
        sched->threads -= worker->threads;
    place_unkeep(sched, worker);
    retire_empty_hand(sched, worker);
    place_worker(sched, worker);
    for (struct job *job = sched->first; job; job = job->next) {
        map_remove(&job->excluded, worker->id); /* it gets nothing anyway */
        cuts_settle(sched, job);
    }
}

void retire_asked(struct sched *sched, const struct sched_event *event)
{
    struct worker *worker = map_get(&sched->workers, event->worker);

    if (!worker)
        return;
    retire_begin(sched, worker);
    worker->leaves = true;
    if (event->late)
        stop_running(sched, worker);
}

static bool is_empty(const struct worker *worker)
{
    if (worker->running || worker->copies)
        return false;
    for (const struct task *map = worker->outputs; map; map = map->next)
        if (holder_is_needed(map))
            return false;
    return true;
}

void retire_dismiss(struct sched *sched)
{
    for (struct worker *worker = sched->draining.first; worker; worker = worker->next) {
        struct sched_action dismiss = {.type = ACTION_DISMISS, .worker = worker->id};

        if (!worker->leaves || worker->dismissed || !is_empty(worker))
            continue;
        worker->dismissed = true;
        /* Behind all that says what became of its work. */
        gate_hold(sched, sched->sequence, &dismiss);
    }
}

size_t sched_outputs(const struct sched *sched, uint64_t id, struct sched_attempt *list,
                     size_t max)
{
    const struct worker *worker = map_get(&sched->workers, id);
    size_t count = 0;

    for (const struct task *map = worker ? worker->outputs : NULL; map; map = map->next) {
        if (!holder_is_needed(map))
            continue;
        if (count < max)
            list[count] = task_attempt(map);
        count++;
    }
    return count;
}

bool sched_drains(const struct sched *sched, uint64_t id)
{
    const struct worker *worker = map_get(&sched->workers, id);

    return worker && worker->draining;
}

void retire_output_broken(struct sched *sched, const struct sched_event *event)
{
    struct task *map = task_find(sched, &event->attempt);

    if (!map || map->kind != SCHED_MAP || map->state != TASK_DONE ||
        map->attempt != event->attempt.attempt || !map->worker ||
        map->worker->id != event->worker || !holder_is_needed(map))
        return;
    map->job->drain_reruns++;
    task_output_lost(sched, map);
}
