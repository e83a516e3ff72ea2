/* The end of an executor's output: always drained, never stored whole. */
#ifndef AGENT_TAIL_H
#define AGENT_TAIL_H

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

struct tail {
    char bytes[LIMIT_LOG_TAIL]; /* a ring */
    size_t start, length;
    uint64_t dropped; /* bytes that fell out of the ring */
};

void tail_add(struct tail *tail, const char *bytes, size_t n);

/* Reads what `fd` (non-blocking) has, at most a few hundred KiB a call so that a flood starves
 * nobody. Returns 0 at the end of the stream, else 1. */
int tail_drain(struct tail *tail, int fd);

/* A copy, terminated, beginning with "[N bytes dropped]" if some were; NUL bytes become '?', so
 * that it is one text. Caller frees. */
char *tail_text(const struct tail *tail);

void tail_clear(struct tail *tail);

#endif
