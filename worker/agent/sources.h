/* The public keys of workers that hold runs, by endpoint, as the coordinator told them. An
 * executor, where user code runs, says from which endpoint it wants a run, never whose key
 * that is. One thread. */
#ifndef AGENT_SOURCES_H
#define AGENT_SOURCES_H

#include "base/map.h"
#include "wire/mr.pb-c.h"

struct sources {
    struct map by_endpoint; /* its hash -> struct source_key */
};

void sources_done(struct sources *sources);
void sources_learn(struct sources *sources, const Mr__MapOutputs *outputs);
/* Puts the keys into the message, in place of what stands there. */
void sources_fill(const struct sources *sources, Mr__PartWanted *wanted);

#endif
