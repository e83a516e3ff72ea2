/* The life of a task. An attempt is given to a worker; its answer is believed if, and only if,
 * that attempt is the one that runs there now. */
#include "base/check.h"
#include "base/limits.h"
#include "coordinator/sched/state.h"

enum {
    FREE_FAILURES_MAX = 200
}; /* of one task, but for those that the search for bad records brought: beyond it something
      is wrong that retries do not cure */

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

void task_list_remove(struct task **list, struct task *task)
{
    if (task->prev)
        task->prev->next = task->next;
    else
        *list = task->next;
    if (task->next)
        task->next->prev = task->prev;
    task->prev = task->next = NULL;
}

/* Of which it is one while it is pending. */
static uint32_t *waiting(const struct task *task)
{
    struct job *job = task->job;

    return task->alone ? &job->waiting_alone[task->kind == SCHED_REDUCE]
                       : &job->waiting[task->kind == SCHED_REDUCE];
}

/* Puts the task where placement finds it. */
void task_ready(struct task *task)
{
    struct job *job = task->job;

    task->state = TASK_PENDING;
    if (task->kind == SCHED_CHECK || task->kind == SCHED_SAMPLE) {
        job->prelude = task;
        return;
    }
    heap_push(task->alone ? &job->lonely[task->kind == SCHED_REDUCE]
                          : &job->pending[task->kind == SCHED_REDUCE],
              task->number);
    ++*waiting(task);
    if (task->kind == SCHED_REDUCE && job->home_count) {
        struct home *home = &job->homes[task->number % job->home_count];

        if (home->next > task->number)
            home->next = task->number;
    }
}

void task_count(struct sched *sched, struct task *task, struct worker *worker, int change)
{
    struct job *job = task->job;
    uint64_t threads = 1;

    if (task->kind == SCHED_REDUCE) {
        worker->single += (uint32_t)change;
        job->slots += (uint64_t)(int64_t)change;
    } else {
        /* What is in hand is of the same job, and takes no more threads. */
        if (worker->whole == (change < 0))
            job->slots += (uint64_t)(int64_t)change * worker->threads;
        threads = worker->threads;
        worker->whole += (uint32_t)change;
    }
    job->running += (uint32_t)change;
    if (change > 0)
        share_charge(sched, job, threads);
}

void task_start(struct sched *sched, struct task *task, struct worker *worker)
{
    struct sched_action action = {.type = ACTION_ASSIGN, .worker = worker->id};

    if (task->kind == SCHED_MAP || task->kind == SCHED_REDUCE)
        --*waiting(task);
    else
        task->job->prelude = NULL;
    task->state = TASK_RUNNING;
    if (task->given < task->attempt)
        task->given = task->attempt;
    if (task->given < task->job->lives * SCHED_LIFE_ATTEMPTS)
        task->given = task->job->lives * SCHED_LIFE_ATTEMPTS;
    task->attempt = ++task->given;
    task->began_alone = task->alone;
    task->began_single = task->single;
    task->known = (uint32_t)task->job->skip_count;
    task->worker = worker;
    task->age = task->job->age;
    task_list_add(&worker->running, task);
    task_count(sched, task, worker, 1);
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
    struct worker *worker;

    check(task->state == TASK_RUNNING);
    if (task->copy) {
        copy_swap(task);
        copy_detach(sched, task);
        return;
    }
    worker = task->worker;
    task_list_remove(&worker->running, task);
    task_count(sched, task, worker, -1);
    if (task->began_alone)
        worker->alone = false;
    task->worker = NULL;
    task->state = TASK_BLOCKED;
    place_worker(sched, worker);
}

static void revoke(struct sched *sched, struct task *task)
{
    struct sched_action revoke = {.type = ACTION_REVOKE,
                                  .job = task->job->id,
                                  .worker = task->worker->id,
                                  .attempt = task_attempt(task)};

    gate_emit(sched, &revoke);
    task_detach(sched, task);
}

void task_revoke(struct sched *sched, struct task *task)
{
    while (task->state == TASK_RUNNING)
        revoke(sched, task);
}

