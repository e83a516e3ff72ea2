/* The thread that writes: what has gathered in one go, synced once; a mark behind it, which
 * says so to whoever reads the log; a snapshot in between. After the first error it writes
 * nothing more: a sync that failed once says nothing about the second time. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/journal_internal.h"

static void tell(const struct journal *journal)
{
    const uint64_t one = 1;

    check(write(journal->event, &one, sizeof one) == sizeof one);
}

/* Writes what was taken. The mark is not synced: what it says is true already, and where it is
 * lost the log reads as if it had ended with a torn tail. */
static int write_log(struct journal *journal, uint64_t last, struct error *err)
{
    struct journal_bytes *bytes = &journal->writing;
    cleanup_free char *name =
        journal_folder_name(&journal->folder, journal->log_generation, JOURNAL_LOG);
    struct mr_bytes nothing = {0};

    if (journal_folder_write(journal->log, name, bytes->items, bytes->count, journal->log_size,
                             err))
        return -1;
    journal->log_size += bytes->count;
    if (fdatasync(journal->log))
        return error_errno(err, ERROR_IO, "sync '%s'", name);
    bytes->count = 0;
    journal_frame_add(bytes, JOURNAL_MARK, journal->base + last, nothing, journal->log_salt);
    if (journal_folder_write(journal->log, name, bytes->items, bytes->count, journal->log_size,
                             err))
        return -1;
    journal->log_size += bytes->count;
    bytes->count = 0;
    return 0;
}

static int write_snapshot(struct journal *journal, const struct journal_snapshot *snapshot,
                          struct error *err)
{
    int log;

    if (journal_folder_begin(&journal->folder, &snapshot->header, &snapshot->bytes, &log, err))
        return -1;
    close(journal->log);
    journal->log = log;
    journal->log_generation = snapshot->header.generation;
    journal->log_salt = snapshot->header.salt;
    journal->log_size = sizeof(struct journal_header);
    return journal_folder_sweep(&journal->folder, journal->log_generation, err);
}

/* With the lock held. */
static void fail(struct journal *journal, const struct error *why)
{
    journal->failed = true;
    journal->why = *why;
    journal->pending.count = 0;
}

/* One round, with the lock held, which is released while something is written. */
static void round_of(struct journal *journal)
{
    struct journal_snapshot *snapshot = journal->snapshot;
    struct journal_bytes taken = journal->pending;
    uint64_t last = snapshot ? snapshot->number : journal->pending_last;
    struct error why;
    int result;

    if (!snapshot) {
        journal->pending = journal->writing;
        journal->writing = taken;
    }
    pthread_mutex_unlock(&journal->lock);
    result =
        snapshot ? write_snapshot(journal, snapshot, &why) : write_log(journal, last, &why);
    pthread_mutex_lock(&journal->lock);
    if (result)
        fail(journal, &why);
    else
        journal->durable = last;
    if (snapshot) {
        journal->snapshot = NULL;
        journal_snapshot_free(snapshot);
        pthread_cond_signal(&journal->rest);
    }
    tell(journal);
}

void *journal_writer(void *argument)
{
    struct journal *journal = argument;

    pthread_mutex_lock(&journal->lock);
    while (!journal->failed) {
        if (journal->snapshot || journal->pending.count)
            round_of(journal);
        else if (journal->closing)
            break;
        else
            pthread_cond_wait(&journal->work, &journal->lock);
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}
