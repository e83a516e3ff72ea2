/* What must not be seen before a fact is on disk waits here for PERSISTED. */
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/sched/state.h"

void gate_emit(struct sched *sched, const struct sched_action *action)
{
    struct sched_actions *out = sched->actions;

    memory_reserve(&out->items, &out->capacity, out->count + 1, sizeof *out->items);
    out->items[out->count++] = *action;
}

void gate_hold(struct sched *sched, uint64_t after, const struct sched_action *action)
{
    if (after <= sched->persisted) {
        gate_emit(sched, action);
        return;
    }
    memory_reserve(&sched->held, &sched->held_capacity, sched->held_count + 1,
                   sizeof *sched->held);
    sched->held[sched->held_count++] = (struct held){after, *action};
}

uint64_t gate_persist(struct sched *sched, enum sched_record record, uint64_t job,
                      const struct sched_attempt *attempt, uint64_t worker)
{
    struct sched_action action = {.type = ACTION_PERSIST,
                                  .job = job,
                                  .worker = worker,
                                  .record = record,
                                  .sequence = ++sched->sequence};

    if (attempt)
        action.attempt = *attempt;
    gate_emit(sched, &action);
    return action.sequence;
}

uint64_t gate_persist_end(struct sched *sched, const struct sched_action *finished)
{
    struct sched_action action = *finished;

    action.type = ACTION_PERSIST;
    action.record = SCHED_RECORD_FINISHED;
    action.sequence = ++sched->sequence;
    gate_emit(sched, &action);
    return action.sequence;
}

void gate_persist_like(struct sched *sched, enum sched_record record,
                       const struct sched_action *like)
{
    struct sched_action action = *like;

    action.type = ACTION_PERSIST;
    action.record = record;
    action.sequence = ++sched->sequence;
    gate_emit(sched, &action);
}

void gate_open(struct sched *sched, uint64_t sequence)
{
    size_t kept = 0;

    /* A backend that speaks of what it was never given, or again of what is done, changes
     * nothing. */
    if (sequence > sched->sequence || sequence <= sched->persisted)
        return;
    sched->persisted = sequence;
    for (size_t i = 0; i < sched->held_count; i++) {
        if (sched->held[i].after > sequence)
            sched->held[kept++] = sched->held[i];
        else if ((sched->held[i].action.type != ACTION_RELEASE &&
                  sched->held[i].action.type != ACTION_DISMISS) ||
                 map_get(&sched->workers, sched->held[i].action.worker))
            gate_emit(sched, &sched->held[i].action);
    }
    sched->held_count = kept;
}
