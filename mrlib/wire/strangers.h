/* Log lines about peers that were turned away, few enough that nobody can fill a disk with
 * them. One thread. */
#ifndef WIRE_STRANGERS_H
#define WIRE_STRANGERS_H

#include <stdint.h>

enum {
    STRANGERS_WINDOW_MS = 10000, /* in which ... */
    STRANGERS_LINES = 20,        /* ... so many lines are written at most, ... */
};

/* ... and one for the same address and reason; what is left out is counted. */
struct strangers {
    int64_t since_ms; /* when the window began; 0: there is none */
    uint64_t unsaid;
    int count;
    struct {
        char address[64], why[96];
    } said[STRANGERS_LINES];
};

/* "peer refused" address=... why=... key=...; `key` may be "". */
void strangers_tell(struct strangers *strangers, const char *address, const char *why,
                    const char *key, int64_t now_ms);
/* Closes the window when it is over: says how many were left out. */
void strangers_tend(struct strangers *strangers, int64_t now_ms);

#endif
