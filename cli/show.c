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

void show_json(json_t *root)
{
    json_dumpf(root, stdout, JSON_INDENT(2));
    putchar('\n');
    fflush(stdout);
    json_decref(root);
}

/* Where it is: a record, or a key. */
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
