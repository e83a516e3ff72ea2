#include "worker/agent/revoked.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"

struct revoked {
    Mr__TaskKind kind;
    uint32_t task, attempt;
    int64_t since_ms;
};

void revoked_add(struct child *child, const Mr__Revoke *revoke)
{
    memory_reserve(&child->revoked, &child->revoked_capacity, child->revoked_count + 1,
                   sizeof *child->revoked);
    child->revoked[child->revoked_count++] =
        (struct revoked){revoke->kind, revoke->task, revoke->attempt, clock_ms()};
}

bool revoked_drop(struct child *child, Mr__TaskKind kind, uint32_t task, uint32_t attempt)
{
    for (size_t i = 0; i < child->revoked_count; i++)
        if (child->revoked[i].kind == kind && child->revoked[i].task == task &&
            child->revoked[i].attempt == attempt) {
            child->revoked[i] = child->revoked[--child->revoked_count];
            return true;
        }
    return false;
}

/* The thread that works on it, -1: none. */
static int slot_of(const struct child *child, const struct revoked *revoked)
{
    for (int i = 0; i < LIMIT_THREADS; i++) {
        const struct slot *slot = &child->slots->slot[i];

        if (slot->phase != SLOT_IDLE && slot->kind == (uint32_t)revoked->kind &&
            slot->task == revoked->task && slot->attempt == revoked->attempt)
            return i;
    }
    return -1;
}

bool revoked_overdue(struct child *child)
{
    int64_t now_ms = clock_ms();

    for (size_t i = child->revoked_count; i-- > 0;) {
        if (now_ms - child->revoked[i].since_ms < REVOKED_MS)
            continue;
        child->ended_slot = slot_of(child, &child->revoked[i]);
        if (child->ended_slot >= 0) {
            error_set(&child->ended_by, ERROR_CANCELLED,
                      "an attempt that nobody needs any more did not stop: ended");
            return true;
        }
        /* It waited in a queue, and never began. */
        child->revoked[i] = child->revoked[--child->revoked_count];
    }
    return false;
}

void revoked_done(struct child *child)
{
    free(child->revoked);
}
