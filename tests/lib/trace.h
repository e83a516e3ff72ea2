/* The scheduler's events and actions as words, for tests that compare traces. */
#ifndef TESTS_TRACE_H
#define TESTS_TRACE_H

#include <stddef.h>

#include "coordinator/sched/sched.h"

/* "assign w1 7/map3.2 alone single", "finished 7 failed crash cause 7/map3.1", ...; an attempt
 * is written JOB/KIND TASK.ATTEMPT without the space. The text is cut to `size`. */
void trace_action(const struct sched_action *action, char *text, size_t size);

/* "done w1 7/map3.2", "lost w4", "persisted 12", ... */
void trace_event(const struct sched_event *event, char *text, size_t size);

#endif
