/* What `run` and `submit` take from the command line and send to a coordinator: one table of
 * job options, one message. */
#ifndef CLI_SUBMISSION_H
#define CLI_SUBMISSION_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/options.h"
#include "wire/mr.pb-c.h"

struct submission {
    const struct option_list *words; /* JOB; whoever parses sets it */
    struct option_list inputs, params;
    const char *output, *name, *input_format, *output_format, *compress;
    uint64_t reducers, split_size, task_timeout;
    uint64_t priority, skip_bad_records;
    bool overwrite, sync, speculation, json;
};

/* Adds rows for these options. A cluster outlives what its machines have not written yet, and
 * has others to take over from slow ones: the defaults differ. */
void submission_options(struct submission *submission, bool cluster,
                        struct option_table *table);

/* Puts NAME=VALUE texts into the specification as parameters; ERROR_USAGE names one that is
 * none.
 */
int submission_params(Mr__JobSpec *spec, const struct option_list *params, struct error *err);

/* The path of the job object; the caller frees it. NULL with ERROR_USAGE when the command line
 * lacks something. */
char *submission_object(const struct submission *submission, struct error *err);

/* Checks what can be checked here (the job object among it, without loading it) and makes the
 * message; free it with submission_message_free. */
int submission_message(const struct submission *submission, Mr__Submit **ret,
                       struct error *err);
void submission_message_free(Mr__Submit *message);

#endif
