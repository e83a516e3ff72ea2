/* How blocks of runs are compressed, and by what name people ask for it.
 *
 * Compressing goes through a packer, which one thread owns; decompressing is a call that any
 * thread makes. What is decompressed has a size that is known before and never exceeded, so
 * that bytes from a damaged disk or a foreign hand cost no more memory than they say. */
#ifndef RECORD_CODEC_H
#define RECORD_CODEC_H

#include <mr/job.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Their numbers stand in run files. */
enum codec { CODEC_NONE, CODEC_LZ4, CODEC_ZSTD, CODEC_ZLIB, CODECS };

/* What a writer of blocks does. */
struct codec_choice {
    enum codec codec;
    bool sparing; /* where blocks hardly shrink, most of those that follow are not tried */
};

/* What `name` asks for: none, lz4, zstd, zlib, or auto, as which an empty name counts: sparing
 * lz4 where the blocks will travel (`far`), nothing where they will not. ERROR_USAGE names what
 * is unknown and what is known. */
int codec_choose(struct mr_bytes name, bool far, struct codec_choice *ret, struct error *err);

struct packer;
/* The codec is not CODEC_NONE. Free with packer_free, which takes NULL. */
struct packer *packer_new(struct codec_choice choice);
void packer_free(struct packer *packer);
enum codec packer_codec(const struct packer *packer);
/* Compresses `size` bytes, LIMIT_PACKED at most for it to be tried. Returns how many they have
 * become, in *ret, which is the packer's until its next call; 0 when they are to stay as they
 * are, because they shrink by less than a sixteenth or were not tried. */
size_t packer_pack(struct packer *packer, const void *bytes, size_t size, const char **ret);
/* Memory of the packer's for `size` bytes that are to be packed; valid until asked for again.
 */
char *packer_room(struct packer *packer, size_t size);

/* Decompresses into exactly `size` bytes, which `bytes` has room for; -1 if it is not what
 * becomes of them, whatever the stored bytes are. */
int codec_unpack(enum codec codec, const void *stored, size_t stored_size, void *bytes,
                 size_t size);

#endif
