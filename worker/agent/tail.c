#include "worker/agent/tail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"

enum { READS_A_CALL = 8, READ_SIZE = 65536 };

void tail_add(struct tail *tail, const char *bytes, size_t n)
{
    size_t size = sizeof tail->bytes;

    if (n > size) {
        tail->dropped += n - size;
        bytes += n - size;
        n = size;
    }
    if (tail->length + n > size) {
        size_t excess = tail->length + n - size;

        tail->dropped += excess;
        tail->start = (tail->start + excess) % size;
        tail->length -= excess;
    }
    for (size_t at = (tail->start + tail->length) % size; n;) {
        size_t piece = size - at < n ? size - at : n;

        memcpy(tail->bytes + at, bytes, piece);
        bytes += piece;
        n -= piece;
        tail->length += piece;
        at = 0;
    }
}

int tail_drain(struct tail *tail, int fd)
{
    static _Thread_local char buffer[READ_SIZE];

    for (int i = 0; i < READS_A_CALL; i++) {
        ssize_t n = read(fd, buffer, sizeof buffer);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return 0;
        if (n < 0)
            return 1;
        tail_add(tail, buffer, (size_t)n);
    }
    return 1;
}

char *tail_text(const struct tail *tail)
{
    size_t first = sizeof tail->bytes - tail->start;
    char *text = memory_new(tail->length + 64);
    int used = 0;

    if (tail->dropped)
        used = snprintf(text, 64, "[%" PRIu64 " bytes dropped]\n", tail->dropped);
    first = first < tail->length ? first : tail->length;
    memcpy(text + used, tail->bytes + tail->start, first);
    memcpy(text + used + first, tail->bytes, tail->length - first);
    text[(size_t)used + tail->length] = '\0';
    for (size_t i = 0; i < tail->length; i++)
        if (!text[(size_t)used + i])
            text[(size_t)used + i] = '?';
    return text;
}

void tail_clear(struct tail *tail)
{
    tail->start = tail->length = 0;
    tail->dropped = 0;
}
