/* The verbs of `marram`: one file each. A verb gets its arguments with its own name first, and
 * returns the exit status: 0 done, 1 the job failed or was cancelled, 2 wrong usage, 3 no
 * coordinator, 4 refused, 130 interrupted. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

int verb_run(int argc, char **argv);
int verb_submit(int argc, char **argv);
int verb_jobs(int argc, char **argv);
int verb_job(int argc, char **argv);
int verb_wait(int argc, char **argv);
int verb_cancel(int argc, char **argv);
int verb_logs(int argc, char **argv);
int verb_drain(int argc, char **argv);
int verb_workers(int argc, char **argv);
int verb_cluster(int argc, char **argv);
int verb_coordinator(int argc, char **argv);
int verb_worker(int argc, char **argv);
int verb_describe(int argc, char **argv);
int verb_version(int argc, char **argv);

#include "base/version.h"

#endif
