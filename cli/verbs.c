#include "cli/verbs.h"

#include <string.h>

const struct verb *const verbs[] = {
    &verb_run_job,
    &verb_submit,
    &verb_jobs,
    &verb_job,
    &verb_wait,
    &verb_cancel,
    &verb_logs,
    &verb_replay,
    &verb_workers,
    &verb_drain,
    &verb_cluster_up,
    &verb_cluster_scale,
    &verb_cluster_status,
    &verb_cluster_down,
    &verb_coordinator,
    &verb_worker,
    &verb_keys,
    &verb_describe,
    &verb_new,
    &verb_config,
    &verb_doctor,
    &verb_version,
    NULL,
};

const struct verb *verbs_find(int count, char *const *words, int *ret_used)
{
    for (const struct verb *const *verb = verbs; *verb; verb++) {
        const char *name = (*verb)->name, *blank = strchr(name, ' ');
        size_t n = blank ? (size_t)(blank - name) : strlen(name);

        if (!count || strlen(words[0]) != n || memcmp(words[0], name, n))
            continue;
        if (!blank || (count > 1 && !strcmp(words[1], blank + 1))) {
            *ret_used = blank ? 2 : 1;
            return *verb;
        }
    }
    return NULL;
}
