/* The `bytes` fields of messages as text and back. */
#ifndef WIRE_BYTES_H
#define WIRE_BYTES_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/memory.h"

/* A field that borrows a text, which must outlive the message. */
static inline ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

/* A field as a text of its own; caller frees. A NUL byte in it ends the text. */
static inline char *bytes_text(ProtobufCBinaryData bytes)
{
    return memory_format("%.*s", (int)bytes.len, (const char *)bytes.data);
}

/* Whether two fields hold the same bytes. */
static inline bool bytes_equal(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

/* Whether a field holds that text. */
static inline bool bytes_are(ProtobufCBinaryData bytes, const char *text)
{
    return bytes_equal(bytes, bytes_of(text));
}

#endif
