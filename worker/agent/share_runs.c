#include "worker/agent/share_runs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

enum { OPEN_MAX = 256, KEPT_MS = 5000 };

struct kept {
    char *path;
    uint64_t id;
    struct run_file *run;
    int64_t used_ms;
};

struct share_runs {
    char *folder;
    int fd; /* of the folder */
    struct kept kept[OPEN_MAX];
    size_t count;
};

int share_runs_open(const char *folder, struct share_runs **ret, struct error *err)
{
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct share_runs *runs;

    if (fd < 0)
        return error_errno(err, ERROR_IO, "open folder '%s'", folder);
    runs = memory_zeroed(1, sizeof *runs);
    runs->folder = memory_text(folder);
    runs->fd = fd;
    *ret = runs;
    return 0;
}

static void drop(struct share_runs *runs, size_t i)
{
    run_close(runs->kept[i].run);
    free(runs->kept[i].path);
    runs->kept[i] = runs->kept[--runs->count];
}

void share_runs_close(struct share_runs *runs)
{
    if (!runs)
        return;
    while (runs->count)
        drop(runs, runs->count - 1);
    close(runs->fd);
    free(runs->folder);
    free(runs);
}

/* What stands behind the folder in an absolute path, or NULL if it leads elsewhere. */
static const char *inside(const struct share_runs *runs, const char *path)
{
    size_t length = strlen(runs->folder);

    if (strncmp(path, runs->folder, length) || path[length] != '/')
        return NULL;
    return path + length + 1;
}

/* Descends name by name, so that no name is a link; -1 with errno. */
static int open_inside(int folder, const char *path)
{
    cleanup_close int held = -1;
    int at = folder;

    for (;;) {
        const char *slash = strchr(path, '/');
        size_t length = slash ? (size_t)(slash - path) : strlen(path);
        char name[NAME_MAX + 1];

        if (!length || length > NAME_MAX || !strncmp(path, "..", length)) {
            errno = EINVAL; /* nothing, ".", ".." */
            return -1;
        }
        memcpy(name, path, length);
        name[length] = '\0';
        at = openat(at, name,
                    O_NOFOLLOW | O_CLOEXEC |
                        (slash ? O_PATH | O_DIRECTORY : O_RDONLY | O_NONBLOCK));
        if (at < 0 || !slash)
            return at;
        if (held >= 0)
            close(held);
        held = at;
        path = slash + 1;
    }
}

static int open_run(const struct share_runs *runs, const char *path, uint64_t id,
                    struct run_file **ret, struct error *err)
{
    const char *rest = inside(runs, path);
    struct stat st;
    int fd;

    if (!rest)
        return error_set(err, ERROR_REFUSED, "'%s' is not in the folder of runs", path);
    fd = open_inside(runs->fd, rest);
    if (fd < 0)
        return error_errno(err, ERROR_IO, "open '%s'", path);
    if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        close(fd);
        return error_set(err, ERROR_REFUSED, "'%s' is not a file", path);
    }
    return run_open_fd(fd, path, id, ret, err);
}

static size_t oldest(const struct share_runs *runs)
{
    size_t found = 0;

    for (size_t i = 1; i < runs->count; i++)
        if (runs->kept[i].used_ms < runs->kept[found].used_ms)
            found = i;
    return found;
}

int share_runs_get(struct share_runs *runs, struct mr_bytes bytes, uint64_t id,
                   struct run_file **ret, struct error *err)
{
    cleanup_free char *path = NULL;
    int64_t now_ms = clock_ms();
    struct kept *kept;

    if (!bytes.len || bytes.len >= PATH_MAX || memchr(bytes.ptr, '\0', bytes.len))
        return error_set(err, ERROR_REFUSED, "a path that makes no sense");
    path = memory_format("%.*s", (int)bytes.len, bytes.ptr);
    for (size_t i = 0; i < runs->count; i++)
        if (runs->kept[i].id == id && !strcmp(runs->kept[i].path, path)) {
            runs->kept[i].used_ms = now_ms;
            *ret = runs->kept[i].run;
            return 0;
        }
    if (runs->count == OPEN_MAX)
        drop(runs, oldest(runs));
    kept = &runs->kept[runs->count];
    if (open_run(runs, path, id, &kept->run, err))
        return -1;
    kept->path = path;
    kept->id = id;
    kept->used_ms = now_ms;
    path = NULL;
    runs->count++;
    *ret = kept->run;
    return 0;
}

void share_runs_tend(struct share_runs *runs, int64_t now_ms)
{
    for (size_t i = runs->count; i-- > 0;)
        if (now_ms - runs->kept[i].used_ms >= KEPT_MS)
            drop(runs, i);
}
