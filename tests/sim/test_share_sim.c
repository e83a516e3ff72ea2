/* Shares of jobs in virtual time: workers without faults, attempts that take random times, and
 * the real scheduler in between. */
#include "tests/lib/cmocka_all.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"
#include "coordinator/sched/sched.h"

enum { JOBS = 8, SHORTEST_MS = 50, LONGEST_MS = 400, HAND_MS = 5 };

struct run {
    uint64_t worker, since, until;
    struct sched_attempt attempt;
};

/* A job as it is told to the scheduler, and what it was given. */
struct ask {
    uint32_t priority, maps, reduces;
    uint64_t at; /* ms */
    uint64_t began, ended;
    uint64_t thread_ms; /* in the window that is measured */
};

struct world {
    struct rng rng;
    struct sched *sched;
    uint32_t workers, threads;
    struct ask jobs[JOBS];
    uint64_t job_count, now, from, to; /* the window */
    struct run *runs;
    size_t count, capacity;
    uint64_t *whole_until; /* by worker: when it is through with its maps */
    uint32_t active, active_most;
    struct sched_event *events; /* that are told one after the other */
    size_t event_count, event_capacity;
};

static void tell(struct world *world, struct sched_event event);

static void begin(struct world *world, const struct sched_action *action)
{
    struct ask *job = &world->jobs[action->attempt.job];
    uint64_t takes = SHORTEST_MS + rng_below(&world->rng, LONGEST_MS - SHORTEST_MS + 1);
    struct run run = {
        .worker = action->worker, .attempt = action->attempt, .since = world->now};

    if (action->attempt.kind != SCHED_REDUCE) {
        if (world->whole_until[run.worker] > run.since)
            run.since = world->whole_until[run.worker];
        world->whole_until[run.worker] = run.since + takes;
    }
    run.until = run.since + takes;
    if (!job->began)
        job->began = world->now;
    memory_reserve(&world->runs, &world->capacity, world->count + 1, sizeof *world->runs);
    world->runs[world->count++] = run;
}

static bool is_same(const struct sched_attempt *a, const struct sched_attempt *b)
{
    return a->job == b->job && a->kind == b->kind && a->task == b->task &&
           a->attempt == b->attempt;
}

/* Those that run are never revoked here: only what is in hand is. */
static void give_back(struct world *world, const struct sched_action *action)
{
    for (size_t i = 0; i < world->count; i++)
        if (is_same(&world->runs[i].attempt, &action->attempt)) {
            struct run run = world->runs[i];

            world->runs[i] = world->runs[--world->count];
            if (run.attempt.kind == SCHED_REDUCE)
                return;
            assert_true(run.since + HAND_MS > world->now);
            world->whole_until[run.worker] -= run.until - run.since;
            return;
        }
    fail_msg("what is revoked does not run");
}

static void carry(struct world *world, const struct sched_action *action)
{
    struct ask *job = &world->jobs[action->job];

    switch (action->type) {
    case ACTION_PERSIST:
        tell(world,
             (struct sched_event){.type = EVENT_PERSISTED, .sequence = action->sequence});
        break;
    case ACTION_PLAN:
        world->active++;
        if (world->active > world->active_most)
            world->active_most = world->active;
        tell(world, (struct sched_event){.type = EVENT_JOB_PLANNED,
                                         .job = action->job,
                                         .maps = job->maps,
                                         .reduces = job->reduces});
        break;
    case ACTION_ASSIGN:
        begin(world, action);
        break;
    case ACTION_REVOKE:
        give_back(world, action);
        break;
    case ACTION_COMMIT:
        tell(world, (struct sched_event){.type = EVENT_JOB_COMMITTED, .job = action->job});
        break;
    case ACTION_FINISHED:
        world->active--;
        job->ended = world->now;
        break;
    default:
        break;
    }
}

static void tell(struct world *world, struct sched_event event)
{
    struct sched_actions actions = {0};

    /* What follows from an event comes after all that is decided already. */
    memory_reserve(&world->events, &world->event_capacity, world->event_count + 1,
                   sizeof *world->events);
    world->events[world->event_count++] = event;
    if (world->event_count > 1)
        return;
    for (size_t at = 0; at < world->event_count; at++) {
        event = world->events[at];
        actions.count = 0;
        sched_step(world->sched, &event, &actions);
        for (size_t i = 0; i < actions.count; i++)
            carry(world, &actions.items[i]);
    }
    world->event_count = 0;
    sched_actions_done(&actions);
}

static void count_time(struct world *world, const struct run *run)
{
    uint64_t from = run->since > world->from ? run->since : world->from;
    uint64_t to = run->until < world->to ? run->until : world->to;

    if (from < to)
        world->jobs[run->attempt.job].thread_ms +=
            (to - from) * (run->attempt.kind == SCHED_REDUCE ? 1 : world->threads);
}

static void end_run(struct world *world, size_t i)
{
    struct run run = world->runs[i];

    world->now = run.until;
    world->runs[i] = world->runs[--world->count];
    count_time(world, &run);
    tell(world, (struct sched_event){
                    .type = EVENT_TASK_DONE, .worker = run.worker, .attempt = run.attempt});
}

