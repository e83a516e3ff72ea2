/* Placement: jobs in order of submission, tasks by number, workers that hold nothing first.
 *
 * A CHECK or MAP attempt takes a whole worker, a REDUCE attempt one of its threads. Beyond what
 * it runs a worker holds one task more in hand, so that it need not wait for the next; but only
 * while more tasks are pending than there are workers, so that at the end none waits in one
 * hand while others are empty. */
#include "coordinator/sched/state.h"

static void unlist(struct worker *worker)
{
    struct worker_list *list = worker->list;

    if (!list)
        return;
    if (worker->prev)
        worker->prev->next = worker->next;
    else
        list->first = worker->next;
    if (worker->next)
        worker->next->prev = worker->prev;
    else
        list->last = worker->prev;
    worker->list = NULL;
    worker->prev = worker->next = NULL;
}

void place_unlist(struct worker *worker)
{
    unlist(worker);
}

/* Files a worker by what it holds; at the end of its list, so that workers take turns. */
void place_worker(struct sched *sched, struct worker *worker)
{
    struct worker_list *list = &sched->full;

    if (!worker->whole && !worker->single)
        list = &sched->idle;
    else if (!worker->whole && !worker->alone && worker->single < worker->threads)
        list = &sched->partial;
    if (worker->list == list && list == &sched->full)
        return;
    unlist(worker);
    worker->list = list;
    worker->prev = list->last;
    if (list->last)
        list->last->next = worker;
    else
        list->first = worker;
    list->last = worker;
}

/* The first of a list, or the second if the task had better avoid the first. */
static struct worker *pick(const struct worker_list *list, const struct task *task)
{
    struct worker *worker = list->first;

    if (worker && worker->id == task->avoid && worker->next)
        return worker->next;
    return worker;
}

/* Takes the next pending task of a heap and starts it. */
static struct task *top(struct heap *heap, struct task *tasks)
{
    return heap->count ? &tasks[heap->items[0]] : NULL;
}

static void start_top(struct sched *sched, struct heap *heap, struct task *tasks,
                      struct worker *worker)
{
    task_start(sched, &tasks[heap_pop(heap)], worker);
}

static void place_check(struct sched *sched, struct job *job)
{
    struct worker *worker = pick(&sched->idle, &job->check);

    if (!job->check_pending || !worker)
        return;
    job->check_pending = false;
    task_start(sched, &job->check, worker);
}

/* Tasks that must be alone, and maps: a worker that holds nothing, each. */
static void place_whole(struct sched *sched, struct heap *heap, struct task *tasks)
{
    struct task *task;
    struct worker *worker;

    while ((task = top(heap, tasks)) && (worker = pick(&sched->idle, task)))
        start_top(sched, heap, tasks, worker);
}

static void place_reduces(struct sched *sched, struct job *job)
{
    struct heap *heap = &job->pending[1];
    struct task *task;

    while ((task = top(heap, job->reduces))) {
        struct worker *worker = pick(&sched->idle, task);

        if (!worker)
            worker = pick(&sched->partial, task);
        if (!worker)
            return;
        start_top(sched, heap, job->reduces, worker);
    }
}

/* Whether a full worker has room in hand for one more attempt of the kind that it runs. */
static bool has_hand(const struct worker *worker, enum sched_kind kind)
{
    if (worker->alone)
        return false;
    if (kind == SCHED_MAP)
        return worker->whole == 1 && !worker->single;
    return worker->single == worker->threads && !worker->whole;
}

static void place_in_hands(struct sched *sched, struct heap *heap, struct task *tasks,
                           enum sched_kind kind)
{
    struct worker *next;

    if (heap->count <= sched->workers.count)
        return;
    for (struct worker *worker = sched->full.first; worker; worker = next) {
        next = worker->next;
        if (heap->count <= sched->workers.count)
            return;
        if (has_hand(worker, kind))
            start_top(sched, heap, tasks, worker);
    }
}

void place_all(struct sched *sched)
{
    for (struct job *job = sched->first; job; job = job->next) {
        bool maps_ready = job->maps_done == job->map_count;

        if (job->phase >= JOB_COMMITTING || job->gate > sched->persisted)
            continue;
        place_check(sched, job);
        place_whole(sched, &job->lonely[0], job->maps);
        place_whole(sched, &job->pending[0], job->maps);
        place_in_hands(sched, &job->pending[0], job->maps, SCHED_MAP);
        if (job->phase != JOB_REDUCING || !maps_ready)
            continue;
        place_whole(sched, &job->lonely[1], job->reduces);
        place_reduces(sched, job);
        place_in_hands(sched, &job->pending[1], job->reduces, SCHED_REDUCE);
    }
}
