/* Parameters of a job on their whole way: -p NAME=VALUE from a command line, or bytes in a
 * message that no command line made, through the coordinator's check into the job's own struct.
 * The first byte chooses; the rest are lines, or names and values with NULs between them.
 * Whatever they are, what the job is given is what was said last. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/memory.h"
#include "cli/submission.h"
#include "coordinator/spec.h"
#include "wire/bytes.h"
#include "wire/frame.h"
#include "worker/executor/params.h"

struct params {
    int64_t whole;
    double real;
    bool flag;
    const char *text;
};

static const struct mr_param rows[] = {
    MR_PARAM(struct params, whole, "7", "a number"),
    MR_PARAM(struct params, real, "0.5", "a number"),
    MR_PARAM(struct params, flag, "no", "a switch"),
    MR_PARAM(struct params, text, "none", "a text"),
    {0},
};
static const struct mr_job job = {.name = "fuzzed",
                                  .params = rows,
                                  .params_size = sizeof(struct params),
                                  .param_size = sizeof(struct mr_param)};

/* The last value of that name, NULL if it was not given; caller frees. */
static char *last_of(const Mr__JobSpec *spec, const char *name)
{
    for (size_t i = spec->n_params; i-- > 0;)
        if (spec->params[i]->name.len == strlen(name) &&
            !memcmp(spec->params[i]->name.data, name, strlen(name)))
            return bytes_text(spec->params[i]->value);
    return NULL;
}

/* An integer as people write one: read here without the library. */
static bool is_integer(const char *text, int64_t value)
{
    bool minus = *text == '-';
    unsigned __int128 number = 0;

    text += *text == '-' || *text == '+';
    if (!*text || strspn(text, "0123456789") != strlen(text))
        return true; /* such as one with blanks in front, which is let in as well */
    for (; *text; text++) {
        number = number * 10 + (unsigned)(*text - '0');
        check(number <= (unsigned __int128)1 << 64);
    }
    return (minus ? -(__int128)number : (__int128)number) == value;
}

static void check_bound(const Mr__JobSpec *spec, const struct params *params)
{
    cleanup_free char *whole = last_of(spec, "whole"), *flag = last_of(spec, "flag"),
                      *text = last_of(spec, "text");

    check(whole ? is_integer(whole, params->whole) : params->whole == 7);
    check(!strcmp(params->text, text ? text : "none"));
    if (!flag)
        check(!params->flag);
    else
        check(params->flag == (!strcasecmp(flag, "true") || !strcasecmp(flag, "yes") ||
                               !strcasecmp(flag, "on") || !strcmp(flag, "1")));
}

static void bind(const Mr__JobSpec *spec)
{
    struct error err = {0};
    void *params;

    if (params_bind(&job, spec, false, &params, &err)) {
        check(err.code == ERROR_USAGE && err.text[0]);
        return;
    }
    check_bound(spec, params);
    params_free(params);
}

/* As the coordinator and an executor have it: packed, unpacked, checked. */
static void travel(Mr__JobSpec *spec)
{
    Mr__BlobRef blob = MR__BLOB_REF__INIT, *blobs[] = {&blob};
    ProtobufCBinaryData inputs[] = {bytes_of("range:1")};
    size_t size;
    struct error err = {0};
    cleanup_free uint8_t *bytes = NULL;
    Mr__JobSpec *arrived, whole = *spec;

    blob.name = bytes_of("job.so");
    blob.sha256 = bytes_of("01234567890123456789012345678901");
    whole.blobs = blobs;
    whole.n_blobs = 1;
    whole.inputs = inputs;
    whole.n_inputs = 1;
    whole.output = bytes_of("/out");
    size = mr__job_spec__get_packed_size(&whole);
    bytes = memory_new(size + 1);
    mr__job_spec__pack(&whole, bytes);
    arrived = mr__job_spec__unpack(NULL, size, bytes);
    check(arrived && arrived->n_params == spec->n_params);
    if (!spec_check(arrived, &err))
        bind(arrived);
    else
        check(err.code == ERROR_USAGE && err.text[0]);
    mr__job_spec__free_unpacked(arrived, NULL);
}

static void from_command_line(char *text)
{
    Mr__JobSpec *spec = memory_new(sizeof *spec);
    struct option_list list = {0};
    struct error err = {0};
    char *line;
    bool wrong = false;

    mr__job_spec__init(spec);
    while ((line = strsep(&text, "\n"))) {
        option_list_add(&list, line);
        wrong |= !strchr(line, '=') || *line == '=';
    }
    check(submission_params(spec, &list, &err) == (wrong ? -1 : 0));
    if (!wrong)
        travel(spec);
    option_list_done(&list);
    mr__job_spec__free_unpacked(spec, NULL);
}

static void from_message(const uint8_t *data, size_t size)
{
    enum { MOST = 2000 };
    Mr__JobSpec spec = MR__JOB_SPEC__INIT;
    cleanup_free Mr__Param *params = memory_new(MOST * sizeof *params);
    cleanup_free Mr__Param **pointers = memory_new(MOST * sizeof *pointers);

    spec.params = pointers;
    /* Each behind its two lengths. */
    while (size >= 2 && spec.n_params < MOST) {
        size_t name = data[0] < size - 2 ? data[0] : size - 2;
        size_t value = data[1] < size - 2 - name ? data[1] : size - 2 - name;
        Mr__Param *param = &params[spec.n_params];

        mr__param__init(param);
        param->name = (ProtobufCBinaryData){name, (uint8_t *)(uintptr_t)data + 2};
        param->value = (ProtobufCBinaryData){value, (uint8_t *)(uintptr_t)data + 2 + name};
        pointers[spec.n_params++] = param;
        data += 2 + name + value;
        size -= 2 + name + value;
    }
    travel(&spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free char *text = memory_new(size + 1);

    if (!size)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] & 1)
        from_message(data + 1, size - 1);
    else
        from_command_line(text);
    return 0;
}
