/* Records for tests of the journal, known by their number, and a list of those that came back.
 * Record n is made from n alone: its length varies, some are empty, some are longer than a
 * page, and some hold what looks like a frame of the journal. */
#ifndef TESTS_BOOK_H
#define TESTS_BOOK_H

#include <stdbool.h>

#include "coordinator/journal.h"

/* Record n; the caller frees .ptr. */
struct mr_bytes book_record(uint64_t n);

struct book {
    uint64_t count; /* records taken */
    uint64_t first; /* the number of the first one */
    bool strange;   /* a record is none of ours, or out of order */
};

/* For journal_open; `context` is a struct book. The first record may have any number, those
 * behind it count on. */
int book_take(void *context, struct mr_bytes record, struct error *err);

/* Opens the journal of `state`; its records are first, first + 1, ... `count` of them. */
struct journal *book_open(const char *state, uint64_t first, uint64_t count);

/* Appends records first .. last; the number that the last one got. */
uint64_t book_append(struct journal *journal, uint64_t first, uint64_t last);

/* Waits until the number is durable. */
void book_await(struct journal *journal, uint64_t number);

/* A snapshot of records first .. last. */
struct book_range {
    uint64_t first, last;
};
void book_snapshot(void *range, struct journal_snapshot *to);

#endif
