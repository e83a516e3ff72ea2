#include "store/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "store/tree.h"

static bool has_name(const char *name, const char *prefix)
{
    size_t length = strlen(prefix);

    return !strncmp(name, prefix, length) && name[length] == '-';
}

/* Removes the folders of dead processes. A folder that somebody makes just now may go as well:
 * its maker finds out once it has the lock. */
static void sweep(const char *base, const char *prefix)
{
    DIR *folder = opendir(base);
    struct dirent *entry;
    struct error ignored;

    while (folder && (entry = readdir(folder))) {
        cleanup_close int lock = -1;
        struct stat st;

        if (!has_name(entry->d_name, prefix))
            continue;
        lock = openat(dirfd(folder), entry->d_name,
                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (lock >= 0 && !fstat(lock, &st) && st.st_uid == geteuid() &&
            !flock(lock, LOCK_EX | LOCK_NB)) {
            cleanup_free char *path = memory_format("%s/%s", base, entry->d_name);

            tree_remove(path, &ignored);
        }
    }
    if (folder)
        closedir(folder);
}

/* One attempt: 0, -1, or 1 when a sweep took the folder away. */
static int make(struct scratch *scratch, const char *base, const char *prefix,
                struct error *err)
{
    cleanup_free char *path = memory_format("%s/%s-XXXXXX", base, prefix);
    cleanup_close int lock = -1;
    struct stat st;

    if (!mkdtemp(path))
        return error_errno(err, ERROR_IO, "make a temporary folder '%s'", path);
    lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 && errno == ENOENT)
        return 1;
    if (lock < 0 || flock(lock, LOCK_EX) || fstat(lock, &st)) {
        error_errno(err, ERROR_IO, "lock temporary folder '%s'", path);
        rmdir(path);
        return -1;
    }
    if (!st.st_nlink || access(path, F_OK))
        return 1;
    *scratch = (struct scratch){path, lock};
    path = NULL;
    lock = -1;
    return 0;
}

int scratch_open(struct scratch *scratch, const char *base, const char *prefix,
                 struct error *err)
{
    int result;

    sweep(base, prefix);
    do
        result = make(scratch, base, prefix, err);
    while (result > 0);
    return result;
}

void scratch_close(struct scratch *scratch)
{
    struct error ignored;

    if (scratch->path)
        tree_remove(scratch->path, &ignored);
    free(scratch->path);
    memory_cleanup_close(&scratch->lock);
    *scratch = SCRATCH_CLOSED;
}
