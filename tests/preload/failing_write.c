/* Preloaded into a daemon and its executors: while the file named by FAILING_WRITE exists, what
 * is written to descriptors whose path contains the words in it fails. The first word says how:
 * EIO, EDQUOT, or SHORT, which writes no more than a few bytes at a time. Each failure adds a
 * line to FILE.fired. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { SHORT_BYTES = 7 };

static void note(const char *file, const char *path)
{
    char fired[4096];
    int out;

    snprintf(fired, sizeof fired, "%s.fired", file);
    out = open(fired, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0)
        return;
    dprintf(out, "%s\n", path);
    close(out);
}

/* What becomes of a write: 0: it is as it should be; -1: it is short; else it fails so. */
static int fate(int fd)
{
    const char *file = getenv("FAILING_WRITE");
    char text[256] = "", path[4096] = "", link[64], *words;
    int in = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n;

    if (in < 0)
        return 0;
    n = read(in, text, sizeof text - 1);
    close(in);
    text[strcspn(text, "\n")] = '\0';
    words = strchr(text, ' ');
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (n <= 0 || !words || readlink(link, path, sizeof path - 1) < 0 ||
        !strstr(path, words + 1) || strstr(path, ".fired"))
        return 0;
    note(file, path);
    return !strncmp(text, "EIO", 3) ? EIO : !strncmp(text, "EDQUOT", 6) ? EDQUOT : -1;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t size)
{
    int why = fate(fd);

    if (why > 0) {
        errno = why;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, why && size > SHORT_BYTES ? SHORT_BYTES : size);
}

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    int why = fate(fd);

    if (why > 0) {
        errno = why;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, why && size > SHORT_BYTES ? SHORT_BYTES : size,
                   offset);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
    int why = fate(fd);

    if (why > 0) {
        errno = why;
        return -1;
    }
    if (why)
        return syscall(SYS_pwrite64, fd, pieces[0].iov_base,
                       pieces[0].iov_len > SHORT_BYTES ? SHORT_BYTES : pieces[0].iov_len,
                       offset);
    return syscall(SYS_pwritev, fd, pieces, count, offset, 0);
}
