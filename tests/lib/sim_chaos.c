/* The cluster's size, its jobs' fates, and what befalls it while it works. */
#include "tests/lib/sim_state.h"

#include "base/memory.h"

enum { MS = 1000, SECOND = 1000 * MS };

static uint32_t one_in(struct sim *sim, uint32_t n)
{
    return rng_below(&sim->rng, n) == 0;
}

/* Each fault is absent from some runs, so that the others show what they can do alone. */
static uint32_t rate(struct sim *sim, uint32_t most)
{
    return one_in(sim, 3) ? 0 : (uint32_t)sim_between(sim, 1, most);
}

void sim_join(struct sim *sim, uint64_t delay_us)
{
    struct happening join = {.type = HAPPEN_JOIN, .worker = sim->worker_count + 1};

    if (join.worker >= MODEL_WORKERS)
        return;
    sim->worker_count++;
    sim_later(sim, delay_us, &join);
}

void sim_joined(struct sim *sim, uint64_t id)
{
    struct sched_event event = {.type = EVENT_WORKER_JOINED, .worker = id};
    struct sim_worker *worker = &sim->workers[id];

    worker->here = true;
    worker->slow = sim_fault(sim, sim->rates.slow);
    if (!worker->threads)
        worker->threads = one_in(sim, 3) ? 1 : (uint32_t)sim_between(sim, 2, 16);
    /* Those that join when the faults are over see everything, and two always do. */
    for (uint64_t job = 1; job <= sim->job_count; job++)
        if (sim_fault(sim, sim->jobs[job].hidden))
            worker->blind |= UINT64_C(1) << job;
    event.threads = worker->threads;
    event.draining = sim_fault(sim, 30);
    sim_count(sim, SIM_WORKERS);
    sim_event_later(sim, 0, &event);
    if (event.draining) {
        sim_count(sim, SIM_DRAINING_JOINS);
        sim_drain(sim, id);
    }
    sim_reclaim(sim, id);
}

static void declare_lost(struct sim *sim, uint64_t id)
{
    struct sched_event event = {.type = EVENT_WORKER_LOST, .worker = id};

    if (sim->workers[id].lost)
        return;
    sim->workers[id].lost = true;
    sim_count(sim, SIM_LOSSES);
    sim_event_later(sim, 0, &event);
}

void sim_lease_ends(struct sim *sim, uint64_t id)
{
    const struct sim_worker *worker = &sim->workers[id];

    if (sim_is_reachable(sim, id) || worker->lost)
        return;
    declare_lost(sim, id);
    /* Who was only cut off comes back as someone new. What it still does in its old name is
     * stale. */
    if (!worker->crashed_at)
        sim_join(sim, worker->cut_until - sim->now + sim_between(sim, 1, SECOND));
}

static uint64_t pick_worker(struct sim *sim)
{
    for (int i = 0; i < 20 && sim->worker_count; i++) {
        uint64_t id = sim_between(sim, 1, sim->worker_count);

        if (sim->workers[id].here && !sim->workers[id].lost && sim_is_reachable(sim, id))
            return id;
    }
    return 0;
}

static void strike_worker(struct sim *sim)
{
    uint64_t id = pick_worker(sim);
    struct sim_worker *worker = &sim->workers[id];
    struct happening lease = {.type = HAPPEN_LEASE_ENDS, .worker = id};

    /* Those that are cut off come back under new ids, and there must be some left at the end.
     */
    if (!id || sim->worker_count > MODEL_WORKERS - 600)
        return;
    switch (rng_below(&sim->rng, 7)) {
    case 5:
    case 6:
        sim_drain(sim, id);
        return;
    case 0:
        sim_count(sim, SIM_GOODBYES);
        worker->crashed_at = sim->now;
        declare_lost(sim, id);
        break;
    case 1:
    case 2:
        sim_count(sim, SIM_CUTS);
        worker->cut_from = sim->now;
        worker->cut_until = sim->now + sim->lease_us * sim_between(sim, 1, 25) / 10;
        sim_later(sim, sim->lease_us, &lease);
        return;
    default:
        sim_count(sim, SIM_CRASHES);
        worker->crashed_at = sim->now;
        sim_later(sim, sim->lease_us, &lease);
    }
    if (!one_in(sim, 4))
        sim_join(sim, sim_between(sim, 0, 3 * SECOND));
}

/* An attempt that was handed out lately. */
static const struct sched_action *recent_assign(const struct sim *sim)
{
    for (int i = 0; i < SIM_TAIL; i++)
        if (!sim->tail[i].is_event && sim->tail[i].action.type == ACTION_ASSIGN)
            return &sim->tail[i].action;
    return NULL;
}

static struct sched_event stale_answer(struct sim *sim)
{
    const struct sched_action *recent = recent_assign(sim);
    struct sched_event event = {.type = one_in(sim, 2) ? EVENT_TASK_DONE : EVENT_TASK_FAILED,
                                .code = one_in(sim, 2) ? ERROR_CRASH : ERROR_UNSEEN,
                                .blamed = true};

