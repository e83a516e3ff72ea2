/* How answers look: text that a terminal can bear, JSON, ids and times. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#include "wire/mr.pb-c.h"

enum { SHOW_ID = 16, SHOW_TIME = 16, SHOW_NAME = 40 };

/* A job's id, 12 digits; returns buffer. */
const char *show_id(uint64_t job, char buffer[SHOW_ID]);

/* "4 s", "12 min", "3 h", "5 d"; returns buffer. */
const char *show_time(double seconds, char buffer[SHOW_TIME]);

/* Bytes of others on one line, cut where the buffer ends, control characters as '?'; returns
 * buffer. */
const char *show_bytes(ProtobufCBinaryData bytes, char *buffer, size_t size);

int show_percent(uint32_t done, uint32_t all);

/* "map 3", "reduce 7", "check"; returns buffer. */
const char *show_task(Mr__TaskKind kind, uint32_t task, char buffer[SHOW_NAME]);

/* A line for each of the `n` first of `count`; nothing if there is none. */
void show_skipped(FILE *out, Mr__Skipped *const *skipped, size_t n, uint32_t count);

/* Writes on stdout and frees. */
void show_json(json_t *root);

#endif
