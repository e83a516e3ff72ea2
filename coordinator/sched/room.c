/* Workers without room on their scratch disk. One on whose disk a task could not write is full:
 * it is given nothing more, and gives back what it only holds in hand; what it runs goes on,
 * and what it holds is read. It is like the others again when somebody says that it has room.
 * When all are full and nothing runs that could end, somebody may say that there will be no
 * room. */
#include "coordinator/sched/state.h"

bool room_bars(const struct worker *worker)
{
    return worker->draining || worker->full;
}

void room_gone(struct sched *sched, struct worker *worker)
{
    if (!worker || room_bars(worker))
        return;
    worker->full = true;
    sched->full_count++;
    sched->threads -= worker->threads;
    place_unkeep(sched, worker);
    retire_empty_hand(sched, worker);
    place_worker(sched, worker);
    for (struct job *job = sched->first; job; job = job->next) {
        map_remove(&job->excluded, worker->id); /* it finds out anew */
        cuts_settle(sched, job);
    }
}

/* It no longer counts as full; its threads are as they were while it was. */
void room_forget(struct sched *sched, struct worker *worker)
{
    sched->full_count -= worker->full;
    worker->full = false;
}

void room_again(struct sched *sched, const struct sched_event *event)
{
    struct worker *worker = map_get(&sched->workers, event->worker);

    if (!worker || !worker->full)
        return;
    room_forget(sched, worker);
    sched->threads += worker->threads;
    place_worker(sched, worker);
}

void room_none(struct sched *sched, struct job *job)
{
    if (sched_waits(sched, job->id) == SCHED_WAITS_ROOM)
        job_end(sched, job, SCHED_FAILED, ERROR_SPACE, NULL);
}

bool sched_is_full(const struct sched *sched, uint64_t id)
{
    const struct worker *worker = map_get(&sched->workers, id);

    return worker && worker->full;
}
