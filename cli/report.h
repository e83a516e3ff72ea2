/* What a waiting client sees: progress on stderr, the result, and the same as JSON on stdout.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/mr.pb-c.h"

struct report {
    bool json;
    bool replays;    /* a failed job can be replayed */
    bool terminal;   /* of stderr: progress overwrites its line */
    int map, reduce; /* percent shown last; -1: nothing yet */
    bool reasons;    /* says why a job waits */
    char reason[160];
    bool planned; /* map tasks were announced: from here on failures are the job's */
};

void report_init(struct report *report, bool json);

/* " map 40% reduce 0%", printed when it changes. */
void report_progress(struct report *report, const Mr__Progress *progress);

/* The end of a job: counters, or the first cause with the job's last output. Returns the exit
 * status. */
int report_finished(struct report *report, const Mr__Finished *finished, const char *output);

/* A command that ended before there was a job. Returns the exit status. */
int report_error(struct report *report, const char *verb, const struct error *error);

#endif
