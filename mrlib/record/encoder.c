#include "record/encoder.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/check.h"
#include "base/memory.h"

enum {
    UNIT = 256 << 10, /* of what goes in: other sizes could make other bytes */
    STEP = 64 << 10,  /* of what comes out */
    LEVEL_GZIP = 1,   /* docs/performance.md: what a level costs, and saves */
    LEVEL_ZSTD = 1,
    WINDOW_BITS = 15,
    GZIP_HEADER = 16, /* added to the bits: a gzip header, all fields at rest */
    MEMORY_LEVEL = 8,
};

struct encoder {
    enum output_codec codec;
    char *unit;
    size_t used;
    z_stream gzip;
    ZSTD_CCtx *zstd;
    char *out;
    size_t out_used, out_capacity;
};

struct encoder *encoder_new(enum output_codec codec)
{
    struct encoder *encoder = memory_zeroed(1, sizeof *encoder);

    check(codec == OUTPUT_GZIP || codec == OUTPUT_ZSTD);
    encoder->codec = codec;
    encoder->unit = memory_new(UNIT);
    if (codec == OUTPUT_GZIP) {
        check(deflateInit2(&encoder->gzip, LEVEL_GZIP, Z_DEFLATED, WINDOW_BITS + GZIP_HEADER,
                           MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK);
        return encoder;
    }
    encoder->zstd = ZSTD_createCCtx();
    check(encoder->zstd);
    check(!ZSTD_isError(
        ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, LEVEL_ZSTD)));
    check(!ZSTD_isError(ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_checksumFlag, 1)));
    return encoder;
}

void encoder_free(struct encoder *encoder)
{
    if (!encoder)
        return;
    if (encoder->codec == OUTPUT_GZIP)
        deflateEnd(&encoder->gzip);
    ZSTD_freeCCtx(encoder->zstd);
    free(encoder->unit);
    free(encoder->out);
    free(encoder);
}

/* A step's room in what comes out. */
static char *begin_step(struct encoder *encoder)
{
    memory_reserve(&encoder->out, &encoder->out_capacity, encoder->out_used + STEP, 1);
    return encoder->out + encoder->out_used;
}

static void encode_gzip(struct encoder *encoder, bool last)
{
    z_stream *gzip = &encoder->gzip;

    gzip->next_in = (Bytef *)encoder->unit;
    gzip->avail_in = (uInt)encoder->used;
    do {
        int result;

        gzip->next_out = (Bytef *)begin_step(encoder);
        gzip->avail_out = STEP;
        result = deflate(gzip, last ? Z_FINISH : Z_NO_FLUSH);
        check(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
        encoder->out_used += STEP - gzip->avail_out;
    } while (!gzip->avail_out);
}

static void encode_zstd(struct encoder *encoder, bool last)
{
    ZSTD_inBuffer in = {encoder->unit, encoder->used, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {begin_step(encoder), STEP, 0};

        left =
            ZSTD_compressStream2(encoder->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        check(!ZSTD_isError(left));
        encoder->out_used += out.pos;
    } while (last ? left > 0 : in.pos < in.size);
}

/* Encodes the unit at hand. */
static void encode(struct encoder *encoder, bool last)
{
    if (encoder->codec == OUTPUT_GZIP)
        encode_gzip(encoder, last);
    else
        encode_zstd(encoder, last);
    encoder->used = 0;
}

struct mr_bytes encoder_feed(struct encoder *encoder, const void *bytes, size_t size)
{
    const char *at = bytes;

    encoder->out_used = 0;
    while (size) {
        size_t n = UNIT - encoder->used;

        n = n < size ? n : size;
        memcpy(encoder->unit + encoder->used, at, n);
        encoder->used += n;
        at += n;
        size -= n;
        if (encoder->used == UNIT)
            encode(encoder, false);
    }
    return (struct mr_bytes){encoder->out, encoder->out_used};
}

struct mr_bytes encoder_end(struct encoder *encoder)
{
    encoder->out_used = 0;
    encode(encoder, true);
    return (struct mr_bytes){encoder->out, encoder->out_used};
}
