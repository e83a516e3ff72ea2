/* The gate for job objects: what can be said of a file without running any of it. Nothing here
 * loads an object; that is for executors alone. */
#ifndef STORE_OBJECT_H
#define STORE_OBJECT_H

#include <stdint.h>

#include "base/error.h"

/* 0 when the file is a whole shared object for this machine that exports an `mr_job` of a known
 * ABI; else ERROR_OBJECT with the precise reason. The file is read, never trusted. */
int object_check(const char *path, struct error *err);

/* SHA-256 of the file's bytes. */
int object_sha256(const char *path, uint8_t ret_digest[32], struct error *err);

/* 64 lower-case hex digits and a NUL. */
void object_hex(const uint8_t digest[32], char ret_text[65]);

#endif
