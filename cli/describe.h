/* Loading a job object into an executor, to see what it says of itself. */
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include "base/error.h"
#include "wire/mr.pb-c.h"

/* Caller frees with frame_free(&(*ret)->base). */
int describe_object(const char *path, Mr__TaskDone **ret, struct error *err);

#endif
