/* The life of a task. An attempt is given to a worker; its answer is believed if, and only if,
 * that attempt is the one that runs there now. */
#include "base/check.h"
#include "base/limits.h"
#include "coordinator/sched/state.h"

enum {
    FREE_FAILURES_MAX = 200
}; /* of one task: beyond it something is wrong that retries do not cure */

struct sched_attempt task_attempt(const struct task *task)
{
    return (struct sched_attempt){task->job->id, task->kind, task->number, task->attempt};
}

struct task *task_find(const struct sched *sched, const struct sched_attempt *attempt)
{
    struct job *job = map_get(&sched->jobs, attempt->job);

    if (!job)
        return NULL;
    if (attempt->kind == SCHED_CHECK)
        return attempt->task ? NULL : &job->check;
    if (attempt->kind == SCHED_SAMPLE)
        return attempt->task || !job->sampled ? NULL : &job->sample;
    if (attempt->kind == SCHED_MAP)
        return attempt->task < job->map_count ? &job->maps[attempt->task] : NULL;
    if (attempt->kind == SCHED_REDUCE)
        return attempt->task < job->reduce_count ? &job->reduces[attempt->task] : NULL;
    return NULL;
}

void task_list_add(struct task **list, struct task *task)
{
    task->prev = NULL;
    task->next = *list;
    if (*list)
        (*list)->prev = task;
    *list = task;
}

static void list_remove(struct task **list, struct task *task)
{
    if (task->prev)
        task->prev->next = task->next;
    else
        *list = task->next;
    if (task->next)
        task->next->prev = task->prev;
    task->prev = task->next = NULL;
}

/* Puts the task where placement finds it. */
void task_ready(struct task *task)
{
    struct job *job = task->job;

    task->state = TASK_PENDING;
    if (task->kind == SCHED_CHECK || task->kind == SCHED_SAMPLE)
        job->prelude = task;
    else
        heap_push(task->alone ? &job->lonely[task->kind == SCHED_REDUCE]
                              : &job->pending[task->kind == SCHED_REDUCE],
                  task->number);
    if (task->kind == SCHED_REDUCE && job->home_count) {
        struct home *home = &job->homes[task->number % job->home_count];

        if (home->next > task->number)
            home->next = task->number;
    }
}

void task_start(struct sched *sched, struct task *task, struct worker *worker)
{
    struct sched_action action = {.type = ACTION_ASSIGN, .worker = worker->id};

    task->state = TASK_RUNNING;
    if (task->attempt < task->job->lives * SCHED_LIFE_ATTEMPTS)
        task->attempt = task->job->lives * SCHED_LIFE_ATTEMPTS;
    task->attempt++;
    task->worker = worker;
    task->age = task->job->age;
    task->job->running++;
    task_list_add(&worker->running, task);
    if (task->kind == SCHED_REDUCE)
        worker->single++;
    else
        worker->whole++;
    worker->alone = worker->alone || task->alone;
    map_put(&task->job->workers, worker->id, worker);
    place_worker(sched, worker);
    action.attempt = task_attempt(task);
    action.job = task->job->id;
    action.alone = task->alone;
    action.single = task->single;
    gate_emit(sched, &action);
}

void task_detach(struct sched *sched, struct task *task)
{
    struct worker *worker = task->worker;

    check(task->state == TASK_RUNNING);
    list_remove(&worker->running, task);
    if (task->kind == SCHED_REDUCE)
        worker->single--;
    else
        worker->whole--;
    if (task->alone)
        worker->alone = false;
    task->job->running--;
    task->worker = NULL;
    task->state = TASK_BLOCKED;
    place_worker(sched, worker);
}

void task_forget_output(struct task *map)
{
    if (map->worker)
        list_remove(&map->worker->outputs, map);
    map->worker = NULL;
}

static bool is_running(const struct task *task, uint64_t worker,
                       const struct sched_attempt *attempt)
{
    return task && task->state == TASK_RUNNING && task->worker->id == worker &&
           task->attempt == attempt->attempt;
}

bool sched_runs(const struct sched *sched, uint64_t worker, const struct sched_attempt *attempt)
{
    return is_running(task_find(sched, attempt), worker, attempt);
}

/* Whether the event is the answer that counts, sent again: to refuse it would tell the worker
 * to throw away what others will read. */
static bool is_repeated(const struct task *task, const struct sched_event *event)
{
    return event->type == EVENT_TASK_DONE && task->state == TASK_DONE &&
           task->answered == event->worker && task->attempt == event->attempt.attempt;
}

/* The task whose running attempt the event speaks of; NULL, after REFUSE or REPEATED, if none.
 */
static struct task *running_task(struct sched *sched, const struct sched_event *event)
{
    struct sched_action refuse = {.type = ACTION_REFUSE,
                                  .job = event->attempt.job,
                                  .worker = event->worker,
                                  .attempt = event->attempt};
    struct task *task = task_find(sched, &event->attempt);

    if (is_running(task, event->worker, &event->attempt))
        return task;
    if (task && is_repeated(task, event))
        refuse.type = ACTION_REPEATED;
    gate_emit(sched, &refuse);
    return NULL;
}

