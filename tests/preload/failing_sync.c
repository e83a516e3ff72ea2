/* Preloaded into a daemon: while the file named by FAILING_SYNC exists, fsync, fdatasync and
 * syncfs fail with EIO for descriptors whose path contains the words in it; ends with them, if
 * they end with $. Each failure adds a byte to FILE.fired. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static bool fails(int fd)
{
    const char *file = getenv("FAILING_SYNC");
    char words[256] = "", path[4096] = "", link[64], fired[4096];
    int in = file ? open(file, O_RDONLY | O_CLOEXEC) : -1, out;
    size_t length;
    ssize_t n;

    if (in < 0)
        return false;
    n = read(in, words, sizeof words - 1);
    close(in);
    words[strcspn(words, "\n")] = '\0';
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (n <= 0 || readlink(link, path, sizeof path - 1) < 0)
        return false;
    length = strlen(words);
    if (length && words[length - 1] == '$') {
        words[--length] = '\0';
        if (strlen(path) < length || strcmp(path + strlen(path) - length, words))
            return false;
    } else if (!strstr(path, words)) {
        return false;
    }
    snprintf(fired, sizeof fired, "%s.fired", file);
    out = open(fired, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out >= 0) {
        dprintf(out, "%s\n", path);
        close(out);
    }
    errno = EIO;
    return true;
}

EXPORT int fsync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

EXPORT int fdatasync(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

EXPORT int syncfs(int fd)
{
    return fails(fd) ? -1 : (int)syscall(SYS_syncfs, fd);
}
