/* Where the pieces of this installation are: beside the running program in a build folder, or
 * under its prefix once installed. */
#ifndef CLI_LOCATE_H
#define CLI_LOCATE_H

#include "base/error.h"

/* The path of marram-executor. Caller frees. */
char *locate_executor(struct error *err);

/* The folder of mr/job.h. Caller frees. */
char *locate_include(struct error *err);

/* The path of the running program. Caller frees. */
char *locate_program(void);

/* The path of a job: a path as it is, or the bare name of a job that ships. Caller frees. */
char *locate_job(const char *job, struct error *err);

/* `path` made absolute, without touching the file system beyond the working folder. Caller
 * frees. */
char *locate_absolute(const char *path);

#endif
