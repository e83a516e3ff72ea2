/* The jobs that ended, for people to ask about: a table of SQLite that outlives the
 * coordinator. Nothing depends on it: what matters is in the journal. It is written by a thread
 * of its own, so that no job waits for it; where writing fails, a log line says so and the work
 * goes on.
 *
 *   jobs (id, name, object, output, state, submitted, seconds, maps, maps_done, reduces,
 *         reduces_done, parts, failed_attempts, priority, error_code, error, counters,
 * failures)
 *
 * counters is a JSON object, failures a JSON array of objects with kind, task, attempt, worker,
 * code, error. PRAGMA user_version is the version of the schema. Those that were
 * submitted first go when there are too many. One thread calls. */
#ifndef COORDINATOR_HISTORY_H
#define COORDINATOR_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct history_counter {
    char *name;
    int64_t value;
};

/* A failed attempt and its cause. */
struct history_failure {
    uint32_t kind, task, attempt; /* kind: enum sched_kind */
    char *worker, *error;
    uint32_t code;
};

/* A job that ended. Owns its texts, none of which is NULL. */
struct history_job {
    uint64_t id;
    char *name, *object, *output, *state, *error;
    double submitted; /* seconds since 1970 */
    double seconds;   /* from submission to the end */
    uint32_t maps, maps_done, reduces, reduces_done, parts, error_code;
    uint64_t failed_attempts;
    uint32_t priority;
    struct history_counter *counters;
    size_t counter_count;
    struct history_failure *failures;
    size_t failure_count;
};

/* Takes NULL. */
void history_job_free(struct history_job *job);

struct history;

/* Opens or creates the file, which will keep `kept` jobs. ERROR_REFUSED: a newer program wrote
 * it. ERROR_DAMAGE: it is not what it should be. */
int history_open(const char *path, uint32_t kept, struct history **ret, struct error *err);

/* Writes a job behind the caller's back; takes it over. One with the same id is replaced. */
void history_add(struct history *history, struct history_job *job);

/* A job; the caller frees it. NULL: there is none, or it cannot be read, which is logged. Sees
 * what was added before. */
struct history_job *history_find(struct history *history, uint64_t id);

/* Calls visit() for each job, the newest first, until it returns false; the job is borrowed.
 * Returns how many jobs there are. */
uint64_t history_each(struct history *history,
                      bool (*visit)(void *context, const struct history_job *job),
                      void *context);

/* Writes what was added; takes NULL. */
void history_close(struct history *history);

#endif
