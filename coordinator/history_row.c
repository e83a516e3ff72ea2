#include "coordinator/history_row.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

/* JSON takes UTF-8 alone; other bytes become question marks. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    cleanup_free char *plain = NULL;

    if (json)
        return json;
    plain = memory_text(text);
    for (char *c = plain; *c; c++)
        if (*c & 0x80)
            *c = '?';
    return json_string(plain);
}

static char *counters_text(const struct history_job *job)
{
    json_t *root = json_object();
    char *text;

    for (size_t i = 0; i < job->counter_count; i++)
        json_object_set_new(root, job->counters[i].name,
                            json_integer((json_int_t)job->counters[i].value));
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    check(text);
    return text;
}

static char *failures_text(const struct history_job *job)
{
    json_t *root = json_array();
    char *text;

    for (size_t i = 0; i < job->failure_count; i++) {
        const struct history_failure *failure = &job->failures[i];
        json_t *one = json_object();

        json_object_set_new(one, "kind", json_integer(failure->kind));
        json_object_set_new(one, "task", json_integer(failure->task));
        json_object_set_new(one, "attempt", json_integer(failure->attempt));
        json_object_set_new(one, "worker", text_json(failure->worker));
        json_object_set_new(one, "code", json_integer(failure->code));
        json_object_set_new(one, "error", text_json(failure->error));
        json_array_append_new(root, one);
    }
    text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    check(text);
    return text;
}

void history_row_bind(sqlite3_stmt *statement, const struct history_job *job)
{
    int column = 0;

    sqlite3_bind_int64(statement, ++column, (sqlite3_int64)job->id);
    sqlite3_bind_text(statement, ++column, job->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, ++column, job->object, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, ++column, job->output, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, ++column, job->state, -1, SQLITE_STATIC);
    sqlite3_bind_double(statement, ++column, job->submitted);
    sqlite3_bind_double(statement, ++column, job->seconds);
    sqlite3_bind_int64(statement, ++column, job->maps);
    sqlite3_bind_int64(statement, ++column, job->maps_done);
    sqlite3_bind_int64(statement, ++column, job->reduces);
    sqlite3_bind_int64(statement, ++column, job->reduces_done);
    sqlite3_bind_int64(statement, ++column, job->parts);
    sqlite3_bind_int64(statement, ++column, (sqlite3_int64)job->failed_attempts);
    sqlite3_bind_int64(statement, ++column, job->priority);
    sqlite3_bind_int64(statement, ++column, job->error_code);
    sqlite3_bind_text(statement, ++column, job->error, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, ++column, counters_text(job), -1, free);
    sqlite3_bind_text(statement, ++column, failures_text(job), -1, free);
    check(column == HISTORY_COLUMN_COUNT);
}

static char *column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    return memory_text(text ? (const char *)text : "");
}

static json_t *column_json(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);

    return text ? json_loads((const char *)text, 0, NULL) : NULL;
}

static void read_counters(struct history_job *job, json_t *root)
{
    const char *name;
    json_t *value;

    job->counters = memory_zeroed(json_object_size(root) + 1, sizeof *job->counters);
    json_object_foreach(root, name, value) job->counters[job->counter_count++] =
        (struct history_counter){memory_text(name), json_integer_value(value)};
    json_decref(root);
}

static uint32_t number_of(const json_t *object, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(object, name));
}

static char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return memory_text(text ? text : "");
}

static void read_failures(struct history_job *job, json_t *root)
{
    size_t i;
    json_t *one;

    job->failures = memory_zeroed(json_array_size(root) + 1, sizeof *job->failures);
    json_array_foreach(root, i, one) job->failures[job->failure_count++] =
        (struct history_failure){
            .kind = number_of(one, "kind"),
            .task = number_of(one, "task"),
            .attempt = number_of(one, "attempt"),
            .worker = text_of(one, "worker"),
            .error = text_of(one, "error"),
            .code = number_of(one, "code"),
        };
    json_decref(root);
}

struct history_job *history_row_read(sqlite3_stmt *statement)
{
    struct history_job *job = memory_zeroed(1, sizeof *job);
    int column = 0;

    job->id = (uint64_t)sqlite3_column_int64(statement, column++);
    job->name = column_text(statement, column++);
    job->object = column_text(statement, column++);
    job->output = column_text(statement, column++);
    job->state = column_text(statement, column++);
    job->submitted = sqlite3_column_double(statement, column++);
    job->seconds = sqlite3_column_double(statement, column++);
    job->maps = (uint32_t)sqlite3_column_int64(statement, column++);
    job->maps_done = (uint32_t)sqlite3_column_int64(statement, column++);
    job->reduces = (uint32_t)sqlite3_column_int64(statement, column++);
    job->reduces_done = (uint32_t)sqlite3_column_int64(statement, column++);
    job->parts = (uint32_t)sqlite3_column_int64(statement, column++);
    job->failed_attempts = (uint64_t)sqlite3_column_int64(statement, column++);
    job->priority = (uint32_t)sqlite3_column_int64(statement, column++);
    job->error_code = (uint32_t)sqlite3_column_int64(statement, column++);
    job->error = column_text(statement, column++);
    read_counters(job, column_json(statement, column++));
    read_failures(job, column_json(statement, column++));
    check(column == HISTORY_COLUMN_COUNT);
    return job;
}

void history_job_free(struct history_job *job)
{
    if (!job)
        return;
    for (size_t i = 0; i < job->counter_count; i++)
        free(job->counters[i].name);
    for (size_t i = 0; i < job->failure_count; i++) {
        free(job->failures[i].worker);
        free(job->failures[i].error);
    }
    free(job->counters);
    free(job->failures);
    free(job->name);
    free(job->object);
    free(job->output);
    free(job->state);
    free(job->error);
    free(job);
}
