/* The default output format: key TAB value NEWLINE. Integers in decimal, doubles with the
 * fewest digits that read back the same, lanes with TABs between them; a key without a value
 * has no TAB. Nothing is escaped. */
#ifndef RECORD_TEXT_H
#define RECORD_TEXT_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_NUMBER = 32 }; /* bytes that a number takes at most */

/* Write to `at`, which has room for TEXT_NUMBER bytes, and return the number of bytes written.
 */
size_t text_i64(char *at, int64_t value);
size_t text_f64(char *at, double value);

/* Bytes that text_pair may write at most. */
size_t text_room(struct mr_bytes key, struct mr_bytes value, enum mr_type type);

/* Writes one line. A value of MR_I64 or MR_F64 is value.len / 8 lanes; value.ptr NULL: no
 * value. */
size_t text_pair(char *at, struct mr_bytes key, struct mr_bytes value, enum mr_type type);

#endif
