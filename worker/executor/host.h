/* The job that this executor hosts: its object, loaded once and never unloaded, its parameters,
 * and what follows from them. Filled on the main thread, then read by all. */
#ifndef EXECUTOR_HOST_H
#define EXECUTOR_HOST_H

#include <mr/job.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/limits.h"
#include "flow/fold.h"
#include "flow/range.h"
#include "record/codec.h"
#include "record/format.h"
#include "wire/mr.pb-c.h"

struct host {
    Mr__JobOpen *open; /* owned */
    bool loaded;
    struct mr_job job; /* a copy, zero-filled where the object's is shorter */
    struct fold fold;  /* lanes 0: none */
    enum mr_type value, output;
    struct input_format input_format;
    enum output_format output_format;
    enum output_codec output_codec;
    struct codec_choice runs;   /* how map outputs are written */
    struct codec_choice spills; /* how what reducers spill is */
    uint32_t value_width;       /* of a run's values: 8 * lanes, or 0 for bytes */
    bool map_only;
    struct range *range;   /* owned; of a job in total order, once its ranges are known */
    uint64_t record_limit; /* bytes of an input record, a key, a value: record/limit.h */
    uint32_t counter_count;
    void *params;
};

/* Loads the object of host->open, checks its constant field by field, binds the parameters.
 * Runs the object's constructors: user code. */
int host_load(struct host *host, struct error *err);

/* Takes the ranges of the parts over from an announcement. Nothing runs that needs them. */
int host_set_ranges(struct host *host, const Mr__Ranges *ranges, struct error *err);

/* What the job says of itself; free with mr__description__free_unpacked. */
Mr__Description *host_describe(const struct host *host);

#endif
