#include "store/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) && errno != ENOENT ? -1 : 0;
}

int tree_remove(const char *path, struct error *err)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) && errno != ENOENT)
        return error_errno(err, ERROR_IO, "remove '%s'", path);
    return 0;
}

/* False with errno when it is something else, or a link to nothing. */
static bool is_folder(const char *path)
{
    struct stat st;

    errno = ENOTDIR;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

int tree_make(const char *path, char **ret_made, struct error *err)
{
    cleanup_free char *part = memory_text(path);
    char *made = NULL;

    for (char *at = part + 1;; at++) {
        char saved = *at;

        if (saved && saved != '/')
            continue;
        *at = '\0';
        if (!mkdir(part, 0777)) {
            if (!made)
                made = memory_text(part);
        } else if (errno != EEXIST || (!saved && !is_folder(part))) {
            error_errno(err, ERROR_IO, "make folder '%s'", part);
            if (made) {
                /* Without the name that failed: removing that would fail in the same way. */
                *strrchr(part, '/') = '\0';
                tree_unmake(part, made);
            }
            free(made);
            return -1;
        }
        *at = saved;
        if (!saved)
            break;
    }
    *ret_made = made;
    return 0;
}

void tree_unmake(const char *path, const char *top)
{
    cleanup_free char *part = memory_text(path);

    while (strlen(part) >= strlen(top)) {
        char *slash;

        /* A folder below may not have been made at all; one that is not empty stays. */
        if (rmdir(part) && errno != ENOENT)
            return;
        slash = strrchr(part, '/');
        if (!slash || slash == part)
            return;
        *slash = '\0';
    }
}

int tree_empty(const char *path)
{
    struct dirent *entry;
    DIR *folder = opendir(path);
    int empty = 1;

    if (!folder)
        return -1;
    while (empty && (entry = readdir(folder)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            empty = 0;
    closedir(folder);
    return empty;
}

int tree_sync(const char *path, struct error *err)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fsync(fd))
        return error_errno(err, ERROR_IO, "sync '%s'", path);
    return 0;
}

enum { SYNCS_AT_ONCE = 16 };

struct syncing {
    const char *path;
    struct error error;
    int result;
    pthread_t thread;
    bool started;
};

static void *sync_one(void *context)
{
    struct syncing *syncing = context;

    syncing->result = tree_sync(syncing->path, &syncing->error);
    return NULL;
}

int tree_sync_all(const char *const *paths, size_t n, struct error *err)
{
    struct syncing all[SYNCS_AT_ONCE] = {0};
    int result = 0;

    for (size_t first = 0; first < n; first += SYNCS_AT_ONCE) {
        size_t count = n - first < SYNCS_AT_ONCE ? n - first : SYNCS_AT_ONCE;

        for (size_t i = 0; i < count; i++) {
            all[i].path = paths[first + i];
            /* The last one is ours; so is one that gets no thread. */
            all[i].started =
                i + 1 < count && !pthread_create(&all[i].thread, NULL, sync_one, &all[i]);
            if (!all[i].started)
                sync_one(&all[i]);
        }
        for (size_t i = 0; i < count; i++) {
            if (all[i].started)
                pthread_join(all[i].thread, NULL);
            if (all[i].result && !result) {
                result = -1;
                *err = all[i].error;
            }
        }
    }
    return result;
}
