/* Workers that say that they have the outputs of maps: those of before, or others' that they
 * took over. What counts is used from where it is now, the rest they are told to drop. */
#include <limits.h>

#include "coordinator/core.h"

static void close_job(struct coordinator *coordinator, uint64_t worker, uint64_t job)
{
    Mr__JobClose message = MR__JOB_CLOSE__INIT;

    message.job = job;
    core_send(coordinator, worker, FRAME_JOB_CLOSE, &message.base);
}

void holders_said(struct coordinator *coordinator, uint64_t worker, const Mr__Held *held)
{
    struct job *job = core_job(coordinator, held->job);

    if (!job || job->result) {
        close_job(coordinator, worker, held->job);
        return;
    }
    for (size_t i = 0; i < held->n_outputs; i++) {
        const Mr__MapOutput *output = held->outputs[i];
        struct sched_event event = {
            .type = EVENT_OUTPUT_HELD,
            .worker = worker,
            .attempt = {held->job, SCHED_MAP, output->task, output->attempt}};

        if (output->path.len < PATH_MAX && job_claimed(job, worker, output))
            core_post(coordinator, &event);
        else
            core_revoke(coordinator, worker, &event.attempt);
    }
}

void holders_adopted(struct coordinator *coordinator, struct job *job,
                     const struct sched_action *action)
{
    job_adopt(job, action->worker, &action->attempt,
              members_holder(coordinator, action->worker));
    drain_adopted(coordinator, job, action);
}
