/* Which job is next. At most `active_max` jobs run; the others wait in lines, one a priority.
 *
 * Jobs that run share the threads of the workers by weight, 2^priority, as in Hadoop's fair
 * scheduler: what is free goes to the job that would then hold the least for its weight. Where
 * a job's share is less than one worker that would mean nothing at all for ever. So a job that
 * holds nothing goes first once the others were given as much more, by weight, as it would get
 * (stride scheduling: Waldspurger, Weihl 1995). Among equals the one goes first that was not
 * served for the longest time, then the one that was submitted first.
 *
 * Nothing that runs is stopped for another job. But a worker is kept for a job that has less
 * than its share and finds no room: it gets nothing more, gives back what it has in hand, and
 * is free when what it runs has ended. (YARN calls that a reservation.)
 *
 * Every decision looks at all jobs that run, and at no worker or task that it does not use. */
#include <stdlib.h>

#include "base/memory.h"
#include "coordinator/sched/state.h"

enum { LOOKS = 8 }; /* at workers of one job, for one that may be kept */

/* ---- The lines ---- */

void share_queue(struct sched *sched, struct job *job)
{
    struct line *line = &sched->lines[job->priority];

    job->queued = true;
    job->ticket = line->base + ++line->count;
    job->before = line->last;
    if (line->last)
        line->last->behind = job;
    else
        line->first = job;
    line->last = job;
}

static void leave_line(struct sched *sched, struct job *job)
{
    struct line *line = &sched->lines[job->priority];

    if (!job->queued)
        return;
    job->queued = false;
    if (job == line->first)
        line->base = job->ticket;
    else
        for (struct job *behind = job->behind; behind; behind = behind->behind)
            behind->ticket--;
    if (job->before)
        job->before->behind = job->behind;
    else
        line->first = job->behind;
    if (job->behind)
        job->behind->before = job->before;
    else
        line->last = job->before;
    job->before = job->behind = NULL;
    line->count--;
}

uint32_t sched_queued(const struct sched *sched, uint64_t id, uint32_t *ret_running)
{
    const struct job *job = map_get(&sched->jobs, id);
    uint64_t place;

    *ret_running = (uint32_t)sched->active_count;
    if (!job || !job->queued)
        return 0;
    place = job->ticket - sched->lines[job->priority].base;
    for (uint32_t above = job->priority + 1; above < SCHED_PRIORITIES; above++)
        place += sched->lines[above].count;
    return (uint32_t)place;
}

void share_begin(struct sched *sched, struct job *job)
{
    uint64_t least = UINT64_MAX;

    leave_line(sched, job);
    for (size_t i = 0; i < sched->active_count; i++)
        if (sched->active[i]->pass < least)
            least = sched->active[i]->pass;
    /* It has no claim on what was given out before. */
    job->pass = least == UINT64_MAX ? 0 : least;
    job->active = true;
    memory_reserve(&sched->active, &sched->active_capacity, sched->active_count + 1,
                   sizeof *sched->active);
    sched->active[sched->active_count++] = job;
    job_advance(sched, job);
}

void share_end(struct sched *sched, struct job *job)
{
    size_t kept = 0;

    leave_line(sched, job);
    if (!job->active)
        return;
    job->active = false;
    for (size_t i = 0; i < sched->active_count; i++)
        if (sched->active[i] != job)
            sched->active[kept++] = sched->active[i];
    sched->active_count = kept;
}

static struct job *first_in_line(const struct sched *sched)
{
    for (int priority = SCHED_PRIORITIES - 1; priority >= 0; priority--)
        if (sched->lines[priority].first)
            return sched->lines[priority].first;
    return NULL;
}

void share_admit(struct sched *sched)
{
    struct job *job;

    while (sched->active_count < sched->active_max && (job = first_in_line(sched)))
        share_begin(sched, job);
}

/* ---- Whose turn it is ---- */

bool share_wants(const struct sched *sched, const struct job *job)
{
    if (job->phase >= JOB_COMMITTING || job->gate > sched->persisted ||
        !cuts_takers(sched, job))
        return false;
    return job->prelude || job->waiting[0] || job->waiting_alone[0] ||
           (place_maps_ready(job) && (job->waiting[1] || job->waiting_alone[1]));
}

/* Whether what it would take next are reduces. */
static bool reduces_next(const struct job *job)
{
    return !job->prelude && !job->waiting[0] && !job->waiting_alone[0];
}

/* What it would take next: threads. */
static uint64_t next_slots(const struct sched *sched, const struct job *job)
{
    return reduces_next(job) ? 1 : sched->widest;
}

