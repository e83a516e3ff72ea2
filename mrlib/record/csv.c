#include "record/csv.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void csv_row_done(struct csv_row *row)
{
    free(row->fields);
    *row = (struct csv_row){0};
}

static inline void add_field(struct csv_row *row, const char *from, const char *to,
                             bool doubled)
{
    if (row->count == row->capacity)
        memory_reserve(&row->fields, &row->capacity, row->count + 1, sizeof *row->fields);
    row->fields[row->count++] = (struct csv_field){{from, (size_t)(to - from)}, doubled};
}

static void mind(struct csv_row *row, const char *problem, const char *place)
{
    if (row->problem)
        return;
    row->problem = problem;
    row->place = place;
}

/* The quote that closes a field, whose text begins at `at`; NULL: none. */
static const char *closing_quote(const char *at, const char *end, bool *ret_doubled)
{
    const char *quote;

    while ((quote = memchr(at, '"', (size_t)(end - at)))) {
        if (quote + 1 == end || quote[1] != '"')
            return quote;
        *ret_doubled = true;
        at = quote + 2;
    }
    return NULL;
}

static inline bool is_plain(char c, char separator)
{
    return c != separator && c != '\n' && c != '"' && c != '\r';
}

/* Where a field without quotes, or what stands behind one with them, ends: at a separator, the
 * newline or CRLF of the row, or the end. */
static inline const char *field_end(struct csv_row *row, const char *at, const char *end,
                                    char separator)
{
    for (;; at++) {
        while (at < end && is_plain(*at, separator))
            at++;
        if (at == end || *at == separator || *at == '\n')
            return at;
        if (*at == '"')
            mind(row, "a quote within a field that does not begin with one", at);
        else if (at + 1 < end && at[1] == '\n')
            return at;
        else
            mind(row, "a carriage return outside of quotes", at);
    }
}

/* Takes one field; returns where it ends, as field_end. */
static inline const char *take_field(struct csv_row *row, const char *at, const char *end,
                                     char separator)
{
    const char *from = at, *close;
    bool doubled = false;

    if (at == end || *at != '"') {
        at = field_end(row, at, end, separator);
        add_field(row, from, at, false);
        return at;
    }
    close = closing_quote(at + 1, end, &doubled);
    if (!close) {
        mind(row, "a quote that is not closed", at);
        add_field(row, from + 1, end, doubled);
        return end;
    }
    add_field(row, from + 1, close, doubled);
    at = close + 1;
    if (at < end && *at != separator && *at != '\n' &&
        !(*at == '\r' && at + 1 < end && at[1] == '\n')) {
        mind(row, "text behind a closing quote", at);
        at = field_end(row, at, end, separator);
    }
    return at;
}

const char *csv_row_take(struct csv_row *row, const char *at, const char *end, char separator)
{
    const char *from = at;

    row->count = 0;
    row->problem = row->place = NULL;
    for (;;) {
        at = take_field(row, at, end, separator);
        if (at == end || *at != separator)
            break;
        at++;
    }
    row->text = (struct mr_bytes){from, (size_t)(at - from)};
    if (at < end)
        at += *at == '\r' ? 2 : 1;
    return at;
}

size_t csv_undouble(char *to, struct mr_bytes text)
{
    const char *at = text.ptr, *end = at + text.len, *quote;
    char *out = to;

    while ((quote = memchr(at, '"', (size_t)(end - at)))) {
        size_t n = (size_t)(quote + 1 - at);

        memcpy(out, at, n);
        out += n;
        at = quote + 1 < end ? quote + 2 : end; /* the second one */
    }
    memcpy(out, at, (size_t)(end - at));
    return (size_t)(out - to) + (size_t)(end - at);
}

size_t csv_mark(struct mr_bytes text)
{
    return text.len >= 3 && !memcmp(text.ptr, "\xef\xbb\xbf", 3) ? 3 : 0;
}

/* What csv_row_take finds, without the fields: behind the row's newline, or NULL if it has
 * none. */
static const char *row_end(const char *at, const char *end, char separator)
{
    for (bool begins = true; at < end; at++) {
        if (*at == '\n')
            return at + 1;
        if (begins && *at == '"') {
            bool doubled;

            at = closing_quote(at + 1, end, &doubled);
            if (!at)
                return NULL;
        }
        begins = *at == separator;
    }
    return NULL;
}

size_t csv_cut(struct mr_bytes text, char separator)
{
    const char *at = text.ptr, *end = at + text.len, *quote, *newline;

    /* Between quotes newlines are the ends of rows. */
    while (at < end && (quote = memchr(at, '"', (size_t)(end - at)))) {
        newline = memrchr(at, '\n', (size_t)(quote - at));
        if (newline)
            at = newline + 1;
        newline = row_end(at, end, separator);
        if (!newline)
            return (size_t)(at - text.ptr);
        at = newline;
    }
    newline = at < end ? memrchr(at, '\n', (size_t)(end - at)) : NULL;
    return (size_t)((newline ? newline + 1 : at) - text.ptr);
}
