/* Reading a journal's files: whole records or damage, by name and offset. One thread. */
#ifndef COORDINATOR_JOURNAL_READ_H
#define COORDINATOR_JOURNAL_READ_H

#include "coordinator/journal_format.h"

/* Where records go; `take` may be NULL. */
struct journal_taker {
    int (*take)(void *context, struct mr_bytes record, struct error *err);
    void *context;
};

/* Reads a snapshot, which must be complete. `fd` is borrowed, `name` is for errors. The header
 * and the number of records go to *ret_*. */
int journal_read_snapshot(int fd, const char *name, const struct journal_taker *taker,
                          struct journal_header *ret_header, uint64_t *ret_records,
                          struct error *err);

/* How a log ends. */
struct journal_end {
    uint64_t sequence; /* of the last record, or the base */
    uint64_t size;     /* of what counts; 0: not even the header is whole */
    uint64_t torn;     /* bytes behind it, which do not count */
    bool marked;       /* all of its records are known to be synced */
};

/* Reads the log that belongs to the snapshot with this header. A torn tail is no error. */
int journal_read_log(int fd, const char *name, const struct journal_header *snapshot,
                     const struct journal_taker *taker, struct journal_end *ret,
                     struct error *err);

#endif
