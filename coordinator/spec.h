/* Whether what a client submits, or a journal tells, can be a job: its specification, by
 * itself.
 */
#ifndef COORDINATOR_SPEC_H
#define COORDINATOR_SPEC_H

#include <stdbool.h>

#include "base/error.h"
#include "wire/mr.pb-c.h"

/* Takes NULL. ERROR_USAGE or ERROR_OUTPUT names what is missing, wrong or above its limit
 * (base/limits.h); no file is looked at. */
int spec_check(const Mr__JobSpec *spec, struct error *err);

/* Whether it can be a path of ours: absolute, or range:N; no longer than LIMIT_PATH, and
 * without a NUL, at which it would end for the system but not for us. */
bool spec_is_path(ProtobufCBinaryData path);

#endif
