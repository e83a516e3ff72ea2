#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int current = LOG_NOTHING;
static atomic_bool as_json;
static const char *const names[] = {"nothing", "error", "warning", "info", "detail"};

enum {
    LINE = 4096,
    TEXT_MAX = 2048, /* of one field, so that a long text leaves room for those behind it */
    END = 8,         /* kept for what closes a line */
};

struct line {
    char text[LINE];
    size_t used;
    bool full;
};

void log_configure(enum log_level level, bool json)
{
    atomic_store(&as_json, json);
    atomic_store(&current, level);
}

bool log_parse(const char *name, enum log_level *ret_level)
{
    for (int i = LOG_ERRORS; i <= LOG_DETAIL; i++)
        if (!strcmp(name, names[i])) {
            *ret_level = (enum log_level)i;
            return true;
        }
    return false;
}

/* One byte of a line; `full` says that one did not fit. */
static void put(struct line *line, char c)
{
    if (line->used < LINE - END)
        line->text[line->used++] = c;
    else
        line->full = true;
}

static void put_text(struct line *line, const char *text)
{
    for (; *text; text++)
        put(line, *text);
}

/* Quoted as JSON wants it, which reads well in text too. What is not ASCII is written as '?'.
 */
static void put_quoted(struct line *line, const char *text)
{
    size_t end = line->used + TEXT_MAX;

    put(line, '"');
    for (; *text && line->used < end; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            put(line, '\\');
        put(line, c < ' ' ? ' ' : c < 0x7f ? (char)c : '?');
    }
    put(line, '"');
}

static bool is_plain(const char *text)
{
    if (!*text || strlen(text) > TEXT_MAX)
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text == '"' || *text == '=' || *text >= 0x7f)
            return false;
    return true;
}

static void put_value(struct line *line, const struct log_field *field, bool json)
{
    char text[32];

    switch (field->kind) {
    case LOG_AS_TEXT:
        if (json || !is_plain(field->text))
            put_quoted(line, field->text);
        else
            put_text(line, field->text);
        return;
    case LOG_AS_NUMBER:
        snprintf(text, sizeof text, "%" PRId64, field->number);
        break;
    case LOG_AS_ID:
        snprintf(text, sizeof text, json ? "\"%012" PRIx64 "\"" : "%012" PRIx64,
                 (uint64_t)field->number);
        break;
    case LOG_AS_SECONDS:
        /* JSON has no word for what is not a number. */
        snprintf(text, sizeof text, json && !isfinite(field->seconds) ? "null" : "%.3f",
                 field->seconds);
        break;
    }
    put_text(line, text);
}

static void put_time(struct line *line)
{
    char text[48];
    struct timespec now;
    struct tm utc;
    size_t used;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    used = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, sizeof text - used, ".%03ldZ", now.tv_nsec / 1000000);
    put_text(line, text);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    bool json = atomic_load(&as_json);
    struct line line = {.used = 0};

    if (level > (enum log_level)atomic_load(&current))
        return;
    put_text(&line, json ? "{\"time\": \"" : "");
    put_time(&line);
    put_text(&line, json ? "\", \"level\": \"" : " ");
    put_text(&line, names[level]);
    put_text(&line, json ? "\", \"event\": \"" : " ");
    put_text(&line, event);
    put_text(&line, json ? "\"" : "");
    for (; fields->name; fields++) {
        size_t before = line.used;

        put_text(&line, json ? ", \"" : " ");
        put_text(&line, fields->name);
        put_text(&line, json ? "\": " : "=");
        put_value(&line, fields, json);
        if (line.full) { /* half a field is worse than none */
            line.used = before;
            break;
        }
    }
    if (json)
        line.text[line.used++] = '}';
    line.text[line.used++] = '\n';
    /* One write: lines of several threads and processes do not mix. Nobody can be told when it
     * fails. */
    if (write(2, line.text, line.used) < 0)
        return;
}
