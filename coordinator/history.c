#include "coordinator/history.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "coordinator/history_row.h"

enum { SCHEMA = 1, BUSY_MS = 5000 };

struct history {
    char *path;
    uint32_t kept;
    sqlite3 *reading; /* the caller's */
    sqlite3_stmt *find, *list, *count;
    sqlite3 *writing; /* the thread's */
    sqlite3_stmt *insert, *prune;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t work, rest;
    struct history_job **queue;
    size_t count_queued, capacity;
    bool busy, closing;
};

/* What SQLite says, as an error of ours. */
static int fail(sqlite3 *db, const char *path, struct error *err)
{
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;

    return error_set(err,
                     code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ERROR_DAMAGE
                     : code == SQLITE_FULL                           ? ERROR_SPACE
                                                                     : ERROR_IO,
                     "history '%s': %s", path, db ? sqlite3_errmsg(db) : "no memory");
}

/* A line for operators: the history is incomplete, the jobs are not. */
static void complain(struct history *history, sqlite3 *db, const char *event)
{
    struct error err;

    fail(db, history->path, &err);
    log_event(LOG_ERRORS, event, LOG_TEXT("why", err.text));
}

static int run(sqlite3 *db, const char *path, const char *sql, struct error *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) ? fail(db, path, err) : 0;
}

static int prepare(sqlite3 *db, const char *path, const char *sql, sqlite3_stmt **ret,
                   struct error *err)
{
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL)
               ? fail(db, path, err)
               : 0;
}

static int connect(const char *path, int flags, sqlite3 **ret, struct error *err)
{
    if (sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX, NULL))
        return fail(*ret, path, err);
    sqlite3_busy_timeout(*ret, BUSY_MS);
    return 0;
}

static int read_version(sqlite3 *db, const char *path, int *ret, struct error *err)
{
    sqlite3_stmt *statement;
    int result = 0;

    if (prepare(db, path, "PRAGMA user_version", &statement, err))
        return -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        *ret = sqlite3_column_int(statement, 0);
    else
        result = fail(db, path, err);
    sqlite3_finalize(statement);
    return result;
}

/* NORMAL: a power failure may cost the last jobs of the history, never the table. */
static int make_schema(sqlite3 *db, const char *path, struct error *err)
{
    static const char schema[] =
        "BEGIN IMMEDIATE;"
        "CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, name TEXT, object TEXT, "
        "output TEXT, state TEXT, submitted REAL, seconds REAL, maps INTEGER, "
        "maps_done INTEGER, reduces INTEGER, reduces_done INTEGER, parts INTEGER, "
        "failed_attempts INTEGER, priority INTEGER, error_code INTEGER, error TEXT, counters "
        "TEXT, "
        "failures TEXT);"
        "CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (submitted, id);"
        "PRAGMA user_version = 1;"
        "COMMIT";
    int version = 0;

    _Static_assert(SCHEMA == 1, "the text above says so");
    if (run(db, path, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", err) ||
        read_version(db, path, &version, err))
        return -1;
    if (version > SCHEMA)
        return error_set(err, ERROR_REFUSED,
                         "history '%s' has version %d, this program knows %d: start the newer "
                         "program that wrote it, or move the file away",
                         path, version, SCHEMA);
    return version == SCHEMA ? 0 : run(db, path, schema, err);
}

static int open_both(struct history *history, struct error *err)
{
    const char *path = history->path;

    return connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &history->writing, err) ||
           make_schema(history->writing, path, err) ||
           prepare(history->writing, path,
                   "INSERT OR REPLACE INTO jobs (" HISTORY_COLUMNS
                   ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                   &history->insert, err) ||
           prepare(history->writing, path,
                   "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs ORDER BY submitted DESC, "
                   "id DESC LIMIT -1 OFFSET ?)",
                   &history->prune, err) ||
           connect(path, SQLITE_OPEN_READWRITE, &history->reading, err) ||
           prepare(history->reading, path, "SELECT " HISTORY_COLUMNS " FROM jobs WHERE id = ?",
                   &history->find, err) ||
           prepare(history->reading, path,
                   "SELECT " HISTORY_COLUMNS " FROM jobs ORDER BY submitted DESC, id DESC",
                   &history->list, err) ||
           prepare(history->reading, path, "SELECT count(*) FROM jobs", &history->count, err);
}

/* One step of a statement that gives no rows; false: it failed. */
static bool done(sqlite3_stmt *statement)
{
    bool good = sqlite3_step(statement) == SQLITE_DONE;

    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return good;
}

