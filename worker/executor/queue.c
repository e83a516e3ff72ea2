#include "worker/executor/queue.h"

#include <string.h>

#include "base/memory.h"
#include "wire/frame.h"

void queue_init(struct queue *queue)
{
    *queue = (struct queue){0};
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->filled, NULL);
}

void queue_put(struct queue *queue, Mr__Assign *task)
{
    pthread_mutex_lock(&queue->lock);
    memory_reserve(&queue->items, &queue->capacity, queue->count + 1, sizeof *queue->items);
    queue->items[queue->count++] = task;
    pthread_cond_broadcast(&queue->filled);
    pthread_mutex_unlock(&queue->lock);
}

static Mr__Assign *remove_at(struct queue *queue, size_t i)
{
    Mr__Assign *task = queue->items[i];

    memmove(&queue->items[i], &queue->items[i + 1],
            (--queue->count - i) * sizeof *queue->items);
    return task;
}

void queue_withdraw(struct queue *queue, const Mr__Revoke *revoke)
{
    pthread_mutex_lock(&queue->lock);
    for (size_t i = 0; i < queue->count; i++) {
        const Mr__Assign *task = queue->items[i];

        if (task->kind == revoke->kind && task->task == revoke->task &&
            task->attempt == revoke->attempt) {
            frame_free(&remove_at(queue, i)->base);
            break;
        }
    }
    pthread_mutex_unlock(&queue->lock);
}

Mr__Assign *queue_take(struct queue *queue)
{
    Mr__Assign *task;

    pthread_mutex_lock(&queue->lock);
    while (!queue->count)
        pthread_cond_wait(&queue->filled, &queue->lock);
    task = remove_at(queue, 0);
    pthread_mutex_unlock(&queue->lock);
    return task;
}

Mr__Assign *queue_take_reduce(struct queue *queue)
{
    Mr__Assign *task = NULL;

    pthread_mutex_lock(&queue->lock);
    while (!queue->count)
        pthread_cond_wait(&queue->filled, &queue->lock);
    if (queue->items[0]->kind == MR__TASK_KIND__REDUCE)
        task = remove_at(queue, 0);
    pthread_mutex_unlock(&queue->lock);
    return task;
}
