/* Preloaded into a daemon: its wall clock is ahead by so many seconds as the file named by
 * WALL_CLOCK holds, read anew each time. Each call that asks for the wall clock is counted in
 * the file's neighbour FILE.asked. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static long ahead(void)
{
    const char *path = getenv("WALL_CLOCK");
    char text[32] = "", asked[4096];
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

    if (fd < 0)
        return 0;
    if (read(fd, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(fd);
    if (atol(text) && strlen(path) + 7 < sizeof asked) {
        strcpy(asked, path);
        strcat(asked, ".asked");
        fd = open(asked, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd >= 0) {
            if (write(fd, "x", 1) < 0)
                text[0] = '0';
            close(fd);
        }
    }
    return atol(text);
}

static int now(clockid_t clock, struct timespec *ret)
{
    int result = (int)syscall(SYS_clock_gettime, clock, ret);

    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ret->tv_sec += ahead();
    return result;
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *ret)
{
    return now(clock, ret);
}

EXPORT time_t time(time_t *ret)
{
    struct timespec at;

    now(CLOCK_REALTIME, &at);
    if (ret)
        *ret = at.tv_sec;
    return at.tv_sec;
}

EXPORT int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec at;

    (void)zone;
    now(CLOCK_REALTIME, &at);
    ret->tv_sec = at.tv_sec;
    ret->tv_usec = at.tv_nsec / 1000;
    return 0;
}
