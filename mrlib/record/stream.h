/* A file as a stream of bytes: as it lies there, or decompressed on the way.
 *
 * gzip (of any number of members), zstd (of any number of frames) and lz4 (its frame format)
 * are known by the ends of their names. What is read must be whole: a stream that ends within a
 * member, or goes on behind the last one with something else, is an error that tells the byte
 * of the file. Memory is bounded: an input buffer of 256 KiB, and what the codec needs, which
 * is 64 KiB for gzip, up to 9 MiB for lz4, and a frame's window for zstd. One thread at a time.
 */
#ifndef RECORD_STREAM_H
#define RECORD_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum stream_codec { STREAM_PLAIN, STREAM_GZIP, STREAM_ZSTD, STREAM_LZ4 };

/* By the end of the name: .gz, .zst, .lz4. */
enum stream_codec stream_codec_of(const char *path);
const char *stream_codec_name(enum stream_codec codec);

/* Reads a file of `size` bytes. It borrows `fd` and `path`. `window` is the largest window of a
 * zstd frame, in bytes; a power of two counts, the next lower one else. */
struct stream *stream_new(int fd, const char *path, uint64_t size, enum stream_codec codec,
                          uint64_t window);
/* Takes NULL. */
void stream_free(struct stream *stream);

/* Reads up to `size` bytes; less only at the end, 0 behind it. ERROR_FORMAT for what is not as
 * its name says or is damaged, ERROR_INPUT for a file that is shorter than it was. */
int stream_read(struct stream *stream, char *buffer, size_t size, size_t *ret_n,
                struct error *err);

/* Bytes of the file that were needed for what was read: all of them at the end. */
uint64_t stream_consumed(const struct stream *stream);

#endif
