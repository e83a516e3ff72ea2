/* Copies of slow attempts: near the end of a phase, on a worker that has nothing better to do.
 *
 * Who has a clock says which attempt is slow. A copy starts at once or not at all: nobody is
 * told to wait for one. It takes no turn from any task, for nothing may wait for the worker
 * that it gets, and all copies together take few of the threads, as in LATE's SpeculativeCap
 * (Zaharia, Konwinski, Joseph, Katz, Stoica: Improving MapReduce Performance in Heterogeneous
 * Environments, OSDI 2008). What failed through its own fault, or must run alone, is not
 * copied: the copy would fail as well, or take the blame from where it belongs. */
#include <stdlib.h>

#include "base/memory.h"
#include "coordinator/sched/state.h"

enum { COPY_SHARE = 10 }; /* of so many threads one may run a copy */

static void link_copy(struct copy *copy)
{
    struct worker *worker = copy->worker;

    copy->prev = NULL;
    copy->next = worker->copies;
    if (worker->copies)
        worker->copies->prev = copy;
    worker->copies = copy;
}

static void unlink_copy(struct copy *copy)
{
    if (copy->prev)
        copy->prev->next = copy->next;
    else
        copy->worker->copies = copy->next;
    if (copy->next)
        copy->next->prev = copy->prev;
}

void copy_swap(struct task *task)
{
    struct copy *copy = task->copy, old = *copy;

    unlink_copy(copy);
    task_list_remove(&task->worker->running, task);
    copy->worker = task->worker;
    copy->attempt = task->attempt;
    copy->age = task->age;
    copy->known = task->known;
    task->worker = old.worker;
    task->attempt = old.attempt;
    task->age = old.age;
    task->known = old.known;
    link_copy(copy);
    task_list_add(&task->worker->running, task);
}

void copy_detach(struct sched *sched, struct task *task)
{
    struct copy *copy = task->copy;
    struct worker *worker = copy->worker;

    unlink_copy(copy);
    sched->copy_slots -= copy->slots;
    task->copy = NULL;
    task_count(sched, task, worker, -1);
    place_worker(sched, worker);
    free(copy);
}

void copy_revoke(struct sched *sched, struct task *task)
{
    struct sched_action revoke = {.type = ACTION_REVOKE,
                                  .job = task->job->id,
                                  .worker = task->copy->worker->id,
                                  .attempt = task_attempt(task)};

    revoke.attempt.attempt = task->copy->attempt;
    gate_emit(sched, &revoke);
    copy_detach(sched, task);
}

/* Whether the attempt is one that may have a copy, and nothing of its phase waits. */
static bool is_fit(const struct sched *sched, const struct task *task,
                   const struct sched_attempt *attempt)
{
    const struct job *job = task->job;
    int kind = task->kind == SCHED_REDUCE;

    return (task->kind == SCHED_MAP || task->kind == SCHED_REDUCE) && !job->steady &&
           job->phase < JOB_COMMITTING && job->gate <= sched->persisted &&
           task->state == TASK_RUNNING && task->attempt == attempt->attempt && !task->copy &&
           !task->alone && !task->single && !task->blamed && !task->began_alone &&
           !job->waiting[kind] && !job->waiting_alone[kind] && (!kind || place_maps_ready(job));
}

/* A worker with room for a copy, other than the one that is slow. */
static struct worker *find_worker(const struct sched *sched, const struct task *task)
{
    bool reduces = task->kind == SCHED_REDUCE;
    struct worker *worker = place_seeing(task->job, sched->idle.first, reduces);

    if (!worker && reduces) {
        worker = place_seeing(task->job, sched->partial.first, true);
        if (worker && worker == task->worker)
            worker = place_seeing(task->job, worker->next, true);
    }
    return worker;
}

void copy_straggler(struct sched *sched, const struct sched_event *event)
{
    struct task *task = task_find(sched, &event->attempt);
    struct sched_action action = {
        .type = ACTION_ASSIGN, .job = event->attempt.job, .copy = true};
    struct worker *worker;
    struct copy *copy;
    uint64_t slots;

    if (!task || !is_fit(sched, task, &event->attempt) || !(worker = find_worker(sched, task)))
        return;
    slots = task->kind == SCHED_REDUCE ? 1 : worker->threads;
    if (sched->copy_slots && (sched->copy_slots + slots) * COPY_SHARE > sched->threads)
        return;
    copy = memory_zeroed(1, sizeof *copy);
    *copy = (struct copy){.task = task,
                          .worker = worker,
                          .attempt = ++task->given,
                          .age = task->job->age,
                          .known = (uint32_t)task->job->skip_count,
                          .slots = slots};
    task->copy = copy;
    link_copy(copy);
    sched->copy_slots += slots;
    task->job->speculative_attempts++;
    task_count(sched, task, worker, 1);
    map_put(&task->job->workers, worker->id, worker);
    place_worker(sched, worker);
    action.worker = worker->id;
    action.attempt = task_attempt(task);
    action.attempt.attempt = copy->attempt;
    gate_emit(sched, &action);
}
