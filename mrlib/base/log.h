/* Log lines for operators: one a state change, on stderr. As text
 *
 *     2026-11-23T13:40:01.123Z info job finished job=6b0435f0a1c2 state=done seconds=1.204
 *
 * or as JSON, one object a line. Text is cut after 2 KiB, and fields for which a line of 4 KiB
 * has no room are left out: a line is whole in any case. Daemons log; libraries and commands do
 * not: nothing is written until log_configure was called. Any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_NOTHING, LOG_ERRORS, LOG_WARNINGS, LOG_INFO, LOG_DETAIL };

struct log_field {
    const char *name; /* NULL: the end */
    enum { LOG_AS_TEXT, LOG_AS_NUMBER, LOG_AS_ID, LOG_AS_SECONDS } kind;
    const char *text;
    int64_t number;
    double seconds;
};

#define LOG_TEXT(name_, text_)                                \
    {                                                         \
        .name = (name_), .kind = LOG_AS_TEXT, .text = (text_) \
    }
#define LOG_NUMBER(name_, number_)                                           \
    {                                                                        \
        .name = (name_), .kind = LOG_AS_NUMBER, .number = (int64_t)(number_) \
    }
#define LOG_ID(name_, id_)                                           \
    {                                                                \
        .name = (name_), .kind = LOG_AS_ID, .number = (int64_t)(id_) \
    }
#define LOG_SECONDS(name_, seconds_)                                   \
    {                                                                  \
        .name = (name_), .kind = LOG_AS_SECONDS, .seconds = (seconds_) \
    }

/* Writes lines up to `level`, as JSON if asked. */
void log_configure(enum log_level level, bool json);

/* The level of a name ("error", "warning", "info", "detail"); false if there is none such. */
bool log_parse(const char *name, enum log_level *ret_level);

/* log_event(LOG_INFO, "worker joined", LOG_ID("worker", id), LOG_TEXT("name", name)); */
#define log_event(level_, event_, ...) \
    log_write((level_), (event_), (const struct log_field[]){__VA_ARGS__, {.name = NULL}})
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#endif
