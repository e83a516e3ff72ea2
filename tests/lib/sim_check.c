/* Judges each action of the scheduler by what the model knows. */
#include <string.h>

#include "tests/lib/sim_model_state.h"
#include "tests/lib/trace.h"

static void object(struct model *model, const char *why, const struct sched_action *action)
{
    char text[256];

    trace_action(action, text, sizeof text);
    model_complain(model, "%s: %s", why, text);
}

static bool same_attempt(const struct sched_attempt *a, const struct sched_attempt *b)
{
    return a->job == b->job && a->kind == b->kind && a->task == b->task &&
           a->attempt == b->attempt;
}

static bool same_action(const struct sched_action *a, const struct sched_action *b)
{
    return a->type == b->type && a->job == b->job && a->worker == b->worker &&
           same_attempt(&a->attempt, &b->attempt) && a->state == b->state &&
           a->code == b->code && same_attempt(&a->cause, &b->cause);
}

static void owe_release(struct model *model, struct model_job *job, uint64_t id, uint64_t after)
{
    struct sched_action action = {.type = ACTION_RELEASE, .job = id};

    for (uint64_t worker = 0; worker < MODEL_WORKERS; worker++) {
        action.worker = worker;
        if (job->given[worker] && model_worker(model, worker))
            model_owe(model, after, &action);
    }
}

/* What the record, once on disk, lets out. */
static void owe_for_record(struct model *model, const struct sched_action *record)
{
    uint64_t id = record->job, after = record->sequence;
    struct model_job *job = model_job(model, id);
    struct sched_action action = {.job = id};

    job->last = after;
    switch (record->record) {
    case SCHED_RECORD_SUBMITTED:
        job->submitted = job->barrier = after;
        action.type = ACTION_ADMITTED;
        break;
    case SCHED_RECORD_PLANNED:
        job->planned_at = job->barrier = after;
        if (job->counts[SCHED_MAP] || job->counts[SCHED_SAMPLE])
            return;
        job->said_maps_done = true;
        action.type = ACTION_MAPS_DONE;
        break;
    case SCHED_RECORD_ACCEPTED:
        model_task(model, &record->attempt)->sequence = after;
        action.type = ACTION_ACCEPTED;
        action.worker = record->worker;
        action.attempt = record->attempt;
        model_owe(model, after, &action);
        if (record->attempt.kind == SCHED_SAMPLE ||
            (record->attempt.kind == SCHED_MAP &&
             job->accepted[SCHED_MAP] == job->counts[SCHED_MAP]))
            job->barrier = after;
        if (job->said_maps_done || job->accepted[SCHED_MAP] < job->counts[SCHED_MAP])
            return;
        job->said_maps_done = true;
        action = (struct sched_action){.type = ACTION_MAPS_DONE, .job = id};
        break;
    case SCHED_RECORD_LOST:
        model_task(model, &record->attempt)->lost = job->barrier = after;
        action.type = ACTION_MAP_AGAIN;
        action.attempt = record->attempt;
        break;
    case SCHED_RECORD_COMMITTING:
        action.type = ACTION_COMMIT;
        break;
    case SCHED_RECORD_FAILED:
    case SCHED_RECORD_SKIPPED:
    case SCHED_RECORD_STARTED:
        return;
    case SCHED_RECORD_FINISHED:
        action.type = ACTION_FINISHED;
        action.state = job->state;
        action.code = job->code;
        action.cause = job->cause;
        owe_release(model, job, id, after);
    }
    model_owe(model, after, &action);
}

static void judge_record(struct model *model, const struct sched_action *action)
{
    if (action->sequence != ++model->sequence) {
        object(model, "out of sequence", action);
        return;
    }
    for (size_t i = 0; i < model->record_count; i++) {
        const struct sched_action *want = &model->records[i];

        if (want->record != action->record || want->job != action->job ||
            want->worker != action->worker || !same_attempt(&want->attempt, &action->attempt))
            continue;
        model->records[i] = model->records[--model->record_count];
        owe_for_record(model, action);
        return;
    }
    object(model, "no reason for it", action);
}

/* Those that are decided by events and let out by records. */
static void judge_owed(struct model *model, const struct sched_action *action)
{
    for (size_t i = 0; i < model->due_count; i++) {
        uint64_t after = model->due[i].after;

        if (!same_action(&model->due[i].action, action))
            continue;
        if (after > model->persisted) {
            object(model, "its record is not on disk", action);
            return;
        }
        if (after && after < model->emitted)
            object(model, "behind what was decided later", action);
        if (after)
            model->emitted = after;
        memmove(&model->due[i], &model->due[i + 1],
                (model->due_count - i - 1) * sizeof *model->due);
        model->due_count--;
        return;
    }
    object(model, "no reason for it", action);
}

/* What waits in its hand goes back, for another job. */
static bool takes_hand(struct model *model, const struct model_job *job,
                       const struct model_worker *worker)
{
    if ((worker->whole < 2 && worker->single <= worker->threads) ||
        !model_others_want(model, job))
        return false;
    model->tally.hands++;
    return true;
}

static void judge_revoke(struct model *model, const struct sched_action *action)
{
    const struct model_job *job = model_job(model, action->attempt.job);
    const struct model_task *task = model_task(model, &action->attempt);
    const struct model_worker *worker = model_worker(model, action->worker);

    if (!model_is_current(model, action->worker, &action->attempt))
        object(model, "it does not run", action);
    else if (!job->ended && !(job->committing && action->attempt.kind == SCHED_MAP) &&
             !task->answered) {
        if (same_attempt(&model->stopped, &action->attempt))
            model->stopped.attempt = 0;
        else if (model->revokes && (job->blind[action->worker] || model_is_barred(worker)))
            model->revokes--;
        else if (!model_gives_back(model, action) && !takes_hand(model, job, worker))
            object(model, "it is still needed", action);
        model->tally.given_back += task->copy_on != 0;
    }
    if (!model->complaint[0])
        model_stop(model, &action->attempt);
    if (task && task->answered && model->losers)
        model->losers--;
}

