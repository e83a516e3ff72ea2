#include "worker/executor/stops.h"

#include "base/memory.h"

void stops_init(struct stops *stops)
{
    *stops = (struct stops){0};
    pthread_mutex_init(&stops->lock, NULL);
}

void stops_note(struct stops *stops, const Mr__Revoke *revoke)
{
    uint32_t count = stops->count;

    pthread_mutex_lock(&stops->lock);
    memory_reserve(&stops->items, &stops->capacity, count + 1UL, sizeof *stops->items);
    stops->items[count] = (struct stop){revoke->kind, revoke->task, revoke->attempt};
    stops->count = count + 1;
    pthread_mutex_unlock(&stops->lock);
}

bool stops_check(struct stops *stops, struct thread *thread)
{
    const Mr__Assign *assign = thread->assign;
    bool found = false;

    pthread_mutex_lock(&stops->lock);
    for (; thread->stops < stops->count; thread->stops++) {
        const struct stop *stop = &stops->items[thread->stops];

        found = found || (stop->kind == assign->kind && stop->task == assign->task &&
                          stop->attempt == assign->attempt);
    }
    pthread_mutex_unlock(&stops->lock);
    if (found)
        thread_fail(thread, ERROR_CANCELLED, "stopped: another attempt was faster");
    return found;
}
