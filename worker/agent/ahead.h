/* Fetching ahead: while maps still run, a worker fetches of the outputs that are announced to
 * it those parts whose home it is, into bundles in the job's folder. The reducer of a part is
 * told of its bundles before it begins, and fetches for itself what is not in them.
 *
 * Nothing depends on any of it: what cannot be had, or would be too much, is left out without a
 * word. Runs that can be read by their paths are not fetched. The agent's thread alone. */
#ifndef AGENT_AHEAD_H
#define AGENT_AHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/mr.pb-c.h"

struct agent;
struct child;
struct fetch_result;
struct known_job;

/* Outputs are announced (MapOutputs.homes); takes over the message. */
void ahead_announced(struct agent *agent, struct known_job *job, Mr__MapOutputs *outputs);

/* What became of a request; its path stays the caller's. */
void ahead_arrived(struct agent *agent, const struct fetch_result *result);

/* The part is about to be reduced by `child`: tells it which bundles there are, and gives up
 * those that are on their way. From now on nothing is fetched ahead of this part. */
void ahead_hand_over(struct agent *agent, struct known_job *job, uint32_t part,
                     struct child *child);

/* Forgets what was fetched of the job; the files go with its folder. The fetch has dropped the
 * job. */
void ahead_forget(struct agent *agent, struct known_job *job);

#endif
