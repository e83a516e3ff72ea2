/* What a coordinator says of a job, as JSON. */
#ifndef CLI_JOB_INFO_H
#define CLI_JOB_INFO_H

#include <jansson.h>
#include <stdbool.h>

#include "wire/mr.pb-c.h"

/* With `detail` also counters and running tasks. */
json_t *job_info_json(const Mr__JobInfo *job, bool detail);

#endif
