#include "cli/submission.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/memory.h"
#include "cli/locate.h"
#include "store/expand.h"
#include "store/object.h"

void submission_options(struct submission *s, bool cluster, struct option_table *table)
{
    const struct option_row rows[] = {
        {"input", 'i', OPTION_LIST, "URI...", "files, folders, globs, range:N; may be repeated",
         &s->inputs, .greedy = true},
        {"output", 'o', OPTION_TEXT, "URI", "folder for part-00000, part-00001, ...",
         &s->output, .once = true},
        {"reducers", 'r', OPTION_COUNT, "N", "parts of the output", &s->reducers, 1,
         LIMIT_PARTS, .unset = "one per 64 MiB of input"},
        {"param", 'p', OPTION_LIST, "NAME=VALUE", "a parameter of the job; may be repeated",
         &s->params},
        {"input-format", 0, OPTION_TEXT, "NAME",
         "lines, fixed:N (records of N bytes), keyval, csv or jsonl; plain:NAME does not "
         "decompress",
         &s->input_format, .unset = "the job's own",
         .choices = "lines|fixed:|keyval|csv|jsonl"},
        {"output-format", 0, OPTION_TEXT, "NAME",
         "text (key TAB value NEWLINE) or raw (their bytes), alone or with :gzip or :zstd",
         &s->output_format, .unset = "the job's own",
         .choices = "text|text:gzip|text:zstd|raw|raw:gzip|raw:zstd"},
        {"compress", 0, OPTION_CHOICE, "NAME", "runs between map and reduce", &s->compress,
         .choices = "auto|none|lz4|zstd|zlib"},
        {"split-size", 0, OPTION_SIZE, "SIZE", "input of one map task", &s->split_size, 1,
         .unset = "adaptive"},
        {"overwrite", 0, OPTION_FLAG, NULL, "replace an output folder that is not empty",
         &s->overwrite, .once = true},
        {"sync", 0, OPTION_SWITCH, "on|off", "flush the output to disk before it counts",
         &s->sync},
        {"name", 0, OPTION_TEXT, "TEXT", "what to call the job", &s->name,
         .unset = "what its object says"},
        {"priority", 0, OPTION_COUNT, "N",
         "0 to 9: beside other jobs, one more is twice the share", &s->priority, 0, 9},
        {"speculation", 0, OPTION_SWITCH, "on|off",
         "copies of slow tasks on workers with nothing else to do", &s->speculation},
        {"task-timeout", 0, OPTION_COUNT, "SECONDS",
         "end a task that finishes no record for so long", &s->task_timeout, 1, 86400 * 7},
        {"skip-bad-records", 0, OPTION_COUNT, "N",
         "do without up to N records or keys that the job fails on", &s->skip_bad_records, 0,
         LIMIT_SKIPS},
        {"json", 0, OPTION_FLAG, NULL, "print the result on stdout as one JSON object",
         &s->json},
    };

    s->sync = s->speculation = cluster;
    s->priority = 5;
    s->compress = "auto";
    s->task_timeout = LIMIT_SILENCE_S;
    options_add(table, rows, sizeof rows / sizeof *rows);
}

static ProtobufCBinaryData copy_bytes(const void *bytes, size_t n)
{
    ProtobufCBinaryData copy = {n, memory_new(n)};

    memcpy(copy.data, bytes, n);
    return copy;
}

static ProtobufCBinaryData copy_text(const char *text)
{
    return text ? copy_bytes(text, strlen(text)) : (ProtobufCBinaryData){0};
}

int submission_params(Mr__JobSpec *spec, const struct option_list *params, struct error *err)
{
    spec->params = memory_zeroed(params->count, sizeof *spec->params);
    for (size_t i = 0; i < params->count; i++) {
        const char *equals = strchr(params->items[i], '=');
        Mr__Param *param;

        if (!equals || equals == params->items[i])
            return error_set(err, ERROR_USAGE, "-p '%s': NAME=VALUE is wanted",
                             params->items[i]);
        param = memory_new(sizeof *param);
        mr__param__init(param);
        param->name = copy_bytes(params->items[i], (size_t)(equals - params->items[i]));
        param->value = copy_text(equals + 1);
        spec->params[spec->n_params++] = param;
    }
    return 0;
}

