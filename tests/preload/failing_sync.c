/* Preloaded into a daemon: while the file named by FAILING_SYNC exists, fsync, fdatasync and
 * syncfs fail with EIO for descriptors whose path contains the words in it; ends with them, if
 * they end with $, and is a folder, if they end with /. "once " before them removes the file
 * with the first failure. Each failure adds a line to FILE.fired. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* Whether the descriptor's path is what the words speak of. */
static bool is_meant(int fd, const char *path, const char *words)
{
    size_t length = strlen(words), all = strlen(path);
    char middle[256] = "";
    struct stat st;

    if (length && words[length - 1] == '$')
        return all >= length - 1 && !strncmp(path + all - (length - 1), words, length - 1);
    if (!length || words[length - 1] != '/')
        return strstr(path, words) != NULL;
    memcpy(middle, words, length - 1);
    return strstr(path, middle) && !fstat(fd, &st) && S_ISDIR(st.st_mode);
}

static bool fails(int fd)
{
    const char *file = getenv("FAILING_SYNC");
    char text[256] = "", path[4096] = "", link[64], fired[4096];
    int in = file ? open(file, O_RDONLY | O_CLOEXEC) : -1, out;
    bool once;
    ssize_t n;

    if (in < 0)
        return false;
    n = read(in, text, sizeof text - 1);
    close(in);
    text[strcspn(text, "\n")] = '\0';
    once = !strncmp(text, "once ", 5);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (n <= 0 || readlink(link, path, sizeof path - 1) < 0)
        return false;
    if (!is_meant(fd, path, once ? text + 5 : text))
        return false;
    if (once && unlink(file))
        return false; /* another one was the first */
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
