/* Tasks that wait in the executor: filled by the thread that listens to the agent, emptied by
 * those that work. */
#ifndef EXECUTOR_QUEUE_H
#define EXECUTOR_QUEUE_H

#include <pthread.h>
#include <stddef.h>

#include "wire/mr.pb-c.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    Mr__Assign **items; /* owned; items[0] is next */
    size_t count, capacity;
};

void queue_init(struct queue *queue);

/* Takes over the task. */
void queue_put(struct queue *queue, Mr__Assign *task);

/* Removes and frees a waiting task; does nothing when it is not waiting. */
void queue_withdraw(struct queue *queue, const Mr__Revoke *revoke);

/* Waits for the next task, of any kind; the caller owns it. */
Mr__Assign *queue_take(struct queue *queue);

/* Waits; takes the next task if it is a REDUCE, else returns NULL and leaves it. */
Mr__Assign *queue_take_reduce(struct queue *queue);

#endif
