#include "coordinator/journal_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "coordinator/journal.h"

static const char *const suffixes[] = {
    [JOURNAL_LOG] = ".log", [JOURNAL_SNAPSHOT] = ".snapshot"};

static long read_holder(int lock)
{
    char text[24] = "";
    ssize_t n = pread(lock, text, sizeof text - 1, 0);

    return n > 0 ? strtol(text, NULL, 10) : 0;
}

long journal_holder(const char *state)
{
    cleanup_free char *path = memory_format("%s/journal/lock", state);
    cleanup_close int lock = open(path, O_RDONLY | O_CLOEXEC);

    return lock < 0 ? 0 : read_holder(lock);
}

/* Says by whom the folder is held, as far as the lock file tells. */
static int refuse_lock(const struct journal_folder *folder, struct error *err)
{
    long pid;

    if (errno != EWOULDBLOCK)
        return error_errno(err, ERROR_IO, "lock '%s'", folder->path);
    pid = read_holder(folder->lock);
    if (pid > 0)
        return error_set(err, ERROR_REFUSED,
                         "journal '%s' is in use by process %ld: stop that coordinator, or "
                         "give another state folder",
                         folder->path, pid);
    return error_set(err, ERROR_REFUSED, "journal '%s' is in use by another process",
                     folder->path);
}

static int lock(struct journal_folder *folder, bool make, struct error *err)
{
    char text[24];
    int n;

    folder->lock = openat(folder->fd, "lock", O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0600);
    if (folder->lock < 0 && !make && errno == ENOENT)
        return 0; /* nobody ever had it open, or somebody tidied up */
    if (folder->lock < 0)
        return error_errno(err, ERROR_IO, "open '%s/lock'", folder->path);
    if (flock(folder->lock, (make ? LOCK_EX : LOCK_SH) | LOCK_NB))
        return refuse_lock(folder, err);
    if (!make)
        return 0;
    n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(folder->lock, 0))
        return error_errno(err, ERROR_IO, "write '%s/lock'", folder->path);
    return journal_folder_write(folder->lock, "lock", text, (size_t)n, 0, err);
}

int journal_folder_open(struct journal_folder *folder, const char *state, bool make,
                        struct error *err)
{
    *folder = (struct journal_folder){memory_format("%s/journal", state), -1, -1};
    if (make && mkdir(folder->path, 0700) && errno != EEXIST)
        return error_errno(err, ERROR_IO, "make folder '%s'", folder->path);
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0 && errno == ENOENT)
        return error_set(err, ERROR_USAGE, "there is no journal in '%s'", state);
    if (folder->fd < 0)
        return error_errno(err, ERROR_IO, "open folder '%s'", folder->path);
    return lock(folder, make, err);
}

void journal_folder_done(struct journal_folder *folder)
{
    free(folder->path);
    memory_cleanup_close(&folder->fd);
    memory_cleanup_close(&folder->lock);
    *folder = (struct journal_folder){NULL, -1, -1};
}

char *journal_folder_name(const struct journal_folder *folder, uint64_t generation,
                          enum journal_file kind)
{
    return memory_format("%s/%016" PRIx64 "%s", folder->path, generation, suffixes[kind]);
}

int journal_folder_file(const struct journal_folder *folder, uint64_t generation,
                        enum journal_file kind, int flags, struct error *err)
{
    cleanup_free char *name = journal_folder_name(folder, generation, kind);
    int fd = open(name, flags | O_CLOEXEC, 0600);

    if (fd < 0 && errno == ENOENT)
        return error_set(
            err, ERROR_DAMAGE,
            "journal '%s' is damaged: '%s' is missing; put it back, or move folder "
            "'journal' away to begin without the jobs that it holds",
            folder->path, name);
    if (fd < 0)
        return error_errno(err, ERROR_IO, "open '%s'", name);
    return fd;
}

/* What file of a journal a name means: its generation, or 0 for other files. */
static uint64_t parse_name(const char *name, enum journal_file *ret_kind, bool *ret_draft)
{
    char *end;
    uint64_t generation = strtoull(name, &end, 16);

    *ret_draft = false;
    if (end - name != 16 || strspn(name, "0123456789abcdef") != 16)
        return 0;
    if (!strcmp(end, suffixes[JOURNAL_LOG])) {
        *ret_kind = JOURNAL_LOG;
        return generation;
    }
    *ret_kind = JOURNAL_SNAPSHOT;
    *ret_draft = !strcmp(end, ".snapshot.new");
    return *ret_draft || !strcmp(end, suffixes[JOURNAL_SNAPSHOT]) ? generation : 0;
}

