/* What the model knows of workers whose disk is full: they get nothing, and give back what they
 * have not begun, until they have room; and when nobody has any, a job may be told so. */
#include <inttypes.h>

#include "tests/lib/sim_model_state.h"

bool model_is_barred(const struct model_worker *worker)
{
    return worker->draining || worker->full;
}

static void count(struct model *model, const struct model_worker *worker, int change)
{
    if (model_is_idle(worker))
        model->idle += (uint32_t)change;
    else if (model_is_partial(worker))
        model->partial += (uint32_t)change;
    model->living += (uint32_t)change;
    model->threads += (uint32_t)change * worker->threads;
}

void model_bar(struct model *model, uint64_t id)
{
    count(model, &model->workers[id], -1);
}

void model_unbar(struct model *model, uint64_t id)
{
    count(model, &model->workers[id], 1);
}

void model_filled(struct model *model, uint64_t id)
{
    struct model_worker *worker = model_worker(model, id);

    if (!worker || model_is_barred(worker))
        return;
    model_bar(model, id);
    worker->full = true;
    model->full++;
    model->filled = id;
    for (uint64_t j = 0; j < MODEL_JOBS; j++) {
        struct model_job *job = model->jobs[j];

        if (!job)
            continue;
        job->blind_count -= job->blind[id];
        job->blind[id] = job->aside[id] = false;
        model_settle(model, j);
    }
}

void model_room(struct model *model, uint64_t id)
{
    struct model_worker *worker = model_worker(model, id);

    if (!worker || !worker->full)
        return;
    worker->full = false;
    model->full--;
    model_unbar(model, id);
    model->tally.room++;
}

void model_no_room(struct model *model, uint64_t id)
{
    struct model_job *job = model_job(model, id);

    if (!job || model_wait(model, job) != SCHED_WAITS_ROOM)
        return;
    model_end(model, id, SCHED_FAILED, ERROR_SPACE, NULL);
    model->tally.starved++;
}

void model_check_filled(struct model *model)
{
    const struct model_worker *worker = model_worker(model, model->filled);

    if (model->filled && worker && (worker->whole > 1 || worker->single > worker->threads))
        model_complain(model, "w%" PRIu64 " is full, and has one in hand", model->filled);
}