static int add_object(Mr__JobSpec *spec, const char *path, struct error *err)
{
    const char *name = strrchr(path, '/');
    Mr__BlobRef *blob;
    uint8_t sha256[32];
    struct stat st;

    if (object_check(path, err) || object_sha256(path, sha256, err))
        return -1;
    if (stat(path, &st))
        return error_errno(err, ERROR_OBJECT, "job object '%s'", path);
    blob = memory_new(sizeof *blob);
    mr__blob_ref__init(blob);
    blob->name = copy_text(name ? name + 1 : path);
    blob->sha256 = copy_bytes(sha256, sizeof sha256);
    blob->size = (uint64_t)st.st_size;
    spec->blobs = memory_new(sizeof *spec->blobs);
    spec->blobs[spec->n_blobs++] = blob;
    return 0;
}

static void add_paths(Mr__JobSpec *spec, const struct submission *submission)
{
    cleanup_free char *output = locate_absolute(submission->output);

    spec->output = copy_text(output);
    spec->inputs = memory_zeroed(submission->inputs.count, sizeof *spec->inputs);
    for (size_t i = 0; i < submission->inputs.count; i++) {
        const char *input = submission->inputs.items[i];
        cleanup_free char *path =
            expand_is_range(input) ? memory_text(input) : locate_absolute(input);

        spec->inputs[spec->n_inputs++] = copy_text(path);
    }
}

static int check_words(const struct submission *submission, struct error *err)
{
    if (!submission->words->count)
        return error_set(err, ERROR_USAGE, "no job: name one, such as wordcount or ./myjob.so");
    if (submission->words->count > 1)
        return error_set(err, ERROR_USAGE, "'%s' is one word too many (inputs follow -i)",
                         submission->words->items[1]);
    if (!submission->inputs.count)
        return error_set(err, ERROR_USAGE, "no input: add -i FILE, folder or glob");
    if (!submission->output || !*submission->output)
        return error_set(err, ERROR_USAGE, "no output: add -o FOLDER");
    for (size_t i = 0; i < submission->inputs.count; i++)
        if (!*submission->inputs.items[i])
            return error_set(err, ERROR_USAGE, "an input is the empty text");
    return 0;
}

char *submission_object(const struct submission *submission, struct error *err)
{
    return check_words(submission, err) ? NULL : locate_job(submission->words->items[0], err);
}

int submission_message(const struct submission *submission, Mr__Submit **ret, struct error *err)
{
    cleanup_free char *object = submission_object(submission, err);
    Mr__Submit *message = memory_new(sizeof *message);
    Mr__JobSpec *spec = memory_new(sizeof *spec);

    mr__submit__init(message);
    mr__job_spec__init(spec);
    message->spec = spec;
    if (!object || submission_params(spec, &submission->params, err) ||
        add_object(spec, object, err)) {
        submission_message_free(message);
        return -1;
    }
    add_paths(spec, submission);
    spec->name = copy_text(submission->name);
    spec->input_format = copy_text(submission->input_format);
    spec->output_format = copy_text(submission->output_format);
    spec->compress = copy_text(submission->compress);
    spec->reducers = (uint32_t)submission->reducers;
    spec->split_size = submission->split_size;
    spec->task_timeout = (uint32_t)submission->task_timeout;
    spec->overwrite = submission->overwrite;
    spec->sync = submission->sync;
    spec->priority = (uint32_t)submission->priority + 1;
    spec->steady = !submission->speculation;
    spec->skip_bad_records = (uint32_t)submission->skip_bad_records;
    if (protobuf_c_message_get_packed_size(&message->base) > LIMIT_MESSAGE - 1024) {
        submission_message_free(message);
        return error_set(
            err, ERROR_USAGE,
            "the %zu inputs are too many to name: give their folder, or a quoted glob",
            submission->inputs.count);
    }
    *ret = message;
    return 0;
}

void submission_message_free(Mr__Submit *message)
{
    mr__submit__free_unpacked(message, NULL);
}
