/* Watching an executor: does its work move, and does it keep to its memory? */
#ifndef AGENT_WATCH_H
#define AGENT_WATCH_H

#include <stdbool.h>

#include "worker/agent/child.h"

/* What an executor whose budget is `memory` may use at most, in bytes. */
uint64_t watch_limit(uint64_t memory);

/* True when the executor must be ended; child->ended_by and ended_slot then say why and for
 * whom. `memory` is its budget in bytes; call it every 100 ms or so. */
bool watch_child(struct child *child, uint64_t memory);

#endif
