#include "tests/lib/sim_model_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/lib/trace.h"

struct model *model_new(void)
{
    struct model *model = memory_zeroed(1, sizeof *model);

    model->active_max = UINT32_MAX;
    return model;
}

static void free_job(struct model_job *job)
{
    if (!job)
        return;
    for (int kind = 0; kind < SCHED_KINDS; kind++)
        for (uint32_t i = 0; i < job->counts[kind]; i++)
            free(job->tasks[kind][i].blocks.items);
    free(job->skips.items);
    free(job->tasks[SCHED_MAP]);
    free(job->tasks[SCHED_REDUCE]);
    free(job->cuts);
    free(job);
}

void model_free(struct model *model)
{
    if (!model)
        return;
    for (int i = 0; i < MODEL_JOBS; i++)
        free_job(model->jobs[i]);
    free(model->due);
    free(model->records);
    free(model->touched);
    free(model->leavers);
    free(model);
}

void model_forget(struct model *model, uint64_t id)
{
    struct model_job *job = model_job(model, id);

    if (!job || !job->ended)
        return;
    free_job(job);
    model->jobs[id] = NULL;
}

void model_complain(struct model *model, const char *format, ...)
{
    va_list args;

    if (model->complaint[0])
        return;
    va_start(args, format);
    vsnprintf(model->complaint, sizeof model->complaint, format, args);
    va_end(args);
}

struct model_job *model_job(struct model *model, uint64_t id)
{
    return id < MODEL_JOBS ? model->jobs[id] : NULL;
}

struct model_worker *model_worker(struct model *model, uint64_t id)
{
    return id < MODEL_WORKERS && model->workers[id].lives ? &model->workers[id] : NULL;
}

struct model_task *model_task(struct model *model, const struct sched_attempt *attempt)
{
    struct model_job *job = model_job(model, attempt->job);

    if (!job || (unsigned)attempt->kind >= SCHED_KINDS ||
        attempt->task >= job->counts[attempt->kind])
        return NULL;
    return &job->tasks[attempt->kind][attempt->task];
}

bool model_is_current(struct model *model, uint64_t worker, const struct sched_attempt *attempt)
{
    struct model_task *task = model_task(model, attempt);

    return task && worker &&
           ((task->runs_on == worker && task->current == attempt->attempt) ||
            (task->copy_on == worker && task->copy == attempt->attempt));
}

bool model_is_idle(const struct model_worker *worker)
{
    return !worker->whole && !worker->single;
}

bool model_is_partial(const struct model_worker *worker)
{
    return !worker->whole && worker->single && !worker->alone &&
           worker->single < worker->threads;
}

static void count_worker(struct model *model, const struct model_worker *worker, int change)
{
    if (model_is_barred(worker))
        return;
    if (model_is_idle(worker))
        model->idle += (uint32_t)change;
    else if (model_is_partial(worker))
        model->partial += (uint32_t)change;
}

void model_hold(struct model *model, struct model_worker *worker,
                const struct sched_attempt *attempt, bool alone, int change)
{
    count_worker(model, worker, -1);
    if (attempt->kind == SCHED_REDUCE)
        worker->single += (uint32_t)change;
    else
        worker->whole += (uint32_t)change;
    if (alone)
        worker->alone = change > 0;
    count_worker(model, worker, 1);
    model_touch(model, (uint64_t)(worker - model->workers));
}

void model_stop(struct model *model, const struct sched_attempt *attempt)
{
    struct model_job *job = model_job(model, attempt->job);
    struct model_task *task = model_task(model, attempt);

    job->running--;
    if (task->copy_on) {
        bool is_copy = attempt->attempt == task->copy;

        model_hold(model, &model->workers[is_copy ? task->copy_on : task->runs_on], attempt,
                   false, -1);
        model->copy_slots -= task->copy_slots;
        if (!is_copy) {
            task->runs_on = task->copy_on;
            task->current = task->copy;
            task->age = task->copy_age;
            task->known = task->copy_known;
            task->runs_single = false;
            model->tally.orphaned += !task->answered;
        }
        task->copy_on = 0;
        return;
    }
    model_hold(model, &model->workers[task->runs_on], attempt, task->runs_alone, -1);
    task->runs_on = 0;
    if (task->answered)
        return;
    job->waiting[attempt->kind]++;
    job->lonely += attempt->kind == SCHED_REDUCE && task->alone;
}

