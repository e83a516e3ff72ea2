#include "tests/lib/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/lib/sim_state.h"
#include "tests/lib/trace.h"

/* However unlucky a run was: so long after the last fault everything must be over. */
#define PATIENCE_US (UINT64_C(600) * 1000 * 1000)

const char *sim_count_words(enum sim_count count)
{
#define WORDS(name, words) words,
    static const char *const table[] = {SIM_COUNTS_TABLE(WORDS)};
#undef WORDS

    return table[count];
}

void sim_count(struct sim *sim, enum sim_count count)
{
    sim->report->counts[count]++;
}

bool sim_is_quiet(const struct sim *sim)
{
    return sim->now >= sim->faults_end;
}

bool sim_fault(struct sim *sim, uint32_t in_thousand)
{
    return rng_below(&sim->rng, 1000) < in_thousand && !sim_is_quiet(sim);
}

uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high)
{
    return low + rng_below(&sim->rng, high - low + 1);
}

static bool is_before(const struct happening *a, const struct happening *b)
{
    return a->at != b->at ? a->at < b->at : a->serial < b->serial;
}

void sim_later(struct sim *sim, uint64_t delay_us, const struct happening *happening)
{
    struct happening *copy = memory_new(sizeof *copy);
    size_t at = sim->queue_count++;

    *copy = *happening;
    copy->at = sim->now + delay_us;
    copy->serial = sim->serial++;
    memory_reserve(&sim->queue, &sim->queue_capacity, sim->queue_count, sizeof *sim->queue);
    for (; at && is_before(copy, sim->queue[(at - 1) / 2]); at = (at - 1) / 2)
        sim->queue[at] = sim->queue[(at - 1) / 2];
    sim->queue[at] = copy;
}

void sim_event_later(struct sim *sim, uint64_t delay_us, const struct sched_event *event)
{
    struct happening happening = {.type = HAPPEN_EVENT, .event = *event};

    sim_later(sim, delay_us, &happening);
}

static struct happening *take_next(struct sim *sim)
{
    struct happening *top = sim->queue[0], *last = sim->queue[--sim->queue_count];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < sim->queue_count) {
        if (child + 1 < sim->queue_count && is_before(sim->queue[child + 1], sim->queue[child]))
            child++;
        if (is_before(last, sim->queue[child]))
            break;
        sim->queue[at] = sim->queue[child];
        at = child;
    }
    sim->queue[at] = last;
    return top;
}

void sim_fail(struct sim *sim, const char *why)
{
    char *text = NULL, line[256];
    size_t size = 0;
    FILE *out;

    if (sim->report->failure)
        return;
    out = open_memstream(&text, &size);
    fprintf(out, "%s\n", why);
    for (uint64_t i = sim->tail_count > SIM_TAIL ? sim->tail_count - SIM_TAIL : 0;
         i < sim->tail_count; i++) {
        bool is_event = sim->tail[i % SIM_TAIL].is_event;

        if (is_event)
            trace_event(&sim->tail[i % SIM_TAIL].event, line, sizeof line);
        else
            trace_action(&sim->tail[i % SIM_TAIL].action, line, sizeof line);
        fprintf(out, "%12.6f %s%s\n", (double)sim->tail[i % SIM_TAIL].at / 1e6,
                is_event ? "" : "    -> ", line);
    }
    fclose(out);
    sim->report->failure = text;
}

static void mix(struct sim *sim, uint64_t value)
{
    sim->report->hash = (sim->report->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15);
    sim->report->hash ^= sim->report->hash >> 29;
}

static void mix_attempt(struct sim *sim, const struct sched_attempt *attempt)
{
    mix(sim, attempt->job << 2 | attempt->kind);
    mix(sim, (uint64_t)attempt->task << 32 | attempt->attempt);
}

static void remember_event(struct sim *sim, const struct sched_event *event)
{
    size_t at = sim->tail_count++ % SIM_TAIL;

    sim->tail[at].is_event = true;
    sim->tail[at].at = sim->now;
    sim->tail[at].event = *event;
    mix(sim, sim->now << 4 | event->type);
    mix(sim, event->job ^ event->worker << 20 ^ event->sequence << 40);
    mix(sim, event->code ^ (uint64_t)event->lost_map << 20);
    mix_attempt(sim, &event->attempt);
    sim_count(sim, SIM_EVENTS);
}

