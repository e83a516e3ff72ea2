/* The door: by a socket of its own an executor, which may open hardly anything by itself, has
 * its agent open a file for it. A request is one datagram of a stream that keeps their borders,
 * the answer another, with the descriptor. User code may speak here as well: whoever answers
 * trusts nothing. */
#ifndef WIRE_DOOR_H
#define WIRE_DOOR_H

#include <stddef.h>
#include <stdint.h>

enum { DOOR_PATH = 4096, DOOR_FILES = 64 };

enum door_kind {
    DOOR_INPUT = 1,  /* to read; hint: its index among the extents of the task. Those behind
                        it may come as well: they will be asked for next. */
    DOOR_RUN = 2,    /* to read; hint: the map task */
    DOOR_PART = 3,   /* to write, made anew */
    DOOR_REMOVE = 4, /* a part; nothing is opened */
};

struct door_request {
    uint32_t kind, hint;
    char path[DOOR_PATH];
};

/* Asks, and waits for the answer: how many descriptors came, which the caller owns (0 for
 * DOOR_REMOVE), or -1 with errno. One thread at a time. */
int door_ask(int fd, enum door_kind kind, uint32_t hint, const char *path,
             int ret_files[DOOR_FILES]);

/* Takes a request if there is one: 1; 0: none; -1: the other side is gone or makes no sense. */
int door_hear(int fd, struct door_request *ret);

/* Answers with files, which stay the caller's, or with `error` (an errno) if it is not 0. Never
 * waits: an answer that is not taken is lost. */
void door_answer(int fd, const int *files, size_t count, int error);

#endif
