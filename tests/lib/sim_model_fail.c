/* What the model makes of failures: who is charged, what runs again, whose job ends. */
#include "base/limits.h"
#include "tests/lib/sim_model_state.h"

enum { EXCUSED_MAX = 200 };

void model_blame(struct model *model, const struct sched_attempt *attempt, enum error_code code,
                 const struct sched_culprit *culprit)
{
    bool exact = culprit->type == CULPRIT_RECORD || culprit->type == CULPRIT_KEY, better;

    struct model_task *task = model_task(model, attempt);

    model_job(model, attempt->job)->failed_attempts++;
    if (!exact && (culprit->type != CULPRIT_BLOCK || !model_narrow(task, culprit)))
        task->single = true;
    task->blamed++;
    better = task->cause == code && !task->cause_exact && (exact || task->blamed == 2);
    if (task->blamed == 1 || better) {
        task->cause_attempt = attempt->attempt;
        task->cause = code;
        task->cause_exact = exact;
    }
}

static void charge(struct model *model, struct model_task *task,
                   const struct sched_event *event)
{
    struct sched_attempt cause = event->attempt;
    struct sched_action action = {.type = ACTION_FAILURE,
                                  .job = event->attempt.job,
                                  .worker = event->worker,
                                  .attempt = event->attempt,
                                  .code = event->code};

    model_owe(model, 0, &action);
    model_want(model, SCHED_RECORD_FAILED, cause.job, &cause, event->worker);
    model_blame(model, &cause, event->code, &event->culprit);
    cause.attempt = task->cause_attempt;
    if (task->blamed == LIMIT_ATTEMPTS)
        model_end(model, cause.job, SCHED_FAILED, task->cause, &cause);
}

void model_output_lost(struct model *model, struct sched_attempt attempt)
{
    struct model_job *job = model_job(model, attempt.job);
    struct model_task *map = model_task(model, &attempt);

    attempt.attempt = map->counted;
    model_want(model, SCHED_RECORD_LOST, attempt.job, &attempt, map->holder);
    job->unclaimed -= !map->holder;
    map->answered = map->holder = 0;
    job->accepted[SCHED_MAP]--;
    job->waiting[SCHED_MAP]++;
    job->map_reruns++;
}

static void excuse(struct model *model, struct model_task *task,
                   const struct sched_event *event)
{
    struct model_job *job = model_job(model, event->attempt.job);

    if (event->suspect) {
        job->lonely += event->attempt.kind == SCHED_REDUCE && !task->alone && !task->runs_on;
        task->alone = task->single = true;
    }
    if (++task->excused >= EXCUSED_MAX + job->searched)
        model_end(model, event->attempt.job, SCHED_FAILED, event->code, &event->attempt);
}

static void complained_of_output(struct model *model, uint64_t age,
                                 const struct sched_event *event)
{
    struct sched_attempt attempt = {event->attempt.job, SCHED_MAP, event->lost_map, 0};
    struct model_task *map = model_task(model, &attempt);

    if (model_job(model, attempt.job)->ended || event->attempt.kind != SCHED_REDUCE || !map)
        return;
    if (!map->answered || map->age > age)
        return;
    if (event->code == ERROR_CUT) {
        if (map->holder && map->holder != event->worker)
            model_cut(model, attempt.job, event->worker, map->holder);
        return;
    }
    if (++map->remade > LIMIT_ATTEMPTS)
        model_end(model, attempt.job, SCHED_FAILED, event->code, &event->attempt);
    else
        model_output_lost(model, attempt);
}

/* The worker gets nothing of the job any more; the task waits for another, at no cost. */
static void exclude(struct model *model, const struct sched_event *event)
{
    struct model_job *job = model_job(model, event->attempt.job);

    /* Who is full finds out anew. */
    if (model->workers[event->worker].full) {
        model_settle(model, event->attempt.job);
        return;
    }
    if (job->blind[event->worker])
        return;
    job->blind[event->worker] = true;
    job->blind_count++;
    model->tally.excluded++;
    for (int kind = 0; kind < SCHED_KINDS; kind++)
        for (uint32_t i = 0; i < job->counts[kind]; i++)
            model->tally.held += job->tasks[kind][i].runs_on == event->worker ||
                                 job->tasks[kind][i].copy_on == event->worker;
    model_settle(model, event->attempt.job);
}

void model_failed(struct model *model, const struct sched_event *event)
{
    struct model_task *task = model_task(model, &event->attempt);
    bool is_copy = task->copy_on && event->attempt.attempt == task->copy;
    bool blamed = event->blamed || (event->suspect && task->runs_alone);
    uint64_t age = is_copy ? task->copy_age : task->age;
    uint32_t known = is_copy ? task->copy_known : task->known;
    bool single = task->runs_single && !is_copy;

    model_stop(model, &event->attempt);
    switch (error_policy(event->code)) {
    case POLICY_REFETCH:
    case POLICY_ELSEWHERE:
        excuse(model, task, event);
        complained_of_output(model, age, event);
        break;
    case POLICY_GIVE_UP:
        if (blamed)
            model_end(model, event->attempt.job, SCHED_FAILED, event->code, &event->attempt);
        else
            excuse(model, task, event);
        break;
    case POLICY_BLAME:
        if (blamed && model_skip(model, event, known, single))
            break;
        if (blamed)
            charge(model, task, event);
        else
            excuse(model, task, event);
        break;
    case POLICY_RETRY:
        excuse(model, task, event);
        break;
    case POLICY_NO_ROOM:
        excuse(model, task, event);
        model_filled(model, event->worker);
        break;
    case POLICY_EXCLUDE:
        exclude(model, event);
    }
}
