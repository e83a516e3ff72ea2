#include "worker/executor/door.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static int door = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void door_init(int fd)
{
    door = fd;
}

static int ask_agent(enum door_kind kind, uint32_t hint, const char *path)
{
    int result, error;

    if (door < 0 || errno != EACCES)
        return -1;
    pthread_mutex_lock(&lock);
    result = door_ask(door, kind, hint, path);
    error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int door_read(enum door_kind kind, uint32_t hint, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? ask_agent(kind, hint, path) : fd;
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
    return ask_agent(DOOR_PART, 0, path);
}

void door_remove(const char *path)
{
    if (unlink(path))
        ask_agent(DOOR_REMOVE, 0, path);
}