static void remember_action(struct sim *sim, const struct sched_action *action)
{
    size_t at = sim->tail_count++ % SIM_TAIL;

    sim->tail[at].is_event = false;
    sim->tail[at].at = sim->now;
    sim->tail[at].action = *action;
    mix(sim, action->type ^ action->job << 8 ^ action->worker << 20 ^ action->sequence << 40);
    mix(sim, action->record ^ action->state << 8 ^ action->code << 16);
    mix_attempt(sim, &action->attempt);
    mix_attempt(sim, &action->cause);
    sim_count(sim, SIM_ACTIONS);
}

static void save(struct sim *sim)
{
    struct happening saved = {.type = HAPPEN_SAVED};
    uint64_t takes = sim->disk_us ? sim_between(sim, 1, sim->disk_us) : 0;

    if (sim->saving || sim->asked == sim->saved)
        return;
    sim->saving = sim->asked;
    if (sim_fault(sim, sim->rates.slow_disk))
        takes += sim_between(sim, 1, 1000 * 1000);
    sim_later(sim, takes, &saved);
}

static void saved(struct sim *sim)
{
    struct sched_event event = {.type = EVENT_PERSISTED, .sequence = sim->saving};

    sim->report->counts[SIM_RECORDS_SKIPPED] += sim->saving - sim->saved - 1;
    sim->saved = sim->saving;
    sim->saving = 0;
    sim_event_later(sim, 0, &event);
    save(sim);
}

static void commit(struct sim *sim, uint64_t id)
{
    struct sched_event event = {.type = EVENT_JOB_COMMITTED, .job = id};

    if (sim->jobs[id].commit_breaks) {
        event.type = EVENT_JOB_BROKEN;
        event.code = ERROR_OUTPUT;
        sim_count(sim, SIM_COMMITS_BROKEN);
    }
    sim_event_later(sim, sim_between(sim, 0, 30 * 1000), &event);
}

void sim_finished(struct sim *sim, const struct sched_action *action)
{
    struct sim_job *job = &sim->jobs[action->job];
    struct happening forget = {.type = HAPPEN_FORGET, .event.job = action->job};
    bool broken = job->badness || job->plan_breaks || job->commit_breaks || job->overflows;

    job->finished = true;
    if (action->state == SCHED_DONE && broken)
        sim_fail(sim, "a job with a bad task is done");
    if (action->state == SCHED_FAILED && !broken &&
        !(job->starved && action->code == ERROR_SPACE))
        sim_fail(sim, "a job without a bad task failed");
    if (action->state == SCHED_CANCELLED && !job->cancelled)
        sim_fail(sim, "a job that nobody cancelled is cancelled");
    if (action->state == SCHED_FAILED && job->overflows)
        sim_count(sim, SIM_OVERFLOWS);
    sim_count(sim, action->state == SCHED_DONE     ? SIM_DONE
                   : action->state == SCHED_FAILED ? SIM_FAILED
                                                   : SIM_CANCELLED);
    if (rng_below(&sim->rng, 2))
        sim_later(sim, rng_below(&sim->rng, 2000 * 1000), &forget);
}

static void cancel_too_late(struct sim *sim, uint64_t job)
{
    struct sched_event event = {.type = EVENT_JOB_CANCELLED, .job = job};

    sim_count(sim, SIM_CANCELS);
    sim_event_later(sim, sim_between(sim, 0, 30 * 1000), &event);
}

