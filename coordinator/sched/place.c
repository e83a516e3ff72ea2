/* Placement: jobs in order of submission, tasks by number, workers that hold nothing first.
 *
 * A CHECK, SAMPLE or MAP attempt takes a whole worker, a REDUCE attempt one of its threads.
 * Beyond what it runs a worker holds one task more in hand, so that it need not wait for the
 * next; but only while more tasks are pending than there are workers that may have them, so
 * that at the end none waits in one hand while others are empty.
 *
 * Each part has a home, a worker that may have fetched for it while the maps ran. A worker
 * takes the parts whose home it is first, but none waits for its home while another worker has
 * room.
 */
#include "base/memory.h"
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

    if (worker->draining)
        list = &sched->draining;
    else if (!worker->whole && !worker->single)
        list = &sched->idle;
    else if (!worker->whole && !worker->alone && worker->single < worker->threads)
        list = &sched->partial;
    if (worker->list == list && (list == &sched->full || list == &sched->draining))
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

static bool may_have(const struct job *job, const struct worker *worker, bool reduces)
{
    return !(job->excluded.count && map_get(&job->excluded, worker->id)) &&
           !(reduces && cuts_hinder(job, worker->id));
}

/* The first worker from here on that may have tasks of the job. */
static struct worker *seeing(const struct job *job, struct worker *worker, bool reduces)
{
    while (worker && !may_have(job, worker, reduces))
        worker = worker->next;
    return worker;
}

/* The next two of a list that may have tasks of a job. It goes along the list but once: those
 * that may not are passed over once in a step, however many tasks there are to place. */
struct row {
    const struct job *job;
    bool reduces;
    struct worker *first, *second;
};

static struct row row_of(const struct job *job, const struct worker_list *list, bool reduces)
{
    struct row row = {
        .job = job, .reduces = reduces, .first = seeing(job, list->first, reduces)};

    if (row.first)
        row.second = seeing(job, row.first->next, reduces);
    return row;
}

/* Takes the first, or the second if the task had better avoid the first. */
static struct worker *take(struct row *row, const struct task *task)
{
    struct worker *worker = row->first;

    if (worker && row->second && worker->id == task->avoid)
        worker = row->second;
    else
        row->first = row->second;
    if (row->second)
        row->second = seeing(row->job, row->second->next, row->reduces);
    return worker;
}

/* A worker that was taken is at the end of the list again. */
static void put_back(struct row *row, struct worker *worker)
{
    if (!row->first)
        row->first = worker;
    else if (!row->second)
        row->second = worker;
}

/* The next pending task of a heap. */
static struct task *top(struct heap *heap, struct task *tasks)
{
    return heap->count ? &tasks[heap->items[0]] : NULL;
}

static void start_top(struct sched *sched, struct heap *heap, struct task *tasks,
                      struct worker *worker)
{
    task_start(sched, &tasks[heap_pop(heap)], worker);
}

static void place_prelude(struct sched *sched, struct job *job, struct row *idle)
{
    struct task *task = job->prelude;
    struct worker *worker;

    if (!task || !(worker = take(idle, task)))
        return;
    job->prelude = NULL;
    task_start(sched, task, worker);
}

/* Tasks that must be alone, and maps: a worker that holds nothing, each. */
static void place_whole(struct sched *sched, struct row *idle, struct heap *heap,
                        struct task *tasks)
{
    struct task *task;
    struct worker *worker;

    while ((task = top(heap, tasks)) && (worker = take(idle, task)))
        start_top(sched, heap, tasks, worker);
}

/* ---- Homes ---- */

static uint32_t add_homes(struct job *job, const struct worker_list *list, uint32_t count)
{
    for (struct worker *worker = seeing(job, list->first, false);
         worker && count < job->reduce_count; worker = seeing(job, worker->next, false)) {
        job->homes[count] = (struct home){.worker = worker->id, .next = count};
        map_put(&job->home_of, worker->id, &job->homes[count]);
        count++;
    }
    return count;
}

