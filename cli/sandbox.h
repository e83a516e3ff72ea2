/* What user code may reach beyond the system and its own job: the operator's say. Executors
 * take it from the environment, which is this process's. */
#ifndef CLI_SANDBOX_H
#define CLI_SANDBOX_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/options.h"

enum { SANDBOX_ROWS = 3 };

struct sandbox_options {
    bool on;
    const char *reads, *writes; /* paths separated by colons, or NULL */
};

/* As the environment says. */
void sandbox_init(struct sandbox_options *options);
void sandbox_rows(struct sandbox_options *options, struct option_row rows[SANDBOX_ROWS]);

/* Puts it into the environment, paths absolute; one that does not exist is refused by name. */
int sandbox_export(const struct sandbox_options *options, struct error *err);

#endif
