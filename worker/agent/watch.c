#include "worker/agent/watch.h"

#include "base/clock.h"
#include "base/size.h"

/* What user code may use beyond the budget of our own buffers. */
#define MEMORY_SLACK ((uint64_t)512 << 20)

/* Anything that changes when a thread finishes a record or value, or moves on to other work. */
static uint64_t motion(const struct slot *slot)
{
    return slot->ticks * 0x9e3779b97f4a7c15u + ((uint64_t)slot->task << 20) +
           ((uint64_t)slot->attempt << 8) + slot->phase;
}

uint64_t watch_limit(uint64_t memory)
{
    return memory + (memory / 4 > MEMORY_SLACK ? memory / 4 : MEMORY_SLACK);
}

static bool outgrew(struct child *child, uint64_t memory)
{
    uint64_t limit = watch_limit(memory);
    char used[32], allowed[32];
    uint64_t resident = child_resident(child);

    if (resident <= limit)
        return false;
    error_set(&child->ended_by, ERROR_MEMORY,
              "the executor grew to %s, more than the %s that it may use: ended",
              size_format(resident, used, sizeof used),
              size_format(limit, allowed, sizeof allowed));
    return true;
}

static bool stands_still(struct child *child, int index, int64_t now_ms)
{
    const struct slot *slot = &child->slots->slot[index];
    uint64_t at = motion(slot);

    if (slot->phase <= SLOT_HOST || child->watch[index].ticks != at) {
        child->watch[index].ticks = at;
        child->watch[index].since_ms = now_ms;
        return false;
    }
    if (now_ms - child->watch[index].since_ms < (int64_t)child->task_timeout * 1000)
        return false;
    error_set(&child->ended_by, ERROR_TIMEOUT,
              "no record or value finished within the task timeout of %u s: ended",
              child->task_timeout);
    child->ended_slot = index;
    return true;
}

/* Its process was stopped, or the thread that listens was: neither does Marram do. */
static bool is_deaf(struct child *child)
{
    if (!child->channel.broken)
        return false;
    error_set(&child->ended_by, ERROR_TIMEOUT,
              "the executor took no message for %d s, as if it were stopped: ended",
              CHILD_PATIENCE_MS / 1000);
    return true;
}

bool watch_child(struct child *child, uint64_t memory)
{
    int64_t now_ms = clock_ms();

    if (is_deaf(child))
        return true;
    if (!child->held_count)
        return false;
    for (int i = 0; i < LIMIT_THREADS; i++)
        if (stands_still(child, i, now_ms))
            return true;
    return outgrew(child, memory);
}
