/* Who holds the outputs of maps: what workers say, and when nobody says it. */
#include "tests/lib/sim_model_state.h"

void model_held(struct model *model, const struct sched_event *event)
{
    struct model_job *job = model_job(model, event->attempt.job);
    struct model_task *task = model_task(model, &event->attempt);
    struct sched_action answer = {.type = ACTION_DROP,
                                  .job = event->attempt.job,
                                  .worker = event->worker,
                                  .attempt = event->attempt};

    if (!model_worker(model, event->worker))
        return;
    if (!job || job->ended) {
        answer.type = ACTION_RELEASE;
        answer.attempt = (struct sched_attempt){0};
        model_owe(model, model->sequence, &answer);
        return;
    }
    job->given[event->worker] = true;
    if (event->attempt.kind == SCHED_MAP && task && task->answered && !job->committing &&
        task->counted == event->attempt.attempt &&
        !(model->workers[event->worker].draining && task->holder &&
          task->holder != event->worker)) {
        answer.type = ACTION_ADOPTED;
        job->unclaimed -= !task->holder;
        task->holder = event->worker;
        task->age = ++job->age;
        job->barrier = model->sequence;
    }
    model_owe(model, model->sequence, &answer);
}

void model_unclaimed(struct model *model)
{
    for (uint64_t id = 0; id < MODEL_JOBS; id++) {
        struct model_job *job = model->jobs[id];

        for (uint32_t i = 0; job && i < job->counts[SCHED_MAP]; i++) {
            const struct model_task *map = &job->tasks[SCHED_MAP][i];

            if (map->answered && !map->holder && !job->committing && !job->ended)
                model_output_lost(model, (struct sched_attempt){id, SCHED_MAP, i, 0});
        }
    }
}
