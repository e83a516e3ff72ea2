/* marram describe: what a job object does. The object is loaded by an executor, never here. */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "cli/describe.h"
#include "cli/locate.h"
#include "cli/verbs.h"
#include "store/object.h"
#include "store/tree.h"
#include "wire/bytes.h"
#include "wire/frame.h"
#include "worker/agent/blame.h"
#include "worker/agent/child.h"

enum { PATIENCE_MS = 10000 };

static int ask(struct child *child, const char *path, const char *scratch, struct error *err)
{
    Mr__JobOpen open = MR__JOB_OPEN__INIT;
    Mr__JobSpec spec = MR__JOB_SPEC__INIT;
    Mr__Assign *assign = memory_new(sizeof *assign);
    Mr__BlobRef object = MR__BLOB_REF__INIT, *blobs[] = {&object};
    uint8_t sha256[32];

    mr__assign__init(assign);
    assign->job = child->job = 1;
    assign->attempt = 1;
    child_hold(child, assign);
    if (object_sha256(path, sha256, err))
        return -1;
    object.name = bytes_of(strrchr(path, '/') + 1);
    object.sha256 = (ProtobufCBinaryData){sizeof sha256, sha256};
    spec.blobs = blobs;
    spec.n_blobs = 1;
    open.object_path = bytes_of(path);
    open.job = 1;
    open.spec = &spec;
    open.scratch = bytes_of(scratch);
    open.threads = 1;
    /* No parts: nothing is to run, parameters need no values. */
    return channel_send(&child->channel, FRAME_JOB_OPEN, &open.base, err) ||
                   channel_send(&child->channel, FRAME_ASSIGN, &assign->base, err)
               ? -1
               : 0;
}

/* The next message, but for what it says of its fences. */
static bool hear(struct child *child, enum frame_type *ret_type, ProtobufCMessage **ret,
                 struct error *err)
{
    struct pollfd ready = {child->channel.fd, POLLIN, 0};
    int result;

    /* Several may have come at once. */
    while ((result = channel_receive(&child->channel, false, ret_type, ret, err)) > 0) {
        if (result == 1 && *ret_type != FRAME_CONFINED)
            return true;
        if (result == 1)
            frame_free(*ret);
        else if (poll(&ready, 1, PATIENCE_MS) != 1)
            break;
    }
    return false;
}

/* Takes the answer, or the reason why there is none. */
static int await(struct child *child, Mr__TaskDone **ret, struct error *err)
{
    ProtobufCMessage *message = NULL;
    enum frame_type type = FRAME_GOODBYE;
    struct verdict verdict;
    int status;

    if (hear(child, &type, &message, err)) {
        const Mr__TaskFailed *failed = (const Mr__TaskFailed *)message;

        if (type == FRAME_TASK_DONE) {
            *ret = (Mr__TaskDone *)message;
            return 0;
        }
        if (type == FRAME_TASK_FAILED && failed->error)
            error_set(err, (enum error_code)failed->error->code, "%.*s",
                      (int)failed->error->text.len, (const char *)failed->error->text.data);
        frame_free(message);
        return -1;
    }
    child_kill(child, &status);
    blame(child, status, &verdict);
    *err = verdict.error;
    return -1;
}

int describe_object(const char *path, Mr__TaskDone **ret, struct error *err)
{
    const char *base = getenv("TMPDIR");
    cleanup_free char *scratch =
        memory_format("%s/marram-describe-XXXXXX", base && *base ? base : "/tmp");
    cleanup_free char *program = locate_executor(err);
    struct child *child = NULL;
    struct error ignored;
    int result;

    if (!program || object_check(path, err))
        return -1;
    if (!mkdtemp(scratch))
        return error_errno(err, ERROR_IO, "make a temporary folder '%s'", scratch);
    result = child_spawn(program, 1, NULL, &child, err);
    if (!result)
        result = ask(child, path, scratch, err);
    if (!result)
        result = await(child, ret, err);
    child_kill(child, NULL);
    child_free(child);
    tree_remove(scratch, &ignored);
    return result;
}

static json_t *json_bytes(ProtobufCBinaryData bytes)
{
    json_t *text = json_stringn((const char *)bytes.data, bytes.len);

    return text ? text : json_null();
}

