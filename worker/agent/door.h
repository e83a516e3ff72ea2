/* Opens files for an executor that may not: inputs of the tasks that it holds, announced
 * outputs of map tasks, parts in the job's staging folder. Nothing else, whatever it says. */
#ifndef AGENT_DOOR_H
#define AGENT_DOOR_H

#include <stdbool.h>

#include "wire/door.h"
#include "worker/agent/child.h"

struct known_job;

/* Opens what the request asks for, if `child`, the executor of `job` (NULL: of none), may have
 * it: how many descriptors to hand over, which the caller owns, or -1 with errno. */
int door_open(const struct child *child, const struct known_job *job,
              const struct door_request *request, int ret_files[DOOR_FILES]);

/* Answers what the executor has asked for; false when it speaks nonsense. */
bool door_serve(const struct child *child, const struct known_job *job);

#endif
