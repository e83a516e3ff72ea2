/* What a coordinator says of jobs and workers, as JSON: the same for commands (--json) and
 * HTTP. The caller owns what is returned. Fields are added, never removed or renamed:
 * docs/commands.md lists them. */
#ifndef WIRE_INFO_H
#define WIRE_INFO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/mr.pb-c.h"

/* Text that JSON can hold: what is not UTF-8 becomes '?'. */
json_t *info_text(const char *bytes, size_t n);
json_t *info_bytes(ProtobufCBinaryData bytes);
/* A job's id, 12 hexadecimal digits. */
json_t *info_id(uint64_t job);
/* null when there is none. */
json_t *info_error(const Mr__Error *error);
json_t *info_counters(Mr__Counter *const *counters, size_t n);
/* Records and keys that were left out. */
json_t *info_skipped(Mr__Skipped *const *skipped, size_t n);

/* With `detail` also counters and running tasks. */
json_t *info_job(const Mr__JobInfo *job, bool detail);
json_t *info_jobs(const Mr__Jobs *jobs);
json_t *info_worker(const Mr__WorkerInfo *worker);
json_t *info_workers(const Mr__Workers *workers);
json_t *info_cluster(const Mr__Cluster *cluster);
json_t *info_event(const Mr__Event *event);

#endif