void task_done(struct sched *sched, const struct sched_event *event)
{
    struct task *task = running_task(sched, event);
    struct sched_action accepted = {.type = ACTION_ACCEPTED,
                                    .job = event->attempt.job,
                                    .worker = event->worker,
                                    .attempt = event->attempt};
    uint64_t sequence = 0;

    if (!task)
        return;
    task_detach(sched, task);
    task->state = TASK_DONE;
    task->answered = event->worker;
    if (task->kind != SCHED_CHECK)
        sequence = gate_persist(sched, SCHED_RECORD_ACCEPTED, event->attempt.job,
                                &event->attempt, event->worker);
    gate_hold(sched, sequence, &accepted);
    if (task->kind == SCHED_MAP) {
        holder_set(task, map_get(&sched->workers, event->worker));
        task->job->maps_done++;
        task->age = ++task->job->age;
        /* Reducers may read the outputs once the last of them is sure to count. */
        if (task->job->maps_done == task->job->map_count)
            task->job->gate = sequence;
    } else if (task->kind == SCHED_REDUCE) {
        task->job->reduces_done++;
    } else if (task->kind == SCHED_SAMPLE) {
        /* Parts are cut where it says: no map may go by it before it is sure to count. */
        task->job->gate = sequence;
    }
    job_advance(sched, task->job);
}

/* The cause that will be told is the first one; but if the same happens again now that records
 * are fed singly, that names the place. */
void task_note_blame(struct task *task, uint32_t attempt, enum error_code code)
{
    task->job->failed_attempts++;
    if (!task->blamed || (task->blamed == 1 && code == task->cause)) {
        task->cause_attempt = attempt;
        task->cause = code;
    }
    task->single = true;
    task->blamed++;
}

/* A failure that is the task's own. */
static void charge(struct sched *sched, struct task *task, const struct sched_event *event)
{
    struct sched_action failure = {.type = ACTION_FAILURE,
                                   .job = event->attempt.job,
                                   .worker = event->worker,
                                   .attempt = event->attempt,
                                   .code = event->code};
    struct sched_attempt cause = event->attempt;

    gate_emit(sched, &failure);
    gate_persist_failure(sched, &failure);
    task_note_blame(task, event->attempt.attempt, event->code);
    if (task->blamed < LIMIT_ATTEMPTS) {
        task_ready(task);
        return;
    }
    cause.attempt = task->cause_attempt;
    job_end(sched, task->job, SCHED_FAILED, task->cause, &cause);
}

/* A failure that is nobody's: tried again, preferably elsewhere. */
static void excuse(struct sched *sched, struct task *task, const struct sched_event *event)
{
    task->avoid = event->worker;
    if (event->suspect)
        task->alone = task->single = true;
    if (++task->freed < FREE_FAILURES_MAX)
        task_ready(task);
    else
        job_end(sched, task->job, SCHED_FAILED, event->code, &event->attempt);
}

/* This worker cannot do it, through no fault of the task: others may. */
static void exclude(struct sched *sched, struct task *task, const struct sched_event *event)
{
    /* One that is to leave gets nothing anyway. */
    if (!sched_drains(sched, event->worker))
        map_put(&task->job->excluded, event->worker, task->job);
    task_ready(task);
    cuts_settle(sched, task->job);
}

/* The map whose output a reducer complains of; NULL if that is being made again already, or was
 * since: the complaint is about an output long replaced. */
static struct task *map_complained_of(const struct task *task, const struct sched_event *event)
{
    struct job *job = task->job;
    struct task *map;

    if (job->phase >= JOB_ENDING || task->kind != SCHED_REDUCE ||
        event->lost_map >= job->map_count)
        return NULL;
    map = &job->maps[event->lost_map];
    return map->state != TASK_DONE || map->age > task->age ? NULL : map;
}

/* The reducer could not reach who holds a map's output: others may. */
static void move(struct sched *sched, struct task *task, const struct sched_event *event)
{
    struct task *map;

    excuse(sched, task, event);
    map = map_complained_of(task, event);
    if (map && map->worker && map->worker->id != event->worker)
        cuts_note(sched, task->job, event->worker, map->worker->id);
}

/* The reducer could not read a map's output: that map is made again. */
static void refetch(struct sched *sched, struct task *task, const struct sched_event *event)
{
    struct job *job = task->job;
    struct task *map;

    excuse(sched, task, event);
    map = map_complained_of(task, event);
    if (!map)
        return;
    if (++map->remade > LIMIT_ATTEMPTS)
        job_end(sched, job, SCHED_FAILED, event->code, &event->attempt);
    else
        task_output_lost(sched, map);
}

void task_failed(struct sched *sched, const struct sched_event *event)
{
    struct task *task = running_task(sched, event);
    enum error_policy policy = error_policy(event->code);
    bool blamed = event->blamed || (event->suspect && task && task->alone);

    if (!task)
        return;
    task_detach(sched, task);
    if (policy == POLICY_REFETCH)
        refetch(sched, task, event);
    else if (policy == POLICY_ELSEWHERE)
        move(sched, task, event);
    else if (policy == POLICY_EXCLUDE)
        exclude(sched, task, event);
    else if (policy == POLICY_GIVE_UP && blamed)
        job_end(sched, task->job, SCHED_FAILED, event->code, &event->attempt);
    else if (policy == POLICY_BLAME && blamed)
        charge(sched, task, event);
    else
        excuse(sched, task, event);
}

void task_output_lost(struct sched *sched, struct task *map)
{
    struct sched_action again = {.type = ACTION_MAP_AGAIN};
    struct job *job = map->job;

    check(map->kind == SCHED_MAP && map->state == TASK_DONE);
    again.job = job->id;
    again.attempt = task_attempt(map);
    job->gate = gate_persist(sched, SCHED_RECORD_LOST, job->id, &again.attempt,
                             map->worker ? map->worker->id : 0);
    gate_hold(sched, job->gate, &again);
    job->unclaimed -= !map->worker;
    task_forget_output(map);
    job->maps_done--;
    job->map_reruns++;
    task_ready(map);
}
