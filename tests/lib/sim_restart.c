/* The coordinator dies at any moment, and another one takes up from what was on disk. What it
 * had decided beyond that, what it was about to do and what was on its way to it is lost;
 * everyone else is fenced, and comes back under a new name with the outputs that it kept. */
#include "tests/lib/sim_state.h"

#include "base/memory.h"

enum { MS = 1000, WORKERS_LEFT = 700 };

void sim_note_record(struct sim *sim, const struct sched_action *action)
{
    const struct sim_job *job = &sim->jobs[action->job];
    struct sim_record record = {
        .action = *action, .maps = job->maps, .reduces = job->reduces, .sample = job->sampled};

    if (action->record == SCHED_RECORD_FAILED || action->record == SCHED_RECORD_SKIPPED)
        record.culprit = sim->told.culprit;
    if (action->record == SCHED_RECORD_SKIPPED)
        sim_skipped(sim, &action->attempt);

    memory_reserve(&sim->records, &sim->record_capacity, sim->record_count + 1,
                   sizeof *sim->records);
    sim->records[sim->record_count++] = record;
}

/* What only lived in the coordinator's memory. */
static bool is_lost(const struct happening *happening)
{
    enum sched_event_type type = happening->event.type;

    if (happening->type == HAPPEN_SAVED)
        return true;
    return happening->type == HAPPEN_EVENT && type != EVENT_JOB_SUBMITTED &&
           type != EVENT_JOB_CANCELLED;
}

/* Who hears nothing of it sends it again; who was told does not. */
static void submit_again(struct sim *sim, const struct sim_record *record)
{
    const struct sim_job *job = &sim->jobs[record->action.job];
    struct sched_event event = {.type = EVENT_JOB_SUBMITTED,
                                .job = record->action.job,
                                .priority = job->priority,
                                .steady = job->steady,
                                .skips = job->skips};

    if (record->action.record != SCHED_RECORD_SUBMITTED)
        return;
    sim_count(sim, SIM_SUBMITTED_AGAIN);
    sim_event_later(sim, sim_between(sim, 0, 500 * MS), &event);
}

static void tell(struct sim *sim, const struct sim_record *record)
{
    struct sched_fact fact = {.record = record->action.record,
                              .job = record->action.job,
                              .attempt = record->action.attempt,
                              .priority = sim->jobs[record->action.job].priority,
                              .steady = sim->jobs[record->action.job].steady,
                              .maps = record->maps,
                              .reduces = record->reduces,
                              .sample = record->sample,
                              .skips = sim->jobs[record->action.job].skips,
                              .code = record->action.code,
                              .culprit = record->culprit};

    if (fact.record == SCHED_RECORD_FINISHED && !sim->jobs[fact.job].finished) {
        sim_count(sim, SIM_ENDED_AGAIN);
        sim_finished(sim, &record->action);
    }
    sim_count(sim, SIM_FACTS);
    sched_restore(sim->sched, &fact);
    model_restore(sim->model, &fact);
}

static void fence(struct sim *sim, uint64_t id)
{
    struct sim_worker *worker = &sim->workers[id];
    uint64_t away = worker->cut_until > sim->now ? worker->cut_until - sim->now : 0;

    if (!worker->here || worker->lost)
        return;
    worker->lost = true;
    if (worker->crashed_at)
        return;
    sim_join(sim, away + sim_between(sim, 1, 300 * MS));
    sim->workers[sim->worker_count].was = id;
    sim->workers[sim->worker_count].threads = worker->threads;
}

/* How much of what was asked for has reached the disk: what was said to have, and whatever was
 * being written. */
static void cut_records(struct sim *sim)
{
    uint64_t kept = sim_between(sim, sim->saved, sim->asked);

    for (size_t i = kept; i < sim->record_count; i++) {
        submit_again(sim, &sim->records[i]);
        /* A cancel that was too late may be in time now. */
        if (sim->records[i].action.record == SCHED_RECORD_COMMITTING)
            sim->jobs[sim->records[i].action.job].cancelled = true;
    }
    sim->report->counts[SIM_RECORDS_LOST] += sim->record_count - kept;
    sim->record_count = kept;
    sim_skips_again(sim);
}

bool sim_restart(struct sim *sim)
{
    struct sched_action started = {.type = ACTION_PERSIST, .record = SCHED_RECORD_STARTED};
    struct sched_event restored = {.type = EVENT_RESTORED},
                       unclaimed = {.type = EVENT_OUTPUTS_UNCLAIMED};

    if (sim->worker_count > MODEL_WORKERS - WORKERS_LEFT)
        return false;
    sim_count(sim, SIM_RESTARTS);
    for (size_t i = 0; i < sim->queue_count; i++)
        if (is_lost(sim->queue[i]))
            sim->queue[i]->type = HAPPEN_NOTHING;
    cut_records(sim);
    sim_note_record(sim, &started);
    sim_count_sights(sim);
    sched_free(sim->sched);
    model_free(sim->model);
    sim->sched = sched_new();
    sim->model = model_new();
    if (sim->limit) {
        sched_limit(sim->sched, sim->limit);
        model_limit(sim->model, sim->limit);
    }
    for (size_t i = 0; i < sim->record_count; i++)
        tell(sim, &sim->records[i]);
    sim->asked = sim->saved = sim->record_count;
    sim->saving = 0;
    for (uint64_t id = 1, last = sim->worker_count; id <= last; id++)
        fence(sim, id);
    sim_event_later(sim, 0, &restored);
    sim_event_later(sim, sim->lease_us, &unclaimed);
    return true;
}
