/* What the yardsticks share: how they fail, read their arguments and move bytes.
 *
 * Each function succeeds or ends the program with one line on stderr: status 2 for arguments
 * that make no sense, status 1 for anything else. Define _GNU_SOURCE before the first include.
 */
#ifndef YARDSTICK_H
#define YARDSTICK_H

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THREADS_MAX = 1024 };

__attribute__((noreturn, format(printf, 1, 2))) static inline void fail(const char *format, ...)
{
    static atomic_flag failing = ATOMIC_FLAG_INIT;
    va_list args;

    /* Only the first thread to fail speaks, while it ends the program. */
    while (atomic_flag_test_and_set(&failing))
        pause();
    fprintf(stderr, "%s: ", program_invocation_short_name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

__attribute__((noreturn)) static inline void usage(const char *arguments)
{
    fprintf(stderr, "usage: %s %s\n", program_invocation_short_name, arguments);
    exit(2);
}

/* For a call that has set errno. */
__attribute__((noreturn)) static inline void fail_io(const char *action, const char *path)
{
    fail("%s '%s': %s", action, path, strerror(errno));
}

/* A decimal number from `least` to `most`; anything else prints the usage line. */
static inline uint64_t number(const char *text, uint64_t least, uint64_t most,
                              const char *arguments)
{
    char *end;

    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || value < least || value > most)
        usage(arguments);
    return value;
}

static inline FILE *create_stream(const char *path)
{
    FILE *file = fopen(path, "wb");

    if (!file)
        fail_io("create", path);
    setvbuf(file, NULL, _IOFBF, 1 << 20);
    return file;
}

static inline void put(const void *bytes, size_t len, FILE *file, const char *path)
{
    if (fwrite(bytes, 1, len, file) != len)
        fail_io("write", path);
}

/* The last bytes may still wait in the buffer, so this is where a full disk can show. */
static inline void close_stream(FILE *file, const char *path)
{
    if (fclose(file))
        fail_io("write", path);
}

static inline int open_input(const char *path, size_t *ret_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status))
        fail_io("open", path);
    if (!S_ISREG(status.st_mode))
        fail("open '%s': not a regular file", path);
    *ret_size = (size_t)status.st_size;
    return fd;
}

static inline int create_output(const char *path)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

    if (fd < 0)
        fail_io("create", path);
    return fd;
}

/* Returns less than `len` only where the file ends. */
static inline size_t read_at(int fd, void *to, size_t len, size_t offset, const char *path)
{
    size_t done = 0;

    while (done < len) {
        ssize_t got = pread(fd, (char *)to + done, len - done, (off_t)(offset + done));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fail_io("read", path);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return done;
}

static inline void write_at(int fd, const void *from, size_t len, size_t offset,
                            const char *path)
{
    for (size_t done = 0; done < len;) {
        ssize_t put = pwrite(fd, (const char *)from + done, len - done, (off_t)(offset + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            fail_io("write", path);
        done += (size_t)put;
    }
}

static inline void close_output(int fd, const char *path)
{
    if (close(fd))
        fail_io("write", path);
}

/* Zeroed memory, aligned to 64 bytes; never NULL. */
static inline void *allocate(size_t len)
{
    size_t rounded = (len + 64) & ~(size_t)63;
    void *memory = aligned_alloc(64, rounded);

    if (!memory)
        fail("out of memory");
    return memset(memory, 0, rounded);
}

/* Zeroed memory in huge pages where the kernel has them: random access misses the TLB less. */
static inline void *allocate_huge(size_t len)
{
    size_t rounded = len ? len : 1;
    void *memory =
        mmap(NULL, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        fail("out of memory");
    madvise(memory, rounded, MADV_HUGEPAGE);
    return memory;
}

#endif