void task_give_back(struct sched *sched, struct task *task)
{
    revoke(sched, task);
    if (task->state != TASK_RUNNING)
        task_ready(task);
}

void task_forget_output(struct task *map)
{
    if (map->worker)
        task_list_remove(&map->worker->outputs, map);
    map->worker = NULL;
}

static bool is_copy(const struct task *task, uint64_t worker,
                    const struct sched_attempt *attempt)
{
    return task->copy && task->copy->worker->id == worker &&
           task->copy->attempt == attempt->attempt;
}

static bool is_running(const struct task *task, uint64_t worker,
                       const struct sched_attempt *attempt)
{
    return task && task->state == TASK_RUNNING &&
           ((task->worker->id == worker && task->attempt == attempt->attempt) ||
            is_copy(task, worker, attempt));
}

bool sched_runs(const struct sched *sched, uint64_t worker, const struct sched_attempt *attempt)
{
    return is_running(task_find(sched, attempt), worker, attempt);
}

bool sched_runs_singly(const struct sched *sched, uint64_t worker,
                       const struct sched_attempt *attempt)
{
    const struct task *task = task_find(sched, attempt);

    return is_running(task, worker, attempt) && !task->copy;
}

/* Whether the event is the answer that counts, sent again: to refuse it would tell the worker
 * to throw away what others will read. */
static bool is_repeated(const struct task *task, const struct sched_event *event)
{
    return event->type == EVENT_TASK_DONE && task->state == TASK_DONE &&
           task->answered == event->worker && task->attempt == event->attempt.attempt;
}

/* The task whose running attempt the event speaks of, with that one in front of its copy; NULL,
 * after REFUSE or REPEATED, if none. */
static struct task *running_task(struct sched *sched, const struct sched_event *event)
{
    struct sched_action refuse = {.type = ACTION_REFUSE,
                                  .job = event->attempt.job,
                                  .worker = event->worker,
                                  .attempt = event->attempt};
    struct task *task = task_find(sched, &event->attempt);

    if (is_running(task, event->worker, &event->attempt)) {
        if (is_copy(task, event->worker, &event->attempt))
            copy_swap(task);
        return task;
    }
    if (task && is_repeated(task, event))
        refuse.type = ACTION_REPEATED;
    gate_emit(sched, &refuse);
    return NULL;
}

/* A map that was made again emitted other pairs than before into some parts. Where nobody used
 * the old ones, the new ones are as good: whoever may be reading them begins anew. Where a
 * reducer did, both would be in the output, and nobody could say which are right: the job
 * fails, and the new attempt is never accepted, so that a restart comes to the same end. */
