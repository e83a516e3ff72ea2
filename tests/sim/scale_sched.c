/* What a decision of the scheduler costs: 10,000 workers, jobs of 100,000 and of 1,000,000
 * tasks, random ends, failures, losses and slow attempts. Prints the processor time of the
 * steps alone; ten times the tasks should take about ten times as long. Nothing is
 * judged by a clock, but a job that does not end makes the status 1. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "base/rng.h"
#include "coordinator/sched/sched.h"

enum { WORKERS = 10000, THREADS = 8, JOBS = 8 };

struct run {
    uint64_t worker;
    struct sched_attempt attempt;
};

struct scale {
    struct rng rng;
    struct sched *sched;
    struct run *runs;
    size_t count, capacity;
    uint64_t next_worker, events, longest_ns, ns, finished, asked;
    uint32_t maps, reduces;
};

static bool unfinished;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void tell(struct scale *scale, struct sched_event event);

static void carry(struct scale *scale, const struct sched_action *action)
{
    struct sched_event event = {.job = action->job};

    switch (action->type) {
    case ACTION_PERSIST:
        scale->asked = action->sequence;
        return;
    case ACTION_ASSIGN:
        memory_reserve(&scale->runs, &scale->capacity, scale->count + 1, sizeof *scale->runs);
        scale->runs[scale->count++] = (struct run){action->worker, action->attempt};
        return;
    case ACTION_PLAN:
        event.type = EVENT_JOB_PLANNED;
        event.maps = scale->maps;
        event.reduces = scale->reduces;
        break;
    case ACTION_COMMIT:
        event.type = EVENT_JOB_COMMITTED;
        break;
    case ACTION_FINISHED:
        scale->finished++;
        return;
    default:
        return;
    }
    tell(scale, event);
}

static void step(struct scale *scale, struct sched_event event)
{
    struct sched_actions actions = {0};
    uint64_t began = now_ns(), took;

    sched_step(scale->sched, &event, &actions);
    took = now_ns() - began;
    scale->ns += took;
    scale->events++;
    if (took > scale->longest_ns)
        scale->longest_ns = took;
    for (size_t i = 0; i < actions.count; i++)
        carry(scale, &actions.items[i]);
    sched_actions_done(&actions);
}

static void tell(struct scale *scale, struct sched_event event)
{
    uint64_t before = scale->asked;

    step(scale, event);
    if (scale->asked > before)
        step(scale, (struct sched_event){.type = EVENT_PERSISTED, .sequence = scale->asked});
}

static void join(struct scale *scale)
{
    tell(scale, (struct sched_event){.type = EVENT_WORKER_JOINED,
                                     .worker = ++scale->next_worker,
                                     .threads = THREADS});
}

/* Something happens to an attempt that was handed out; it may have been revoked since. */
static void happen(struct scale *scale)
{
    size_t i = rng_below(&scale->rng, scale->count);
    struct run run = scale->runs[i];
    struct sched_event event = {
        .type = EVENT_TASK_DONE, .worker = run.worker, .attempt = run.attempt};
    uint64_t chance = rng_below(&scale->rng, 10000);

    if (chance < 100) {
        event.type = EVENT_STRAGGLER;
        tell(scale, event);
        return;
    }
    scale->runs[i] = scale->runs[--scale->count];
    if (chance < 105) {
        tell(scale, (struct sched_event){.type = EVENT_WORKER_LOST, .worker = run.worker});
        join(scale);
        return;
    }
    if (chance < 200) {
        event.type = EVENT_TASK_FAILED;
        event.code = ERROR_LOST;
    }
    tell(scale, event);
}

static uint64_t measure(uint32_t tasks, int jobs)
{
    struct scale scale = {.rng.state = 1, .sched = sched_new()};
    uint64_t ns;

    scale.reduces = 1024;
    scale.maps = tasks / (uint32_t)jobs - scale.reduces;
    for (int i = 0; i < WORKERS; i++)
        join(&scale);
    for (uint64_t id = 1; id <= (uint64_t)jobs; id++)
        tell(&scale, (struct sched_event){
                         .type = EVENT_JOB_SUBMITTED, .job = id, .priority = 3 + id % 4});
    while (scale.finished < (uint64_t)jobs && scale.count)
        happen(&scale);
    printf("%8u tasks in %d job%s: %9llu events, %6.0f ns each, %8.1f ms in all, the longest "
           "step %.2f ms%s\n",
           tasks, jobs, jobs > 1 ? "s" : " ", (unsigned long long)scale.events,
           (double)scale.ns / (double)scale.events, (double)scale.ns / 1e6,
           (double)scale.longest_ns / 1e6,
           scale.finished == (uint64_t)jobs ? "" : "  NOT FINISHED");
    fflush(stdout);
    unfinished = unfinished || scale.finished < (uint64_t)jobs;
    ns = scale.ns;
    sched_free(scale.sched);
    free(scale.runs);
    return ns;
}

int main(void)
{
    for (int jobs = 1; jobs <= JOBS; jobs *= JOBS) {
        uint64_t small = measure(100000, jobs), large = measure(1000000, jobs);

        printf("ten times the tasks: %.1f times the time\n", (double)large / (double)small);
    }
    return unfinished;
}
