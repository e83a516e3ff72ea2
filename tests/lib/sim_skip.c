/* Bad records in the input of simulated jobs that do without some. A record is told by its task
 * and its number there; an attempt fails on the first one that is not skipped yet, as a block
 * of records or without a word the first time in some jobs. */
#include "tests/lib/sim_state.h"

#include "base/memory.h"

void sim_spoil(struct sim *sim, struct sim_job *job, enum sched_kind kind, uint32_t count)
{
    job->bad_records[kind] = memory_zeroed(count, 1);
    job->skipped[kind] = memory_zeroed(count, 1);
    for (uint32_t i = 0; job->skips && i < count; i++)
        if (!rng_below(&sim->rng, 4)) {
            job->bad_records[kind][i] = (uint8_t)sim_between(sim, 1, 4);
            job->spoiled += job->bad_records[kind][i];
        }
    job->overflows = job->spoiled > job->skips;
}

/* How well the attempt sees what it failed on: it was told to look, or it is a matter of the
 * job. */
static enum sched_culprit_type sight(struct sim *sim, const struct sim_job *job,
                                     const struct sched_action *assign,
                                     const struct sched_culprit *block)
{
    size_t n;
    const struct sched_culprit *narrowed = sched_narrowed(sim->sched, &assign->attempt, &n);

    if (assign->single || job->sees == SIM_SEES_ALL)
        return CULPRIT_RECORD;
    if (job->sees == SIM_SEES_NOTHING)
        return CULPRIT_NONE;
    for (size_t i = 0; i < n; i++)
        if (narrowed[i].file == block->file && narrowed[i].low == block->low)
            return CULPRIT_RECORD;
    return CULPRIT_BLOCK;
}

bool sim_meets_bad(struct sim *sim, const struct sched_action *assign,
                   struct sched_event *event)
{
    struct sim_job *job = &sim->jobs[event->attempt.job];
    enum sched_kind kind = event->attempt.kind;
    uint32_t task = event->attempt.task;
    struct sched_culprit culprit = {.type = CULPRIT_BLOCK, .file = task, .high = 1};

    if (!job->bad_records[kind] || job->skipped[kind][task] >= job->bad_records[kind][task])
        return false;
    culprit.low = 10 * (uint64_t)kind + job->skipped[kind][task];
    culprit.type = sight(sim, job, assign, &culprit);
    if (culprit.type == CULPRIT_NONE)
        culprit = (struct sched_culprit){0};
    else if (culprit.type == CULPRIT_RECORD)
        culprit.high = 0;
    if (culprit.type == CULPRIT_RECORD && kind == SCHED_REDUCE)
        culprit.type = CULPRIT_KEY;
    event->culprit = culprit;
    event->code = ERROR_CRASH;
    event->blamed = true;
    return true;
}

void sim_skipped(struct sim *sim, const struct sched_attempt *attempt)
{
    sim->jobs[attempt->job].skipped[attempt->kind][attempt->task]++;
    sim_count(sim, SIM_SKIPPED);
}

void sim_skips_again(struct sim *sim)
{
    for (uint64_t id = 1; id <= sim->job_count; id++)
        for (int kind = 0; kind < SCHED_KINDS; kind++)
            for (uint32_t i = 0; sim->jobs[id].skipped[kind] && i < sim->jobs[id].counts[kind];
                 i++)
                sim->jobs[id].skipped[kind][i] = 0;
    for (size_t i = 0; i < sim->record_count; i++)
        if (sim->records[i].action.record == SCHED_RECORD_SKIPPED) {
            const struct sched_attempt *attempt = &sim->records[i].action.attempt;

            sim->jobs[attempt->job].skipped[attempt->kind][attempt->task]++;
        }
}
