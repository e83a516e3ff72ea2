#include "worker/executor/host.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "record/fields.h"
#include "record/limit.h"
#include "store/object.h"
#include "worker/executor/params.h"

static const char *const fold_names[] = {
    [MR_NO_FOLD] = "none",    [MR_SUM_I64] = "sum_i64", [MR_MIN_I64] = "min_i64",
    [MR_MAX_I64] = "max_i64", [MR_COUNT] = "count",     [MR_SUM_F64] = "sum_f64",
    [MR_MIN_F64] = "min_f64", [MR_MAX_F64] = "max_f64",
};

static const char *const input_names[] = {
    [MR_LINES] = "lines", [MR_BLOCKS] = "blocks", [MR_RECORDS] = "records"};

/* Counters that are ours: a job's own may not be called so. */
static const char *const reserved_counters[] = {
    "map_input_records",     "map_input_bytes",        "map_output_records",
    "reduce_input_groups",   "reduce_output_records",  "skipped_records",
    "combine_input_records", "combine_output_records", "reduce_input_records",
    "reduce_input_pairs",    "spilled_bytes",          "shuffle_bytes",
    "failed_attempts",       "speculative_attempts",   "map_reruns",
    "drain_reruns",          "prefetched_bytes",
};

static int copy_file(const char *from, const char *to, struct error *err)
{
    cleanup_close int in = open(from, O_RDONLY | O_CLOEXEC);
    cleanup_close int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    struct stat st;
    off_t at = 0;

    if (in < 0 || fstat(in, &st))
        return error_errno(err, ERROR_OBJECT, "job object '%s'", from);
    if (out < 0)
        return error_scratch(err, ERROR_IO, "create '%s'", to);
    while (at < st.st_size) {
        ssize_t n = sendfile(out, in, &at, (size_t)(st.st_size - at));

        if (n < 0 && errno != EINTR)
            return error_scratch(err, ERROR_IO, "write '%s'", to);
        if (n == 0)
            return error_set(err, ERROR_OBJECT, "job object '%s' shrank while it was copied",
                             from);
    }
    return 0;
}

/* A private copy of the object: what is loaded is what was submitted, byte by byte, and no two
 * objects ever share a path. It keeps its name, for backtraces. Caller frees. */
static char *fetch_object(const Mr__JobOpen *open, struct error *err)
{
    const Mr__JobSpec *spec = open->spec;
    const Mr__BlobRef *object = spec->n_blobs ? spec->blobs[0] : NULL;
    cleanup_free char *from =
        memory_format("%.*s", (int)open->object_path.len, (const char *)open->object_path.data);
    cleanup_free char *folder = memory_format("%.*s/object-%d", (int)open->scratch.len,
                                              (const char *)open->scratch.data, (int)getpid());
    char *to = memory_format("%s/%.*s", folder, object ? (int)object->name.len : 0,
                             object ? (const char *)object->name.data : "");
    uint8_t digest[32];

    if (mkdir(folder, 0700) && errno != EEXIST)
        error_scratch(err, ERROR_IO, "make folder '%s'", folder);
    else if (!copy_file(from, to, err) && !object_sha256(to, digest, err)) {
        if (memcmp(digest, object->sha256.data, sizeof digest))
            error_set(err, ERROR_OBJECT, "job object '%s' changed since it was submitted",
                      from);
        else if (!object_check(to, err))
            return to;
    }
    unlink(to);
    free(to);
    return NULL;
}

/* Takes the object's constant over into ours, across versions of the header. */
static int copy_job(struct host *host, const struct mr_job *theirs, struct error *err)
{
    size_t size = theirs->abi & 0xffffffff;
    const char *bytes = (const char *)theirs;

    for (size_t i = sizeof host->job; i < size; i++)
        if (bytes[i])
            return error_set(
                err, ERROR_OBJECT,
                "the job uses a field that is newer than this Marram (byte %zu of mr_job)", i);
    memset(&host->job, 0, sizeof host->job);
    memcpy(&host->job, theirs, size < sizeof host->job ? size : sizeof host->job);
    if (host->job.ops_size > sizeof(struct mr_task_ops))
        return error_set(
            err, ERROR_OBJECT,
            "the job needs %u bytes of calls, this Marram has %zu: it is built for a newer one",
            host->job.ops_size, sizeof(struct mr_task_ops));
    return 0;
}