void model_owe(struct model *model, uint64_t after, const struct sched_action *action)
{
    memory_reserve(&model->due, &model->due_capacity, model->due_count + 1, sizeof *model->due);
    model->due[model->due_count++] = (struct due){after, *action};
}

void model_want(struct model *model, enum sched_record record, uint64_t job,
                const struct sched_attempt *attempt, uint64_t worker)
{
    struct sched_action action = {
        .type = ACTION_PERSIST, .record = record, .job = job, .worker = worker};

    if (attempt)
        action.attempt = *attempt;
    memory_reserve(&model->records, &model->record_capacity, model->record_count + 1,
                   sizeof *model->records);
    model->records[model->record_count++] = action;
}

void model_end(struct model *model, uint64_t id, enum sched_state state, enum error_code code,
               const struct sched_attempt *cause)
{
    struct model_job *job = model_job(model, id);

    job->ended = true;
    job->state = state;
    job->code = code;
    if (cause)
        job->cause = *cause;
    model_want(model, SCHED_RECORD_FINISHED, id, NULL, 0);
}

void model_submitted(struct model *model, const struct sched_event *event)
{
    uint64_t id = event->job;
    struct model_job *job;

    if (model_job(model, id) || id >= MODEL_JOBS)
        return;
    job = model->jobs[id] = memory_zeroed(1, sizeof *job);
    job->known = job->queued = true;
    job->serial = ++model->serial;
    job->priority = event->priority;
    job->steady = event->steady;
    job->skips_max = event->skips;
    job->tasks[SCHED_CHECK] = &job->check;
    job->counts[SCHED_CHECK] = job->waiting[SCHED_CHECK] = 1;
    model_want(model, SCHED_RECORD_SUBMITTED, id, NULL, 0);
}

void model_planned(struct model *model, const struct sched_event *event)
{
    struct model_job *job = model_job(model, event->job);

    if (!job || !job->planning || job->ended || !event->reduces)
        return;
    job->planning = false;
    job->planned = true;
    job->counts[SCHED_MAP] = job->waiting[SCHED_MAP] = event->maps;
    job->counts[SCHED_REDUCE] = job->waiting[SCHED_REDUCE] = event->reduces;
    job->tasks[SCHED_MAP] = memory_zeroed(event->maps, sizeof(struct model_task));
    job->tasks[SCHED_REDUCE] = memory_zeroed(event->reduces, sizeof(struct model_task));
    job->tasks[SCHED_SAMPLE] = &job->sample;
    job->counts[SCHED_SAMPLE] = job->waiting[SCHED_SAMPLE] = event->sample;
    model_want(model, SCHED_RECORD_PLANNED, event->job, NULL, 0);
}

static void accepted(struct model *model, const struct sched_event *event)
{
    struct model_job *job = model_job(model, event->attempt.job);
    struct model_task *task = model_task(model, &event->attempt);
    enum sched_kind kind = event->attempt.kind;
    struct sched_action action = {.type = ACTION_ACCEPTED,
                                  .job = event->attempt.job,
                                  .worker = event->worker,
                                  .attempt = event->attempt};

    model->tally.counted += job->blind[event->worker];
    task->answered = task->holder = event->worker;
    task->counted = event->attempt.attempt;
    model->tally.won += task->counted == task->copy;
    model->losers += task->copy_on != 0;
    model_stop(model, &event->attempt);
    job->accepted[kind]++;
    task->sequence = 0;
    if (kind == SCHED_CHECK) {
        model_owe(model, 0, &action);
        job->planning = true;
        action = (struct sched_action){.type = ACTION_PLAN, .job = event->attempt.job};
        model_owe(model, 0, &action);
        return;
    }
    if (kind == SCHED_MAP)
        task->age = ++job->age;
    model_want(model, SCHED_RECORD_ACCEPTED, event->attempt.job, &event->attempt,
               event->worker);
    if (job->accepted[SCHED_REDUCE] == job->counts[SCHED_REDUCE]) {
        job->committing = true;
        model_want(model, SCHED_RECORD_COMMITTING, event->attempt.job, NULL, 0);
    }
}

