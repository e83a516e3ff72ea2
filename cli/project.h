/* A folder with a job of one's own: its source, how to build it, something to try it on, a
 * test. */
#ifndef CLI_PROJECT_H
#define CLI_PROJECT_H

#include "base/error.h"
#include "cli/templates.h"

struct project {
    const char *name;   /* of the job and its files: project_name_good */
    const char *folder; /* to make; it must not exist */
    enum template_language language;
    const char *include; /* folder of mr/job.h, for where pkg-config does not know it */
    const char *program; /* path of marram, for where PATH does not have it */
};

/* A letter, then letters, digits, '-' and '_', 64 in all at most. */
int project_name_good(const char *name, struct error *err);

/* All of it or nothing. */
int project_make(const struct project *project, struct error *err);

#endif
