/* The journal: what the coordinator may not forget, in folder STATE/journal.
 *
 * An append-only log of records behind a snapshot that stands for all records before it. A
 * record is any bytes; the journal knows nothing of what they say. A thread of the journal's
 * own writes what has gathered and syncs it once (group commit, as in Gawlick and Kinkade
 * 1985), so that appending never waits. The layout is told in journal_format.h.
 *
 * What was told to be durable is there after kill -9 at any moment, and after a power failure
 * on a disk that keeps what it synced. A log that ends in the middle of a record, or in records
 * that were never synced, loses them and says so in a log line. Any other difference is damage,
 * which is refused by name: nothing is lost silently, and no record is ever wrong.
 *
 * One thread calls; the journal's thread is its own business. A folder has one journal at a
 * time: it is locked, and who holds it is named. */
#ifndef COORDINATOR_JOURNAL_H
#define COORDINATOR_JOURNAL_H

#include <mr/job.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Bytes of a record; a longer one is damage. */
enum { JOURNAL_RECORD_MAX = 64 << 20 };

struct journal;
struct journal_snapshot;

/* Opens or creates the journal in folder `state`, which exists, and calls take() for each
 * record of the snapshot and of the log behind it, in order; the bytes are borrowed for the
 * call. A take() that returns -1 ends the opening with its error. ERROR_DAMAGE names file and
 * offset; ERROR_REFUSED: another process has it open, or a newer program wrote it. After an
 * error, forget what was taken. Memory: the largest record and a window of 256 KiB.
 *
 * The caller best writes a snapshot at once: it makes the log short, and brings to the disk
 * anew what a disk that failed before may hold in the cache alone. */
int journal_open(const char *state,
                 int (*take)(void *context, struct mr_bytes record, struct error *err),
                 void *context, struct journal **ret, struct error *err);

/* Appends; returns at once. The record is durable when journal_durable() gives at least the
 * number returned: 1, 2, 3... in each life of a journal, whatever the file holds. Numbers go on
 * after a failure. */
uint64_t journal_append(struct journal *journal, struct mr_bytes record);

/* Readable when journal_durable may tell more, or the journal has failed. */
int journal_fd(const struct journal *journal);

/* Drains the descriptor; *ret is the last durable number. -1: a write or a sync failed, by
 * name. It is not tried again: nothing more becomes durable, and the process had better end. */
int journal_durable(struct journal *journal, uint64_t *ret, struct error *err);

/* Starts a new log with a snapshot. write() is called at once, on the caller's thread, and adds
 * the records that stand for everything so far, what was appended included. They go to the disk
 * on the journal's thread, before whatever is appended later; all that was appended before is
 * durable when the snapshot is. Waits for a snapshot that is still being written. -1: the
 * journal has failed. */
int journal_snapshot(struct journal *journal,
                     void (*write)(void *context, struct journal_snapshot *to), void *context,
                     struct error *err);
void journal_snapshot_add(struct journal_snapshot *to, struct mr_bytes record);

/* Whether the log has outgrown the snapshot several times, and none is being written. */
bool journal_wants_snapshot(struct journal *journal);

/* Waits until what was appended is durable or has failed; frees. Takes NULL. */
void journal_close(struct journal *journal);

/* The process that opened the journal of this state folder last, as its lock file tells; 0: it
 * does not. For messages about a folder that is known to be in use. */
long journal_holder(const char *state);

/* What a journal holds, for support. */
struct journal_facts {
    uint64_t generation, snapshot_records, log_records, bytes;
    uint64_t torn; /* bytes behind the last record, which opening will drop */
};

/* Reads all of the journal in folder `state` and changes nothing. Errors are those of
 * journal_open; ERROR_USAGE: there is none. */
int journal_check(const char *state, struct journal_facts *ret, struct error *err);

#endif