static void carry_out(struct sim *sim, const struct sched_action *action)
{
    switch (action->type) {
    case ACTION_PERSIST:
        sim->asked = action->sequence;
        if (action->record == SCHED_RECORD_COMMITTING && sim_fault(sim, 100))
            cancel_too_late(sim, action->job);
        sim_count(sim, SIM_RECORDS);
        sim_note_record(sim, action);
        save(sim);
        break;
    case ACTION_PLAN:
        sim_plan(sim, action->job);
        break;
    case ACTION_ASSIGN:
        sim_count(sim, SIM_ASSIGNED);
        if (action->alone)
            sim_count(sim, SIM_ALONE);
        sim_send_to_worker(sim, action->worker, action);
        break;
    case ACTION_REVOKE:
        sim_count(sim, SIM_REVOKED);
        sim_send_to_worker(sim, action->worker, action);
        break;
    case ACTION_RELEASE:
        sim_count(sim, SIM_RELEASED);
        sim_send_to_worker(sim, action->worker, action);
        break;
    case ACTION_REFUSE:
        sim_count(sim, SIM_REFUSED);
        break;
    case ACTION_REPEATED:
        sim_count(sim, SIM_REPEATED);
        break;
    case ACTION_ACCEPTED:
        if (action->attempt.kind == SCHED_MAP) {
            sim->jobs[action->job].holders[action->attempt.task] = action->worker;
            sim->jobs[action->job].owners[action->attempt.task] = action->worker;
            sim->jobs[action->job].versions[action->attempt.task]++;
            sim->jobs[action->job].attempts[action->attempt.task] = action->attempt.attempt;
        } else if (action->attempt.kind == SCHED_SAMPLE) {
            sim_count(sim, SIM_SAMPLES);
            if (action->attempt.attempt > 1)
                sim_count(sim, SIM_SAMPLES_AGAIN);
        }
        break;
    case ACTION_MAP_AGAIN:
        sim_count(sim, SIM_MAPS_AGAIN);
        break;
    case ACTION_COMMIT:
        if (sim->jobs[action->job].committing)
            sim_count(sim, SIM_COMMITTED_AGAIN);
        sim->jobs[action->job].committing = true;
        commit(sim, action->job);
        break;
    case ACTION_FINISHED:
        sim_finished(sim, action);
        break;
    case ACTION_DISMISS:
        sim_dismissed(sim, action->worker);
        break;
    case ACTION_ADOPTED:
    case ACTION_DROP:
        sim_answered(sim, action);
        break;
    case ACTION_ADMITTED:
    case ACTION_FAILURE:
    case ACTION_MAPS_DONE:
        break;
    }
}

/* The model sees what the scheduler did, or what a test made of it. */
static const char *judge(struct sim *sim, const struct sched_event *event)
{
    struct sched_actions *seen = &sim->actions;

    if (sim->falsify) {
        seen = &sim->falsified;
        seen->count = 0;
        memory_reserve(&seen->items, &seen->capacity, sim->actions.count + 1,
                       sizeof *seen->items);
        for (size_t i = 0; i < sim->actions.count; i++)
            seen->items[seen->count++] = sim->actions.items[i];
        sim->falsify(sim->falsify_context, event, seen);
    }
    return model_step(sim->model, event, seen->items, seen->count);
}

static void step(struct sim *sim, const struct sched_event *event)
{
    const char *complaint;

    sim->actions.count = 0;
    sim->told = *event;
    remember_event(sim, event);
    sched_step(sim->sched, event, &sim->actions);
    for (size_t i = 0; i < sim->actions.count; i++)
        remember_action(sim, &sim->actions.items[i]);
    if (event->type == EVENT_OUTPUTS_UNCLAIMED)
        sim->report->counts[SIM_UNCLAIMED] += sim->actions.count;
    complaint = judge(sim, event);
    if (!complaint)
        complaint = model_compare(sim->model, sim->sched);
    if (complaint) {
        sim_fail(sim, complaint);
        return;
    }
    for (size_t i = 0; i < sim->actions.count; i++)
        carry_out(sim, &sim->actions.items[i]);
}

static void forget(struct sim *sim, uint64_t job)
{
    sched_forget(sim->sched, job);
    model_forget(sim->model, job);
    sim_count(sim, SIM_FORGOTTEN);
}

/* When the coordinator had better not die: an output is in place, or an end on disk, and nobody
 * was told. */
static bool hurts_most(const struct sim *sim, const struct sched_event *event)
{
    uint64_t number = event->sequence;

    if (event->type != EVENT_PERSISTED)
        return event->type == EVENT_JOB_COMMITTED;
    return number && number <= sim->record_count &&
           sim->records[number - 1].action.record == SCHED_RECORD_FINISHED;
}

