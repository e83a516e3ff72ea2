/* What user code may reach beyond the system and its own job: the operator's say. Executors
 * take it from the environment, which is this process's. */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/options.h"

struct sandbox_options {
    bool on;
    const char *reads, *writes; /* paths separated by colons, or NULL */
};

/* Adds rows for these. */
void sandbox_options(struct sandbox_options *options, struct option_table *table);

/* Puts it into the environment, paths absolute; one that does not exist is refused by name. */
int sandbox_export(const struct sandbox_options *options, struct error *err);

#endif
