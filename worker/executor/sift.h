/* A search for bad records and keys, before a map attempt whose task has met several: else each
 * would cost a pass over the split. One thread feeds the records one by one, in order, a small
 * chunk at a time, and has combine look at what each chunk emits; nothing of it is kept. What
 * fails, or dies, tells how far it has got, and the next attempt goes on from there in a
 * process of its own. When the end is reached the attempt itself follows. */
#ifndef EXECUTOR_SIFT_H
#define EXECUTOR_SIFT_H

#include "worker/executor/map_task.h"

/* Begins where the attempt's ASSIGN says. -1 when a record or key is bad, which *ret_failed
 * shows, or something else is wrong: NULL. */
int sift(const struct map_task *map, const struct thread **ret_failed, struct error *err);

#endif
