/* Messages between the coordinator and its workers. A sender sends again until it hears an
 * acknowledgement, so a message arrives at least once, however late, unless one of the two is
 * gone. Both ends are prepared for what that does to order and number. */
#include "tests/lib/sim_state.h"

enum { RESEND_US = 200 * 1000, TRIES = 20 };

static uint64_t travel(struct sim *sim)
{
    uint64_t delay = sim_between(sim, 20, sim->delay_us);

    if (sim_fault(sim, sim->rates.stall)) {
        sim_count(sim, SIM_STALLED);
        delay += rng_below(&sim->rng, sim->lease_us * 2);
    }
    return delay;
}

static void transmit(struct sim *sim, struct happening *message)
{
    uint64_t wait = 0;

    for (int i = 0; i < TRIES; i++, wait += RESEND_US) {
        message->sent = sim->now + wait;
        if (sim_fault(sim, sim->rates.drop) && i + 1 < TRIES) {
            sim_count(sim, SIM_DROPPED);
            continue;
        }
        sim_later(sim, wait + travel(sim), message);
        if (sim_fault(sim, sim->rates.twice)) {
            sim_count(sim, SIM_DOUBLED);
            sim_later(sim, wait + travel(sim), message);
        }
        if (!sim_fault(sim, sim->rates.drop))
            return;
        sim_count(sim, SIM_DROPPED); /* the acknowledgement */
    }
}

void sim_send_to_worker(struct sim *sim, uint64_t worker, const struct sched_action *action)
{
    struct happening message = {.type = HAPPEN_TO_WORKER, .worker = worker, .action = *action};

    transmit(sim, &message);
}

void sim_send_from_worker(struct sim *sim, uint64_t worker, const struct sched_event *event)
{
    struct happening message = {.type = HAPPEN_FROM_WORKER, .worker = worker, .event = *event};

    transmit(sim, &message);
}

void sim_deliver(struct sim *sim, const struct happening *message)
{
    struct sim_worker *worker = &sim->workers[message->worker];
    bool to_worker = message->type == HAPPEN_TO_WORKER;
    struct happening again = *message;

    /* What is for a lost worker is no longer sent again; what a dead one never sent cannot
     * come. */
    if (to_worker ? worker->crashed_at || worker->lost
                  : worker->crashed_at && worker->crashed_at < message->sent)
        return;
    if (sim->now >= worker->cut_from && sim->now < worker->cut_until) {
        sim_later(sim, worker->cut_until - sim->now + sim_between(sim, 1, RESEND_US), &again);
        return;
    }
    if (message->sent < worker->newest[to_worker])
        sim_count(sim, SIM_REORDERED);
    else
        worker->newest[to_worker] = message->sent;
    if (to_worker) {
        sim_worker_told(sim, message->worker, &message->action);
        return;
    }
    if (worker->lost)
        sim_count(sim, SIM_LATE);
    sim_event_later(sim, 0, &message->event);
}
