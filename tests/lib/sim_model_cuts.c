/* Who does not reach whom, and what follows: counted anew from the pairs each time. */
#include <string.h>

#include "base/memory.h"
#include "tests/lib/sim_model_state.h"

enum { CUTS_MAX = 3 };

bool model_is_cut(const struct model_job *job, uint64_t worker)
{
    for (size_t i = 0; i < job->cut_count; i++)
        if (job->cuts[i].low == worker || job->cuts[i].high == worker)
            return true;
    return false;
}

static void drop_cuts(struct model *model, struct model_job *job, uint64_t aside)
{
    size_t kept = 0;

    for (size_t i = 0; i < job->cut_count; i++) {
        struct model_cut cut = job->cuts[i];

        if (cut.low != aside && cut.high != aside && model_worker(model, cut.low) &&
            model_worker(model, cut.high))
            job->cuts[kept++] = cut;
    }
    job->cut_count = kept;
}

/* Its attempts must be revoked, its outputs are lost to the job. */
static void put_aside(struct model *model, uint64_t id, uint64_t worker)
{
    struct model_job *job = model_job(model, id);

    if (!job->blind[worker] && !model_is_barred(&model->workers[worker])) {
        job->blind[worker] = job->aside[worker] = true;
        job->blind_count++;
    }
    model->tally.aside++;
    drop_cuts(model, job, worker);
    for (int kind = 0; kind < SCHED_KINDS; kind++)
        for (uint32_t i = 0; i < job->counts[kind]; i++) {
            model->revokes += job->tasks[kind][i].runs_on == worker;
            model->revokes += job->tasks[kind][i].copy_on == worker;
            if (kind == SCHED_MAP && job->tasks[kind][i].holder == worker)
                model_output_lost(model, (struct sched_attempt){id, SCHED_MAP, i, 0});
        }
}

/* The one to be put aside, if any must: 0. */
static uint64_t next_aside(struct model *model, const struct model_job *job)
{
    uint32_t degree[MODEL_WORKERS] = {0}, most = 0;
    uint32_t left = model_seeing(model, job, false, NULL);
    uint64_t found = 0;

    for (size_t i = 0; i < job->cut_count; i++) {
        degree[job->cuts[i].low]++;
        degree[job->cuts[i].high]++;
    }
    for (uint64_t w = 0; w < MODEL_WORKERS; w++)
        if (degree[w] && degree[w] >= most &&
            !(left == 1 && !job->blind[w] && !model_is_barred(&model->workers[w]))) {
            most = degree[w];
            found = w;
        }
    return most >= CUTS_MAX || !model_seeing(model, job, true, NULL) ? found : 0;
}

void model_settle(struct model *model, uint64_t id)
{
    struct model_job *job = model_job(model, id);
    uint64_t worker;

    if (job->ended || job->committing)
        return;
    drop_cuts(model, job, 0);
    if (!model_seeing(model, job, false, NULL))
        for (uint64_t w = 0; w < MODEL_WORKERS; w++)
            if (job->aside[w]) {
                job->aside[w] = job->blind[w] = false;
                job->blind_count--;
            }
    while (job->cut_count && (worker = next_aside(model, job)))
        put_aside(model, id, worker);
}

void model_cut(struct model *model, uint64_t id, uint64_t a, uint64_t b)
{
    struct model_job *job = model_job(model, id);
    struct model_cut cut = {a < b ? a : b, a < b ? b : a};

    for (size_t i = 0; i < job->cut_count; i++)
        if (job->cuts[i].low == cut.low && job->cuts[i].high == cut.high)
            return;
    memory_reserve(&job->cuts, &job->cut_capacity, job->cut_count + 1, sizeof *job->cuts);
    job->cuts[job->cut_count++] = cut;
    model->tally.cuts++;
    model_settle(model, id);
}
