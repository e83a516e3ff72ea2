#include "coordinator/spec.h"

#include <string.h>

#include "base/limits.h"
#include "coordinator/sched/sched.h"
#include "record/codec.h"
#include "store/blobs.h"

/* As much of a text as an error line has room for. */
enum { SHOWN = 100 };
#define SHORTLY(bytes) \
    (int)((bytes).len < SHOWN ? (bytes).len : SHOWN), (const char *)(bytes).data

static bool has_nul(ProtobufCBinaryData bytes)
{
    return bytes.len && memchr(bytes.data, 0, bytes.len);
}

bool spec_is_path(ProtobufCBinaryData path)
{
    return path.len && path.len <= LIMIT_PATH && !has_nul(path) &&
           (path.data[0] == '/' || (path.len >= 6 && !memcmp(path.data, "range:", 6)));
}

/* All but the inputs goes to workers, and some of it into answers, each time with more beside
 * it. */
static int check_size(const Mr__JobSpec *spec, struct error *err)
{
    Mr__JobSpec rest = *spec;
    size_t size;

    rest.n_inputs = 0;
    size = mr__job_spec__get_packed_size(&rest);
    if (size > LIMIT_MESSAGE / 2)
        return error_set(
            err, ERROR_USAGE,
            "the submission's parameters and names take %zu bytes, the limit is %llu", size,
            (unsigned long long)LIMIT_MESSAGE / 2);
    return 0;
}

static int check_blobs(const Mr__JobSpec *spec, struct error *err)
{
    if (spec->n_blobs > LIMIT_BLOBS)
        return error_set(err, ERROR_USAGE, "%zu files travel with the job, %d may",
                         spec->n_blobs, LIMIT_BLOBS);
    for (size_t i = 0; i < spec->n_blobs; i++) {
        const Mr__BlobRef *blob = spec->blobs[i];

        if (blob->sha256.len != BLOB_HASH || !blob->name.len || has_nul(blob->name) ||
            memchr(blob->name.data, '/', blob->name.len))
            return error_set(err, ERROR_USAGE, "a file of the submission has no name or hash");
        if (blob->name.len > LIMIT_TITLE)
            return error_set(err, ERROR_USAGE,
                             "the file name '%.*s...' has %zu bytes, the limit is %d",
                             SHORTLY(blob->name), blob->name.len, LIMIT_TITLE);
    }
    return 0;
}

static int check_params(const Mr__JobSpec *spec, struct error *err)
{
    if (spec->n_params > LIMIT_GIVEN)
        return error_set(err, ERROR_USAGE, "%zu parameters are given with -p, the limit is %d",
                         spec->n_params, LIMIT_GIVEN);
    for (size_t i = 0; i < spec->n_params; i++) {
        const Mr__Param *param = spec->params[i];

        if (!param->name.len || has_nul(param->name) || has_nul(param->value))
            return error_set(err, ERROR_USAGE, "a parameter has no name, or a NUL in it");
        if (param->name.len > LIMIT_NAME)
            return error_set(err, ERROR_USAGE,
                             "the parameter name '%.*s' has %zu bytes, the limit is %d",
                             SHORTLY(param->name), param->name.len, LIMIT_NAME);
        if (param->value.len > LIMIT_VALUE)
            return error_set(err, ERROR_USAGE,
                             "the value of parameter %.*s has %zu bytes, the limit is %d: put "
                             "it into a file, and give its path",
                             SHORTLY(param->name), param->value.len, LIMIT_VALUE);
    }
    return 0;
}

static int check_paths(const Mr__JobSpec *spec, struct error *err)
{
    if (spec->n_inputs > LIMIT_INPUTS)
        return error_set(err, ERROR_USAGE,
                         "%zu inputs are named, the limit is %d: give their folder, or a "
                         "quoted glob",
                         spec->n_inputs, LIMIT_INPUTS);
    for (size_t i = 0; i < spec->n_inputs; i++) {
        if (spec->inputs[i].len > LIMIT_PATH)
            return error_set(err, ERROR_USAGE,
                             "the input '%.*s...' is a path of %zu bytes, the limit is %d",
                             SHORTLY(spec->inputs[i]), spec->inputs[i].len, LIMIT_PATH);
        if (!spec_is_path(spec->inputs[i]))
            return error_set(err, ERROR_USAGE, "the input '%.*s' is not an absolute path",
                             SHORTLY(spec->inputs[i]));
    }
    if (spec->output.len > LIMIT_PATH)
        return error_set(err, ERROR_USAGE,
                         "the output '%.*s...' is a path of %zu bytes, the limit is %d",
                         SHORTLY(spec->output), spec->output.len, LIMIT_PATH);
    if (spec->output.data[0] != '/' || has_nul(spec->output))
        return error_set(err, ERROR_OUTPUT, "output '%.*s' is not an absolute path",
                         SHORTLY(spec->output));
    return 0;
}

static int check_numbers(const Mr__JobSpec *spec, struct error *err)
{
    if (spec->reducers > LIMIT_PARTS)
        return error_set(err, ERROR_USAGE, "%u reducers are more than the limit of %d",
                         spec->reducers, LIMIT_PARTS);
    if (spec->priority > SCHED_PRIORITIES)
        return error_set(err, ERROR_USAGE, "a priority of %u is above the highest, %d",
                         spec->priority - 1, SCHED_PRIORITIES - 1);
    if (spec->skip_bad_records > LIMIT_SKIPS)
        return error_set(err, ERROR_USAGE, "%u bad records are more than may be skipped, %d",
                         spec->skip_bad_records, LIMIT_SKIPS);
    return 0;
}

int spec_check(const Mr__JobSpec *spec, struct error *err)
{
    struct codec_choice ignored;

    if (!spec || !spec->n_blobs || !spec->n_inputs || !spec->output.len)
        return error_set(err, ERROR_USAGE,
                         "the submission lacks an object, an input or an output");
    if (codec_choose((struct mr_bytes){(const char *)spec->compress.data, spec->compress.len},
                     false, &ignored, err))
        return error_wrap(err, "--compress");
    if (spec->name.len > LIMIT_TITLE || has_nul(spec->name))
        return error_set(err, ERROR_USAGE,
                         "the job's name has %zu bytes, or a NUL in it; the limit is %d",
                         spec->name.len, LIMIT_TITLE);
    if (check_blobs(spec, err) || check_numbers(spec, err) || check_params(spec, err) ||
        check_paths(spec, err))
        return -1;
    return check_size(spec, err);
}
