/* Looks for slow attempts where a copy could be of use: at the end of a phase, when all its
 * tasks are done or run. */
#include "base/clock.h"
#include "base/log.h"
#include "coordinator/core.h"

enum {
    TOLD_AT_ONCE = 16,
    LEASE_SHARE = 5
}; /* nothing younger than a fifth of a lease is slow */

void slow_began(struct job *job, const struct sched_action *action)
{
    stragglers_began(&job->stragglers, action->worker, &action->attempt, clock_ms());
    if (action->copy)
        log_event(LOG_INFO, "copy of a slow attempt", LOG_ID("job", job->id),
                  LOG_NUMBER("reduce", action->attempt.kind == SCHED_REDUCE),
                  LOG_NUMBER("task", action->attempt.task),
                  LOG_NUMBER("attempt", action->attempt.attempt),
                  LOG_ID("worker", action->worker));
}

void slow_heard(struct coordinator *coordinator, const Mr__Heartbeat *heartbeat)
{
    int64_t now_ms = clock_ms();

    for (size_t i = 0; i < heartbeat->n_tasks; i++) {
        const Mr__TaskProgress *told = heartbeat->tasks[i];
        struct sched_attempt attempt = {told->job, (enum sched_kind)told->kind, told->task,
                                        told->attempt};
        struct job *job = core_job(coordinator, told->job);

        if (job)
            stragglers_ticked(&job->stragglers, &attempt, told->ticks, now_ms);
    }
}

static bool runs(void *context, const struct timed *timed)
{
    const struct coordinator *coordinator = context;

    return sched_runs_singly(coordinator->sched, timed->worker, &timed->attempt);
}

static void look_at(struct coordinator *coordinator, const struct job *job,
                    enum sched_kind kind, int64_t now_ms)
{
    struct sched_progress progress = sched_progress(coordinator->sched, job->id);
    struct stragglers_rule rule = {
        .kind = kind,
        .tasks = kind == SCHED_REDUCE ? progress.reduces : progress.maps,
        .least_ms = coordinator->options.lease_ms / LEASE_SHARE,
        .now_ms = now_ms,
        .context = coordinator,
        .runs = runs,
    };
    struct sched_attempt slow[TOLD_AT_ONCE];
    size_t n = stragglers_find(&job->stragglers, &rule, slow, TOLD_AT_ONCE);

    for (size_t i = 0; i < n; i++) {
        struct sched_event event = {.type = EVENT_STRAGGLER, .attempt = slow[i]};

        core_post(coordinator, &event);
    }
}

long slow_look(struct coordinator *coordinator)
{
    int64_t now_ms = clock_ms(), pause_ms = coordinator->options.heartbeat_ms;
    bool due = now_ms - coordinator->looked_ms >= pause_ms, any = false;
    enum sched_kind kind;

    for (size_t i = 0; i < coordinator->job_count; i++) {
        const struct job *job = coordinator->jobs[i];

        if (job->result || !sched_tail(coordinator->sched, job->id, &kind))
            continue;
        any = true;
        if (due)
            look_at(coordinator, job, kind, now_ms);
    }
    if (due)
        coordinator->looked_ms = now_ms;
    return any ? (long)pause_ms : -1;
}