static void answer_stale(struct model *model, const struct sched_event *event)
{
    struct model_task *task = model_task(model, &event->attempt);
    bool again = event->type == EVENT_TASK_DONE && task && task->answered == event->worker &&
                 task->answered && task->counted == event->attempt.attempt;
    struct sched_action action = {.type = again ? ACTION_REPEATED : ACTION_REFUSE,
                                  .job = event->attempt.job,
                                  .worker = event->worker,
                                  .attempt = event->attempt};

    model_owe(model, 0, &action);
}

static void joined(struct model *model, const struct sched_event *event)
{
    if (event->worker >= MODEL_WORKERS || model->workers[event->worker].lives)
        return;
    model->workers[event->worker] =
        (struct model_worker){.lives = true, .threads = event->threads ? event->threads : 1};
    model->threads += model->workers[event->worker].threads;
    model->living++;
    model->idle++;
    if (event->worker > model->highest)
        model->highest = event->worker;
    model_touch(model, event->worker);
    if (event->draining)
        model_leave(model, event->worker);
}

static void drop_release(struct model *model, uint64_t worker)
{
    size_t kept = 0;

    for (size_t i = 0; i < model->due_count; i++)
        if (model->due[i].action.type != ACTION_RELEASE ||
            model->due[i].action.worker != worker)
            model->due[kept++] = model->due[i];
    model->due_count = kept;
}

static void lost(struct model *model, uint64_t id)
{
    struct model_worker *worker = model_worker(model, id);

    if (!worker)
        return;
    for (uint64_t j = 0; j < MODEL_JOBS; j++) {
        struct model_job *job = model->jobs[j];

        for (int kind = 0; job && kind < SCHED_KINDS; kind++)
            for (uint32_t i = 0; i < job->counts[kind]; i++) {
                struct sched_attempt attempt = {j, (enum sched_kind)kind, i, 0};
                struct model_task *task = &job->tasks[kind][i];

                attempt.attempt = task->copy_on == id ? task->copy : task->current;
                if (task->runs_on == id || task->copy_on == id)
                    model_stop(model, &attempt);
                else if (kind == SCHED_MAP && task->holder == id && !job->committing &&
                         !job->ended) {
                    job->drain_reruns += worker->draining;
                    model_output_lost(model, attempt);
                }
            }
    }
    model_touch(model, id);
    count_worker(model, worker, -1);
    worker->lives = false;
    model->full -= worker->full;
    if (!model_is_barred(worker)) {
        model->threads -= worker->threads;
        model->living--;
    }
    drop_release(model, id);
    for (uint64_t j = 0; j < MODEL_JOBS; j++)
        if (model->jobs[j])
            model_settle(model, j);
}

/* What the event means, before any action is looked at. */
static void understand(struct model *model, const struct sched_event *event)
{
    struct model_job *job = model_job(model, event->job);
    bool open = job && !job->ended;

    switch (event->type) {
    case EVENT_JOB_SUBMITTED:
        model_submitted(model, event);
        break;
    case EVENT_JOB_PLANNED:
        model_planned(model, event);
        break;
    case EVENT_JOB_BROKEN:
        if (open && (job->planning || job->committing))
            model_end(model, event->job, SCHED_FAILED, event->code, NULL);
        break;
    case EVENT_JOB_COMMITTED:
        if (open && job->committing)
            model_end(model, event->job, SCHED_DONE, ERROR_NONE, NULL);
        break;
    case EVENT_JOB_CANCELLED:
        if (open && !job->committing)
            model_end(model, event->job, SCHED_CANCELLED, ERROR_CANCELLED, NULL);
        break;
    case EVENT_WORKER_JOINED:
        joined(model, event);
        break;
    case EVENT_WORKER_LOST:
        lost(model, event->worker);
        break;
    case EVENT_TASK_DONE:
    case EVENT_TASK_FAILED:
        if (!model_is_current(model, event->worker, &event->attempt))
            answer_stale(model, event);
        else if (event->type == EVENT_TASK_DONE)
            accepted(model, event);
        else
            model_failed(model, event);
        break;
    case EVENT_WORKER_ROOM:
        model_room(model, event->worker);
        break;
    case EVENT_NO_ROOM:
        model_no_room(model, event->job);
        break;
    case EVENT_STRAGGLER:
        model_straggler(model, &event->attempt);
        break;
    case EVENT_PERSISTED:
        if (event->sequence <= model->sequence && event->sequence > model->persisted)
            model->persisted = event->sequence;
        break;
    case EVENT_RESTORED:
        model_restored(model);
        break;
    case EVENT_OUTPUT_HELD:
        model_held(model, event);
        break;
    case EVENT_WORKER_DRAINING:
        model_draining(model, event);
        break;
    case EVENT_OUTPUT_BROKEN:
        model_output_broken(model, event);
        break;
    case EVENT_OUTPUTS_UNCLAIMED:
        model_unclaimed(model);
    }
}

