/* The verbs of `marram`: one file each, one table of all. */
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "base/version.h"
#include "cli/verb.h"

extern const struct verb verb_run_job, verb_submit, verb_jobs, verb_job, verb_wait, verb_cancel,
    verb_logs, verb_replay, verb_workers, verb_drain, verb_cluster_up, verb_cluster_scale,
    verb_cluster_status, verb_cluster_down, verb_coordinator, verb_worker, verb_describe,
    verb_keys, verb_new, verb_config, verb_doctor, verb_version;

/* In the order of the list of verbs, NULL behind the last. */
extern const struct verb *const verbs[];

/* The verb that the words begin with ("cluster", "up", ...), and how many words its name has;
 * NULL when there is none. */
const struct verb *verbs_find(int count, char *const *words, int *ret_used);

#endif
