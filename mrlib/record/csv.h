/* Rows of comma-separated values as RFC 4180 has them: fields between separators, rows between
 * newlines (LF or CRLF). A field in quotes may hold separators, newlines, and quotes as two of
 * them. What the RFC does not allow is a problem, never a guess: a quote within a field without
 * quotes, text behind a closing quote, a quote that is not closed, a carriage return outside of
 * quotes that ends no row. Such a row ends where the next newline outside of quotes is. */
#ifndef RECORD_CSV_H
#define RECORD_CSV_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>

struct csv_field {
    struct mr_bytes text; /* without the quotes around it ... */
    bool doubled;         /* ... but with those within as they lie, doubled */
};

struct csv_row {
    struct csv_field *fields;
    size_t count, capacity;
    const char *problem;  /* NULL: none */
    const char *place;    /* where it is */
    struct mr_bytes text; /* of the row, without its newline */
};

/* Frees the fields. */
void csv_row_done(struct csv_row *row);

/* Takes the row that begins at `at`, and returns what lies behind its newline, `end` if it has
 * none. Slices of the text. */
const char *csv_row_take(struct csv_row *row, const char *at, const char *end, char separator);

/* Copies a field's text with its doubled quotes undone; at most text.len bytes. Returns how
 * many. */
size_t csv_undouble(char *to, struct mr_bytes text);

/* Bytes of the byte order mark that a file begins with: 3, or 0. */
size_t csv_mark(struct mr_bytes text);

/* How many bytes of a text that begins with a row are whole rows, each with its newline. */
size_t csv_cut(struct mr_bytes text, char separator);

#endif
