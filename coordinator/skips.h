/* Bad records and keys that a job does without: what failed attempts say that they failed on,
 * checked; the list of what is skipped; and who is told of it. The scheduler decides which they
 * are (sched/skip.c); here are the words. One thread. */
#ifndef COORDINATOR_SKIPS_H
#define COORDINATOR_SKIPS_H

#include <jansson.h>
#include <stdbool.h>

#include "coordinator/job.h"

/* What the attempt failed on, as the coordinator knows it (paths are those of its plan); NULL
 * if it does not say, or nothing that can be. Caller frees with frame_free. */
Mr__Culprit *skips_culprit(const struct job *job, const struct sched_attempt *attempt,
                           const Mr__TaskFailed *failed);

/* The same for the scheduler; takes NULL. */
struct sched_culprit skips_identity(const Mr__Culprit *culprit);

/* Whether it is skipped already. */
bool skips_has(const struct job *job, const Mr__Culprit *culprit);
/* How far the attempt's search for bad records has got, if it says so. */
struct sched_place skips_sifted(const struct job *job, const Mr__TaskFailed *failed);

/* What the attempt failed on is skipped from now on. */
void skips_note(struct job *job, const struct sched_attempt *attempt);
void skips_done(struct job *job);

/* Whether the job failed because this was one bad record too many; *ret_text says so with the
 * first causes, and the caller frees it. */
bool skips_overflowed(const struct job *job, const struct job_failure *failure,
                      char **ret_text);

/* What an attempt has to leave out or to feed with care. */
struct skips_told {
    uint64_t *records, *narrow;
    uint8_t *keys;
    Mr__Place sift;
};
void skips_tell(const struct sched *sched, const struct job *job,
                const struct sched_attempt *attempt, Mr__Assign *message,
                struct skips_told *told);
void skips_told_done(struct skips_told *told);

/* How many of the first of them a message has room for. */
size_t skips_shown(const struct job *job);

/* For the manifest: in order, with what is the same in every run. */
json_t *skips_json(const struct job *job);

#endif
