/* Who holds the outputs of accepted maps. A copy is as good as the original: whoever said last
 * that it has one is who is asked for it. An output that nobody holds can still be claimed,
 * until it is decided that nobody will; meanwhile no reduce of its job is given out. */
#include "coordinator/sched/state.h"

bool holder_is_needed(const struct task *map)
{
    return map->job->phase == JOB_MAPPING || map->job->phase == JOB_REDUCING;
}

void holder_set(struct task *map, struct worker *worker)
{
    map->worker = worker;
    task_list_add(&worker->outputs, map);
}

/* Whether that attempt is the one of its map that counts, and will still be read. */
static bool counts(const struct task *map, const struct sched_attempt *attempt)
{
    return map && map->kind == SCHED_MAP && map->state == TASK_DONE &&
           map->attempt == attempt->attempt && holder_is_needed(map);
}

static void adopt(struct sched *sched, struct task *map, struct worker *worker)
{
    struct job *job = map->job;

    job->unclaimed -= !map->worker;
    task_forget_output(map);
    holder_set(map, worker);
    /* Who complains of the old place will find the new one. */
    map->age = ++job->age;
    /* Behind its acceptance, and before any reducer that would look for it elsewhere. */
    job->gate = sched->sequence;
}

void holder_said(struct sched *sched, const struct sched_event *event)
{
    struct worker *worker = map_get(&sched->workers, event->worker);
    struct job *job = map_get(&sched->jobs, event->attempt.job);
    struct task *map = task_find(sched, &event->attempt);
    struct sched_action answer = {.type = ACTION_ADOPTED,
                                  .job = event->attempt.job,
                                  .worker = event->worker,
                                  .attempt = event->attempt};

    if (!worker)
        return;
    if (!job || job->phase >= JOB_ENDING) {
        answer.type = ACTION_RELEASE;
        answer.attempt = (struct sched_attempt){0};
    } else {
        /* It has files of the job, and must hear of its end. */
        map_put(&job->workers, worker->id, worker);
        /* One that leaves itself is no better than who has it. */
        if (counts(map, &event->attempt) &&
            !(worker->draining && map->worker && map->worker != worker))
            adopt(sched, map, worker);
        else
            answer.type = ACTION_DROP;
    }
    /* What is not on disk yet may come to nothing, and the output be needed after all. */
    gate_hold(sched, sched->sequence, &answer);
}

void holder_unclaimed(struct sched *sched)
{
    for (struct job *job = sched->first; job; job = job->next) {
        for (uint32_t i = 0; i < job->map_count && job->unclaimed; i++)
            if (job->maps[i].state == TASK_DONE && !job->maps[i].worker &&
                holder_is_needed(&job->maps[i]))
                task_output_lost(sched, &job->maps[i]);
        /* Those that came back are its homes. */
        if (job->reduce_count && !job->homes && job->phase < JOB_COMMITTING)
            place_homes(sched, job);
    }
}