/* Those that hold nothing come first: where parts are few, they are theirs. */
void place_homes(const struct sched *sched, struct job *job)
{
    uint32_t room = job->reduce_count;

    if (sched->workers.count < room)
        room = (uint32_t)sched->workers.count;
    job->homes = memory_zeroed(room + 1UL, sizeof *job->homes);
    job->home_count = add_homes(job, &sched->idle, 0);
    job->home_count = add_homes(job, &sched->partial, job->home_count);
    job->home_count = add_homes(job, &sched->full, job->home_count);
}

/* The first pending reduce whose home the worker is; NULL: none that it had better take. */
static struct task *home_task(const struct job *job, const struct worker *worker)
{
    struct home *home = job->home_count ? map_get(&job->home_of, worker->id) : NULL;
    struct task *task;

    if (!home || !may_have(job, worker, true))
        return NULL;
    for (; home->next < job->reduce_count; home->next += job->home_count) {
        task = &job->reduces[home->next];
        if (task->state == TASK_PENDING && !task->alone)
            return task->avoid == worker->id ? NULL : task;
    }
    return NULL;
}

/* Gives the worker one of its parts; false when it has none. */
static bool start_home(struct sched *sched, struct job *job, struct worker *worker)
{
    struct task *task = home_task(job, worker);

    if (!task)
        return false;
    heap_remove(&job->pending[1], task->number);
    task_start(sched, task, worker);
    return true;
}

/* The parts of those that have room, in turns. A worker that was given one stands at the end of
 * the list, or in another. */
static void place_at_home(struct sched *sched, struct job *job, const struct worker_list *list)
{
    struct worker *next;

    for (struct worker *worker = list->first; worker && job->pending[1].count; worker = next) {
        next = worker->next;
        if (start_home(sched, job, worker) && !next && worker->list == list)
            next = worker;
    }
}

static void place_reduces(struct sched *sched, struct job *job, struct row *idle)
{
    struct heap *heap = &job->pending[1];
    struct task *task;
    struct worker *worker;
    struct row partial;

    place_at_home(sched, job, &sched->idle);
    place_at_home(sched, job, &sched->partial);
    *idle = row_of(job, &sched->idle, true);
    place_whole(sched, idle, heap, job->reduces);
    partial = row_of(job, &sched->partial, true);
    while ((task = top(heap, job->reduces)) && (worker = take(&partial, task))) {
        start_top(sched, heap, job->reduces, worker);
        if (worker->list == &sched->partial)
            put_back(&partial, worker);
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

static void place_in_hands(struct sched *sched, struct job *job, struct heap *heap,
                           struct task *tasks, enum sched_kind kind)
{
    size_t takers = kind == SCHED_REDUCE ? cuts_reducers(sched, job) : cuts_takers(sched, job);
    struct worker *next;

    if (heap->count <= takers)
        return;
    for (struct worker *worker = sched->full.first; worker; worker = next) {
        next = worker->next;
        if (heap->count <= takers)
            return;
        if (!has_hand(worker, kind) || !may_have(job, worker, kind == SCHED_REDUCE))
            continue;
        if (kind != SCHED_REDUCE || !start_home(sched, job, worker))
            start_top(sched, heap, tasks, worker);
    }
}

void place_all(struct sched *sched)
{
    for (struct job *job = sched->first; job; job = job->next) {
        bool maps_ready = job->maps_done == job->map_count && !job->unclaimed;
        struct row idle;

        if (job->phase >= JOB_COMMITTING || job->gate > sched->persisted)
            continue;
        idle = row_of(job, &sched->idle, false);
        place_prelude(sched, job, &idle);
        place_whole(sched, &idle, &job->lonely[0], job->maps);
        place_whole(sched, &idle, &job->pending[0], job->maps);
        place_in_hands(sched, job, &job->pending[0], job->maps, SCHED_MAP);
        if (job->phase != JOB_REDUCING || !maps_ready)
            continue;
        idle = row_of(job, &sched->idle, true);
        place_whole(sched, &idle, &job->lonely[1], job->reduces);
        place_reduces(sched, job, &idle);
        place_in_hands(sched, job, &job->pending[1], job->reduces, SCHED_REDUCE);
    }
}
