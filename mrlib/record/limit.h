/* How long a record may be.
 *
 * An input record, a key or a value has to lie in memory whole, and each thread may hold one.
 * So that a few of them fit in the budget, none may be longer than an eighth of the executor's
 * memory (--memory, divided among the workers of `marram run`), and none longer than
 * LIMIT_RECORD. This is the one place that knows the formula and the words. */
#ifndef RECORD_LIMIT_H
#define RECORD_LIMIT_H

#include <stdint.h>

#include "base/error.h"

/* The limit in bytes for an executor with so many bytes of memory. */
uint64_t record_limit(uint64_t memory);

/* The largest window of a zstd frame that such an executor reads, in bytes: as long as a record
 * may be, but LIMIT_WINDOW at most, and no less than the 8 MiB that every decoder is to have.
 */
uint64_t record_window(uint64_t memory);

/* Sets the error for a record above `limit`, which `format` names ("a line of 'x' that begins
 * at offset 7"), and returns -1. */
int record_too_long(struct error *err, enum error_code code, uint64_t limit, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));

#endif
