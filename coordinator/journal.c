#include "coordinator/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "coordinator/journal_internal.h"
#include "coordinator/journal_read.h"

/* What reading a generation found. */
struct found {
    struct journal_header header; /* of the snapshot */
    struct journal_end end;       /* of the log */
    uint64_t records;             /* of the snapshot */
    uint64_t snapshot_size;
};

static int read_snapshot(const struct journal_folder *folder, uint64_t generation,
                         const struct journal_taker *taker, struct found *ret,
                         struct error *err)
{
    cleanup_free char *name = journal_folder_name(folder, generation, JOURNAL_SNAPSHOT);
    cleanup_close int fd =
        journal_folder_file(folder, generation, JOURNAL_SNAPSHOT, O_RDONLY, err);

    if (fd < 0 || journal_read_snapshot(fd, name, taker, &ret->header, &ret->records, err))
        return -1;
    if (ret->header.generation != generation)
        return error_set(err, ERROR_DAMAGE,
                         "journal '%s' is damaged at offset 0: it is of generation %" PRIx64
                         ", so this is not its name",
                         name, ret->header.generation);
    ret->snapshot_size = (uint64_t)lseek(fd, 0, SEEK_END);
    return 0;
}

/* Reads all of a generation; the log, opened with `flags`, is in *ret_log. */
static int read_generation(const struct journal_folder *folder, uint64_t generation, int flags,
                           const struct journal_taker *taker, struct found *found, int *ret_log,
                           struct error *err)
{
    cleanup_free char *name = journal_folder_name(folder, generation, JOURNAL_LOG);
    cleanup_close int log = -1;

    if (read_snapshot(folder, generation, taker, found, err))
        return -1;
    log = journal_folder_file(folder, generation, JOURNAL_LOG, flags, err);
    if (log < 0 || journal_read_log(log, name, &found->header, taker, &found->end, err))
        return -1;
    *ret_log = log;
    log = -1;
    return 0;
}

/* The tail goes, so that nothing of it can stand behind what is appended. What is left may be
 * in the cache alone: the process that wrote it may have died before it was synced. */
static int mend_log(struct journal *journal, const struct found *found, struct error *err)
{
    cleanup_free char *name =
        journal_folder_name(&journal->folder, journal->log_generation, JOURNAL_LOG);
    struct journal_header header = journal_header(JOURNAL_LOG, found->header.generation,
                                                  found->header.salt, found->header.base);
    struct journal_bytes mark = {0};
    struct mr_bytes nothing = {0};
    int result = 0;

    if (found->end.torn) {
        log_event(LOG_WARNINGS, "journal ends in a record that was not finished; dropped",
                  LOG_TEXT("file", name), LOG_NUMBER("offset", found->end.size),
                  LOG_NUMBER("bytes", found->end.torn));
        if (ftruncate(journal->log, (off_t)found->end.size))
            return error_errno(err, ERROR_IO, "shorten '%s'", name);
    }
    if (!found->end.size &&
        journal_folder_write(journal->log, name, &header, sizeof header, 0, err))
        return -1;
    journal->log_size = found->end.size ? found->end.size : sizeof header;
    if (fdatasync(journal->log))
        return error_errno(err, ERROR_IO, "sync '%s'", name);
    if (found->end.marked)
        return 0;
    journal_frame_add(&mark, JOURNAL_MARK, found->end.sequence, nothing, found->header.salt);
    result = journal_folder_write(journal->log, name, mark.items, mark.count, journal->log_size,
                                  err);
    journal->log_size += mark.count;
    free(mark.items);
    return result;
}

static int open_log(struct journal *journal, uint64_t generation,
                    const struct journal_taker *taker, struct error *err)
{
    struct found found;

    if (read_generation(&journal->folder, generation, O_RDWR, taker, &found, &journal->log,
                        err))
        return -1;
    journal->generation = journal->log_generation = generation;
    journal->salt = journal->log_salt = found.header.salt;
    journal->base = found.end.sequence;
    journal->snapshot_bytes = found.snapshot_size;
    if (mend_log(journal, &found, err) ||
        journal_folder_sweep(&journal->folder, generation, err))
        return -1;
    journal->log_bytes = journal->log_size;
    return 0;
}

