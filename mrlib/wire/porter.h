/* A porter: whom the guarded links of a context let in. It answers the library's questions
 * about keys (ZAP, RFC 27) from a set in memory, on a thread of its own, and writes a log line
 * about who is turned away: with his address, and why.
 *
 * One a context, opened before its guarded links and closed after them: while its thread does
 * not answer, nobody is let in. The set is empty at first. */
#ifndef WIRE_PORTER_H
#define WIRE_PORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/certificate.h"

/* Whom it lets in. The name is for people; it may be empty. */
struct porter_key {
    char key[KEY_TEXT]; /* public */
    char name[KEY_NAME];
    enum key_role role;
};

struct porter;
int porter_open(void *context, struct porter **ret, struct error *err);
/* All guarded links of the context must be closed. Takes NULL. */
void porter_close(struct porter *porter);

/* From now on these are let in and nobody else; copied. Who is connected stays so: see
 * link_prune. Any thread. */
void porter_admit(struct porter *porter, const struct porter_key *keys, size_t n);

/* Changes with each porter_admit. Any thread. */
uint64_t porter_version(const struct porter *porter);
/* Whether that key is let in now; `ret`, which may be NULL, becomes whose it is. Any thread. */
bool porter_admits(struct porter *porter, const char *key, struct porter_key *ret);

/* How many peers were turned away: by a key that is not let in, and without any that made
 * sense. Any thread. */
uint64_t porter_refused(const struct porter *porter);

/* For link.c: a socket, not bound yet, of which strangers are to be told; that it is going to
 * be closed; and that what came over this descriptor was from somebody who was let in. */
int porter_watch(struct porter *porter, void *socket, struct error *err);
void porter_unwatch(struct porter *porter, void *socket);
void porter_known(struct porter *porter, int fd);

#endif
