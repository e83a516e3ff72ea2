/* Looking at a file that the coordinator asks about. A mount that hangs would hang us with it,
 * lease and all: a thread looks, and whether it comes back is nobody's worry. */
#ifndef AGENT_SIGHT_H
#define AGENT_SIGHT_H

#include <stdint.h>

#include "wire/mr.pb-c.h"

struct sight;

/* Begins to look, unless it is what was looked at last, or the last look is not over. *sight is
 * NULL at first. */
void sight_look(struct sight **sight, const Mr__HeartbeatAck *ack);
/* What was seen, once it was; it borrows from *sight. */
void sight_tell(const struct sight *sight, Mr__Heartbeat *heartbeat);
/* Takes NULL. */
void sight_close(struct sight *sight);

#endif
