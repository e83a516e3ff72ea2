/* Workers that do not reach each other, though both reach the coordinator. The pair is blamed,
 * never one of the two: neither is lost, and each job finds out for itself, so that a cut that
 * healed is forgotten with the job that met it.
 *
 * Who is one of a pair reduces nothing more of that job; the others read from both. When nobody
 * is left that could reduce, or one does not reach CUTS_MAX others, the worker with the most
 * cuts (the younger one of two) is set aside: it gets nothing of the job any more, its attempts
 * are revoked, and its outputs made again by those that remain. One worker always remains, and
 * reaches itself. */
#include <stdlib.h>

#include "base/memory.h"
#include "coordinator/sched/state.h"

enum { CUTS_MAX = 3 };

bool cuts_hinder(const struct job *job, uint64_t worker)
{
    for (size_t i = 0; i < job->cut_count; i++)
        if (job->cuts[i].a == worker || job->cuts[i].b == worker)
            return true;
    return false;
}

static size_t cuts_of(const struct job *job, uint64_t worker)
{
    size_t n = 0;

    for (size_t i = 0; i < job->cut_count; i++)
        n += job->cuts[i].a == worker || job->cuts[i].b == worker;
    return n;
}

size_t cuts_takers(const struct sched *sched, const struct job *job)
{
    /* No worker is both excluded and barred. */
    return sched->workers.count - sched->draining_count - sched->full_count -
           job->excluded.count;
}

size_t cuts_reducers(const struct sched *sched, const struct job *job)
{
    size_t n = 0;

    if (!job->cut_count)
        return cuts_takers(sched, job);
    for (size_t i = 0; i < sched->workers.capacity; i++) {
        const struct worker *worker = sched->workers.slots[i].value;

        n += worker && !room_bars(worker) && !map_get(&job->excluded, worker->id) &&
             !cuts_hinder(job, worker->id);
    }
    return n;
}

static void remove_cuts(struct job *job, uint64_t worker)
{
    size_t kept = 0;

    for (size_t i = 0; i < job->cut_count; i++)
        if (job->cuts[i].a != worker && job->cuts[i].b != worker)
            job->cuts[kept++] = job->cuts[i];
    job->cut_count = kept;
}

/* The only worker that may still have tasks of the job; 0 if there are more. */
static uint64_t last_worker(const struct sched *sched, const struct job *job)
{
    uint64_t last = 0;

    if (cuts_takers(sched, job) != 1)
        return 0;
    for (size_t i = 0; i < sched->workers.capacity; i++) {
        const struct worker *worker = sched->workers.slots[i].value;

        if (worker && !room_bars(worker) && !map_get(&job->excluded, worker->id))
            last = worker->id;
    }
    return last;
}

/* The worker of the most cuts that may be set aside, and of how many. */
static uint64_t worst(const struct sched *sched, const struct job *job, size_t *ret_cuts)
{
    uint64_t spared = last_worker(sched, job), found = 0;
    size_t most = 0;

    for (size_t i = 0; i < 2 * job->cut_count; i++) {
        uint64_t id = i % 2 ? job->cuts[i / 2].b : job->cuts[i / 2].a;
        size_t n = id == spared ? 0 : cuts_of(job, id);

        if (n > most || (n && n == most && id > found)) {
            most = n;
            found = id;
        }
    }
    *ret_cuts = most;
    return found;
}

static void revoke_attempts(struct sched *sched, const struct job *job, struct worker *worker)
{
    struct copy *next_copy;
    struct task *next;

    for (struct task *task = worker->running; task; task = next) {
        next = task->next;
        if (task->job == job)
            task_give_back(sched, task);
    }
    for (struct copy *copy = worker->copies; copy; copy = next_copy) {
        next_copy = copy->next;
        if (copy->task->job == job)
            copy_revoke(sched, copy->task);
    }
}

static void set_aside(struct sched *sched, struct job *job, uint64_t id)
{
    struct worker *worker = map_get(&sched->workers, id);
    struct task *next;

    if (!room_bars(worker) && !map_get(&job->excluded, id))
        map_put(&job->excluded, id, &job->excluded);
    remove_cuts(job, id);
    revoke_attempts(sched, job, worker);
    for (struct task *map = worker->outputs; map; map = next) {
        next = map->next;
        if (map->job == job)
            task_output_lost(sched, map);
    }
}

/* Those that were set aside must do, when nobody else is left. */
static void take_back(struct job *job)
{
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; !any && i < job->excluded.capacity; i++)
            if (job->excluded.slots[i].value == &job->excluded) {
                map_remove(&job->excluded, job->excluded.slots[i].key);
                any = true;
            }
    }
}

void cuts_settle(struct sched *sched, struct job *job)
{
    if (job->phase >= JOB_COMMITTING)
        return;
    if (!cuts_takers(sched, job))
        take_back(job);
    while (job->cut_count) {
        size_t cuts;
        uint64_t id = worst(sched, job, &cuts);

        if (cuts < CUTS_MAX && cuts_reducers(sched, job))
            return;
        set_aside(sched, job, id);
    }
}

void cuts_forget(struct sched *sched, struct job *job, uint64_t worker)
{
    remove_cuts(job, worker);
    cuts_settle(sched, job);
}

void cuts_note(struct sched *sched, struct job *job, uint64_t reader, uint64_t holder)
{
    for (size_t i = 0; i < job->cut_count; i++)
        if ((job->cuts[i].a == reader && job->cuts[i].b == holder) ||
            (job->cuts[i].a == holder && job->cuts[i].b == reader))
            return;
    memory_reserve(&job->cuts, &job->cut_capacity, job->cut_count + 1, sizeof *job->cuts);
    job->cuts[job->cut_count++] = (struct cut){reader, holder};
    cuts_settle(sched, job);
}