static int check_reserved(const struct mr_job *job, struct error *err)
{
    const struct {
        const char *name;
        bool set;
    } fields[] = {
        {"side_files", job->side_files != NULL},
        {"outputs", job->outputs != NULL},
        {"inputs", job->inputs != NULL},
        {"key", job->key != MR_DEFAULT && job->key != MR_BYTES},
    };

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (fields[i].set)
            return error_set(err, ERROR_OBJECT,
                             "the job sets .%s, which this version does not support",
                             fields[i].name);
    return 0;
}

static int check_enums(const struct mr_job *job, struct error *err)
{
    if (job->flags & ~MR_TOTAL_ORDER)
        return error_set(err, ERROR_OBJECT, "the job sets unknown flags 0x%llx",
                         (unsigned long long)job->flags);
    if ((unsigned)job->input > MR_RECORDS)
        return error_set(err, ERROR_OBJECT, "the job sets .input to the unknown value %d",
                         (int)job->input);
    if ((unsigned)job->value > MR_F64 || (unsigned)job->output > MR_F64 ||
        (unsigned)job->key > MR_F64)
        return error_set(err, ERROR_OBJECT,
                         "the job sets .key, .value or .output to an unknown type");
    if ((unsigned)job->fold > MR_MAX_F64)
        return error_set(err, ERROR_OBJECT, "the job sets .fold to the unknown value %d",
                         (int)job->fold);
    if (!job->map)
        return error_set(err, ERROR_OBJECT, "the job has no .map");
    if (!job->name || !*job->name || strlen(job->name) > LIMIT_NAME)
        return error_set(err, ERROR_OBJECT, "the job's .name is missing, or longer than %d",
                         LIMIT_NAME);
    return 0;
}

static bool is_ordered(const struct mr_job *job)
{
    return job->flags & MR_TOTAL_ORDER;
}

static bool is_floating(enum mr_fold fold)
{
    return fold >= MR_SUM_F64;
}

static int settle_fold(struct host *host, struct error *err)
{
    const struct mr_job *job = &host->job;
    struct fold *fold = &host->fold;

    *fold = (struct fold){0};
    if (job->fold && job->folds)
        return error_set(err, ERROR_OBJECT, "the job sets both .fold and .folds");
    if (job->fold)
        fold->lane[fold->lanes++] = job->fold;
    for (; job->folds && job->folds[fold->lanes]; fold->lanes++) {
        if (fold->lanes == MR_LANES_MAX)
            return error_set(err, ERROR_OBJECT, "the job's .folds has more than %d lanes",
                             MR_LANES_MAX);
        if ((unsigned)job->folds[fold->lanes] > MR_MAX_F64)
            return error_set(err, ERROR_OBJECT, "lane %u of .folds has an unknown value",
                             fold->lanes);
        fold->lane[fold->lanes] = job->folds[fold->lanes];
    }
    for (uint32_t i = 0; i < fold->lanes; i++) {
        fold->floating = is_floating(fold->lane[0]);
        if (is_floating(fold->lane[i]) != fold->floating)
            return error_set(err, ERROR_OBJECT, "the job's .folds mixes integers and floats");
    }
    if (fold->lanes && job->combine)
        return error_set(err, ERROR_OBJECT,
                         "the job sets a fold and .combine: one of them is enough");
    return 0;
}

