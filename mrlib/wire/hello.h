/* HELLO: what each process says of itself, and whether two that met can work together. */
#ifndef WIRE_HELLO_H
#define WIRE_HELLO_H

#include "base/error.h"
#include "wire/mr.pb-c.h"

/* Peers of the same major work together if their minors differ by one at most. */
enum { PROTOCOL_MAJOR = 1, PROTOCOL_MINOR = 0 };

/* Fills a message with constants and this process's number; nothing in it is owned. */
void hello_fill(Mr__Hello *hello, Mr__Role role);

/* -1 with ERROR_REFUSED that names both sides. */
int hello_check(const Mr__Hello *hello, struct error *err);

#endif
