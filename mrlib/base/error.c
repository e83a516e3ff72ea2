/* The table of error codes, and the formatting of error texts. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static const struct {
    const char *name;
    enum error_policy policy;
    int exit_status;
} table[ERROR_CODES] = {
    [ERROR_NONE] = {"none", POLICY_RETRY, 0},
    [ERROR_USAGE] = {"usage", POLICY_GIVE_UP, 2},
    [ERROR_OBJECT] = {"object", POLICY_GIVE_UP, 2},
    [ERROR_INPUT] = {"input", POLICY_GIVE_UP, 2},
    [ERROR_OUTPUT] = {"output", POLICY_GIVE_UP, 2},
    [ERROR_JOB] = {"job", POLICY_BLAME, 1},
    [ERROR_CRASH] = {"crash", POLICY_BLAME, 1},
    [ERROR_TIMEOUT] = {"timeout", POLICY_BLAME, 1},
    [ERROR_MEMORY] = {"memory", POLICY_BLAME, 1},
    [ERROR_SPACE] = {"space", POLICY_NO_ROOM, 1},
    [ERROR_IO] = {"io", POLICY_BLAME, 1},
    [ERROR_DAMAGE] = {"damage", POLICY_BLAME, 1},
    [ERROR_FETCH] = {"fetch", POLICY_REFETCH, 1},
    [ERROR_STALE] = {"stale", POLICY_RETRY, 1},
    [ERROR_LOST] = {"lost", POLICY_RETRY, 1},
    [ERROR_CANCELLED] = {"cancelled", POLICY_GIVE_UP, 1},
    [ERROR_REFUSED] = {"refused", POLICY_GIVE_UP, 4},
    [ERROR_INTERNAL] = {"internal", POLICY_GIVE_UP, 1},
    [ERROR_UNREACHABLE] = {"unreachable", POLICY_GIVE_UP, 3},
    [ERROR_UNSEEN] = {"unseen", POLICY_EXCLUDE, 1},
    [ERROR_CUT] = {"cut", POLICY_ELSEWHERE, 1},
    [ERROR_DISK] = {"disk", POLICY_NO_ROOM, 1},
    [ERROR_OUTPUT_FULL] = {"output_full", POLICY_GIVE_UP, 1},
    [ERROR_UNSTEADY] = {"unsteady", POLICY_GIVE_UP, 1},
    [ERROR_FORMAT] = {"format", POLICY_GIVE_UP, 1},
};

/* Keeps the beginning and the end of a text that is too long: the reason stands at the end.
 * Takes `text` over. */
static void keep(struct error *err, char *text)
{
    static const char dots[] = " ... ";
    size_t length, room = sizeof err->text - 1, head = room / 2,
                   tail = room - head - strlen(dots);

    check(text);
    length = strlen(text);
    if (length <= room)
        memcpy(err->text, text, length + 1);
    else
        snprintf(err->text, sizeof err->text, "%.*s%s%s", (int)head, text, dots,
                 text + length - tail);
    free(text);
}

/* PREFIX or PREFIX: BEHIND, on the heap. */
static char *compose(const char *format, va_list args, const char *behind)
{
    char *prefix = NULL, *text = NULL;

    check(vasprintf(&prefix, format, args) >= 0);
    if (!behind)
        return prefix;
    check(asprintf(&text, "%s: %s", prefix, behind) >= 0);
    free(prefix);
    return text;
}

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
    va_list args;

    err->code = code;
    va_start(args, format);
    keep(err, compose(format, args, NULL));
    va_end(args);
    return -1;
}

int error_errno(struct error *err, enum error_code code, const char *format, ...)
{
    int saved = errno;
    va_list args;

    err->code = saved == ENOSPC || saved == EDQUOT ? ERROR_SPACE : code;
    va_start(args, format);
    keep(err, compose(format, args, strerror(saved)));
    va_end(args);
    return -1;
}

int error_scratch(struct error *err, enum error_code code, const char *format, ...)
{
    int saved = errno;
    va_list args;

    err->code = saved == ENOSPC || saved == EDQUOT ? ERROR_SPACE
                : saved == EIO || saved == EROFS   ? ERROR_DISK
                                                   : code;
    va_start(args, format);
    keep(err, compose(format, args, strerror(saved)));
    va_end(args);
    return -1;
}

int error_wrap(struct error *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    keep(err, compose(format, args, err->text));
    va_end(args);
    return -1;
}

const char *error_name(enum error_code code)
{
    check(code < ERROR_CODES);
    return table[code].name;
}

enum error_policy error_policy(enum error_code code)
{
    check(code < ERROR_CODES);
    return table[code].policy;
}

int error_exit_status(enum error_code code)
{
    check(code < ERROR_CODES);
    return table[code].exit_status;
}
