/* Records of a fixed number of bytes, of any kind, read in chunks: record k of a file is its
 * bytes [k * width, (k + 1) * width). It belongs to the range in which its first byte lies. And
 * the numbers of a range: input, which are such records of 8 bytes that no file holds.
 *
 * The buffer is that of a reader of lines, with the same owner and the same padding behind the
 * text. */
#ifndef RECORD_FIXED_H
#define RECORD_FIXED_H

#include "record/lines.h"

/* Reads the records that begin in [offset, offset + length) of a file whose size is a multiple
 * of `width`. The contract is that of lines_read. */
int fixed_read(struct lines *buffer, const struct lines_file *file, uint32_t width,
               uint64_t offset, uint64_t length, struct mr_bytes *ret_text,
               uint64_t *ret_offset, struct error *err);

/* The same for the file that would hold the numbers 0 .. count - 1, each in FIXED_NUMBER bytes,
 * little-endian. */
enum { FIXED_NUMBER = 8 };
int fixed_numbers(struct lines *buffer, uint64_t count, uint64_t offset, uint64_t length,
                  struct mr_bytes *ret_text, uint64_t *ret_offset, struct error *err);

#endif
