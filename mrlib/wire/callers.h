/* Who is connected to the guarded sockets of a process, by descriptor, so that one who is
 * turned away can be named by his address: the library tells of connections, and of handshakes
 * that failed, but not of which. One thread at a time. */
#ifndef WIRE_CALLERS_H
#define WIRE_CALLERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

enum { CALLER_ADDRESS = INET6_ADDRSTRLEN };

struct callers {
    struct caller {
        char address[CALLER_ADDRESS]; /* "": nobody */
        bool known;                   /* it was let in */
    } * by_fd;
    size_t capacity;
    unsigned silent; /* were let in, and said nothing yet */
    struct {
        char address[CALLER_ADDRESS];
        unsigned count;
    } told[32]; /* connections of which it was told already why they are turned away */
};

void callers_done(struct callers *callers);
/* Somebody connected; was let in, whoever; said something; was turned away by his key, which
 * was told. */
void callers_came(struct callers *callers, int fd);
void callers_succeeded(struct callers *callers);
void callers_spoke(struct callers *callers, int fd);
void callers_turned_away(struct callers *callers, const char *address);
/* One that was not told yet of has gone: his address, "" if he is not to be told of. */
void callers_went(struct callers *callers, int fd, bool failed, char ret[CALLER_ADDRESS]);

#endif
