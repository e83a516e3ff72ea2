/* What `marram coordinator` and `marram worker` have in common: processes in the foreground
 * that print log lines alone and end in order. */
#ifndef CLI_DAEMON_H
#define CLI_DAEMON_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/verb.h"
#include "store/scratch.h"

struct daemon_options {
    bool log_json;
    const char *log_level;
};

/* Adds rows for these. */
void daemon_options(struct daemon_options *options, struct option_table *table);

/* Signals, limits, log lines. *ret_stop becomes readable when it is time to end. */
int daemon_start(const struct daemon_options *options, int *ret_stop, struct error *err);

/* "marram VERB: TEXT" on stderr; the exit status of the error. */
int daemon_fail(const char *verb, struct error *err);

/* Open files that the hard limit allows. */
unsigned long daemon_files_max(void);

/* A temporary folder below `base`, or TMPDIR, or /tmp. `base` is made. */
int daemon_scratch(const char *base, const char *prefix, struct scratch *scratch,
                   struct error *err);

#endif
