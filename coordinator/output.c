#include "coordinator/output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/memory.h"
#include "coordinator/staging.h"
#include "store/tree.h"

enum { REMOVE_TRIES = 5 };

static char *parent_of(const char *path)
{
    char *parent = memory_text(path), *slash = strrchr(parent, '/');

    if (slash == parent)
        slash++;
    *slash = '\0';
    return parent;
}

static char *part_path(const struct output *output, const char *folder, uint32_t part)
{
    return memory_format("%s/part-%05u%s", folder, part, output->suffix);
}

static bool is_mount_point(const char *path, const struct stat *st)
{
    cleanup_free char *parent = parent_of(path);
    struct stat above;

    return !stat(parent, &above) && above.st_dev != st->st_dev;
}

static char *staging_of(const struct output *output, const char *job)
{
    return output->mounted ? memory_format("%s/.marram-%s", output->target, job)
                           : memory_format("%s.marram-%s", output->target, job);
}

int output_open(struct output *output, const char *target, const char *job, bool overwrite,
                bool sync, struct error *err)
{
    size_t length = strlen(target);
    struct stat st;

    while (length > 1 && target[length - 1] == '/')
        length--;
    *output = (struct output){.overwrite = overwrite, .sync = sync, .suffix = "", .owned = -1};
    output->target = memory_format("%.*s", (int)length, target);
    if (target[0] != '/')
        return error_set(err, ERROR_OUTPUT, "output '%s' is not an absolute path", target);
    if (length == 1)
        return error_set(err, ERROR_OUTPUT, "output '/' is not a folder for a job");
    if (!lstat(output->target, &st)) {
        if (!S_ISDIR(st.st_mode))
            return error_set(err, ERROR_OUTPUT, "output '%s' exists and is not a folder",
                             output->target);
        if (!overwrite && tree_empty(output->target) != 1)
            return error_set(
                err, ERROR_OUTPUT,
                "output '%s' exists and is not empty: choose another, or add --overwrite",
                output->target);
        output->mounted = is_mount_point(output->target, &st);
    } else if (errno != ENOENT) {
        return error_errno(err, ERROR_OUTPUT, "output '%s'", output->target);
    }
    output->staging = staging_of(output, job);
    return 0;
}

void output_restore(struct output *output, const char *target, const char *job,
                    const struct output *like)
{
    size_t length = strlen(target);

    while (length > 1 && target[length - 1] == '/')
        length--;
    *output = *like;
    output->again = true;
    output->target = memory_format("%.*s", (int)length, target);
    output->staging = staging_of(output, job);
    output->suffix = "";
    output->made = like->made ? memory_text(like->made) : NULL;
}

int output_stage(struct output *output, struct error *err)
{
    cleanup_free char *parent = parent_of(output->staging);
    struct error ignored;
    struct stat st;

    /* Made by a life that ended before its plan was on disk. */
    if (output->again)
        tree_remove(output->staging, &ignored);
    staging_sweep(output->staging);
    if (tree_make(parent, &output->made, err) ||
        (mkdir(output->staging, 0777) &&
         error_errno(err, ERROR_OUTPUT, "make folder '%s'", output->staging))) {
        err->code = err->code == ERROR_SPACE ? ERROR_SPACE : ERROR_OUTPUT;
        return error_wrap(err, "output '%s'", output->target);
    }
    output->folder = stat(output->staging, &st) ? 0 : st.st_ino;
    if (output->fleeting)
        output->owned = staging_claim(output->staging);
    output->staged = true;
    return 0;
}

/* Whether a part is in its place in a mount point already. Parts are moved there one by one:
 * what is not in the staging folder any more has been, if anything was. */
static bool is_moved(const struct output *output, uint32_t part)
{
    cleanup_free char *staged = part_path(output, output->staging, part);
    cleanup_free char *moved = part_path(output, output->target, part);

    return output->mounted && output->again && access(staged, F_OK) && !access(moved, F_OK);
}

/* A part that was left to the commit to be synced, and a life ended before: the machine's may
 * have as well, and the part be something else now. */
static int check_bytes(const char *path, const struct output_part *part, struct error *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    cleanup_free char *bytes = memory_new(part->size + 1);
    uint64_t have = 0;
    ssize_t n = 1;

    if (fd < 0)
        return error_errno(err, ERROR_IO, "open '%s'", path);
    while (have < part->size && (n = read(fd, bytes + have, part->size - have)) > 0)
        have += (uint64_t)n;
    if (n < 0)
        return error_errno(err, ERROR_IO, "read '%s'", path);
    if (have != part->size || XXH3_64bits(bytes, have) != part->checksum)
        return error_set(err, ERROR_DAMAGE,
                         "'%s' is not what was written into it: it was lost with its machine; "
                         "submit the job again",
                         path);
    return 0;
}

