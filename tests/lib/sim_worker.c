/* Simulated workers: what they do with messages, how long attempts take, and how they end. */
#include "tests/lib/sim_state.h"

#include "base/memory.h"

enum { MS = 1000 };

bool sim_is_reachable(const struct sim *sim, uint64_t id)
{
    const struct sim_worker *worker = &sim->workers[id];

    return !worker->crashed_at &&
           !(sim->now >= worker->cut_from && sim->now < worker->cut_until);
}

static struct sim_attempt *find_attempt(struct sim_worker *worker,
                                        const struct sched_attempt *key)
{
    for (size_t i = worker->attempt_count; i-- > 0;) {
        const struct sched_attempt *have = &worker->attempts[i].key;

        if (have->job == key->job && have->kind == key->kind && have->task == key->task &&
            have->attempt == key->attempt)
            return &worker->attempts[i];
    }
    return NULL;
}

static struct sim_attempt *note_attempt(struct sim_worker *worker,
                                        const struct sched_attempt *key)
{
    struct sim_attempt *attempt;

    memory_reserve(&worker->attempts, &worker->attempt_capacity, worker->attempt_count + 1,
                   sizeof *worker->attempts);
    attempt = &worker->attempts[worker->attempt_count++];
    *attempt = (struct sim_attempt){.key = *key};
    return attempt;
}

/* Whether the reduce may report this map without failing a job that deserves better: the
 * scheduler gives up on a map whose fifth output cannot be read. */
static bool may_complain(struct sim_job *job, uint32_t map)
{
    return job->last_complained[map] == job->versions[map] || job->complained[map] < 4;
}

static void note_complaint(struct sim_job *job, uint32_t map, uint32_t version)
{
    if (job->last_complained[map] != version)
        job->complained[map]++;
    job->last_complained[map] = version;
}

