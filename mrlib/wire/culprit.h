/* What an attempt failed on: the record, block or key that a progress slot shows, as a message.
 *
 * Keys may be long: they are known by a digest, and only their first bytes are kept. Pure; any
 * thread. */
#ifndef WIRE_CULPRIT_H
#define WIRE_CULPRIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/mr.pb-c.h"
#include "wire/slots.h"

/* A message with what it borrows: it may not be moved. */
struct culprit {
    Mr__Culprit message;
    char key[SLOT_TEXT];
    uint8_t digest[SLOT_DIGEST];
    Mr__Place place;
};

/* Fills *ret from a slot whose thread is, or was, in `phase`; the path of the file is the
 * caller's to add. False where that names neither record nor key: *ret is untouched. */
bool culprit_of(const struct slot *slot, enum slot_phase phase, struct culprit *ret);

/* What a thread does in a phase: "in map". */
const char *culprit_phase(uint32_t phase);

/* Where a slot's thread is: "in map, record at '/data/x' offset 17"; written to text. `path` of
 * the slot's file; without data: not known. Safe in a signal handler. */
void culprit_place(const struct slot *slot, ProtobufCBinaryData path, char *text, size_t size);

/* Says in the slot which key its thread works on, and how much of it makes its group. */
void culprit_show_key(struct slot *slot, const char *key, size_t length, size_t group);

/* By which keys are known. */
void culprit_digest(const void *key, size_t length, uint8_t ret_digest[SLOT_DIGEST]);

#endif