/* Runs until nothing happens any more, or until the window is over. */
static void play(struct world *world, uint32_t workers, uint32_t threads, uint32_t cap)
{
    world->sched = sched_new();
    world->workers = workers;
    world->threads = threads;
    if (cap)
        sched_limit(world->sched, cap);
    world->whole_until = memory_zeroed(workers + 1, sizeof *world->whole_until);
    for (uint64_t id = 1; id <= workers; id++)
        tell(world, (struct sched_event){
                        .type = EVENT_WORKER_JOINED, .worker = id, .threads = threads});
    for (uint64_t id = 1; world->now < world->to || !world->to;) {
        size_t next = 0;

        for (size_t i = 1; i < world->count; i++)
            if (world->runs[i].until < world->runs[next].until)
                next = i;
        if (id <= world->job_count &&
            (!world->count || world->jobs[id].at <= world->runs[next].until)) {
            world->now = world->jobs[id].at > world->now ? world->jobs[id].at : world->now;
            tell(world, (struct sched_event){.type = EVENT_JOB_SUBMITTED,
                                             .job = id,
                                             .priority = world->jobs[id].priority});
            id++;
        } else if (world->count) {
            end_run(world, next);
        } else {
            break;
        }
    }
    for (size_t i = 0; i < world->count; i++)
        count_time(world, &world->runs[i]);
    sched_free(world->sched);
    free(world->runs);
    free(world->events);
    free(world->whole_until);
}

/* With more to do than there are workers, threads go by weight. */
static void check_shares(uint32_t workers, uint32_t threads, uint32_t maps, uint32_t reduces)
{
    static const uint32_t priorities[] = {0, 5, 5, 6, 7};
    double all = 0, weights = 0;
    struct world world = {.rng.state = workers, .from = 40000, .to = 400000, .job_count = 4};

    for (uint64_t id = 1; id <= 4; id++) {
        world.jobs[id] = (struct ask){
            .priority = priorities[id], .maps = maps, .reduces = reduces, .at = 100 * id};
        weights += 1 << priorities[id];
    }
    play(&world, workers, threads, 0);
    for (uint64_t id = 1; id <= 4; id++)
        all += (double)world.jobs[id].thread_ms;
    for (uint64_t id = 1; id <= 4; id++) {
        double share = (double)world.jobs[id].thread_ms / all;
        double due = (1 << priorities[id]) / weights;

        print_message("%u workers: job %d has %.3f, %.3f is its due\n", workers, (int)id, share,
                      due);
        assert_true(share > due * 0.8 && share < due * 1.2);
    }
}

static void threads_go_by_weight(void **state)
{
    (void)state;
    check_shares(1, 4, 100000, 1);
    check_shares(3, 1, 100000, 1);
    check_shares(16, 2, 200000, 1);
    check_shares(64, 4, 400000, 1);
    check_shares(8, 8, 0, 400000);
}

/* Behind a huge one, in its maps or in its reduces: within the time that a task takes. */
static void a_small_job_begins_within_the_time_of_a_task(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct world world = {.rng.state = seed, .job_count = 2};
        bool maps = seed % 2;
        uint32_t workers = 1 + (uint32_t)rng_below(&world.rng, 12);

        world.jobs[1] = (struct ask){
            .priority = 5, .maps = maps ? 800 : 0, .reduces = maps ? 1 : 3000, .at = 1};
        world.jobs[2] = (struct ask){.priority = 5,
                                     .maps = (uint32_t)rng_below(&world.rng, 3),
                                     .reduces = 2,
                                     .at = 3000 + rng_below(&world.rng, 1000)};
        play(&world, workers, 1 + (uint32_t)rng_below(&world.rng, 4), 0);
        assert_true(world.jobs[1].ended > world.jobs[2].ended);
        assert_in_range(world.jobs[2].began - world.jobs[2].at, 0, LONGEST_MS);
    }
}

/* The lowest priority beside the highest: its turn comes. */
static void nobody_starves(void **state)
{
    struct world world = {.rng.state = 7, .to = 4000000, .job_count = 2};

    (void)state;
    world.jobs[1] = (struct ask){.priority = 9, .maps = 1000000, .reduces = 1, .at = 1};
    world.jobs[2] = (struct ask){.priority = 0, .maps = 2, .reduces = 2, .at = 5000};
    play(&world, 2, 2, 0);
    assert_int_equal(world.jobs[1].ended, 0);
    assert_true(world.jobs[2].ended > 0);
}

static void the_cap_holds_and_everyone_ends(void **state)
{
    (void)state;
    for (uint32_t cap = 1; cap <= 3; cap++) {
        struct world world = {.rng.state = cap, .job_count = 7};

        for (uint64_t id = 1; id <= 7; id++)
            world.jobs[id] = (struct ask){
                .priority = (uint32_t)id % 10, .maps = 20, .reduces = 3, .at = id * 10};
        play(&world, 3, 2, cap);
        assert_int_equal(world.active_most, cap);
        for (uint64_t id = 1; id <= 7; id++)
            assert_true(world.jobs[id].ended > 0);
        /* With one at a time: the first, then by priority. */
        for (uint64_t id = 2; id < 7 && cap == 1; id++)
            assert_true(world.jobs[id].ended > world.jobs[id + 1].ended);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_go_by_weight),
        cmocka_unit_test(a_small_job_begins_within_the_time_of_a_task),
        cmocka_unit_test(nobody_starves),
        cmocka_unit_test(the_cap_holds_and_everyone_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
