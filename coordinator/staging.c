#include "coordinator/staging.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/resources.h"
#include "store/tree.h"

/* Begins with a dot: no job takes it for input, if it should ever be left in an output. */
static const char mark[] = ".owner";

int staging_claim(const char *folder)
{
    cleanup_free char *path = memory_format("%s/%s", folder, mark);
    cleanup_free char *making = memory_format("%s/%s.new", folder, mark);
    cleanup_close int fd = open(making, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    char kernel[RESOURCES_KERNEL];
    int result;

    resources_kernel(kernel);
    /* It gets its name once it is locked: who finds it unlocked knows that its owner is dead.
     */
    if (fd < 0 || !*kernel || flock(fd, LOCK_EX | LOCK_NB) || dprintf(fd, "%s", kernel) < 0 ||
        rename(making, path)) {
        unlink(making);
        return -1;
    }
    result = fd;
    fd = -1;
    return result;
}

void staging_unmark(const char *folder)
{
    cleanup_free char *path = memory_format("%s/%s", folder, mark);

    unlink(path);
}

/* A lock of another machine may not show here, so that its word alone does not do. */
static bool is_of_this_machine(int fd)
{
    char kernel[RESOURCES_KERNEL], text[RESOURCES_KERNEL] = "";

    resources_kernel(kernel);
    return pread(fd, text, sizeof text - 1, 0) > 0 && !strcmp(text, kernel);
}

static void remove_if_dead(const char *path)
{
    cleanup_free char *owner = memory_format("%s/%s", path, mark);
    cleanup_close int fd = open(owner, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct error ignored;

    if (fd >= 0 && is_of_this_machine(fd) && !flock(fd, LOCK_EX | LOCK_NB))
        tree_remove(path, &ignored);
}

void staging_sweep(const char *folder)
{
    const char *name = strrchr(folder, '/') + 1;
    size_t prefix = (size_t)(strrchr(name, '-') + 1 - name);
    cleanup_free char *parent = memory_format("%.*s", (int)(name - folder), folder);
    DIR *all = opendir(parent);
    const struct dirent *entry;

    while (all && (entry = readdir(all))) {
        cleanup_free char *path = NULL;

        if (strncmp(entry->d_name, name, prefix))
            continue;
        path = memory_format("%s%s", parent, entry->d_name);
        remove_if_dead(path);
    }
    if (all)
        closedir(all);
}
