#include "worker/executor/door.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/bytes.h"
#include "wire/door.h"

/* Inputs that came with others: extent number i lies in place i modulo SHELF, until another one
 * takes the place. */
enum { SHELF = 4 * DOOR_FILES };

static int door = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char *path; /* NULL: nothing */
    int fd;
} shelf[SHELF];

void door_init(int fd)
{
    door = fd;
}

/* ---- Asking, with the lock held
 * ------------------------------------------------------------------- */

/* The first file, or 0 if there is none to hand over; others are in `files`. */
static int ask_agent(enum door_kind kind, uint32_t hint, const char *path,
                     int files[DOOR_FILES], int *ret_count)
{
    *ret_count = door_ask(door, kind, hint, path, files);
    return *ret_count < 0 ? -1 : *ret_count ? files[0] : 0;
}

static int ask_one(enum door_kind kind, uint32_t hint, const char *path)
{
    int files[DOOR_FILES], count, result, error;

    if (door < 0 || errno != EACCES)
        return -1;
    pthread_mutex_lock(&lock);
    result = ask_agent(kind, hint, path, files, &count);
    error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

static void put_on_shelf(const Mr__Extent *extent, uint32_t index, int fd)
{
    uint32_t place = index % SHELF;

    if (shelf[place].path)
        close(shelf[place].fd);
    free(shelf[place].path);
    shelf[place].path = bytes_text(extent->path);
    shelf[place].fd = fd;
}

/* Another descriptor of the same file, which several threads may read. */
static int from_shelf(uint32_t index, const char *path)
{
    uint32_t place = index % SHELF;

    if (!shelf[place].path || strcmp(shelf[place].path, path) != 0)
        return -1;
    return fcntl(shelf[place].fd, F_DUPFD_CLOEXEC, 0);
}

/* ---- Opening
 * -------------------------------------------------------------------------------------- */

/* As ask_agent, for an input and those behind it. */
static int ask_inputs(Mr__Extent *const *extents, uint32_t index, const char *path)
{
    int files[DOOR_FILES], count, fd, error;

    pthread_mutex_lock(&lock);
    fd = ask_agent(DOOR_INPUT, index, path, files, &count);
    error = errno;
    for (int i = 1; i < count; i++)
        put_on_shelf(extents[index + (uint32_t)i], index + (uint32_t)i, files[i]);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

int door_input(Mr__Extent *const *extents, uint32_t index, const char *path)
{
    int fd;

    pthread_mutex_lock(&lock);
    fd = from_shelf(index, path);
    pthread_mutex_unlock(&lock);
    if (fd < 0)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 && errno == EACCES && door >= 0 ? ask_inputs(extents, index, path) : fd;
}

int door_run(uint32_t map, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? ask_one(DOOR_RUN, map, path) : fd;
}

int door_create(const char *path)
{
    int fd;

    unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0)
        return fd;
    /* One that is there could not be removed. */
    if (errno == EEXIST)
        errno = EACCES;
    return ask_one(DOOR_PART, 0, path);
}

void door_remove(const char *path)
{
    if (unlink(path))
        ask_one(DOOR_REMOVE, 0, path);
}