static uint64_t scramble(uint64_t x)
{
    x = (x ^ x >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return (x ^ x >> 29) >> 16;
}

/* Whether two workers do not reach each other, until the faults are over: now and then one is
 * cut off from all others. */
static bool are_apart(const struct sim *sim, uint64_t a, uint64_t b)
{
    uint64_t pair = a < b ? a << 20 | b : b << 20 | a, apart = sim->rates.apart;

    if (a == b || sim_is_quiet(sim) || !apart)
        return false;
    return scramble(pair + apart * 7919) % 1000 < apart || scramble(a + apart) % 40 == 0 ||
           scramble(b + apart) % 40 == 0;
}

/* Chooses the map that the reduce will fail to read; none most of the time. */
static void doom(struct sim *sim, struct happening *end)
{
    struct sim_job *job = &sim->jobs[end->event.attempt.job];
    uint32_t map = UINT32_MAX;

    for (uint32_t i = 0; i < job->maps && map == UINT32_MAX; i++)
        if (are_apart(sim, end->worker, job->holders[i]))
            map = i;
    end->cut = map != UINT32_MAX;
    for (uint32_t i = 0; i < job->maps && map == UINT32_MAX; i++)
        if (!sim_is_reachable(sim, job->holders[i]))
            map = i;
    if (job->badness == BAD_OUTPUT && !end->cut)
        map = job->bad.task;
    else if (map == UINT32_MAX && job->maps && sim_fault(sim, sim->rates.unread))
        map = rng_below(&sim->rng, 2) ? 0 : (uint32_t)rng_below(&sim->rng, job->maps);
    if (map == UINT32_MAX)
        return;
    end->doomed = map + 1;
    end->version = job->versions[map];
}

/* Someone finds it slow before it ends, perhaps more than once. */
static void say_slow(struct sim *sim, const struct sched_attempt *attempt, uint64_t takes)
{
    struct sched_event event = {.type = EVENT_STRAGGLER, .attempt = *attempt};

    for (uint64_t n = sim_between(sim, 1, 4); n; n--) {
        sim_count(sim, SIM_STRAGGLERS);
        sim_event_later(sim, sim_between(sim, takes / 4, takes), &event);
    }
}

static void start(struct sim *sim, uint64_t id, const struct sched_action *assign)
{
    struct sim_worker *worker = &sim->workers[id];
    struct happening end = {.type = HAPPEN_ATTEMPT_ENDS, .worker = id, .action = *assign};
    uint64_t usual = sim_between(sim, 5 * MS, sim->work_us), takes = usual;
    uint64_t begins = sim->now;

    end.event.attempt = assign->attempt;
    if (sim_fault(sim, 10))
        takes *= 20;
    if (worker->slow)
        takes *= 5;
    if (assign->attempt.kind == SCHED_REDUCE) {
        doom(sim, &end);
        if (end.doomed)
            takes += sim_between(sim, 300 * MS, 3000 * MS);
    } else {
        if (worker->busy_until > begins)
            begins = worker->busy_until;
        worker->busy_until = begins + takes;
    }
    sim_later(sim, begins - sim->now + takes, &end);
    if (takes > usual || rng_below(&sim->rng, 10) == 0)
        say_slow(sim, &assign->attempt, begins - sim->now + takes);
}

void sim_worker_told(struct sim *sim, uint64_t id, const struct sched_action *action)
{
    struct sim_worker *worker = &sim->workers[id];
    struct sim_attempt *attempt;

    if (action->type == ACTION_RELEASE) {
        worker->released |= UINT64_C(1) << action->job;
        return;
    }
    attempt = find_attempt(worker, &action->attempt);
    if (!attempt)
        attempt = note_attempt(worker, &action->attempt);
    if (action->type == ACTION_REVOKE) {
        attempt->revoked = true;
    } else if (!attempt->started && !attempt->revoked &&
               !(worker->released >> action->attempt.job & 1)) {
        attempt->started = true;
        start(sim, id, action);
    }
}

/* A file that the worker does not see. Some tasks read others that it does see. Whether it is
 * blamed matters to nobody. */
static bool stumbles(struct sim *sim, uint64_t id, struct sched_event *event)
{
    if (!(sim->workers[id].blind >> event->attempt.job & 1) || rng_below(&sim->rng, 3) == 0)
        return false;
    event->blamed = rng_below(&sim->rng, 2);
    event->suspect = rng_below(&sim->rng, 4) == 0;
    return true;
}

/* The failure that the job itself brings about, or ERROR_NONE. */
static void job_failure(struct sim *sim, const struct sched_action *assign,
                        struct sched_event *event)
{
    static const enum error_code codes[] = {ERROR_CRASH, ERROR_JOB, ERROR_TIMEOUT,
                                            ERROR_MEMORY};
    struct sim_job *job = &sim->jobs[event->attempt.job];
    enum sched_kind kind = event->attempt.kind;
    uint32_t task = event->attempt.task;
    uint8_t *left = job->failures_left[kind] ? &job->failures_left[kind][task] : NULL;
    bool bad = job->badness && job->badness != BAD_OUTPUT && job->bad.kind == kind &&
               job->bad.task == task;

    event->code = ERROR_NONE;
    if (bad) {
        event->code = job->badness == BAD_INPUT ? ERROR_INPUT : ERROR_CRASH;
        event->suspect = job->badness == BAD_SUSPECT;
        event->blamed = !event->suspect;
    } else if (sim_meets_bad(sim, assign, event)) {
        /* It comes again until it is skipped. */
    } else if (left && *left && !sim_is_quiet(sim)) {
        --*left;
        event->code = codes[rng_below(&sim->rng, 4)];
        event->blamed = true;
    } else if (!assign->alone && sim_fault(sim, sim->rates.suspect)) {
        event->code = ERROR_CRASH;
        event->suspect = true;
    } else if (sim_fault(sim, sim->rates.innocent)) {
        event->code = rng_below(&sim->rng, 2) ? ERROR_LOST : ERROR_CRASH;
    }
}

/* The disk is full, for a while; now and then somebody says that there will be no room at all.
 */
static void no_room(struct sim *sim, struct sched_event *event)
{
    struct sched_event room = {.type = EVENT_WORKER_ROOM, .worker = event->worker},
                       none = {.type = EVENT_NO_ROOM, .job = event->attempt.job};

    event->code = rng_below(&sim->rng, 8) ? ERROR_SPACE : ERROR_DISK;
    event->blamed = rng_below(&sim->rng, 2);
    for (uint64_t n = sim_between(sim, 1, 2); n; n--)
        sim_event_later(sim, sim_between(sim, 50 * MS, 3000 * MS), &room);
    if (!sim_fault(sim, 400))
        return;
    sim->jobs[none.job].starved = true;
    for (uint64_t n = sim_between(sim, 1, 4); n; n--)
        sim_event_later(sim, sim_between(sim, 1, 3000 * MS), &none);
}

static void cannot_read(struct sim *sim, const struct happening *end, struct sched_event *event)
{
    struct sim_job *job = &sim->jobs[event->attempt.job];
    uint32_t map = end->doomed - 1;

    event->lost_map = map;
    event->code = ERROR_CUT;
    if (end->cut)
        return;
    event->code = ERROR_LOST;
    if (job->badness != BAD_OUTPUT && end->version == job->versions[map] &&
        !may_complain(job, map))
        return;
    if (end->version == job->versions[map])
        note_complaint(job, map, end->version);
    event->code = ERROR_FETCH;
}

static void count_end(struct sim *sim, const struct sched_event *event)
{
    if (event->code == ERROR_UNSEEN)
        sim_count(sim, SIM_UNSEEN);
    else if (event->code == ERROR_SPACE || event->code == ERROR_DISK)
        sim_count(sim, SIM_FILLED);
    else if (event->code == ERROR_FETCH)
        sim_count(sim, SIM_UNREAD);
    else if (event->code == ERROR_CUT)
        sim_count(sim, SIM_UNREACHED);
    else if (event->code != ERROR_NONE)
        sim_count(sim, event->blamed    ? SIM_BLAMED
                       : event->suspect ? SIM_SUSPECTED
                                        : SIM_INNOCENT);
}

void sim_attempt_ends(struct sim *sim, const struct happening *end)
{
    struct sim_worker *worker = &sim->workers[end->worker];
    struct sim_attempt *attempt = find_attempt(worker, &end->event.attempt);
    struct sched_event event = {
        .type = EVENT_TASK_FAILED, .worker = end->worker, .attempt = end->event.attempt};

    /* The end of a job ends what runs of it; a revoked attempt that runs goes on now and then.
     */
    if (worker->crashed_at || worker->released >> event.attempt.job & 1 ||
        (attempt->revoked && rng_below(&sim->rng, 2)))
        return;
    if (stumbles(sim, end->worker, &event))
        event.code = ERROR_UNSEEN;
    else if (end->doomed)
        cannot_read(sim, end, &event);
    else if (sim_fault(sim, sim->rates.full))
        no_room(sim, &event);
    else
        job_failure(sim, &end->action, &event);
    count_end(sim, &event);
    if (event.code == ERROR_NONE)
        event.type = EVENT_TASK_DONE;
    sim_send_from_worker(sim, end->worker, &event);
}