    if (recent) {
        event.attempt = recent->attempt;
        event.worker = recent->worker;
    }
    if (one_in(sim, 3))
        event.type = EVENT_STRAGGLER;
    switch (rng_below(&sim->rng, 5)) {
    case 0:
        event.worker = MODEL_WORKERS + 7;
        break;
    case 1:
        event.attempt.attempt += 1000;
        break;
    case 2:
        event.attempt.task += 100 * 1000;
        break;
    case 3:
        event.attempt.kind = (enum sched_kind)7;
        break;
    default:
        event.attempt.job = MODEL_JOBS + 1;
    }
    return event;
}

/* What no honest party would say, or not now. */
static void talk_nonsense(struct sim *sim)
{
    static const enum sched_event_type of_jobs[] = {EVENT_JOB_PLANNED, EVENT_JOB_BROKEN,
                                                    EVENT_JOB_COMMITTED, EVENT_JOB_CANCELLED};
    struct sched_event event = {.job = MODEL_JOBS + 3, .maps = 2, .reduces = 2};

    switch (rng_below(&sim->rng, 6)) {
    case 0:
        event.type = of_jobs[rng_below(&sim->rng, 4)];
        break;
    case 1:
        event = (struct sched_event){.type = EVENT_WORKER_LOST, .worker = MODEL_WORKERS + 1};
        break;
    case 2:
        event = (struct sched_event){.type = EVENT_WORKER_JOINED, .threads = 3};
        event.worker = pick_worker(sim);
        if (!event.worker)
            return;
        break;
    case 3:
        event = (struct sched_event){.type = EVENT_PERSISTED, .sequence = sim->asked + 1000};
        if (one_in(sim, 2))
            event.sequence = sim_between(sim, 0, sim->saved);
        break;
    case 4:
        event = (struct sched_event){.type = EVENT_OUTPUTS_UNCLAIMED};
        break;
    default:
        event = stale_answer(sim);
    }
    sim_count(sim, SIM_NONSENSE);
    sim_event_later(sim, 0, &event);
}

void sim_chaos(struct sim *sim)
{
    struct happening next = {.type = HAPPEN_CHAOS};

    if (sim_is_quiet(sim)) {
        sim_join(sim, 0);
        sim_join(sim, 0);
        return;
    }
    if (one_in(sim, 3))
        talk_nonsense(sim);
    else if (one_in(sim, 3) && pick_worker(sim))
        sim_claim(sim, pick_worker(sim));
    else
        strike_worker(sim);
    sim_later(sim, sim_between(sim, 1, sim->chaos_us), &next);
}

static void submit(struct sim *sim, uint64_t id)
{
    struct sim_job *job = &sim->jobs[id];
    struct sched_event event = {.type = EVENT_JOB_SUBMITTED, .job = id};
    uint64_t at = rng_below(&sim->rng, sim->faults_end * 2 / 3);

    if (one_in(sim, 4))
        job->badness = (enum sim_badness)sim_between(sim, BAD_BLAMED, BAD_OUTPUT);
    job->bad.kind = (enum sched_kind)rng_below(&sim->rng, SCHED_KINDS);
    job->sampled = one_in(sim, 3);
    job->plan_breaks = one_in(sim, 20);
    job->commit_breaks = one_in(sim, 20);
    event.priority = one_in(sim, 2) ? 5 : (uint32_t)rng_below(&sim->rng, SCHED_PRIORITIES);
    event.steady = one_in(sim, 8);
    if (one_in(sim, 3))
        event.skips = (uint32_t)sim_between(sim, 1, 60);
    job->skips = event.skips;
    job->sees = (enum sim_sight)sim_between(sim, SIM_SEES_ALL, SIM_SEES_NOTHING);
    job->priority = event.priority;
    job->steady = event.steady;
    if (one_in(sim, 2))
        job->hidden = one_in(sim, 5) ? 950 : sim->rates.hidden;
    sim_event_later(sim, at, &event);
    if (!one_in(sim, 8))
        return;
    job->cancelled = true;
    event.type = EVENT_JOB_CANCELLED;
    at += rng_below(&sim->rng, one_in(sim, 4) ? 20 * MS : 10 * SECOND);
    sim_count(sim, SIM_CANCELS);
    for (uint64_t n = sim_between(sim, 1, 2); n; n--)
        sim_event_later(sim, at + rng_below(&sim->rng, SECOND), &event);
}

