/* What the model knows of workers that are to leave: they get nothing more, give back what they
 * have not begun, are stopped when it is late, and may go when, and as soon as, nothing needs
 * them.
 */
#include <inttypes.h>

#include "base/memory.h"
#include "tests/lib/sim_model_state.h"

void model_leave(struct model *model, uint64_t id)
{
    struct model_worker *worker = model_worker(model, id);

    if (worker->draining)
        return;
    if (!worker->full)
        model_bar(model, id);
    model->full -= worker->full;
    worker->full = false;
    worker->draining = true;
    for (uint64_t j = 0; j < MODEL_JOBS; j++)
        if (model->jobs[j])
            model_settle(model, j);
    memory_reserve(&model->leavers, &model->leaver_capacity, model->leaver_count + 1,
                   sizeof *model->leavers);
    model->leavers[model->leaver_count++] = id;
}

void model_draining(struct model *model, const struct sched_event *event)
{
    struct model_worker *worker = model_worker(model, event->worker);

    if (!worker)
        return;
    model_leave(model, event->worker);
    worker->leaves = true;
    if (event->late)
        model->late_worker = event->worker;
}

void model_output_broken(struct model *model, const struct sched_event *event)
{
    struct model_job *job = model_job(model, event->attempt.job);
    struct model_task *task = model_task(model, &event->attempt);

    if (event->attempt.kind != SCHED_MAP || !task || !task->answered || job->committing ||
        job->ended || task->counted != event->attempt.attempt || !task->holder ||
        task->holder != event->worker)
        return;
    job->drain_reruns++;
    model_output_lost(model, event->attempt);
}

static bool has_in_hand(const struct model_worker *worker)
{
    return worker->whole > 1 || worker->single > worker->threads;
}

bool model_gives_back(struct model *model, const struct sched_action *action)
{
    const struct model_worker *worker = &model->workers[action->worker];

    if (!model_is_barred(worker))
        return false;
    if (has_in_hand(worker))
        return true;
    if (model->late_worker != action->worker)
        return false;
    model_job(model, action->attempt.job)->drain_restarts++;
    return true;
}

static bool is_needed(struct model *model, uint64_t id)
{
    if (!model_is_idle(&model->workers[id]))
        return true;
    for (uint64_t j = 0; j < MODEL_JOBS; j++) {
        const struct model_job *job = model->jobs[j];

        for (uint32_t i = 0;
             job && !job->ended && !job->committing && i < job->counts[SCHED_MAP]; i++)
            if (job->tasks[SCHED_MAP][i].answered && job->tasks[SCHED_MAP][i].holder == id)
                return true;
    }
    return false;
}

/* Nothing needs it: it may go once all that was decided until now is on disk. */
static void note_empty(struct model *model, uint64_t id)
{
    struct model_worker *worker = &model->workers[id];

    if (worker->leaves && !worker->let_go && !is_needed(model, id))
        worker->let_go = model->sequence + 1;
}

void model_judge_dismiss(struct model *model, const struct sched_action *action)
{
    struct model_worker *worker = model_worker(model, action->worker);

    if (worker)
        note_empty(model, action->worker);
    if (!worker || !worker->leaves || worker->dismissed)
        model_complain(model, "no reason for it: dismiss w%" PRIu64, action->worker);
    else if (!worker->let_go)
        model_complain(model, "it is still needed: dismiss w%" PRIu64, action->worker);
    else if (worker->let_go > model->persisted + 1)
        model_complain(model, "its work is not on disk: dismiss w%" PRIu64, action->worker);
    worker->dismissed = true;
}

void model_check_leavers(struct model *model)
{
    size_t kept = 0;

    for (size_t i = 0; i < model->leaver_count; i++) {
        uint64_t id = model->leavers[i];
        const struct model_worker *worker = model_worker(model, id);

        if (!worker || worker->dismissed)
            continue;
        model->leavers[kept++] = id;
        if (has_in_hand(worker) || (model->late_worker == id && !model_is_idle(worker)))
            model_complain(model, "w%" PRIu64 " is to leave, and was not stopped", id);
        note_empty(model, id);
        if (worker->let_go && worker->let_go <= model->persisted + 1)
            model_complain(model, "missing: dismiss w%" PRIu64, id);
    }
    model->leaver_count = kept;
}