static bool is_unsteady(struct sched *sched, struct task *map, const struct sched_event *event)
{
    struct job *job = map->job;

    for (size_t i = 0; i < event->changed_count; i++)
        if (event->changed[i] < job->reduce_count &&
            job->reduces[event->changed[i]].state == TASK_DONE) {
            job->unsteady = event->changed[i];
            job_end(sched, job, SCHED_FAILED, ERROR_UNSTEADY, &event->attempt);
            return true;
        }
    for (size_t i = 0; i < event->changed_count; i++)
        if (event->changed[i] < job->reduce_count &&
            job->reduces[event->changed[i]].state == TASK_RUNNING) {
            task_revoke(sched, &job->reduces[event->changed[i]]);
            task_ready(&job->reduces[event->changed[i]]);
        }
    return false;
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
    if (task->copy)
        copy_revoke(sched, task);
    task_detach(sched, task);
    if (task->kind == SCHED_MAP && is_unsteady(sched, task, event))
        return;
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

/* The cause that will be told is the first one, unless the same happens again and only that
 * names the place. Where the place is not known yet, the next attempt looks for it: in the
 * block that it is in, or in all of the input, record by record on one thread, so that who dies
 * without a word names it too. */
void task_note_blame(struct task *task, uint32_t attempt, enum error_code code,
                     const struct sched_culprit *culprit)
{
    bool exact = culprit->type >= CULPRIT_RECORD;

    task->job->failed_attempts++;
    if (!task->blamed ||
        (code == task->cause && !task->cause_exact && (exact || task->blamed == 1))) {
        task->cause_attempt = attempt;
        task->cause = code;
        task->cause_exact = exact;
    }
    if (culprit->type == CULPRIT_NONE ||
        (culprit->type == CULPRIT_BLOCK && !skip_narrow(task, culprit)))
        task->single = true;
    task->blamed++;
}

/* Tried again, unless a copy runs still. */
static void again(struct task *task)
{
    if (task->state != TASK_RUNNING)
        task_ready(task);
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
    gate_persist_like(sched, SCHED_RECORD_FAILED, &failure);
    task_note_blame(task, event->attempt.attempt, event->code, &event->culprit);
    if (task->blamed < LIMIT_ATTEMPTS) {
        again(task);
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
    if (++task->freed < FREE_FAILURES_MAX + task->job->searched)
        again(task);
    else
        job_end(sched, task->job, SCHED_FAILED, event->code, &event->attempt);
}

/* This worker cannot do it, through no fault of the task: others may. */
static void exclude(struct sched *sched, struct task *task, const struct sched_event *event)
{
    /* One that is to leave, or full, gets nothing anyway. */
    if (!sched_drains(sched, event->worker) && !sched_is_full(sched, event->worker))
        map_put(&task->job->excluded, event->worker, task->job);
    again(task);
    cuts_settle(sched, task->job);
}

/* The worker has no room: what it could not do others may. */
static void make_way(struct sched *sched, struct task *task, const struct sched_event *event)
{
    excuse(sched, task, event);
    room_gone(sched, map_get(&sched->workers, event->worker));
}

/* The map whose output a reducer complains of, which began at `age`; NULL if that is being made
 * again already, or was since: the complaint is about an output long replaced. */
static struct task *map_complained_of(const struct task *task, const struct sched_event *event,
                                      uint64_t age)
{
    struct job *job = task->job;
    struct task *map;

    if (job->phase >= JOB_ENDING || task->kind != SCHED_REDUCE ||
        event->lost_map >= job->map_count)
        return NULL;
    map = &job->maps[event->lost_map];
    return map->state != TASK_DONE || map->age > age ? NULL : map;
}

/* The reducer could not reach who holds a map's output: others may. */
static void move(struct sched *sched, struct task *task, const struct sched_event *event,
                 uint64_t age)
{
    struct task *map;

    excuse(sched, task, event);
    map = map_complained_of(task, event, age);
    if (map && map->worker && map->worker->id != event->worker)
        cuts_note(sched, task->job, event->worker, map->worker->id);
}

/* The reducer, which began at `age`, could not read a map's output: that map is made again. */
static void refetch(struct sched *sched, struct task *task, const struct sched_event *event,
                    uint64_t age)
{
    struct job *job = task->job;
    struct task *map;

    excuse(sched, task, event);
    map = map_complained_of(task, event, age);
    if (!map)
        return;
    if (++map->remade > LIMIT_ATTEMPTS) {
        job_end(sched, job, SCHED_FAILED, event->code, &event->attempt);
        return;
    }
    /* The same disk may damage it again. */
    if (map->worker)
        map->avoid = map->worker->id;
    task_output_lost(sched, map);
}

void task_failed(struct sched *sched, const struct sched_event *event)
{
    struct task *task = running_task(sched, event);
    enum error_policy policy = error_policy(event->code);
    bool blamed = event->blamed || (event->suspect && task && task->began_alone);
    uint64_t age = task ? task->age : 0;
    uint32_t known = task ? task->known : 0;

    if (!task)
        return;
    task_detach(sched, task);
    if (policy == POLICY_REFETCH)
        refetch(sched, task, event, age);
    else if (policy == POLICY_ELSEWHERE)
        move(sched, task, event, age);
    else if (policy == POLICY_EXCLUDE)
        exclude(sched, task, event);
    else if (policy == POLICY_NO_ROOM)
        make_way(sched, task, event);
    else if (policy == POLICY_GIVE_UP && blamed)
        job_end(sched, task->job, SCHED_FAILED, event->code, &event->attempt);
    else if (policy == POLICY_BLAME && blamed && skip_failed(sched, task, event, known))
        ;
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
