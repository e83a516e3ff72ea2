/* Attempts of an executor that run although nobody needs them any more: they were told to stop.
 * User code that does not come back within a while is ended with its process; the others there
 * run again elsewhere, and nobody is blamed. The agent's thread owns it. */
#ifndef AGENT_REVOKED_H
#define AGENT_REVOKED_H

#include <stdbool.h>

#include "worker/agent/child.h"

enum { REVOKED_MS = 5000 }; /* for an attempt to stop by itself */

void revoked_add(struct child *child, const Mr__Revoke *revoke);

/* It answered: true if it was one of these. */
bool revoked_drop(struct child *child, Mr__TaskKind kind, uint32_t task, uint32_t attempt);

/* True when one of them does not stop: the executor must be ended, and child->ended_by and
 * ended_slot then say why. */
bool revoked_overdue(struct child *child);

void revoked_done(struct child *child);

#endif