/* Gives each accepted part its name, and checks that it is as long as its writer said. */
static int name_parts(const struct output *output, const struct output_part *parts, uint32_t n,
                      struct error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        cleanup_free char *from =
            memory_format("%s/part-%05u.%u", output->staging, i, parts[i].attempt);
        cleanup_free char *to = part_path(output, output->staging, i);
        struct stat st;

        /* After a restart the rename may have happened already. */
        if (rename(from, to) && (errno != ENOENT || stat(to, &st))) {
            if (is_moved(output, i))
                continue;
            return error_errno(err, ERROR_IO, "rename '%s'", from);
        }
        if (stat(to, &st))
            return error_errno(err, ERROR_IO, "'%s'", to);
        if ((uint64_t)st.st_size != parts[i].size)
            return error_set(err, ERROR_DAMAGE,
                             "'%s' holds %lld bytes, its writer reported %llu", to,
                             (long long)st.st_size, (unsigned long long)parts[i].size);
        if (output->again && parts[i].unsynced && check_bytes(to, &parts[i], err))
            return -1;
    }
    return 0;
}

/* part-NNNNN.A is an attempt's, part-NNNNN.gz is not. */
static bool is_attempt(const char *name)
{
    const char *dot = strrchr(name, '.');

    return !strncmp(name, "part-", 5) && dot && dot[1] &&
           !dot[1 + strspn(dot + 1, "0123456789")];
}

/* Losing attempts leave theirs behind; nothing else in the folder has such a name. */
static void remove_losers(const struct output *output)
{
    DIR *folder = opendir(output->staging);
    struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        if (is_attempt(entry->d_name))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
}

static int write_manifest(const struct output *output, const char *manifest, struct error *err)
{
    cleanup_free char *path = memory_format("%s/_SUCCESS", output->staging);
    cleanup_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    size_t left = strlen(manifest);

    if (fd < 0)
        return error_errno(err, ERROR_IO, "create '%s'", path);
    while (left) {
        ssize_t n = write(fd, manifest, left);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_IO, "write '%s'", path);
        if (n > 0) {
            manifest += n;
            left -= (size_t)n;
        }
    }
    return 0;
}

/* What must be on disk before the folder gets its name: the parts, the manifest, the staging
 * folder that names them, and the folders above that were made for it. None of them counts
 * before the rename, so their order does not matter. */
static int sync_staged(const struct output *output, const struct output_part *parts, uint32_t n,
                       struct error *err)
{
    char **paths = NULL;
    size_t count = 0, capacity = 0;
    int result;

    memory_reserve(&paths, &capacity, (size_t)n + 2, sizeof *paths);
    for (uint32_t i = 0; i < n; i++)
        if (parts[i].unsynced)
            paths[count++] = part_path(output, output->staging, i);
    paths[count++] = memory_format("%s/_SUCCESS", output->staging);
    paths[count++] = memory_text(output->staging);
    if (output->made) {
        cleanup_free char *folder = parent_of(output->staging);

        while (strlen(folder) >= strlen(output->made) && strlen(folder) > 1) {
            char *above = parent_of(folder);

            free(folder);
            folder = above;
            memory_reserve(&paths, &capacity, count + 1, sizeof *paths);
            paths[count++] = memory_text(folder);
        }
    }
    result = tree_sync_all((const char *const *)paths, count, err);
    while (count)
        free(paths[--count]);
    free(paths);
    return result;
}

/* Whether a file of the target is such a part. */
static bool is_moved_part(const struct output *output, const char *name, uint32_t n)
{
    char *end;
    unsigned long part = strtoul(name + 5, &end, 10);

    return end > name + 5 && !strcmp(end, output->suffix) && part < n &&
           is_moved(output, (uint32_t)part);
}

/* Into a mount point: everything old goes first, _SUCCESS before the rest; the new _SUCCESS
 * comes last. */
static int commit_mounted(const struct output *output, uint32_t n, struct error *err)
{
    cleanup_free char *success = memory_format("%s/_SUCCESS", output->target);
    cleanup_free char *staged = memory_format("%s/_SUCCESS", output->staging);
    DIR *folder;
    struct dirent *entry;

    unlink(success);
    if (output->sync && tree_sync(output->target, err))
        return -1;
    folder = opendir(output->target);
    while (folder && (entry = readdir(folder)))
        if (!strncmp(entry->d_name, "part-", 5) && !is_moved_part(output, entry->d_name, n))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    for (uint32_t i = 0; i < n; i++) {
        cleanup_free char *from = part_path(output, output->staging, i);
        cleanup_free char *to = part_path(output, output->target, i);

        if (!is_moved(output, i) && rename(from, to))
            return error_errno(err, ERROR_IO, "rename '%s'", from);
    }
    if (output->sync && tree_sync(output->target, err))
        return -1;
    if (rename(staged, success))
        return error_errno(err, ERROR_IO, "rename '%s'", staged);
    rmdir(output->staging);
    return 0;
}

