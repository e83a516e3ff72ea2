#include "worker/executor/params.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/memory.h"

const struct mr_param *params_row(const struct mr_job *job, size_t i)
{
    const struct mr_param *row;

    if (!job->params)
        return NULL;
    row = (const struct mr_param *)(const void *)((const char *)job->params +
                                                  i * job->param_size);
    return row->name ? row : NULL;
}

const char *params_type_name(enum mr_type type)
{
    return type == MR_I64    ? "integer"
           : type == MR_F64  ? "float"
           : type == MR_BOOL ? "boolean"
                             : "text";
}

/* The struct that the job sees, behind the texts that it points to. */
struct bound {
    char **texts;
    size_t count, capacity;
    max_align_t params[];
};

static struct bound *bound_of(void *params)
{
    return (struct bound *)(void *)((char *)params - offsetof(struct bound, params));
}

static void *bound_new(const struct mr_job *job)
{
    struct bound *bound = memory_zeroed(1, sizeof *bound + job->params_size);

    return bound->params;
}

void params_free(void *params)
{
    struct bound *bound = bound_of(params);

    while (bound->count)
        free(bound->texts[--bound->count]);
    free(bound->texts);
    free(bound);
}

static const char *keep_text(void *params, const char *text)
{
    struct bound *bound = bound_of(params);

    memory_reserve(&bound->texts, &bound->capacity, bound->count + 1, sizeof *bound->texts);
    return bound->texts[bound->count++] = memory_text(text);
}

static size_t type_size(enum mr_type type)
{
    return type == MR_BOOL ? sizeof(bool) : 8;
}

static int check_rows(const struct mr_job *job, struct error *err)
{
    const struct mr_param *row;

    for (size_t i = 0; (row = params_row(job, i)); i++) {
        if (i == LIMIT_PARAMS)
            return error_set(err, ERROR_OBJECT, "the job has more than %d parameters",
                             LIMIT_PARAMS);
        if (row->type < MR_I64 || row->type > MR_TEXT)
            return error_set(err, ERROR_OBJECT, "parameter '%s' has the unknown type %d",
                             row->name, (int)row->type);
        if (row->offset + type_size(row->type) > job->params_size)
            return error_set(
                err, ERROR_OBJECT,
                "parameter '%s' lies outside the parameter struct (is .params_size set?)",
                row->name);
    }
    return 0;
}

static const struct mr_param *find_row(const struct mr_job *job, const char *name)
{
    const struct mr_param *row;

    for (size_t i = 0; (row = params_row(job, i)); i++)
        if (!strcmp(row->name, name))
            return row;
    return NULL;
}

static bool parse_bool(const char *text, bool *ret)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (int i = 0; i < 8; i++)
        if (!strcasecmp(text, words[i])) {
            *ret = i % 2;
            return true;
        }
    return false;
}

static int store(const struct mr_param *row, const char *text, void *params, struct error *err)
{
    char *place = (char *)params + row->offset, *end = NULL;
    bool flag = false;
    int64_t integer;
    double number;

    errno = 0;
    switch (row->type) {
    case MR_I64:
        integer = strtoll(text, &end, 10);
        memcpy(place, &integer, sizeof integer);
        break;
    case MR_F64:
        number = strtod(text, &end);
        memcpy(place, &number, sizeof number);
        break;
    case MR_BOOL:
        if (parse_bool(text, &flag))
            end = (char *)text + strlen(text);
        memcpy(place, &flag, sizeof flag);
        break;
    default: {
        const char *copy = keep_text(params, text);

        memcpy(place, &copy, sizeof copy);
        return 0;
    }
    }
    if (!*text || !end || *end || errno)
        return error_set(err, ERROR_USAGE, "parameter %s='%s': %s is wanted", row->name, text,
                         row->type == MR_I64   ? "an integer"
                         : row->type == MR_F64 ? "a number"
                                               : "true or false");
    return 0;
}

static int unknown(const struct mr_job *job, const char *name, struct error *err)
{
    char known[512] = "";
    const struct mr_param *row;
    size_t used = 0;

    for (size_t i = 0; (row = params_row(job, i)) && used < sizeof known - 80; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%.64s", i ? ", " : "",
                                 row->name);
    return error_set(err, ERROR_USAGE, "unknown parameter '%s' of job %s: it has %s", name,
                     job->name, used ? known : "none");
}

static int store_given(const struct mr_job *job, const Mr__JobSpec *spec, void *params,
                       bool *given, struct error *err)
{
    for (size_t i = 0; i < spec->n_params; i++) {
        const Mr__Param *param = spec->params[i];
        cleanup_free char *name =
            memory_format("%.*s", (int)param->name.len, (const char *)param->name.data);
        cleanup_free char *text =
            memory_format("%.*s", (int)param->value.len, (const char *)param->value.data);
        const struct mr_param *row = find_row(job, name);

        if (!row)
            return unknown(job, name, err);
        if (store(row, text, params, err))
            return -1;
        for (size_t k = 0; params_row(job, k); k++)
            given[k] = given[k] || params_row(job, k) == row;
    }
    return 0;
}

int params_bind(const struct mr_job *job, const Mr__JobSpec *spec, bool describing,
                void **ret_params, struct error *err)
{
    bool given[LIMIT_PARAMS] = {false};
    const struct mr_param *row;
    void *params;

    if (check_rows(job, err))
        return -1;
    params = bound_new(job);
    for (size_t i = 0; (row = params_row(job, i)); i++)
        if (row->value && store(row, row->value, params, err)) {
            params_free(params);
            return error_wrap(err, "the job's own default");
        }
    if (store_given(job, spec, params, given, err)) {
        params_free(params);
        return -1;
    }
    for (size_t i = 0; !describing && (row = params_row(job, i)); i++)
        if (!row->value && !given[i]) {
            params_free(params);
            return error_set(err, ERROR_USAGE,
                             "parameter '%s' of job %s must be given: -p %s=VALUE (%s)",
                             row->name, job->name, row->name, row->help ? row->help : "");
        }
    *ret_params = params;
    return 0;
}
