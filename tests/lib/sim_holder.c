/* Simulated workers that say that they hold outputs: copies of what counts, of what no longer
 * counts, and of what never was. */
#include "tests/lib/sim_state.h"

/* Of one map. */
static void claim(struct sim *sim, uint64_t worker, uint64_t job, uint32_t task,
                  uint32_t attempt)
{
    struct sched_event event = {.type = EVENT_OUTPUT_HELD,
                                .worker = worker,
                                .attempt = {job, SCHED_MAP, task, attempt}};

    sim_count(sim, SIM_CLAIMS);
    sim_send_from_worker(sim, worker, &event);
}

void sim_claim(struct sim *sim, uint64_t worker)
{
    uint64_t id = sim_between(sim, 1, sim->job_count);
    const struct sim_job *job = &sim->jobs[id];

    /* Of a job that was never heard of: to claim one before its time would have it closed. */
    if (!job->maps || rng_below(&sim->rng, 8) == 0) {
        claim(sim, worker, sim->job_count + 1, (uint32_t)rng_below(&sim->rng, 5), 1);
        return;
    }
    /* As one does that takes over what another has. */
    for (uint64_t n = sim_between(sim, 1, 4); n; n--) {
        uint32_t task = (uint32_t)rng_below(&sim->rng, job->maps);

        claim(sim, worker, id, task, job->attempts[task] + (rng_below(&sim->rng, 8) == 0));
    }
}

void sim_answered(struct sim *sim, const struct sched_action *action)
{
    if (action->type == ACTION_DROP) {
        sim_count(sim, SIM_DROPPED_RUNS);
        return;
    }
    sim_count(sim, SIM_ADOPTED);
    sim->jobs[action->job].holders[action->attempt.task] = action->worker;
    sim->jobs[action->job].owners[action->attempt.task] = action->worker;
}

void sim_reclaim(struct sim *sim, uint64_t worker)
{
    uint64_t was = sim->workers[worker].was;

    for (uint64_t id = 1; was && id <= sim->job_count; id++)
        for (uint32_t task = 0; sim->jobs[id].owners && task < sim->jobs[id].maps; task++) {
            if (sim->jobs[id].owners[task] != was)
                continue;
            sim->jobs[id].owners[task] = worker;
            /* Some are gone after all. */
            if (!sim_fault(sim, 50))
                claim(sim, worker, id, task, sim->jobs[id].attempts[task]);
        }
}