/* Whether the job's state lets a task of this kind go; says why not. */
static const char *not_yet(struct model *model, const struct model_job *job,
                           const struct model_task *task, enum sched_kind kind)
{
    if (job->ended || job->committing)
        return "the job needs no more tasks";
    if (!job->submitted || job->submitted > model->persisted)
        return "the submission is not on disk";
    if (kind == SCHED_CHECK)
        return NULL;
    if (!job->planned_at || job->planned_at > model->persisted)
        return "the plan is not on disk";
    if (task->lost > model->persisted)
        return "the loss of its output is not on disk";
    if (kind == SCHED_SAMPLE)
        return NULL;
    if (job->counts[SCHED_SAMPLE] && !job->sample.answered)
        return "the sample is missing";
    if (job->sample.sequence > model->persisted)
        return "the acceptance of the sample is not on disk";
    if (kind == SCHED_MAP)
        return NULL;
    for (uint32_t i = 0; i < job->counts[SCHED_MAP]; i++) {
        const struct model_task *map = &job->tasks[SCHED_MAP][i];

        if (!map->answered)
            return "a map is missing";
        if (!map->sequence || map->sequence > model->persisted)
            return "the acceptance of a map is not on disk";
        if (!map->holder)
            return "nobody holds a map's output";
        if (!model_worker(model, map->holder))
            return "the worker that holds a map's output is lost";
    }
    return NULL;
}

/* Whether the worker has room for one more of this kind. */
static const char *no_room(const struct model *model, const struct model_worker *worker,
                           const struct model_job *job, enum sched_kind kind, bool alone)
{
    uint32_t held = worker->whole + worker->single;
    bool in_hand = kind == SCHED_REDUCE ? worker->single >= worker->threads : held > 0;

    if (worker->alone || (alone && held))
        return "what must be alone is not";
    if (kind == SCHED_REDUCE ? worker->whole > 0 : worker->single > 0)
        return "the worker does something of another kind";
    if ((kind == SCHED_CHECK || kind == SCHED_SAMPLE) && held)
        return "the worker is busy";
    if (kind == SCHED_REDUCE ? worker->single > worker->threads : worker->whole > 1)
        return "the worker has one in hand already";
    if (in_hand && job->waiting[kind] <= model_seeing(model, job, kind == SCHED_REDUCE, NULL))
        return "it is put in hand though few are left";
    return NULL;
}

static void begin_copy(struct model *model, const struct model_job *job,
                       struct model_task *task, const struct sched_action *action)
{
    const struct model_worker *worker = model_worker(model, action->worker);

    task->copy_on = action->worker;
    task->copy = action->attempt.attempt;
    task->copy_age = job->age;
    task->copy_known = (uint32_t)job->skips.count;
    task->copy_slots = action->attempt.kind == SCHED_REDUCE ? 1 : worker->threads;
    model->copy_slots += task->copy_slots;
    model->copy_due = false;
    model->tally.copies++;
}

static void judge_assign(struct model *model, const struct sched_action *action)
{
    const struct sched_attempt *attempt = &action->attempt;
    struct model_worker *worker = model_worker(model, action->worker);
    struct model_task *task = model_task(model, attempt);
    struct model_job *job = model_job(model, attempt->job);
    const char *why = NULL;

    if (!worker)
        why = "the worker is unknown or lost";
    else if (worker->draining)
        why = "the worker is to leave";
    else if (worker->full)
        why = "the worker's disk is full";
    else if (job && job->blind[action->worker])
        why = "the worker does not see the job's files";
    else if (job && attempt->kind == SCHED_REDUCE && model_is_cut(job, action->worker))
        why = "the worker does not reach another";
    else if (!task || action->job != attempt->job)
        why = "there is no such task";
    else if (job->queued)
        why = "the job must wait until others have ended";
    else if (task->runs_on && (why = model_no_copy(model, action)))
        ;
    else if (task->answered)
        why = "the task is done already";
    else if (action->copy != (task->runs_on != 0))
        why = "copy is not what it is";
    else if (attempt->attempt != model_next_attempt(job, task))
        why = "the attempt's number is not the next";
    else if (action->alone != task->alone || action->single != task->single)
        why = "alone or single is not what the task's past asks for";
    else if (!(why = not_yet(model, job, task, attempt->kind)))
        why = no_room(model, worker, job, attempt->kind, action->alone);
    if (why) {
        object(model, why, action);
        return;
    }
    task->attempt = attempt->attempt;
    job->running++;
    job->given[action->worker] = true;
    model_hold(model, worker, attempt, action->alone, 1);
    if (task->runs_on) {
        begin_copy(model, job, task, action);
        return;
    }
    task->runs_on = action->worker;
    task->current = attempt->attempt;
    task->runs_alone = action->alone;
    task->runs_single = action->single;
    task->known = (uint32_t)job->skips.count;
    if (attempt->kind == SCHED_REDUCE)
        task->age = job->age;
    job->waiting[attempt->kind]--;
    job->lonely -= attempt->kind == SCHED_REDUCE && task->alone;
}

void model_judge(struct model *model, const struct sched_action *action)
{
    switch (action->type) {
    case ACTION_PERSIST:
        judge_record(model, action);
        break;
    case ACTION_ASSIGN:
        judge_assign(model, action);
        break;
    case ACTION_REVOKE:
        judge_revoke(model, action);
        break;
    case ACTION_DISMISS:
        model_judge_dismiss(model, action);
        break;
    default:
        judge_owed(model, action);
    }
}
