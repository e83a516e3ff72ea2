/* Compressed bytes, made by the codecs' own libraries, with checksums. */
#ifndef TESTS_ENCODE_H
#define TESTS_ENCODE_H

#include <stddef.h>

#include "record/stream.h"

struct encoded {
    char *bytes;
    size_t size, capacity;
};

/* Appends bytes as they are. */
void encoded_add(struct encoded *to, const void *bytes, size_t size);
/* Frees the bytes and makes it empty. */
void encoded_done(struct encoded *encoded);

/* Appends a member (a frame). */
void encode(struct encoded *to, enum stream_codec codec, const char *text, size_t size);

/* A zstd frame that asks for a window of 2^log bytes. */
void encode_zstd_window(struct encoded *to, int log, const char *text, size_t size);

#endif