/* Writes jobs in one transaction. */
static void write_jobs(struct history *history, struct history_job *const *jobs, size_t n)
{
    sqlite3 *db = history->writing;
    bool good = !sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

    for (size_t i = 0; good && i < n; i++) {
        history_row_bind(history->insert, jobs[i]);
        good = done(history->insert);
    }
    if (good) {
        sqlite3_bind_int64(history->prune, 1, history->kept);
        good = done(history->prune) && !sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    }
    if (good)
        return;
    complain(history, db, "finished jobs are missing in the history");
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

static void *writer(void *argument)
{
    struct history *history = argument;

    pthread_mutex_lock(&history->lock);
    for (;;) {
        struct history_job **jobs = history->queue;
        size_t n = history->count_queued;

        if (n) {
            history->queue = NULL;
            history->count_queued = history->capacity = 0;
            history->busy = true;
            pthread_mutex_unlock(&history->lock);
            write_jobs(history, jobs, n);
            for (size_t i = 0; i < n; i++)
                history_job_free(jobs[i]);
            free(jobs);
            pthread_mutex_lock(&history->lock);
            history->busy = false;
            pthread_cond_signal(&history->rest);
        } else if (history->closing) {
            break;
        } else {
            pthread_cond_wait(&history->work, &history->lock);
        }
    }
    pthread_mutex_unlock(&history->lock);
    return NULL;
}

/* Signals are the business of other threads. */
static void start(struct history *history)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    check(!pthread_create(&history->thread, NULL, writer, history));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    history->started = true;
}

int history_open(const char *path, uint32_t kept, struct history **ret, struct error *err)
{
    struct history *history = memory_zeroed(1, sizeof *history);

    history->path = memory_text(path);
    history->kept = kept;
    pthread_mutex_init(&history->lock, NULL);
    pthread_cond_init(&history->work, NULL);
    pthread_cond_init(&history->rest, NULL);
    if (open_both(history, err)) {
        history_close(history);
        return -1;
    }
    start(history);
    *ret = history;
    return 0;
}

void history_add(struct history *history, struct history_job *job)
{
    pthread_mutex_lock(&history->lock);
    memory_reserve(&history->queue, &history->capacity, history->count_queued + 1,
                   sizeof(struct history_job *));
    history->queue[history->count_queued++] = job;
    pthread_cond_signal(&history->work);
    pthread_mutex_unlock(&history->lock);
}

/* Waits until what was added is written, so that it is found. */
static void settle(struct history *history)
{
    pthread_mutex_lock(&history->lock);
    while (history->busy || history->count_queued)
        pthread_cond_wait(&history->rest, &history->lock);
    pthread_mutex_unlock(&history->lock);
}

struct history_job *history_find(struct history *history, uint64_t id)
{
    struct history_job *job = NULL;
    int result;

    settle(history);
    sqlite3_bind_int64(history->find, 1, (sqlite3_int64)id);
    result = sqlite3_step(history->find);
    if (result == SQLITE_ROW)
        job = history_row_read(history->find);
    else if (result != SQLITE_DONE)
        complain(history, history->reading, "the history cannot be read");
    sqlite3_reset(history->find);
    return job;
}

uint64_t history_each(struct history *history,
                      bool (*visit)(void *context, const struct history_job *job),
                      void *context)
{
    uint64_t all = 0;
    int result;
    bool more = true;

    settle(history);
    if (sqlite3_step(history->count) == SQLITE_ROW)
        all = (uint64_t)sqlite3_column_int64(history->count, 0);
    sqlite3_reset(history->count);
    while (more && (result = sqlite3_step(history->list)) != SQLITE_DONE) {
        struct history_job *job;

        if (result != SQLITE_ROW) {
            complain(history, history->reading, "the history cannot be read");
            break;
        }
        job = history_row_read(history->list);
        more = visit(context, job);
        history_job_free(job);
    }
    sqlite3_reset(history->list);
    return all;
}

void history_close(struct history *history)
{
    if (!history)
        return;
    if (history->started) {
        pthread_mutex_lock(&history->lock);
        history->closing = true;
        pthread_cond_signal(&history->work);
        pthread_mutex_unlock(&history->lock);
        pthread_join(history->thread, NULL);
    }
    sqlite3_finalize(history->insert);
    sqlite3_finalize(history->prune);
    sqlite3_finalize(history->find);
    sqlite3_finalize(history->list);
    sqlite3_finalize(history->count);
    /* The last one to close leaves no log beside the file, and so it may write. */
    sqlite3_close(history->reading);
    sqlite3_close(history->writing);
    pthread_mutex_destroy(&history->lock);
    pthread_cond_destroy(&history->work);
    pthread_cond_destroy(&history->rest);
    free(history->queue);
    free(history->path);
    free(history);
}