static int commit_folder(struct output *output, bool *ret_exchanged, struct error *err)
{
    /* Onto a target that is absent or empty this is one atomic step; a full one was asked for
     * with
     * --overwrite, or appeared since the job began. */
    if (!rename(output->staging, output->target))
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return error_errno(err, ERROR_OUTPUT, "rename '%s' to '%s'", output->staging,
                           output->target);
    if (!output->overwrite)
        return error_set(err, ERROR_OUTPUT, "output '%s' was filled by someone else meanwhile",
                         output->target);
    if (renameat2(AT_FDCWD, output->staging, AT_FDCWD, output->target, RENAME_EXCHANGE))
        return error_errno(err, ERROR_OUTPUT, "exchange '%s' and '%s'", output->staging,
                           output->target);
    *ret_exchanged = true;
    return 0;
}

/* Whether a former life has made the commit: the staging folder has become the output; or all
 * parts were moved, and the manifest, which was removed before and comes last, is there. */
static bool is_committed(const struct output *output, uint32_t n)
{
    cleanup_free char *success = memory_format("%s/_SUCCESS", output->target);
    struct stat st;

    if (!output->again)
        return false;
    if (!output->mounted)
        return !stat(output->target, &st) && output->folder && st.st_ino == output->folder;
    for (uint32_t i = 0; i < n; i++)
        if (!is_moved(output, i))
            return false;
    return !access(success, F_OK);
}

/* What the commit leaves to be removed: the folder that was exchanged for the output, or an
 * empty one. */
static void clear_staging(const struct output *output)
{
    struct error ignored;

    if (!access(output->staging, F_OK))
        tree_remove(output->staging, &ignored);
}

/* The names may not outlive a crash: what the job was told to be failed must not be there. The
 * first error counts. */
static int take_back(const struct output *output, bool exchanged)
{
    if (output->mounted) {
        cleanup_free char *success = memory_format("%s/_SUCCESS", output->target);

        unlink(success);
    } else {
        renameat2(AT_FDCWD, output->target, AT_FDCWD, output->staging,
                  exchanged ? RENAME_EXCHANGE : 0);
    }
    return -1;
}

int output_commit(struct output *output, const struct output_part *parts, uint32_t n,
                  const char *manifest, struct error *err)
{
    cleanup_free char *parent = parent_of(output->target);
    bool exchanged = false;
    struct error ignored;

    if (is_committed(output, n)) {
        clear_staging(output);
        output->staged = false;
        return output->sync ? tree_sync(output->mounted ? output->target : parent, err) : 0;
    }
    if (name_parts(output, parts, n, err))
        return -1;
    remove_losers(output);
    if (output->fleeting)
        staging_unmark(output->staging);
    if (write_manifest(output, manifest, err))
        return -1;
    if (output->sync && sync_staged(output, parts, n, err))
        return -1;
    if (output->mounted ? commit_mounted(output, n, err)
                        : commit_folder(output, &exchanged, err))
        return -1;
    if (output->sync && tree_sync(output->mounted ? output->target : parent, err))
        return take_back(output, exchanged);
    if (exchanged)
        tree_remove(output->staging, &ignored);
    output->staged = false;
    return 0;
}

/* Attempts that have not heard of the end yet still write there, by its name: they find it
 * gone, and what one of them just made is found the next time. */
static void remove_staging(const struct output *output)
{
    cleanup_free char *gone = memory_format("%s.gone", output->staging);
    const char *folder = rename(output->staging, gone) ? output->staging : gone;
    struct error ignored;

    for (int i = 0; i < REMOVE_TRIES && tree_remove(folder, &ignored); i++)
        ;
}

static void disown(struct output *output)
{
    if (!output->fleeting)
        return;
    memory_cleanup_close(&output->owned);
    output->owned = -1;
}

void output_abandon(struct output *output)
{
    if (output->staged)
        remove_staging(output);
    disown(output);
    output->staged = false;
    if (output->made) {
        cleanup_free char *parent = parent_of(output->staging);

        tree_unmake(parent, output->made);
    }
}

void output_leave(struct output *output)
{
    output->staged = false;
    free(output->made);
    output->made = NULL;
}

void output_done(struct output *output)
{
    free(output->target);
    free(output->staging);
    free(output->made);
    disown(output);
    *output = (struct output){0};
}