static void print_json(const Mr__Description *d)
{
    json_t *root = json_object(), *params = json_array(), *counters = json_array(),
           *fields = json_array();

    for (size_t i = 0; i < d->n_params; i++) {
        const Mr__ParamInfo *info = d->params[i];
        json_t *param = json_object();

        json_object_set_new(param, "name", json_bytes(info->name));
        json_object_set_new(param, "type", json_bytes(info->type));
        json_object_set_new(param, "default",
                            info->required ? json_null() : json_bytes(info->value));
        json_object_set_new(param, "required", json_boolean(info->required));
        json_object_set_new(param, "help", json_bytes(info->help));
        json_array_append_new(params, param);
    }
    for (size_t i = 0; i < d->n_counters; i++)
        json_array_append_new(counters, json_bytes(d->counters[i]));
    for (size_t i = 0; i < d->n_fields; i++)
        json_array_append_new(fields, json_bytes(d->fields[i]));
    json_object_set_new(root, "name", json_bytes(d->name));
    json_object_set_new(root, "about", json_bytes(d->about));
    json_object_set_new(root, "abi", json_integer(d->abi_version));
    json_object_set_new(root, "params", params);
    json_object_set_new(root, "counters", counters);
    json_object_set_new(root, "input", json_bytes(d->input));
    json_object_set_new(root, "input_format", json_bytes(d->input_format));
    json_object_set_new(root, "fields", fields);
    json_object_set_new(root, "output_format", json_bytes(d->output_format));
    json_object_set_new(root, "fold", json_bytes(d->fold));
    json_object_set_new(root, "map_only", json_boolean(d->map_only));
    json_object_set_new(root, "combine", json_boolean(d->has_combine));
    json_object_set_new(root, "reduce", json_boolean(d->has_reduce));
    json_object_set_new(root, "partition", json_boolean(d->has_partition));
    json_object_set_new(root, "group", json_boolean(d->has_group));
    json_object_set_new(root, "total_order", json_boolean(d->total_order));
    json_object_set_new(root, "exact", json_boolean(!d->inexact));
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(root);
}

#define SHOW(bytes) (int)(bytes).len, (const char *)(bytes).data

static void print_text(const Mr__Description *d)
{
    printf("%.*s: %.*s\n\n", SHOW(d->name), SHOW(d->about));
    printf("  takes    %.*s (format %.*s)\n", SHOW(d->input), SHOW(d->input_format));
    for (size_t i = 0; i < d->n_fields; i++)
        printf("%s%.*s%s", i ? ", " : "  reads    ", SHOW(d->fields[i]),
               i + 1 < d->n_fields ? "" : "\n");
    printf("  makes    %.*s\n", SHOW(d->output_format));
    printf("  runs     map%s%s%s%s%s\n", d->has_partition ? ", partition" : "",
           d->has_combine ? ", combine" : "", d->has_group ? ", group" : "",
           d->has_reduce ? ", reduce" : "", d->map_only ? " alone" : "");
    if (d->total_order)
        printf("  orders   the parts are ranges of keys, sorted as a whole\n");
    printf("  folds    %.*s%s\n", SHOW(d->fold),
           d->inexact ? " (floating-point: last digits may differ from run to run)" : "");
    printf("  job ABI  %u\n", d->abi_version);
    for (size_t i = 0; i < d->n_params; i++) {
        const Mr__ParamInfo *info = d->params[i];

        printf("%s  -p %.*s=%.*s  %.*s, %s%.*s\n", i ? "" : "\nParameters:\n", SHOW(info->name),
               SHOW(info->type), SHOW(info->help), info->required ? "required" : "default ",
               SHOW(info->value));
    }
    for (size_t i = 0; i < d->n_counters; i++)
        printf("%s  %.*s\n", i ? "" : "\nCounters:\n", SHOW(d->counters[i]));
}

static void add_options(void *into, struct option_table *table)
{
    const struct option_row row = {"json", 0, OPTION_FLAG, NULL, "as one JSON object", into};

    options_add(table, &row, 1);
}

static int run(void *into, const struct option_list *words)
{
    const bool *json = into;
    struct error err = {0};
    cleanup_free char *path = NULL;
    Mr__TaskDone *done = NULL;

    if (words->count != 1)
        return usage_error("describe", "name one job (see 'marram describe --help')");
    path = locate_job(words->items[0], &err);
    if (!path || describe_object(path, &done, &err))
        return usage_error("describe", "%s", err.text);
    if (*json)
        print_json(done->description);
    else
        print_text(done->description);
    frame_free(&done->base);
    return 0;
}

const struct verb verb_describe = {
    .name = "describe",
    .summary = "say what a job object does: its parameters, counters, formats",
    .usage = "JOB [options]",
    .about = "Says what a job object does: its parameters and their defaults, its counters, "
             "its formats.\n"
             "JOB is the path of a job object, or the name of one that ships.",
    .size = sizeof(bool),
    .options = add_options,
    .run = run,
};
