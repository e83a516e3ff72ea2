/* Snapshots: gathered on the caller's thread, written on the journal's own. */
#include <stdlib.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/journal_internal.h"

/* A log may be so much larger than the snapshot before a new one is worth it. */
enum { OUTGROWN = 4, LOG_LEAST = 1 << 20 };

struct journal_snapshot *journal_snapshot_new(uint64_t generation, uint64_t base)
{
    struct journal_snapshot *snapshot = memory_zeroed(1, sizeof *snapshot);
    uint64_t salt;

    check(getrandom(&salt, sizeof salt, 0) == sizeof salt);
    snapshot->header = journal_header(JOURNAL_SNAPSHOT, generation, salt, base);
    memory_reserve(&snapshot->bytes.items, &snapshot->bytes.capacity, sizeof snapshot->header,
                   1);
    memcpy(snapshot->bytes.items, &snapshot->header, sizeof snapshot->header);
    snapshot->bytes.count = sizeof snapshot->header;
    return snapshot;
}

void journal_snapshot_add(struct journal_snapshot *to, struct mr_bytes record)
{
    journal_frame_add(&to->bytes, JOURNAL_RECORD, ++to->records, record, to->header.salt);
}

void journal_snapshot_seal(struct journal_snapshot *snapshot)
{
    struct mr_bytes nothing = {0};

    journal_frame_add(&snapshot->bytes, JOURNAL_END, snapshot->records, nothing,
                      snapshot->header.salt);
}

void journal_snapshot_free(struct journal_snapshot *snapshot)
{
    if (!snapshot)
        return;
    free(snapshot->bytes.items);
    free(snapshot);
}

int journal_snapshot(struct journal *journal,
                     void (*write)(void *context, struct journal_snapshot *to), void *context,
                     struct error *err)
{
    struct journal_snapshot *snapshot =
        journal_snapshot_new(journal->generation + 1, journal->base + journal->appended);

    write(context, snapshot);
    journal_snapshot_seal(snapshot);
    snapshot->number = journal->appended;
    pthread_mutex_lock(&journal->lock);
    while (journal->snapshot && !journal->failed)
        pthread_cond_wait(&journal->rest, &journal->lock);
    if (journal->failed) {
        *err = journal->why;
        pthread_mutex_unlock(&journal->lock);
        journal_snapshot_free(snapshot);
        return -1;
    }
    journal->generation++;
    journal->salt = snapshot->header.salt;
    journal->snapshot_bytes = snapshot->bytes.count;
    journal->log_bytes = 0;
    journal->pending.count = 0; /* the snapshot stands for it */
    journal->snapshot = snapshot;
    pthread_cond_signal(&journal->work);
    pthread_mutex_unlock(&journal->lock);
    return 0;
}

bool journal_wants_snapshot(struct journal *journal)
{
    bool wanted;

    pthread_mutex_lock(&journal->lock);
    wanted = !journal->snapshot && !journal->failed && journal->log_bytes > LOG_LEAST &&
             journal->log_bytes / OUTGROWN > journal->snapshot_bytes;
    pthread_mutex_unlock(&journal->lock);
    return wanted;
}