/* Calls visit() for each file of the journal; its first result that is not 0 is the last. */
static int each_file(const struct journal_folder *folder,
                     int (*visit)(const struct journal_folder *folder, const char *name,
                                  uint64_t *generation, struct error *err),
                     uint64_t *generation, struct error *err)
{
    DIR *list = opendir(folder->path);
    struct dirent *entry;
    int result = 0;

    if (!list)
        return error_errno(err, ERROR_IO, "read folder '%s'", folder->path);
    while (!result && (entry = readdir(list)))
        result = visit(folder, entry->d_name, generation, err);
    closedir(list);
    return result;
}

static int visit_newest(const struct journal_folder *folder, const char *name,
                        uint64_t *generation, struct error *err)
{
    enum journal_file kind;
    bool draft;
    uint64_t found = parse_name(name, &kind, &draft);

    (void)folder, (void)err;
    if (found && kind == JOURNAL_SNAPSHOT && !draft && found > *generation)
        *generation = found;
    return 0;
}

/* A log is begun before its snapshot counts, but nothing is written to it. */
static int visit_orphan(const struct journal_folder *folder, const char *name,
                        uint64_t *generation, struct error *err)
{
    enum journal_file kind;
    bool draft;
    uint64_t found = parse_name(name, &kind, &draft);
    struct stat st;

    if (found <= *generation || kind != JOURNAL_LOG)
        return 0;
    if (fstatat(folder->fd, name, &st, 0))
        return error_errno(err, ERROR_IO, "read '%s/%s'", folder->path, name);
    if (st.st_size <= (off_t)sizeof(struct journal_header))
        return 0;
    return error_set(
        err, ERROR_DAMAGE,
        "journal '%s' is damaged: '%s' has records, but its snapshot is missing; "
        "put it back, or move folder 'journal' away to begin without the jobs that "
        "it holds",
        folder->path, name);
}

int journal_folder_newest(const struct journal_folder *folder, uint64_t *ret, struct error *err)
{
    uint64_t newest = 0;

    if (each_file(folder, visit_newest, &newest, err) ||
        each_file(folder, visit_orphan, &newest, err))
        return -1;
    *ret = newest;
    return 0;
}

static int visit_sweep(const struct journal_folder *folder, const char *name,
                       uint64_t *generation, struct error *err)
{
    enum journal_file kind;
    bool draft;
    uint64_t found = parse_name(name, &kind, &draft);

    if (!found || (found == *generation && !draft))
        return 0;
    if (unlinkat(folder->fd, name, 0) && errno != ENOENT)
        return error_errno(err, ERROR_IO, "remove '%s/%s'", folder->path, name);
    return 0;
}

int journal_folder_sweep(const struct journal_folder *folder, uint64_t generation,
                         struct error *err)
{
    return each_file(folder, visit_sweep, &generation, err);
}

int journal_folder_write(int fd, const char *name, const void *bytes, size_t n, uint64_t offset,
                         struct error *err)
{
    const char *rest = bytes;

    while (n) {
        ssize_t written = pwrite(fd, rest, n, (off_t)offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return error_errno(err, ERROR_IO, "write '%s'", name);
        rest += written;
        offset += (uint64_t)written;
        n -= (size_t)written;
    }
    return 0;
}

/* Makes a file anew, with these bytes, and syncs it; -1 or its descriptor. */
static int make_file(const char *name, const void *bytes, size_t n, struct error *err)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(err, ERROR_IO, "make '%s'", name);
    if (journal_folder_write(fd, name, bytes, n, 0, err)) {
        close(fd);
        return -1;
    }
    if (fsync(fd)) {
        error_errno(err, ERROR_IO, "sync '%s'", name);
        close(fd);
        return -1;
    }
    return fd;
}

static int sync_folder(const struct journal_folder *folder, struct error *err)
{
    if (fsync(folder->fd))
        return error_errno(err, ERROR_IO, "sync folder '%s'", folder->path);
    return 0;
}

int journal_folder_begin(const struct journal_folder *folder,
                         const struct journal_header *header,
                         const struct journal_bytes *snapshot, int *ret_log, struct error *err)
{
    struct journal_header first =
        journal_header(JOURNAL_LOG, header->generation, header->salt, header->base);
    cleanup_free char *log_name = journal_folder_name(folder, header->generation, JOURNAL_LOG),
                      *name = journal_folder_name(folder, header->generation, JOURNAL_SNAPSHOT),
                      *draft = memory_format("%s.new", name);
    cleanup_close int log = make_file(log_name, &first, sizeof first, err), file = -1;

    if (log < 0)
        return -1;
    file = make_file(draft, snapshot->items, snapshot->count, err);
    if (file < 0 || sync_folder(folder, err))
        return -1;
    if (rename(draft, name))
        return error_errno(err, ERROR_IO, "rename '%s'", draft);
    if (sync_folder(folder, err))
        return -1;
    *ret_log = log;
    log = -1;
    return 0;
}