static int settle_types(struct host *host, struct error *err)
{
    const struct mr_job *job = &host->job;
    enum mr_type folded = host->fold.floating ? MR_F64 : MR_I64;

    host->value = job->value ? job->value : host->fold.lanes ? folded : MR_BYTES;
    host->output = job->output ? job->output : host->value;
    host->map_only = !job->reduce && !host->fold.lanes && !is_ordered(job);
    host->record_limit = record_limit(host->open->memory);
    if (host->fold.lanes && host->value != folded)
        return error_set(err, ERROR_OBJECT, "the job's .value contradicts its fold");
    if (!job->reduce && host->output != host->value)
        return error_set(
            err, ERROR_OBJECT,
            "the job sets .output, but has no .reduce to make it: set .value alone");
    if (job->group && (!job->reduce || host->fold.lanes))
        return error_set(err, ERROR_OBJECT,
                         "the job sets .group, which is for a .reduce without a fold");
    if (is_ordered(job) && job->partition)
        return error_set(
            err, ERROR_OBJECT,
            "the job sets .partition and MR_TOTAL_ORDER, which asks for parts that "
            "are ranges of keys: one of them is enough");
    if (!job->reduce && !host->fold.lanes && (job->combine || job->partition))
        return error_set(err, ERROR_OBJECT, "the job sets .%s, but has no .reduce and no fold",
                         job->combine ? "combine" : "partition");
    host->value_width = host->fold.lanes          ? 8 * host->fold.lanes
                        : host->value == MR_BYTES ? 0
                                                  : 8;
    return 0;
}

static int check_counters(struct host *host, struct error *err)
{
    const char *const *names = host->job.counters;

    host->counter_count = 0;
    for (; names && names[host->counter_count]; host->counter_count++) {
        const char *name = names[host->counter_count];

        if (host->counter_count == LIMIT_COUNTERS)
            return error_set(err, ERROR_OBJECT, "the job has more than %d counters",
                             LIMIT_COUNTERS);
        if (!*name || strlen(name) > LIMIT_NAME)
            return error_set(err, ERROR_OBJECT, "a counter's name is empty or longer than %d",
                             LIMIT_NAME);
        for (size_t i = 0; i < sizeof reserved_counters / sizeof *reserved_counters; i++)
            if (!strcmp(name, reserved_counters[i]))
                return error_set(err, ERROR_OBJECT, "the job's counter '%s' has a name of ours",
                                 name);
    }
    return 0;
}

/* What the submission asks for, else what the job says, else ours. Caller frees. */
static char *format_name(ProtobufCBinaryData asked, const char *of_job, const char *ours)
{
    if (asked.len)
        return memory_format("%.*s", (int)asked.len, (const char *)asked.data);
    return memory_text(of_job && *of_job ? of_job : ours);
}

static char *input_name(const struct host *host)
{
    return format_name(host->open->spec->input_format, host->job.input_format, "lines");
}

static char *output_name(const struct host *host)
{
    return format_name(host->open->spec->output_format, host->job.output_format, "text");
}

static int settle_formats(struct host *host, struct error *err)
{
    cleanup_free char *input = input_name(host), *output = output_name(host);

    if (host->job.fields && host->job.input != MR_RECORDS)
        return error_set(err, ERROR_OBJECT,
                         "the job sets .fields, which is for .input = MR_RECORDS");
    if (format_parse_input(input, &host->input_format, err) ||
        fields_check(host->input_format, host->job.fields, err))
        return -1;
    return format_parse_output(output, &host->output_format, &host->output_codec, err);
}

/* What a reducer spills never leaves its disk. */
static int settle_compression(struct host *host, struct error *err)
{
    ProtobufCBinaryData asked = host->open->spec->compress;
    struct mr_bytes name = {(const char *)asked.data, asked.len};

    if (codec_choose(name, host->open->far, &host->runs, err))
        return -1;
    return codec_choose(name, false, &host->spills, err);
}

static int load(struct host *host, const char *path, struct error *err)
{
    const struct mr_job *theirs;
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!object)
        return error_set(err, ERROR_OBJECT, "the job object cannot be loaded: %s", dlerror());
    theirs = dlsym(object, "mr_job");
    if (!theirs)
        return error_set(err, ERROR_OBJECT, "the job object exports no mr_job");
    return copy_job(host, theirs, err);
}

