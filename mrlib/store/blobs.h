/* Blobs: files that are known by the SHA-256 of their bytes, in one folder. They arrive in
 * pieces, and exist once they are whole and their hash is right. One thread. */
#ifndef STORE_BLOBS_H
#define STORE_BLOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { BLOB_HASH = 32, BLOB_PIECE = 256 << 10 }; /* bytes */

struct blobs;

/* Keeps them in `folder`, which is made if it is not there, and belongs to it alone: what
 * another process did not finish is removed. With `durable` a blob is on disk before it is
 * whole. */
int blobs_open(const char *folder, bool durable, struct blobs **ret, struct error *err);
/* Forgets what is not whole; the others stay. Takes NULL. */
void blobs_close(struct blobs *blobs);

/* The path of a whole blob, NULL if there is none. Caller frees. */
char *blobs_path(const struct blobs *blobs, const uint8_t hash[BLOB_HASH]);

/* Adds a piece that comes from `source`: the pieces of one source come in order, from offset 0
 * on. 1 when the blob is whole with it, 0 when more is to come, -1: it is dropped. A source has
 * at most LIMIT_BLOBS on their way. */
int blobs_add(struct blobs *blobs, uint64_t source, const uint8_t hash[BLOB_HASH],
              uint64_t offset, uint64_t total, const void *bytes, size_t size,
              struct error *err);

/* Drops what `source` has begun. */
void blobs_forget(struct blobs *blobs, uint64_t source);

/* Reads up to BLOB_PIECE bytes from `offset` on into `bytes`. */
int blobs_read(const struct blobs *blobs, const uint8_t hash[BLOB_HASH], uint64_t offset,
               void *bytes, size_t *ret_size, uint64_t *ret_total, struct error *err);

#endif
