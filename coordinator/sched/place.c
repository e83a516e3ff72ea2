/* Placement: what is free goes to the job whose turn it is (share.c), of its tasks the one with
 * the lowest number, on a worker that holds nothing if there is one.
 *
 * A CHECK, SAMPLE or MAP attempt takes a whole worker, a REDUCE attempt one of its threads.
 * Beyond what it runs a worker holds one task of the same job more in hand, so that it need not
 * wait for the next; but only while more tasks are pending than there are workers that may have
 * them, so that at the end none waits in one hand while others are empty, and only while no
 * other job's turn comes first.
 *
 * Each part has a home, a worker that may have fetched for it while the maps ran. A worker
 * takes the parts whose home it is first, and leaves to others theirs while they have room, but
 * none waits for its home while another worker has room.
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

/* Whether a worker that has no free thread has room in hand for one more attempt of the kind
 * that it runs. */
static bool has_hand(const struct worker *worker)
{
    if (worker->alone || worker->copies)
        return false;
    return worker->whole ? worker->whole == 1 && !worker->single
                         : worker->single == worker->threads;
}

/* The list that a worker belongs to by what it holds. */
static struct worker_list *list_of(struct sched *sched, struct worker *worker)
{
    struct job *job;

    if (room_bars(worker))
        return &sched->draining;
    if (!worker->whole && !worker->single)
        return &sched->idle;
    if (worker->kept)
        return &sched->kept;
    if (!worker->whole && !worker->alone && worker->single < worker->threads)
        return &sched->partial;
    job = worker->running ? worker->running->job : worker->copies->task->job;
    return has_hand(worker) ? &job->handy : &job->full;
}

void place_unkeep(struct sched *sched, struct worker *worker)
{
    if (!worker->kept)
        return;
    worker->kept = false;
    sched->kept_count--;
    sched->kept_threads -= worker->threads;
}

/* Files a worker; at the end of its list, so that workers take turns. */
void place_worker(struct sched *sched, struct worker *worker)
{
    struct worker_list *list = list_of(sched, worker);

    if (list == &sched->idle)
        place_unkeep(sched, worker);
    if (worker->list == list && list == &sched->draining)
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

bool place_may_have(const struct job *job, const struct worker *worker, bool reduces)
{
    return !(job->excluded.count && map_get(&job->excluded, worker->id)) &&
           !(reduces && cuts_hinder(job, worker->id));
}

struct worker *place_seeing(const struct job *job, struct worker *worker, bool reduces)
{
    while (worker && !place_may_have(job, worker, reduces))
        worker = worker->next;
    return worker;
}

bool place_maps_ready(const struct job *job)
{
    return job->phase == JOB_REDUCING && job->maps_done == job->map_count && !job->unclaimed;
}

/* The first of the list that may have the task, or the second if it had better avoid the first.
 */
static struct worker *choose(const struct worker_list *list, const struct task *task)
{
    bool reduces = task->kind == SCHED_REDUCE;
    struct worker *worker = place_seeing(task->job, list->first, reduces), *second;

    if (!worker || worker->id != task->avoid)
        return worker;
    second = place_seeing(task->job, worker->next, reduces);
    return second ? second : worker;
}

/* The next pending task of a heap. Some were taken from elsewhere than the top. */
static struct task *top(struct heap *heap, struct task *tasks, bool alone)
{
    while (heap->count) {
        struct task *task = &tasks[heap->items[0]];

        if (task->state == TASK_PENDING && task->alone == alone)
            return task;
        heap_pop(heap);
    }
    return NULL;
}

/* ---- Homes ---- */

static uint32_t add_homes(struct job *job, const struct worker_list *list, uint32_t count)
{
    for (struct worker *worker = place_seeing(job, list->first, false);
         worker && count < job->reduce_count; worker = place_seeing(job, worker->next, false)) {
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
    job->home_count = add_homes(job, &sched->kept, job->home_count);
    for (size_t i = 0; i < sched->active_count; i++) {
        job->home_count = add_homes(job, &sched->active[i]->handy, job->home_count);
        job->home_count = add_homes(job, &sched->active[i]->full, job->home_count);
    }
}

/* The first pending reduce whose home the worker is; NULL: none that it had better take. */
static struct task *home_task(const struct job *job, const struct worker *worker)
{
    struct home *home = job->home_count ? map_get(&job->home_of, worker->id) : NULL;
    struct task *task;

    if (!home || !place_may_have(job, worker, true))
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

    if (task)
        task_start(sched, task, worker);
    return task != NULL;
}

/* The part's home, if it has room for it. */
static struct worker *free_home(const struct sched *sched, const struct task *task)
{
    struct job *job = task->job;
    struct worker *worker;

    if (!job->home_count)
        return NULL;
    worker = map_get(&sched->workers, job->homes[task->number % job->home_count].worker);
    if (!worker || worker->id == task->avoid || !place_may_have(job, worker, true) ||
        (worker->list != &sched->idle && worker->list != &sched->partial))
        return NULL;
    return worker;
}

/* One reduce that may run beside others. */
static bool place_reduce(struct sched *sched, struct job *job)
{
    struct task *task = top(&job->pending[1], job->reduces, false);
    struct worker *worker, *home;

    if (!task)
        return false;
    worker = choose(&sched->idle, task);
    if (!worker)
        worker = choose(&sched->partial, task);
    if (!worker)
        return false;
    if (start_home(sched, job, worker))
        return true;
    home = free_home(sched, task);
    task_start(sched, task, home ? home : worker);
    return true;
}

static bool place_whole(struct sched *sched, struct task *task)
{
    struct worker *worker = task ? choose(&sched->idle, task) : NULL;

    if (worker)
        task_start(sched, task, worker);
    return worker != NULL;
}

/* One task of the job, where there is room; false when there is none. */
static bool place_one(struct sched *sched, struct job *job)
{
    if (place_whole(sched, job->prelude) ||
        place_whole(sched, top(&job->lonely[0], job->maps, true)) ||
        place_whole(sched, top(&job->pending[0], job->maps, false)))
        return true;
    return place_maps_ready(job) &&
           (place_whole(sched, top(&job->lonely[1], job->reduces, true)) ||
            place_reduce(sched, job));
}

/* One task of the job, in the hand of a worker that runs another; false when none may be. */
static bool place_in_hand(struct sched *sched, struct job *job)
{
    struct worker *worker = job->handy.first;
    struct task *task;
    bool reduces;

    while (worker && !place_may_have(job, worker, !worker->whole))
        worker = worker->next;
    if (!worker)
        return false;
    reduces = !worker->whole;
    if (job->waiting[reduces] <=
            (reduces ? cuts_reducers(sched, job) : cuts_takers(sched, job)) ||
        (reduces && !place_maps_ready(job)))
        return false;
    task = top(&job->pending[reduces], reduces ? job->reduces : job->maps, false);
    if (!reduces || !start_home(sched, job, worker))
        task_start(sched, task, worker);
    return true;
}

/* Fills what is free; jobs that could use more are stuck then. */
static void fill_free(struct sched *sched)
{
    struct job *job;

    sched->step++;
    while ((job = share_next(sched, false)))
        if (!place_one(sched, job))
            job->stuck = sched->step;
}

void place_all(struct sched *sched)
{
    struct job *job;

    share_admit(sched);
    fill_free(sched);
    if (sched->kept_count && !share_is_contested(sched)) {
        share_release(sched);
        fill_free(sched);
    }
    while ((job = share_next(sched, true)) && place_in_hand(sched, job))
        ;
    /* What others gave back may go where that job cannot. */
    if (job && share_keep(sched, job))
        fill_free(sched);
}