static void happen(struct sim *sim, const struct happening *happening)
{
    switch (happening->type) {
    case HAPPEN_NOTHING:
        break;
    case HAPPEN_EVENT:
        if (sim->rates.restart && hurts_most(sim, &happening->event) && sim_fault(sim, 50) &&
            sim_restart(sim))
            break;
        step(sim, &happening->event);
        if (sim->rates.restart && sim_fault(sim, sim->rates.restart))
            sim_restart(sim);
        break;
    case HAPPEN_TO_WORKER:
    case HAPPEN_FROM_WORKER:
        sim_deliver(sim, happening);
        break;
    case HAPPEN_ATTEMPT_ENDS:
        sim_attempt_ends(sim, happening);
        break;
    case HAPPEN_LEASE_ENDS:
        sim_lease_ends(sim, happening->worker);
        break;
    case HAPPEN_JOIN:
        sim_joined(sim, happening->worker);
        break;
    case HAPPEN_SAVED:
        saved(sim);
        break;
    case HAPPEN_FORGET:
        forget(sim, happening->event.job);
        break;
    case HAPPEN_MOVE:
        sim_move(sim, happening->worker);
        break;
    case HAPPEN_CHAOS:
        sim_chaos(sim);
        break;
    }
}

static void done(struct sim *sim)
{
    for (size_t i = 0; i < sim->queue_count; i++)
        free(sim->queue[i]);
    free(sim->queue);
    for (uint64_t i = 1; i <= sim->worker_count; i++)
        free(sim->workers[i].attempts);
    for (uint64_t i = 1; i <= sim->job_count; i++) {
        for (int kind = 0; kind < SCHED_KINDS; kind++) {
            free(sim->jobs[i].failures_left[kind]);
            free(sim->jobs[i].bad_records[kind]);
            free(sim->jobs[i].skipped[kind]);
        }
        free(sim->jobs[i].holders);
        free(sim->jobs[i].attempts);
        free(sim->jobs[i].owners);
        free(sim->jobs[i].versions);
        free(sim->jobs[i].complained);
        free(sim->jobs[i].last_complained);
    }
    free(sim->records);
    sched_actions_done(&sim->actions);
    sched_actions_done(&sim->falsified);
    sched_free(sim->sched);
    model_free(sim->model);
    free(sim);
}

void sim_count_sights(struct sim *sim)
{
    struct model_tally tally = model_tally(sim->model);
    uint64_t *counts = sim->report->counts;

    counts[SIM_EXCLUDED] += tally.excluded;
    counts[SIM_HELD] += tally.held;
    counts[SIM_CUT_PAIRS] += tally.cuts;
    counts[SIM_ASIDE] += tally.aside;
    counts[SIM_COUNTED] += tally.counted;
    counts[SIM_WAITS_WORKER] += tally.waits[SCHED_WAITS_WORKER];
    counts[SIM_WAITS_SIGHT] += tally.waits[SCHED_WAITS_SIGHT];
    counts[SIM_WAITS_TURN] += tally.waits[SCHED_WAITS_TURN];
    counts[SIM_WAITS_OUTPUTS] += tally.waits[SCHED_WAITS_OUTPUTS];
    counts[SIM_WAITS_QUEUE] += tally.waits[SCHED_WAITS_QUEUE];
    counts[SIM_WAITS_ROOM] += tally.waits[SCHED_WAITS_ROOM];
    counts[SIM_ROOM] += tally.room;
    counts[SIM_STARVED] += tally.starved;
    counts[SIM_COPIES] += tally.copies;
    counts[SIM_COPIES_WON] += tally.won;
    counts[SIM_COPIES_LEFT] += tally.orphaned;
    counts[SIM_COPIES_GIVEN_BACK] += tally.given_back;
    counts[SIM_HANDS] += tally.hands;
}

static void check_all_over(struct sim *sim)
{
    char why[100];

    for (uint64_t id = 1; id <= sim->job_count; id++)
        if (!sim->jobs[id].finished) {
            snprintf(why, sizeof why, "job %" PRIu64 " did not come to an end", id);
            sim_fail(sim, why);
        }
    sim_check_drains(sim);
}

void sim_run(uint64_t seed, sim_falsify *falsify, void *context, struct sim_report *ret)
{
    struct sim *sim = memory_zeroed(1, sizeof *sim);

    *ret = (struct sim_report){.hash = seed};
    sim->rng.state = seed;
    sim->report = ret;
    sim->sched = sched_new();
    sim->model = model_new();
    sim->falsify = falsify;
    sim->falsify_context = context;
    sim_prepare(sim);
    while (sim->queue_count && !ret->failure && sim->now < sim->faults_end + PATIENCE_US) {
        struct happening *next = take_next(sim);

        sim->now = next->at;
        happen(sim, next);
        free(next);
    }
    check_all_over(sim);
    sim_count_sights(sim);
    done(sim);
}
