/* Compressing a part: one gzip member (RFC 1952, no name, no time) or one zstd frame with its
 * content's checksum, also of nothing at all.
 *
 * What comes out depends on the bytes that went in and on nothing else, whatever the pieces
 * they came in: the library is fed units of a fixed size, and writes into steps of one. One
 * thread owns an encoder. */
#ifndef RECORD_ENCODER_H
#define RECORD_ENCODER_H

#include <mr/job.h>
#include <stddef.h>

#include "record/format.h"

struct encoder;
/* For any codec but OUTPUT_PLAIN. Free with encoder_free, which takes NULL. */
struct encoder *encoder_new(enum output_codec codec);
void encoder_free(struct encoder *encoder);

/* Takes the bytes. Returns what became of them and of earlier ones so far, possibly nothing;
 * the encoder's until the next call. */
struct mr_bytes encoder_feed(struct encoder *encoder, const void *bytes, size_t size);
/* The rest. Nothing may follow. */
struct mr_bytes encoder_end(struct encoder *encoder);

#endif