/* Generation 1 begins with a snapshot of nothing. */
static int begin(struct journal *journal, struct error *err)
{
    struct journal_snapshot *first = journal_snapshot_new(1, 0);
    int result;

    journal_snapshot_seal(first);
    journal->generation = journal->log_generation = 1;
    journal->salt = journal->log_salt = first->header.salt;
    journal->snapshot_bytes = first->bytes.count;
    journal->log_size = sizeof(struct journal_header);
    result = journal_folder_begin(&journal->folder, &first->header, &first->bytes,
                                  &journal->log, err);
    journal_snapshot_free(first);
    return result ? -1 : journal_folder_sweep(&journal->folder, 1, err);
}

/* Signals are the business of other threads. */
static void start(struct journal *journal)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    check(!pthread_create(&journal->thread, NULL, journal_writer, journal));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void release(struct journal *journal)
{
    journal_folder_done(&journal->folder);
    memory_cleanup_close(&journal->log);
    memory_cleanup_close(&journal->event);
    pthread_mutex_destroy(&journal->lock);
    pthread_cond_destroy(&journal->work);
    pthread_cond_destroy(&journal->rest);
    journal_snapshot_free(journal->snapshot);
    free(journal->pending.items);
    free(journal->writing.items);
    free(journal);
}

int journal_open(const char *state,
                 int (*take)(void *context, struct mr_bytes record, struct error *err),
                 void *context, struct journal **ret, struct error *err)
{
    struct journal *journal = memory_zeroed(1, sizeof *journal);
    const struct journal_taker taker = {take, context};
    uint64_t generation;
    int result;

    journal->log = journal->event = -1;
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->work, NULL);
    pthread_cond_init(&journal->rest, NULL);
    result = journal_folder_open(&journal->folder, state, true, err) ||
             journal_folder_newest(&journal->folder, &generation, err) ||
             (generation ? open_log(journal, generation, &taker, err) : begin(journal, err));
    if (!result) {
        journal->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (journal->event < 0)
            result = error_errno(err, ERROR_IO, "make an eventfd");
    }
    if (result) {
        release(journal);
        return -1;
    }
    start(journal);
    *ret = journal;
    return 0;
}

uint64_t journal_append(struct journal *journal, struct mr_bytes record)
{
    uint64_t number = ++journal->appended;
    bool idle;

    pthread_mutex_lock(&journal->lock);
    if (!journal->failed) {
        idle = !journal->pending.count;
        journal_frame_add(&journal->pending, JOURNAL_RECORD, journal->base + number, record,
                          journal->salt);
        journal->pending_last = number;
        journal->log_bytes += sizeof(struct journal_frame) + record.len;
        if (idle)
            pthread_cond_signal(&journal->work);
    }
    pthread_mutex_unlock(&journal->lock);
    return number;
}

int journal_fd(const struct journal *journal)
{
    return journal->event;
}

int journal_durable(struct journal *journal, uint64_t *ret, struct error *err)
{
    uint64_t drained;
    int result = 0;

    check(read(journal->event, &drained, sizeof drained) == sizeof drained || errno == EAGAIN);
    pthread_mutex_lock(&journal->lock);
    if (journal->failed) {
        *err = journal->why;
        result = -1;
    } else {
        *ret = journal->durable;
    }
    pthread_mutex_unlock(&journal->lock);
    return result;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    pthread_mutex_lock(&journal->lock);
    journal->closing = true;
    pthread_cond_signal(&journal->work);
    pthread_mutex_unlock(&journal->lock);
    pthread_join(journal->thread, NULL);
    release(journal);
}

int journal_check(const char *state, struct journal_facts *ret, struct error *err)
{
    const struct journal_taker nobody = {0};
    struct journal_folder folder;
    cleanup_close int log = -1;
    struct found found = {0};
    uint64_t generation = 0;
    int result = journal_folder_open(&folder, state, false, err) ||
                 journal_folder_newest(&folder, &generation, err);

    if (!result && generation)
        result = read_generation(&folder, generation, O_RDONLY, &nobody, &found, &log, err);
    journal_folder_done(&folder);
    if (result)
        return -1;
    *ret = (struct journal_facts){generation, found.records,
                                  found.end.sequence - found.header.base,
                                  found.snapshot_size + found.end.size, found.end.torn};
    return 0;
}
