/* What the outputs of a job's maps hold of each part, as the maps told it (record/content.h):
 * to check at the end that reducers received all of it, and to notice a map that, run again,
 * gave other pairs than reducers have used.
 *
 * Kept for each map, in its TASK_DONE. Where maps and parts are many, parts are kept together
 * in groups: part p in group p % groups. An output that was lost is remembered until the map is
 * accepted again (job->former). */
#ifndef COORDINATOR_LEDGER_H
#define COORDINATOR_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "coordinator/job.h"

/* In how many groups the parts of the job are kept; 1 at least once it is planned. */
uint32_t ledger_groups(const struct job *job);

/* Takes what a map's message says of its parts in, by group; false if it makes no sense. */
bool ledger_take(const struct job *job, Mr__TaskDone *done);

/* The parts of which this output holds other pairs than the one that the map left before:
 * *ret_count of them, ascending; the caller frees. NULL: there are none, or nothing is known.
 */
uint32_t *ledger_changed(const struct job *job, const Mr__TaskDone *done, size_t *ret_count);

/* The map's output no longer counts; its message is kept until another one does. */
void ledger_lost(struct job *job, uint32_t task);

/* Every part is reduced: outputs that were lost since and not made again have served, and
 * count. */
void ledger_recall(struct job *job);

/* Whether each part's reducer received what the maps have emitted into it; says what does not
 * add up. Maps that told nothing of their parts (of an older worker) are not checked. */
int ledger_balance(const struct job *job, struct error *err);

#endif