/* Threads for its weight. */
static uint64_t by_weight(const struct job *job, uint64_t threads)
{
    return threads << (SCHED_PRIORITIES - 1 - job->priority);
}

void share_charge(struct sched *sched, struct job *job, uint64_t threads)
{
    job->pass += by_weight(job, threads);
    job->turn = ++sched->turns;
}

/* Whether `a` holds nothing, and `b` was given so much more that it is a's turn. */
static bool is_owed(const struct sched *sched, const struct job *a, const struct job *b)
{
    return !a->slots && b->slots && a->pass + by_weight(a, next_slots(sched, a)) <= b->pass;
}

static bool goes_before(const struct sched *sched, const struct job *a, const struct job *b)
{
    uint64_t of_a = by_weight(a, a->slots + next_slots(sched, a));
    uint64_t of_b = by_weight(b, b->slots + next_slots(sched, b));
    bool a_owed = is_owed(sched, a, b), b_owed = is_owed(sched, b, a);

    if (a_owed != b_owed)
        return a_owed;
    if (of_a != of_b && (a->slots || b->slots))
        return of_a < of_b;
    return a->pass != b->pass ? a->pass < b->pass : a->turn < b->turn;
}

struct job *share_next(const struct sched *sched, bool stuck)
{
    struct job *best = NULL;

    for (size_t i = 0; i < sched->active_count; i++) {
        struct job *job = sched->active[i];

        if ((job->stuck == sched->step) == stuck && share_wants(sched, job) &&
            (!best || goes_before(sched, job, best)))
            best = job;
    }
    return best;
}

/* ---- Workers that are kept for a job ---- */

static struct job *richest_but(const struct sched *sched, const struct job *poor)
{
    struct job *best = NULL;

    for (size_t i = 0; i < sched->active_count; i++) {
        struct job *job = sched->active[i];

        if (job != poor && job->slots &&
            (!best || by_weight(job, job->slots) > by_weight(best, best->slots)))
            best = job;
    }
    return best;
}

bool share_is_contested(const struct sched *sched)
{
    int n = 0;

    for (size_t i = 0; i < sched->active_count && n < 2; i++)
        n += share_wants(sched, sched->active[i]);
    return n == 2;
}

void share_release(struct sched *sched)
{
    while (sched->kept.first) {
        struct worker *worker = sched->kept.first;

        place_unkeep(sched, worker);
        place_worker(sched, worker);
    }
}

/* What waits in the worker's hands goes back. Attempts begin in the order in which they came,
 * so it is the last one. */
static bool empty_hand(struct sched *sched, struct worker *worker)
{
    if (worker->whole < 2 && worker->single <= worker->threads)
        return false;
    task_give_back(sched, worker->running);
    return true;
}

static bool keep(struct sched *sched, struct worker *worker)
{
    worker->kept = true;
    sched->kept_count++;
    sched->kept_threads += worker->threads;
    place_worker(sched, worker);
    return empty_hand(sched, worker);
}

static struct worker *look(const struct worker_list *list, const struct job *poor,
                           const struct job *rich)
{
    struct worker *worker = list->first;

    for (int i = 0; worker && i < LOOKS; i++, worker = worker->next)
        if (worker->running && worker->running->job == rich &&
            place_may_have(poor, worker, reduces_next(poor)))
            return worker;
    return NULL;
}

static struct worker *worker_of(const struct sched *sched, const struct job *poor,
                                const struct job *rich)
{
    struct worker *worker = look(&rich->handy, poor, rich);

    if (!worker)
        worker = look(&rich->full, poor, rich);
    return worker ? worker : look(&sched->partial, poor, rich);
}

bool share_keep(struct sched *sched, struct job *job)
{
    bool whole =
        job->prelude || job->waiting[0] || job->waiting_alone[0] || job->waiting_alone[1];
    uint32_t need = whole ? (job->prelude != NULL) + job->waiting[0] + job->waiting_alone[0] +
                                job->waiting_alone[1]
                          : (job->waiting[1] + sched->widest - 1) / sched->widest;
    struct job *rich = richest_but(sched, job);
    bool given = false;

    for (; rich && sched->kept_count < need; rich = richest_but(sched, job)) {
        struct worker *worker = worker_of(sched, job, rich);
        uint64_t then = job->slots + sched->kept_threads;

        /* A reducer needs one thread, and where others reduce one will soon be free. */
        if (!worker || (!whole && !worker->whole))
            break;
        if (then && by_weight(job, then + worker->threads) > by_weight(rich, rich->slots))
            break;
        given = keep(sched, worker) || given;
    }
    return given;
}
