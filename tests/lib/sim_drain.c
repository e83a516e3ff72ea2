/* Simulated workers that are to leave: somebody else copies what they hold, piece by piece, and
 * when they are dismissed they go. Some are in a hurry, some outputs cannot be read, some
 * takers are gone, or are to leave themselves, before they say what they have. */
#include "tests/lib/sim_state.h"

#include "base/memory.h"

enum { MS = 1000, LOOK_MS = 100 };

static void look_later(struct sim *sim, uint64_t id)
{
    struct happening move = {.type = HAPPEN_MOVE, .worker = id};

    sim_later(sim, sim_between(sim, 10 * MS, LOOK_MS * MS), &move);
}

void sim_drain(struct sim *sim, uint64_t id)
{
    struct sched_event event = {.type = EVENT_WORKER_DRAINING, .worker = id};

    sim_count(sim, SIM_DRAINS);
    if (!sim->workers[id].drains)
        look_later(sim, id);
    sim->workers[id].drains = true;
    event.late = rng_below(&sim->rng, 8) == 0;
    sim_event_later(sim, 0, &event);
    if (rng_below(&sim->rng, 2))
        return;
    event.late = true;
    sim_event_later(sim, sim_between(sim, 0, 3000 * MS), &event);
}

static uint64_t pick_taker(struct sim *sim)
{
    for (int i = 0; i < 20; i++) {
        uint64_t id = sim_between(sim, 1, sim->worker_count);
        const struct sim_worker *worker = &sim->workers[id];

        if (worker->here && !worker->lost && sim_is_reachable(sim, id) &&
            (!worker->drains || sim_fault(sim, 100)))
            return id;
    }
    return 0;
}

static void move(struct sim *sim, uint64_t from, const struct sched_attempt *attempt)
{
    struct sched_event event = {
        .type = EVENT_OUTPUT_HELD, .worker = pick_taker(sim), .attempt = *attempt};

    if (sim_fault(sim, 50)) {
        event.type = EVENT_OUTPUT_BROKEN;
        event.worker = from;
        sim_count(sim, SIM_BROKEN);
        sim_event_later(sim, 0, &event);
    } else if (event.worker) {
        sim_count(sim, SIM_MOVES);
        sim_send_from_worker(sim, event.worker, &event);
    }
}

void sim_move(struct sim *sim, uint64_t id)
{
    const struct sim_worker *worker = &sim->workers[id];
    struct sched_attempt outputs[16];
    size_t count;

    if (worker->lost || worker->dismissed)
        return;
    count = sched_outputs(sim->sched, id, outputs, 16);
    for (size_t i = 0; i < count && i < 16; i++)
        if (rng_below(&sim->rng, 2) && sim_is_reachable(sim, id))
            move(sim, id, &outputs[i]);
    look_later(sim, id);
}

void sim_dismissed(struct sim *sim, uint64_t id)
{
    struct sim_worker *worker = &sim->workers[id];
    struct sched_event lost = {.type = EVENT_WORKER_LOST, .worker = id};

    sim_count(sim, SIM_DISMISSED);
    worker->dismissed = true;
    if (worker->lost || !sim_is_reachable(sim, id))
        return;
    worker->crashed_at = sim->now + 1;
    worker->lost = true;
    sim_event_later(sim, sim_between(sim, 1, 20 * MS), &lost);
    sim_join(sim, sim_between(sim, 0, 3000 * MS));
}

void sim_check_drains(struct sim *sim)
{
    for (uint64_t id = 1; id <= sim->worker_count; id++) {
        const struct sim_worker *worker = &sim->workers[id];

        if (worker->here && worker->drains && !worker->lost && !worker->dismissed &&
            sim_is_reachable(sim, id))
            sim_fail(sim, "a worker that is to leave never may");
    }
}
