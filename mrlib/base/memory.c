#include "base/memory.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

#define HUGE_PAGE ((size_t)2 << 20)

void *memory_new(size_t size)
{
    void *p = malloc(size ? size : 1);

    check(p);
    return p;
}

void *memory_zeroed(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);

    check(p);
    return p;
}

void *memory_resized(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);

    check(p);
    return p;
}

char *memory_text(const char *text)
{
    size_t size = strlen(text) + 1;

    return memcpy(memory_new(size), text, size);
}

char *memory_format(const char *format, ...)
{
    char *text;
    va_list args;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    check(n >= 0);
    return text;
}

void memory_reserve(void *items, size_t *capacity, size_t need, size_t size)
{
    void **array = items;
    size_t wanted = *capacity ? *capacity : 8;

    if (need <= *capacity)
        return;
    while (wanted < need)
        wanted *= 2;
    *array = memory_resized(*array, wanted * size);
    *capacity = wanted;
}

void memory_keep(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

void *memory_map(size_t size)
{
    size_t slack = size >= HUGE_PAGE ? HUGE_PAGE : 0;
    char *base, *start;

    /* Near SIZE_MAX the sums below would wrap, and what is unmapped not be ours. */
    if (size > SIZE_MAX / 2) {
        errno = ENOMEM;
        return NULL;
    }
    base = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (!slack)
        return base;
    start = (char *)(((uintptr_t)base + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    /* Trim what alignment left over, so that memory_unmap needs only the size it was given. */
    if (start > base)
        munmap(base, (size_t)(start - base));
    size_t kept = (size + 4095) & ~(size_t)4095;
    char *end = base + ((size + slack + 4095) & ~(size_t)4095);
    if (start + kept < end)
        munmap(start + kept, (size_t)(end - (start + kept)));
    madvise(start, size, MADV_HUGEPAGE);
    return start;
}

void memory_unmap(void *map, size_t size)
{
    if (map)
        munmap(map, size);
}

void memory_cleanup_free(void *pointer)
{
    free(*(void **)pointer);
}

void memory_cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
