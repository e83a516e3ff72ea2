#include "record/codec.h"

#include <lz4.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"

/* Runs live for seconds: a level that costs more than it saves on the way is none. */
enum { LEVEL_ZSTD = 1, LEVEL_ZLIB = 1 };

/* A sparing packer tries one of so many blocks while they do not shrink by an eighth. */
enum { SPARED = 15 };

static const char *const names[CODECS] = {"none", "lz4", "zstd", "zlib"};

static bool is_called(struct mr_bytes name, const char *text)
{
    return name.len == strlen(text) && !memcmp(name.ptr, text, name.len);
}

int codec_choose(struct mr_bytes name, bool far, struct codec_choice *ret, struct error *err)
{
    if (!name.len || is_called(name, "auto")) {
        *ret = (struct codec_choice){far ? CODEC_LZ4 : CODEC_NONE, true};
        return 0;
    }
    for (int i = 0; i < CODECS; i++)
        if (is_called(name, names[i])) {
            *ret = (struct codec_choice){(enum codec)i, false};
            return 0;
        }
    return error_set(err, ERROR_USAGE,
                     "unknown compression '%.*s': this version knows auto, none, lz4, zstd and "
                     "zlib",
                     name.len < LIMIT_NAME ? (int)name.len : LIMIT_NAME, name.ptr);
}

/* ---- Packing ------------------------------------------------------------------------------
 */

struct packer {
    struct codec_choice choice;
    int spared; /* blocks that are not tried any more */
    void *lz4;
    ZSTD_CCtx *zstd;
    z_stream zlib;
    char *room, *packed;
    size_t room_capacity, packed_capacity;
};

struct packer *packer_new(struct codec_choice choice)
{
    struct packer *packer = memory_zeroed(1, sizeof *packer);

    packer->choice = choice;
    switch (choice.codec) {
    case CODEC_LZ4:
        packer->lz4 = memory_new((size_t)LZ4_sizeofState());
        break;
    case CODEC_ZSTD:
        packer->zstd = ZSTD_createCCtx();
        check(packer->zstd);
        break;
    case CODEC_ZLIB:
        check(deflateInit(&packer->zlib, LEVEL_ZLIB) == Z_OK);
        break;
    default:
        check(!"a codec that packs");
    }
    return packer;
}

void packer_free(struct packer *packer)
{
    if (!packer)
        return;
    if (packer->choice.codec == CODEC_ZLIB)
        deflateEnd(&packer->zlib);
    ZSTD_freeCCtx(packer->zstd);
    free(packer->lz4);
    free(packer->room);
    free(packer->packed);
    free(packer);
}

enum codec packer_codec(const struct packer *packer)
{
    return packer->choice.codec;
}

char *packer_room(struct packer *packer, size_t size)
{
    memory_reserve(&packer->room, &packer->room_capacity, size, 1);
    return packer->room;
}

static size_t pack_zlib(z_stream *zlib, const void *bytes, size_t size, char *to, size_t room)
{
    check(deflateReset(zlib) == Z_OK);
    zlib->next_in = (Bytef *)(uintptr_t)bytes;
    zlib->avail_in = (uInt)size;
    zlib->next_out = (Bytef *)to;
    zlib->avail_out = (uInt)room;
    return deflate(zlib, Z_FINISH) == Z_STREAM_END ? room - zlib->avail_out : 0;
}

/* 0 when it does not fit into the room. */
static size_t pack(struct packer *packer, const void *bytes, size_t size, size_t room)
{
    char *to = packer->packed;
    size_t packed;

    switch (packer->choice.codec) {
    case CODEC_LZ4:
        return (size_t)LZ4_compress_fast_extState(packer->lz4, bytes, to, (int)size, (int)room,
                                                  1);
    case CODEC_ZSTD:
        packed = ZSTD_compressCCtx(packer->zstd, to, room, bytes, size, LEVEL_ZSTD);
        return ZSTD_isError(packed) ? 0 : packed;
    default:
        return pack_zlib(&packer->zlib, bytes, size, to, room);
    }
}

size_t packer_pack(struct packer *packer, const void *bytes, size_t size, const char **ret)
{
    size_t room, packed;

    if (size < 2 || size > LIMIT_PACKED)
        return 0;
    if (packer->spared) {
        packer->spared--;
        return 0;
    }
    room = size - size / 16 - 1;
    memory_reserve(&packer->packed, &packer->packed_capacity, room, 1);
    packed = pack(packer, bytes, size, room);
    if (packer->choice.sparing && (!packed || packed > size - size / 8))
        packer->spared = SPARED;
    *ret = packer->packed;
    return packed;
}

/* ---- Unpacking ----------------------------------------------------------------------------
 */

/* What the libraries need to unpack. There are as many as ever unpacked at once: a merge has a
 * thousand streams, but one thread. */
struct unpacker {
    struct unpacker *next;
    ZSTD_DCtx *zstd;
    z_stream zlib;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct unpacker *idle;

static struct unpacker *unpacker_take(void)
{
    struct unpacker *unpacker;

    pthread_mutex_lock(&lock);
    unpacker = idle;
    if (unpacker)
        idle = unpacker->next;
    pthread_mutex_unlock(&lock);
    if (unpacker)
        return unpacker;
    unpacker = memory_zeroed(1, sizeof *unpacker);
    unpacker->zstd = ZSTD_createDCtx();
    check(unpacker->zstd && inflateInit(&unpacker->zlib) == Z_OK);
    return unpacker;
}

static void unpacker_give(struct unpacker *unpacker)
{
    pthread_mutex_lock(&lock);
    unpacker->next = idle;
    idle = unpacker;
    pthread_mutex_unlock(&lock);
}

static bool unpack_zlib(z_stream *zlib, const void *stored, size_t stored_size, void *bytes,
                        size_t size)
{
    check(inflateReset(zlib) == Z_OK);
    zlib->next_in = (Bytef *)(uintptr_t)stored;
    zlib->avail_in = (uInt)stored_size;
    zlib->next_out = bytes;
    zlib->avail_out = (uInt)size;
    return inflate(zlib, Z_FINISH) == Z_STREAM_END && !zlib->avail_in && !zlib->avail_out;
}

int codec_unpack(enum codec codec, const void *stored, size_t stored_size, void *bytes,
                 size_t size)
{
    struct unpacker *unpacker;
    bool good;

    if (stored_size > LIMIT_PACKED || size > LIMIT_PACKED)
        return -1;
    if (codec == CODEC_LZ4)
        return LZ4_decompress_safe(stored, bytes, (int)stored_size, (int)size) == (int)size
                   ? 0
                   : -1;
    if (codec != CODEC_ZSTD && codec != CODEC_ZLIB)
        return -1;
    unpacker = unpacker_take();
    if (codec == CODEC_ZSTD)
        good = ZSTD_decompressDCtx(unpacker->zstd, bytes, size, stored, stored_size) == size;
    else
        good = unpack_zlib(&unpacker->zlib, stored, stored_size, bytes, size);
    unpacker_give(unpacker);
    return good ? 0 : -1;
}
