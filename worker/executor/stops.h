/* Attempts that are to stop, because another one of their task was faster: noted by the thread
 * that listens to the agent, looked at by those that work, between pieces of input and between
 * keys. */
#ifndef EXECUTOR_STOPS_H
#define EXECUTOR_STOPS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "wire/mr.pb-c.h"
#include "worker/executor/thread.h"

struct stops {
    pthread_mutex_t lock;
    struct stop {
        Mr__TaskKind kind;
        uint32_t task, attempt;
    } * items;
    size_t capacity;
    _Atomic uint32_t count; /* only grows: an attempt is never begun twice */
};

void stops_init(struct stops *stops);

/* From now on the attempt ends as soon as it looks, if it has not ended. */
void stops_note(struct stops *stops, const Mr__Revoke *revoke);

/* Whether the thread's attempt is among those that it has not looked at yet; fails it then. */
bool stops_check(struct stops *stops, struct thread *thread);

/* Whether the thread's attempt is to stop; it has failed then. Costs next to nothing while
 * nothing was noted since it last looked. */
static inline bool stops_look(struct stops *stops, struct thread *thread)
{
    return atomic_load_explicit(&stops->count, memory_order_relaxed) != thread->stops &&
           stops_check(stops, thread);
}

#endif