void sim_prepare(struct sim *sim)
{
    struct happening chaos = {.type = HAPPEN_CHAOS};
    uint64_t size = rng_below(&sim->rng, 100), workers;

    workers = size < 70   ? sim_between(sim, 1, 8)
              : size < 95 ? sim_between(sim, 9, 40)
                          : sim_between(sim, 100, 400);
    sim->faults_end = sim_between(sim, 5 * SECOND, 20 * SECOND);
    sim->lease_us = sim_between(sim, 500 * MS, 5 * SECOND);
    sim->chaos_us = sim_between(sim, 200 * MS, 4 * SECOND) * 8 / (8 + workers);
    sim->delay_us = sim_between(sim, 100, one_in(sim, 4) ? 200 * MS : 3 * MS);
    sim->disk_us =
        one_in(sim, 4) ? 0 : sim_between(sim, 100, one_in(sim, 4) ? 300 * MS : 10 * MS);
    sim->work_us = sim_between(sim, 50 * MS, 1500 * MS);
    sim->rates.drop = rate(sim, 150);
    sim->rates.twice = rate(sim, 100);
    sim->rates.stall = rate(sim, 20);
    sim->rates.innocent = rate(sim, 50);
    sim->rates.suspect = rate(sim, 50);
    sim->rates.unread = rate(sim, one_in(sim, 4) ? 400 : 50);
    sim->rates.flaky = rate(sim, 200);
    sim->rates.slow_disk = rate(sim, 20);
    sim->rates.hidden = rate(sim, 600);
    sim->rates.apart = rate(sim, one_in(sim, 4) ? 600 : 100);
    sim->rates.slow = rate(sim, 300);
    sim->rates.full = rate(sim, one_in(sim, 4) ? 200 : 30);
    if (!sim->falsify)
        sim->rates.restart = rate(sim, 10);
    if (one_in(sim, 2)) {
        sim->limit = (uint32_t)sim_between(sim, 1, 4);
        sched_limit(sim->sched, sim->limit);
        model_limit(sim->model, sim->limit);
    }
    for (uint64_t i = 0; i < workers; i++)
        sim_join(sim, rng_below(&sim->rng, one_in(sim, 3) ? 10 * SECOND : 10 * MS));
    sim->job_count = sim_between(sim, 1, 10);
    for (uint64_t id = 1; id <= sim->job_count; id++)
        submit(sim, id);
    sim_later(sim, sim_between(sim, 1, sim->chaos_us), &chaos);
}

static void size_job(struct sim *sim, struct sim_job *job)
{
    bool large = sim->worker_count > 40;

    job->maps = one_in(sim, 10) ? 0 : (uint32_t)sim_between(sim, 1, large ? 500 : 60);
    job->reduces = (uint32_t)sim_between(sim, 1, large ? 150 : 20);
    if (job->badness == BAD_OUTPUT && !job->maps)
        job->badness = NOT_BAD;
    else if (job->badness == BAD_OUTPUT)
        job->bad.kind = SCHED_MAP;
    if (job->bad.kind == SCHED_SAMPLE && !job->sampled)
        job->bad.kind = SCHED_MAP;
    if (job->bad.kind == SCHED_MAP && !job->maps)
        job->bad.kind = SCHED_REDUCE;
    if (job->bad.kind == SCHED_MAP || job->bad.kind == SCHED_REDUCE)
        job->bad.task = (uint32_t)rng_below(
            &sim->rng, job->bad.kind == SCHED_MAP ? job->maps : job->reduces);
    job->holders = memory_zeroed(job->maps, sizeof *job->holders);
    job->attempts = memory_zeroed(job->maps, sizeof *job->attempts);
    job->owners = memory_zeroed(job->maps, sizeof *job->owners);
    job->versions = memory_zeroed(job->maps, sizeof *job->versions);
    job->complained = memory_zeroed(job->maps, sizeof *job->complained);
    job->last_complained = memory_zeroed(job->maps, sizeof *job->last_complained);
    for (int kind = SCHED_MAP; kind < SCHED_KINDS; kind++) {
        uint32_t count = kind == SCHED_MAP      ? job->maps
                         : kind == SCHED_REDUCE ? job->reduces
                                                : 1;

        job->counts[kind] = count;
        job->failures_left[kind] = memory_zeroed(count, 1);
        for (uint32_t i = 0; i < count; i++)
            if (sim_fault(sim, sim->rates.flaky))
                job->failures_left[kind][i] = (uint8_t)sim_between(sim, 1, 3);
        if (kind != SCHED_SAMPLE || job->sampled)
            sim_spoil(sim, job, (enum sched_kind)kind, count);
    }
}

void sim_plan(struct sim *sim, uint64_t id)
{
    struct sim_job *job = &sim->jobs[id];
    struct sched_event event = {.type = EVENT_JOB_PLANNED, .job = id};

    if (job->plan_breaks) {
        event.type = EVENT_JOB_BROKEN;
        event.code = ERROR_INPUT;
        sim_count(sim, SIM_PLANS_BROKEN);
    } else {
        if (!job->holders)
            size_job(sim, job);
        event.maps = job->maps;
        event.reduces = job->reduces;
        event.sample = job->sampled;
    }
    sim_event_later(sim, sim_between(sim, 0, 50 * MS), &event);
}
