/* The keys of a process, from a folder that `marram keys` made: its own pair, and the public
 * key of the coordinator. */
#ifndef WIRE_KEYS_H
#define WIRE_KEYS_H

#include "wire/certificate.h"

struct keys {
    char *folder; /* absolute if it was given so */
    struct certificate own;
    char coordinator[KEY_TEXT]; /* of the coordinator: public */
};

/* Loads what a coordinator, worker or client needs. ERROR_REFUSED names the file, what is wrong
 * with it and the way out. */
int keys_load(struct keys *ret, const char *folder, enum key_role role, struct error *err);
/* Overwrites the secret. Takes one that is all zero. */
void keys_done(struct keys *keys);

#endif
