/* Counters of a job: one table names them, sums them over the accepted tasks, and checks that
 * they balance. */
#ifndef COORDINATOR_TALLY_H
#define COORDINATOR_TALLY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "coordinator/job.h"

struct tally_counter {
    char name[72];
    int64_t value;
    bool exact; /* identical in every run of this job on this input */
};

struct tally {
    struct tally_counter *items;
    size_t count, capacity;
};

/* All built-in counters in their documented order, then the job's own. */
void tally_job(struct tally *tally, const struct job *job,
               const struct sched_progress *progress);
void tally_done(struct tally *tally);

/* The value, 0 when unknown. */
int64_t tally_value(const struct tally *tally, const char *name);

/* Every pair that was emitted reached a reducer, exactly once. */
int tally_balance(const struct job *job, struct error *err);

/* The text of _SUCCESS: parts, sizes, checksums and exact counters as JSON. Caller frees. */
char *tally_manifest(const struct job *job);

#endif
