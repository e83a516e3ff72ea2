#include "cli/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/memory.h"

const char *show_id(uint64_t job, char buffer[SHOW_ID])
{
    snprintf(buffer, SHOW_ID, "%012" PRIx64, job & UINT64_C(0xffffffffffff));
    return buffer;
}

const char *show_time(double seconds, char buffer[SHOW_TIME])
{
    double bounded = seconds < 0 ? 0 : seconds < 1e9 ? seconds : 1e9;

    if (bounded < 120)
        snprintf(buffer, SHOW_TIME, "%.0f s", bounded);
    else if (bounded < 7200)
        snprintf(buffer, SHOW_TIME, "%.0f min", bounded / 60);
    else if (bounded < 172800)
        snprintf(buffer, SHOW_TIME, "%.0f h", bounded / 3600);
    else
        snprintf(buffer, SHOW_TIME, "%.0f d", bounded / 86400);
    return buffer;
}

const char *show_bytes(ProtobufCBinaryData bytes, char *buffer, size_t size)
{
    size_t n = bytes.len < size - 1 ? bytes.len : size - 1;

    for (size_t i = 0; i < n; i++)
        buffer[i] = bytes.data[i] < ' ' || bytes.data[i] == 0x7f ? '?' : (char)bytes.data[i];
    buffer[n] = '\0';
    return buffer;
}

int show_percent(uint32_t done, uint32_t all)
{
    return all ? (int)((uint64_t)done * 100 / all) : 0;
}

const char *show_task(Mr__TaskKind kind, uint32_t task, char buffer[SHOW_NAME])
{
    if (kind == MR__TASK_KIND__CHECK)
        snprintf(buffer, SHOW_NAME, "check");
    else if (kind == MR__TASK_KIND__SAMPLE)
        snprintf(buffer, SHOW_NAME, "sample");
    else
        snprintf(buffer, SHOW_NAME, "%s %u", kind == MR__TASK_KIND__MAP ? "map" : "reduce",
                 task);
    return buffer;
}

json_t *show_json_text(const char *bytes, size_t n)
{
    json_t *text = json_stringn(n ? bytes : "", n);
    cleanup_free char *plain = NULL;

    if (text)
        return text;
    plain = memory_new(n + 1);
    for (size_t i = 0; i < n; i++)
        plain[i] = (unsigned char)bytes[i] < 0x80 ? bytes[i] : '?';
    text = json_stringn(plain, n);
    return text ? text : json_null();
}

json_t *show_json_bytes(ProtobufCBinaryData bytes)
{
    return show_json_text((const char *)bytes.data, bytes.len);
}

json_t *show_json_id(uint64_t job)
{
    char id[SHOW_ID];

    return json_string(show_id(job, id));
}

json_t *show_json_error(const Mr__Error *error)
{
    json_t *root;
    uint32_t code;

    if (!error)
        return json_null();
    root = json_object();
    code = error->code < ERROR_CODES ? error->code : ERROR_INTERNAL;
    json_object_set_new(root, "code", json_string(error_name(code)));
    json_object_set_new(root, "text", show_json_bytes(error->text));
    return root;
}

json_t *show_json_counters(Mr__Counter *const *counters, size_t n)
{
    json_t *root = json_object();

    for (size_t i = 0; i < n; i++) {
        char name[128];

        show_bytes(counters[i]->name, name, sizeof name);
        json_object_set_new(root, name, json_integer(counters[i]->value));
    }
    return root;
}

void show_json(json_t *root)
{
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    fflush(stdout);
    json_decref(root);
}

/* Where it is: a record, or a key. */
static json_t *culprit_json(const Mr__Culprit *culprit)
{
    json_t *json = json_object();

    json_object_set_new(json, "phase", show_json_bytes(culprit->phase));
    if (culprit->key_digest.len) {
        json_object_set_new(json, "key", show_json_bytes(culprit->key));
        json_object_set_new(json, "key_length", json_integer((json_int_t)culprit->key_length));
    } else {
        json_object_set_new(json, "path", show_json_bytes(culprit->path));
        json_object_set_new(json, "offset", json_integer((json_int_t)culprit->offset));
        json_object_set_new(json, "length", json_integer((json_int_t)culprit->length));
    }
    json_object_set_new(json, "signal",
                        culprit->signal ? json_integer(culprit->signal) : json_null());
    return json;
}

json_t *show_json_skipped(Mr__Skipped *const *skipped, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *json = skipped[i]->culprit ? culprit_json(skipped[i]->culprit) : json_object();
        char task[SHOW_NAME];

        json_object_set_new(json, "task",
                            json_string(show_task(skipped[i]->kind, skipped[i]->task, task)));
        json_object_set_new(json, "error", show_json_error(skipped[i]->error));
        json_array_append_new(list, json);
    }
    return list;
}

void show_skipped(FILE *out, Mr__Skipped *const *skipped, size_t n, uint32_t count)
{
    enum { LINES = 10 };
    char text[1200];

    if (n)
        fprintf(out, "skipped:\n");
    for (size_t i = 0; i < n && i < LINES; i++)
        fprintf(out, "  %s\n",
                skipped[i]->error ? show_bytes(skipped[i]->error->text, text, sizeof text)
                                  : "?");
    if (n && count > LINES)
        fprintf(out, "  and %u more (see --json)\n", count - LINES);
}
