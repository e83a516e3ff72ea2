/* Whom the coordinator lets in. Without keys it lets in everybody, and nothing here does
 * anything. One thread. */
#ifndef COORDINATOR_ADMIT_H
#define COORDINATOR_ADMIT_H

#include "base/error.h"
#include "wire/mr.pb-c.h"

struct coordinator;

/* Reads who is allowed, before anybody can come. */
void admit_open(struct coordinator *coordinator);
void admit_close(struct coordinator *coordinator);

/* Looks once a second whether that has changed. Returns in how many milliseconds to look again,
 * -1: never. */
long admit_tend(struct coordinator *coordinator);
/* Looks now, if the folder has changed; and whether it seems so or not. */
void admit_look(struct coordinator *coordinator);
void admit_look_again(struct coordinator *coordinator);

/* Whether a peer that says HELLO may be what it says. */
int admit_check(struct coordinator *coordinator, uint64_t peer, Mr__Role role,
                struct error *err);

/* How many were turned away before they could say HELLO. */
uint64_t admit_refused(const struct coordinator *coordinator);

/* Tells a worker whom to let in at its data endpoint. */
void admit_roster(struct coordinator *coordinator, uint64_t worker);

#endif
