/* What jobs take from each other: the queue, workers that are kept, copies of slow attempts. */
#include "tests/lib/sim_model_state.h"

enum { COPY_SHARE = 10 };

void model_limit(struct model *model, uint32_t jobs)
{
    model->active_max = jobs;
}

static bool is_before(const struct model_job *a, const struct model_job *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->serial < b->serial;
}

uint32_t model_queued(const struct model *model, const struct model_job *job)
{
    uint32_t place = 1;

    if (!job->queued || job->ended)
        return 0;
    for (int i = 0; i < MODEL_JOBS; i++) {
        const struct model_job *other = model->jobs[i];

        place += other && other->queued && !other->ended && is_before(other, job);
    }
    return place;
}

void model_admit(struct model *model)
{
    uint32_t running = 0;
    struct model_job *next;

    for (int i = 0; i < MODEL_JOBS; i++)
        running += model->jobs[i] && !model->jobs[i]->queued && !model->jobs[i]->ended;
    for (; running < model->active_max; running++) {
        next = NULL;
        for (int i = 0; i < MODEL_JOBS; i++) {
            struct model_job *job = model->jobs[i];

            if (job && job->queued && !job->ended && (!next || is_before(job, next)))
                next = job;
        }
        if (!next)
            return;
        next->queued = false;
    }
    if (running > model->active_max)
        model_complain(model, "%u jobs run, %u may", running, model->active_max);
}

bool model_wants(const struct model *model, const struct model_job *job)
{
    bool sampled = job->planned && job->accepted[SCHED_SAMPLE] == job->counts[SCHED_SAMPLE];
    bool maps_done =
        sampled && job->accepted[SCHED_MAP] == job->counts[SCHED_MAP] && !job->unclaimed;

    return !job->ended && !job->committing && !job->queued &&
           job->barrier <= model->persisted &&
           (job->waiting[SCHED_CHECK] || job->waiting[SCHED_SAMPLE] ||
            (sampled && job->waiting[SCHED_MAP]) || (maps_done && job->waiting[SCHED_REDUCE]));
}

bool model_others_want(const struct model *model, const struct model_job *job)
{
    for (int i = 0; i < MODEL_JOBS; i++) {
        const struct model_job *other = model->jobs[i];

        if (other && other != job && model_wants(model, other))
            return true;
    }
    return false;
}

/* Why the attempt may have no copy at all. */
static const char *unfit(const struct model *model, const struct model_job *job,
                         const struct model_task *task, enum sched_kind kind)
{
    if (kind != SCHED_MAP && kind != SCHED_REDUCE)
        return "this kind is not copied";
    if (task->copy_on)
        return "it has a copy already";
    if (job->steady)
        return "the job wants no copies";
    if (job->ended || job->committing || job->barrier > model->persisted)
        return "nothing of the job may begin now";
    if (task->alone || task->single || task->blamed || task->runs_alone)
        return "what failed is not copied";
    if (job->waiting[kind])
        return "others of its phase wait still";
    if (kind == SCHED_REDUCE && job->accepted[SCHED_MAP] < job->counts[SCHED_MAP])
        return "a map is missing";
    if (kind == SCHED_REDUCE && job->unclaimed)
        return "nobody holds a map's output";
    return NULL;
}

static bool is_too_much(const struct model *model, uint32_t slots)
{
    return model->copy_slots && (model->copy_slots + slots) * COPY_SHARE > model->threads;
}

void model_straggler(struct model *model, const struct sched_attempt *attempt)
{
    const struct model_task *task = model_task(model, attempt);
    const struct model_job *job = model_job(model, attempt->job);

    if (!task || !task->runs_on || task->answered || task->current != attempt->attempt)
        return;
    model->straggler = *attempt;
    model->copy_due = !unfit(model, job, task, attempt->kind) && !model->copy_slots &&
                      model_seeing(model, job, attempt->kind == SCHED_REDUCE, model_is_idle);
}

uint32_t model_next_attempt(const struct model_job *job, const struct model_task *task)
{
    uint32_t base = job->lives * SCHED_LIFE_ATTEMPTS;

    return (task->attempt > base ? task->attempt : base) + 1;
}

const char *model_no_copy(struct model *model, const struct sched_action *action)
{
    const struct sched_attempt *attempt = &action->attempt, *slow = &model->straggler;
    const struct model_worker *worker = model_worker(model, action->worker);
    const struct model_task *task = model_task(model, attempt);
    const struct model_job *job = model_job(model, attempt->job);
    const char *why;

    if (!slow->attempt || slow->job != attempt->job || slow->kind != attempt->kind ||
        slow->task != attempt->task || task->answered)
        return "the task runs already";
    if (task->runs_on == action->worker)
        return "the copy runs where the slow attempt does";
    why = unfit(model, job, task, attempt->kind);
    if (!why && is_too_much(model, attempt->kind == SCHED_REDUCE ? 1 : worker->threads))
        why = "too many copies";
    if (!why && attempt->attempt != model_next_attempt(job, task))
        why = "the attempt's number is not the next";
    return why;
}
