#include "store/expand.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "base/size.h"

static const char range_scheme[] = "range:";

/* The folders from the argument down to where we are, so that a link to one of them is noticed.
 */
struct ancestor {
    const struct ancestor *up;
    dev_t device;
    ino_t inode;
};

static int expand_path(struct input_files *files, const char *path, const struct ancestor *up,
                       struct error *err);

static int add_file(struct input_files *files, const char *path, const struct stat *st,
                    struct error *err)
{
    if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS))
        return error_errno(err, ERROR_INPUT, "input '%s' cannot be read", path);
    memory_reserve(&files->items, &files->capacity, files->count + 1, sizeof *files->items);
    files->items[files->count++] = (struct input_file){
        .path = memory_text(path),
        .size = (uint64_t)st->st_size,
        .mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
    };
    return 0;
}

static bool is_ancestor(const struct ancestor *up, const struct stat *st)
{
    for (; up; up = up->up)
        if (up->device == st->st_dev && up->inode == st->st_ino)
            return true;
    return false;
}

static int expand_folder(struct input_files *files, const char *path, const struct ancestor *up,
                         const struct stat *st, struct error *err)
{
    struct ancestor here = {up, st->st_dev, st->st_ino};
    struct dirent *entry;
    DIR *folder;
    int result = 0;

    if (is_ancestor(up, st))
        return error_set(err, ERROR_INPUT, "input '%s' is a link to a folder that contains it",
                         path);
    folder = opendir(path);
    if (!folder)
        return error_errno(err, ERROR_INPUT, "input folder '%s' cannot be read", path);
    while (!result && (errno = 0, entry = readdir(folder))) {
        const char *slash = path[strlen(path) - 1] == '/' ? "" : "/";
        cleanup_free char *child = NULL;

        if (entry->d_name[0] == '.' || entry->d_name[0] == '_')
            continue;
        child = memory_format("%s%s%s", path, slash, entry->d_name);
        result = expand_path(files, child, &here, err);
    }
    if (!result && errno)
        result = error_errno(err, ERROR_INPUT, "input folder '%s' cannot be read", path);
    closedir(folder);
    return result;
}

static int expand_path(struct input_files *files, const char *path, const struct ancestor *up,
                       struct error *err)
{
    struct stat st;

    if (stat(path, &st))
        return error_errno(err, ERROR_INPUT, "input '%s'", path);
    if (S_ISDIR(st.st_mode))
        return expand_folder(files, path, up, &st, err);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERROR_INPUT, "input '%s' is neither a file nor a folder", path);
    return add_file(files, path, &st, err);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(((const struct input_file *)a)->path, ((const struct input_file *)b)->path);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One named file or folder; what a folder holds is put in bytewise order of whole paths. */
static int expand_one(struct input_files *files, const char *path, struct error *err)
{
    size_t first = files->count;

    if (expand_path(files, path, NULL, err))
        return -1;
    if (files->count > first + 1)
        qsort(files->items + first, files->count - first, sizeof *files->items, compare_paths);
    return 0;
}

static int expand_glob(struct input_files *files, const char *pattern, struct error *err)
{
    glob_t found = {0};
    int result = glob(pattern, GLOB_NOSORT, NULL, &found);

    if (result) {
        globfree(&found);
        return error_set(err, ERROR_INPUT, "input '%s': %s", pattern,
                         result == GLOB_NOMATCH ? "no file matches" : "cannot be expanded");
    }
    /* glob() sorts by locale; ours is by bytes. */
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, compare_names);
    for (size_t i = 0; !result && i < found.gl_pathc; i++)
        result = expand_one(files, found.gl_pathv[i], err);
    globfree(&found);
    return result;
}

bool expand_is_range(const char *path)
{
    return !strncmp(path, range_scheme, sizeof range_scheme - 1);
}

static int expand_range(struct input_files *files, const char *uri, struct error *err)
{
    const uint64_t most = LIMIT_RANGE;
    uint64_t count;

    if (size_parse_count(uri + sizeof range_scheme - 1, 0, most, &count))
        return error_set(
            err, ERROR_INPUT,
            "input '%s': how many numbers is wanted, from range:0 to range:%" PRIu64
            " (a file of that name: './%s')",
            uri, most, uri);
    memory_reserve(&files->items, &files->capacity, files->count + 1, sizeof *files->items);
    files->items[files->count++] = (struct input_file){
        .path = memory_text(uri),
        .size = count * sizeof count,
    };
    return 0;
}

int expand_input(struct input_files *files, const char *argument, struct error *err)
{
    struct stat st;

    if (expand_is_range(argument))
        return expand_range(files, argument, err);
    if (strpbrk(argument, "*?[") && lstat(argument, &st))
        return expand_glob(files, argument, err);
    return expand_one(files, argument, err);
}

void input_files_done(struct input_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (struct input_files){0};
}