/* No worker may stand idle while there is something that it could do. */
static void check_nobody_idles(struct model *model, uint64_t id, const struct model_job *job)
{
    bool sampled = job->planned && job->accepted[SCHED_SAMPLE] == job->counts[SCHED_SAMPLE];
    bool maps_done =
        sampled && job->accepted[SCHED_MAP] == job->counts[SCHED_MAP] && !job->unclaimed;

    if (job->ended || job->committing || job->barrier > model->persisted || job->queued)
        return;
    if (model->idle &&
        (job->waiting[SCHED_CHECK] || job->waiting[SCHED_SAMPLE] ||
         (sampled && job->waiting[SCHED_MAP])) &&
        model_seeing(model, job, false, model_is_idle))
        model_complain(model, "workers idle while tasks of job %" PRIu64 " wait", id);
    if (model->idle && maps_done && job->waiting[SCHED_REDUCE] &&
        model_seeing(model, job, true, model_is_idle))
        model_complain(model, "workers idle while tasks of job %" PRIu64 " wait", id);
    /* Workers may be kept for a job that needs whole ones. */
    if (model->partial && maps_done && !model_others_want(model, job) &&
        job->waiting[SCHED_REDUCE] > job->lonely &&
        model_seeing(model, job, true, model_is_partial))
        model_complain(model, "threads idle while reduces of job %" PRIu64 " wait", id);
}

static void check_end_of_step(struct model *model)
{
    char text[256];

    for (size_t i = 0; i < model->due_count; i++)
        if (model->due[i].after <= model->persisted) {
            trace_action(&model->due[i].action, text, sizeof text);
            model_complain(model, "missing: %s", text);
        }
    for (size_t i = 0; i < model->record_count; i++) {
        trace_action(&model->records[i], text, sizeof text);
        model_complain(model, "missing (whatever its number): %s", text);
    }
    if (model->revokes)
        model_complain(model, "%u attempts of workers set aside were not revoked",
                       model->revokes);
    if (model->copy_due)
        model_complain(model, "the slow attempt got no copy, though a worker is idle");
    if (model->stopped.attempt)
        model_complain(model, "what else runs of a task with a bad record was not revoked");
    if (model->losers)
        model_complain(model, "the slower attempt of a task that is done was not revoked");
    for (uint64_t id = 0; id < MODEL_JOBS; id++) {
        const struct model_job *job = model->jobs[id];

        if (!job)
            continue;
        if ((job->ended || job->committing) && job->running)
            model_complain(model, "%u attempts of job %" PRIu64 " were not revoked",
                           job->running, id);
        check_nobody_idles(model, id, job);
    }
    model_check_leavers(model);
    model_check_filled(model);
}

const char *model_step(struct model *model, const struct sched_event *event,
                       const struct sched_action *actions, size_t count)
{
    model->record_count = 0;
    model->revokes = 0;
    model->stopped.attempt = 0;
    model->late_worker = model->filled = 0;
    model->emitted = 0;
    model->straggler = (struct sched_attempt){0};
    model->copy_due = false;
    understand(model, event);
    model_admit(model);
    for (size_t i = 0; i < count && !model->complaint[0]; i++)
        model_judge(model, &actions[i]);
    if (!model->complaint[0])
        check_end_of_step(model);
    return model->complaint[0] ? model->complaint : NULL;
}
