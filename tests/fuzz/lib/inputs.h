/* What fuzzers feed: a folder for their files, and frames that are right on the outside. */
#ifndef FUZZ_INPUTS_H
#define FUZZ_INPUTS_H

#include <stddef.h>
#include <stdint.h>

/* A folder in memory where there is one, the process's own; emptied. Nothing is logged from
 * here on. */
const char *inputs_folder(void);

/* A frame whose header and checksum are right, around bytes that may be no message at all and
 * with a type that may be none; caller frees. */
uint8_t *inputs_frame(unsigned type, const uint8_t *payload, size_t size, size_t *ret_size);

#endif
