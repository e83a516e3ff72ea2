/* CURVE certificates: a key pair, or its public half, with the name of whoever it belongs to
 * and what he may be. On disk they are those of czmq (a file of "metadata" and "curve"), which
 * any tool of ZeroMQ can read. Loading is for one thread at a time. */
#ifndef WIRE_CERTIFICATE_H
#define WIRE_CERTIFICATE_H

#include <stdbool.h>

#include "base/error.h"

enum {
    KEY_BYTES = 32,         /* a key */
    KEY_TEXT = 41,          /* a key as text (Z85), with its NUL */
    KEY_NAME = 65,          /* a name, with its NUL */
    CERTIFICATE_MAX = 4096, /* bytes of a file; a longer one is none of ours */
};

enum key_role { KEY_COORDINATOR, KEY_WORKER, KEY_CLIENT };
/* "coordinator", "worker", "client". */
const char *key_role_name(enum key_role role);
/* False: there is no such role. */
bool key_role_parse(const char *text, enum key_role *ret);

/* Whether a name can be that of a file: letters, digits, '.', '_' and '-', none of the latter
 * two kinds first, KEY_NAME - 1 at most. */
bool key_name_fits(const char *name);

struct certificate {
    char public_key[KEY_TEXT];
    char secret_key[KEY_TEXT]; /* "" when only the public half is there */
    enum key_role role;
    char name[KEY_NAME];
};

/* A new pair. */
int certificate_make(struct certificate *ret, enum key_role role, const char *name,
                     struct error *err);

/* Reads a file; with `secret` it must hold the secret key, and only its owner, who must be the
 * user that we run as or root, may read it or its folder. */
int certificate_read(struct certificate *ret, const char *path, bool secret, struct error *err);

/* Writes a file that does not exist yet, all of it or nothing: with the secret key (mode 0600)
 * or without (0644). ERROR_USAGE when it exists. */
int certificate_write(const struct certificate *certificate, const char *path, bool secret,
                      struct error *err);

/* Overwrites the secret key in memory. */
void certificate_forget(struct certificate *certificate);

#endif
