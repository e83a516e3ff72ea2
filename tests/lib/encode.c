#include "tests/lib/encode.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"
#include "base/memory.h"

void encoded_add(struct encoded *to, const void *bytes, size_t size)
{
    memory_reserve(&to->bytes, &to->capacity, to->size + size + 1, 1);
    if (size)
        memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
}

void encoded_done(struct encoded *encoded)
{
    free(encoded->bytes);
    *encoded = (struct encoded){0};
}

static void encode_gzip(struct encoded *to, const char *text, size_t size)
{
    size_t room = size + size / 100 + 1000;
    cleanup_free char *out = memory_new(room);
    z_stream z = {.next_in = (Bytef *)(uintptr_t)text,
                  .avail_in = (uInt)size,
                  .next_out = (Bytef *)out,
                  .avail_out = (uInt)room};

    check(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    check(deflate(&z, Z_FINISH) == Z_STREAM_END);
    encoded_add(to, out, room - z.avail_out);
    deflateEnd(&z);
}

void encode_zstd_window(struct encoded *to, int log, const char *text, size_t size)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    size_t room = ZSTD_compressBound(size);
    cleanup_free char *out = memory_new(room);
    ZSTD_inBuffer in = {text, size, 0};
    ZSTD_outBuffer made = {out, room, 0};

    check(context);
    ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    if (log)
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, log);
    /* Without the size of the content in its header, a frame asks for its whole window. */
    if (log)
        check(!ZSTD_isError(ZSTD_compressStream2(context, &made, &in, ZSTD_e_continue)));
    check(!ZSTD_compressStream2(context, &made, &in, ZSTD_e_end));
    encoded_add(to, out, made.pos);
    ZSTD_freeCCtx(context);
}

static void encode_lz4(struct encoded *to, const char *text, size_t size)
{
    LZ4F_preferences_t how = {.frameInfo = {.contentChecksumFlag = LZ4F_contentChecksumEnabled,
                                            .blockChecksumFlag = LZ4F_blockChecksumEnabled}};
    size_t room = LZ4F_compressFrameBound(size, &how), n;
    cleanup_free char *out = memory_new(room);

    n = LZ4F_compressFrame(out, room, text, size, &how);
    check(!LZ4F_isError(n));
    encoded_add(to, out, n);
}

void encode(struct encoded *to, enum stream_codec codec, const char *text, size_t size)
{
    if (codec == STREAM_GZIP)
        encode_gzip(to, text, size);
    else if (codec == STREAM_ZSTD)
        encode_zstd_window(to, 0, text, size);
    else if (codec == STREAM_LZ4)
        encode_lz4(to, text, size);
    else
        encoded_add(to, text, size);
}