int host_load(struct host *host, struct error *err)
{
    cleanup_free char *path = fetch_object(host->open, err);

    if (!path || load(host, path, err) || check_enums(&host->job, err) ||
        check_reserved(&host->job, err) || settle_fold(host, err) || settle_types(host, err) ||
        check_counters(host, err) || settle_formats(host, err) || settle_compression(host, err))
        return -1;
    /* Without parts there is nothing to run: the job is only described. */
    if (params_bind(&host->job, host->open->spec, !host->open->parts, &host->params, err))
        return -1;
    host->loaded = true;
    return 0;
}

int host_set_ranges(struct host *host, const Mr__Ranges *ranges, struct error *err)
{
    struct mr_bytes prefix = {(const char *)ranges->prefix.data, ranges->prefix.len};
    cleanup_free struct mr_bytes *points = memory_new((ranges->n_points + 1) * sizeof *points);

    for (size_t i = 0; i < ranges->n_points; i++)
        points[i] =
            (struct mr_bytes){(const char *)ranges->points[i].data, ranges->points[i].len};
    return range_new(prefix, points, ranges->n_points, &host->range, err);
}

static ProtobufCBinaryData copy_text(const char *text)
{
    ProtobufCBinaryData copy = {0};

    if (text && *text) {
        copy.data = (uint8_t *)memory_text(text);
        copy.len = strlen(text);
    }
    return copy;
}

static ProtobufCBinaryData fold_text(const struct fold *fold)
{
    char text[16 * MR_LANES_MAX + 16] = "none";
    size_t used = 0;

    for (uint32_t i = 0; i < fold->lanes; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? "," : "",
                                 fold_names[fold->lane[i]]);
    return copy_text(text);
}

static void describe_params(const struct host *host, Mr__Description *description)
{
    const struct mr_param *row;

    description->params = memory_zeroed(LIMIT_PARAMS, sizeof *description->params);
    for (size_t i = 0; (row = params_row(&host->job, i)); i++) {
        Mr__ParamInfo *info = memory_new(sizeof *info);

        mr__param_info__init(info);
        info->name = copy_text(row->name);
        info->type = copy_text(params_type_name(row->type));
        info->value = copy_text(row->value);
        info->required = !row->value;
        info->help = copy_text(row->help);
        description->params[description->n_params++] = info;
    }
}

static void describe_fields(const struct host *host, Mr__Description *description)
{
    const char *const *names = host->job.fields;

    for (; names && names[description->n_fields]; description->n_fields++)
        ;
    description->fields = memory_zeroed(description->n_fields + 1, sizeof *description->fields);
    for (size_t i = 0; i < description->n_fields; i++)
        description->fields[i] = copy_text(names[i]);
}

Mr__Description *host_describe(const struct host *host)
{
    Mr__Description *description = memory_new(sizeof *description);
    const struct mr_job *job = &host->job;
    cleanup_free char *input = input_name(host), *output = output_name(host);

    mr__description__init(description);
    description->name = copy_text(job->name);
    description->about = copy_text(job->about);
    description->abi_version = job->abi >> 32 & 0xffff;
    describe_params(host, description);
    description->counters = memory_zeroed(host->counter_count, sizeof *description->counters);
    for (uint32_t i = 0; i < host->counter_count; i++)
        description->counters[description->n_counters++] = copy_text(job->counters[i]);
    description->input = copy_text(input_names[job->input]);
    describe_fields(host, description);
    description->input_format = copy_text(input);
    description->output_format = copy_text(output);
    description->fold = fold_text(&host->fold);
    description->map_only = host->map_only;
    description->has_combine = job->combine != NULL;
    description->has_reduce = job->reduce != NULL;
    description->has_partition = job->partition != NULL;
    description->has_group = job->group != NULL;
    description->total_order = is_ordered(job);
    for (uint32_t i = 0; i < host->fold.lanes; i++)
        description->inexact = description->inexact || host->fold.lane[i] == MR_SUM_F64;
    return description;
}
