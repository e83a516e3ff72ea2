/* Numbers that people write: sizes with K, M, G (powers of 1024) and plain integers. */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

/* Whole text or -1. "64M", "1g", "4096". */
int size_parse(const char *text, uint64_t *ret_bytes);

/* A whole decimal number within bounds, or -1. */
int size_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* "1.5 GiB", "12 B"; returns buffer. */
const char *size_format(uint64_t bytes, char *buffer, size_t size);

#endif
