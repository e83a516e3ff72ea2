#include "record/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/check.h"
#include "base/memory.h"

enum {
    IN_SIZE = 256 << 10,
    MAGIC = 4,
    HEADER = 18 /* of a zstd frame, at most */,
    WINDOW_LOG_MIN = 10
};

struct stream {
    int fd;
    const char *path;
    uint64_t size;     /* of the file */
    uint64_t fetched;  /* bytes of it that were read */
    uint64_t consumed; /* ... and those that the codec has taken */
    uint64_t window;
    enum stream_codec codec;
    bool in_member; /* between the beginning of a member (a frame) and its end */
    bool ended;
    uint64_t members; /* that have begun */
    uint64_t made; /* of a zstd frame, and how much it says that there is: the library looks at
                      that only where it has the whole frame at once */
    unsigned long long announced;
    char *in;
    size_t in_at, in_end;
    z_stream zlib;
    ZSTD_DStream *zstd;
    LZ4F_dctx *lz4;
};

/* What a member begins with; `mask` for the byte that counts in part. */
struct magic {
    unsigned char bytes[MAGIC], first_mask;
    size_t size;
};

static const struct {
    const char *end, *name;
    struct magic magic[2];
} codecs[] = {
    [STREAM_PLAIN] = {"", "plain", {{{0}, 0, 0}}},
    [STREAM_GZIP] = {".gz", "gzip", {{{0x1f, 0x8b}, 0xff, 2}, {{0x1f, 0x8b}, 0xff, 2}}},
    /* Both know frames that are to be skipped. */
    [STREAM_ZSTD] = {".zst",
                     "zstd",
                     {{{0x28, 0xb5, 0x2f, 0xfd}, 0xff, 4},
                      {{0x50, 0x2a, 0x4d, 0x18}, 0xf0, 4}}},
    [STREAM_LZ4] = {".lz4",
                    "lz4",
                    {{{0x04, 0x22, 0x4d, 0x18}, 0xff, 4}, {{0x50, 0x2a, 0x4d, 0x18}, 0xf0, 4}}},
};

enum stream_codec stream_codec_of(const char *path)
{
    size_t length = strlen(path);

    for (int codec = STREAM_GZIP; codec <= STREAM_LZ4; codec++) {
        size_t end = strlen(codecs[codec].end);

        if (length > end && !strcmp(path + length - end, codecs[codec].end))
            return (enum stream_codec)codec;
    }
    return STREAM_PLAIN;
}

const char *stream_codec_name(enum stream_codec codec)
{
    return codecs[codec].name;
}

struct stream *stream_new(int fd, const char *path, uint64_t size, enum stream_codec codec,
                          uint64_t window)
{
    struct stream *stream = memory_zeroed(1, sizeof *stream);
    int log = WINDOW_LOG_MIN;

    stream->fd = fd;
    stream->path = path;
    stream->size = size;
    stream->codec = codec;
    while (log < 31 && (uint64_t)2 << log <= window)
        log++;
    stream->window = (uint64_t)1 << log;
    if (codec != STREAM_PLAIN)
        stream->in = memory_new(IN_SIZE);
    if (codec == STREAM_GZIP) {
        check(inflateInit2(&stream->zlib, 15 + 16) == Z_OK);
    } else if (codec == STREAM_ZSTD) {
        stream->zstd = ZSTD_createDStream();
        check(stream->zstd &&
              !ZSTD_isError(ZSTD_DCtx_setParameter(stream->zstd, ZSTD_d_windowLogMax, log)));
    } else if (codec == STREAM_LZ4) {
        check(!LZ4F_isError(LZ4F_createDecompressionContext(&stream->lz4, LZ4F_VERSION)));
    }
    return stream;
}

void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    if (stream->codec == STREAM_GZIP)
        inflateEnd(&stream->zlib);
    ZSTD_freeDStream(stream->zstd);
    LZ4F_freeDecompressionContext(stream->lz4);
    free(stream->in);
    free(stream);
}

uint64_t stream_consumed(const struct stream *stream)
{
    return stream->consumed;
}

/* ---- The file
 * ------------------------------------------------------------------------------------ */

/* Reads on in the file; what lacks of it was there when it was planned. */
static int fetch(struct stream *stream, char *buffer, size_t size, size_t *ret_n,
                 struct error *err)
{
    uint64_t left = stream->size - stream->fetched;
    size_t wanted = left < size ? (size_t)left : size, used = 0;

    while (used < wanted) {
        ssize_t n = pread(stream->fd, buffer + used, wanted - used, (off_t)stream->fetched);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, ERROR_INPUT, "read '%s' at offset %" PRIu64, stream->path,
                               stream->fetched);
        if (n == 0)
            return error_set(err, ERROR_INPUT,
                             "input '%s' changed while the job ran: it ends at offset %" PRIu64
                             ", not at %" PRIu64,
                             stream->path, stream->fetched, stream->size);
        used += (size_t)n;
        stream->fetched += (uint64_t)n;
    }
    *ret_n = used;
    return 0;
}

/* Adds to the input buffer, behind what is left in it. */
static int refill(struct stream *stream, struct error *err)
{
    size_t kept = stream->in_end - stream->in_at, n;

    memmove(stream->in, stream->in + stream->in_at, kept);
    stream->in_at = 0;
    stream->in_end = kept;
    if (fetch(stream, stream->in + kept, IN_SIZE - kept, &n, err))
        return -1;
    stream->in_end += n;
    return 0;
}

/* ---- Members
 * ------------------------------------------------------------------------------------- */

static bool begins_with(const char *bytes, size_t size, const struct magic *magic)
{
    for (size_t i = 0; i < size && i < magic->size; i++)
        if (((unsigned char)bytes[i] & (i ? 0xff : magic->first_mask)) != magic->bytes[i])
            return false;
    return true;
}

/* Between two members: whether a new one begins, or the stream ends here. */
static int begin_member(struct stream *stream, struct error *err)
{
    const char *name = codecs[stream->codec].name, *at;
    size_t left;

    if (stream->in_end - stream->in_at < HEADER && refill(stream, err))
        return -1;
    at = stream->in + stream->in_at;
    left = stream->in_end - stream->in_at;
    if (!left && stream->members) {
        stream->ended = true;
        return 0;
    }
    if (left && (begins_with(at, left, &codecs[stream->codec].magic[0]) ||
                 begins_with(at, left, &codecs[stream->codec].magic[1]))) {
        stream->in_member = true;
        stream->members++;
        stream->made = 0;
        if (stream->codec == STREAM_ZSTD)
            stream->announced = ZSTD_getFrameContentSize(at, left);
        return 0;
    }
    if (!stream->members)
        return error_set(err, ERROR_FORMAT,
                         "input '%s' is called %s, but does not begin as %s data do: rename "
                         "it, or read it as it is with --input-format plain:FORMAT",
                         stream->path, codecs[stream->codec].end, name);
    return error_set(err, ERROR_FORMAT,
                     "input '%s' goes on behind its %s data: from byte %" PRIu64
                     " of the file on it is something else",
                     stream->path, name, stream->consumed);
}

static int damaged(const struct stream *stream, const char *why, struct error *err)
{
    return error_set(err, ERROR_FORMAT,
                     "input '%s': damaged %s data near byte %" PRIu64 " of the file (%s)",
                     stream->path, codecs[stream->codec].name, stream->consumed,
                     why ? why : "no reason given");
}

static int truncated(const struct stream *stream, struct error *err)
{
    return error_set(err, ERROR_FORMAT,
                     "input '%s' is cut off: its %s data go on behind byte %" PRIu64
                     ", where the file ends",
                     stream->path, codecs[stream->codec].name, stream->size);
}

/* ---- Codecs: each takes what it can of the input and makes what fits of the output. --------
 */

static int step_gzip(struct stream *stream, char *out, size_t *size, size_t *taken,
                     struct error *err)
{
    z_stream *z = &stream->zlib;
    int result;

    z->next_in = (Bytef *)stream->in + stream->in_at;
    z->avail_in = (uInt)*taken;
    z->next_out = (Bytef *)out;
    z->avail_out = *size < 1U << 30 ? (uInt)*size : 1U << 30;
    *size = z->avail_out;
    result = inflate(z, Z_NO_FLUSH);
    *taken -= z->avail_in;
    *size -= z->avail_out;
    if (result == Z_STREAM_END) {
        stream->in_member = false;
        check(inflateReset(z) == Z_OK);
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
        stream->consumed += *taken;
        return damaged(stream, z->msg, err);
    }
    return 0;
}

static int step_zstd(struct stream *stream, char *out, size_t *size, size_t *taken,
                     struct error *err)
{
    ZSTD_inBuffer in = {stream->in + stream->in_at, *taken, 0};
    ZSTD_outBuffer to = {out, *size, 0};
    size_t result = ZSTD_decompressStream(stream->zstd, &to, &in);

    *taken = in.pos;
    *size = to.pos;
    if (ZSTD_getErrorCode(result) == ZSTD_error_frameParameter_windowTooLarge)
        return error_set(err, ERROR_FORMAT,
                         "input '%s': the zstd frame at byte %" PRIu64
                         " of the file needs a window of more than %" PRIu64
                         " MiB: compress it with a smaller --long, or raise --memory",
                         stream->path, stream->consumed, stream->window >> 20);
    if (ZSTD_isError(result)) {
        stream->consumed += *taken;
        return damaged(stream, ZSTD_getErrorName(result), err);
    }
    stream->in_member = result != 0;
    stream->made += *size;
    if (!stream->in_member && stream->announced != ZSTD_CONTENTSIZE_UNKNOWN &&
        stream->announced != ZSTD_CONTENTSIZE_ERROR && stream->announced != stream->made)
        return damaged(stream, "a frame is longer or shorter than it says", err);
    return 0;
}

static int step_lz4(struct stream *stream, char *out, size_t *size, size_t *taken,
                    struct error *err)
{
    size_t result =
        LZ4F_decompress(stream->lz4, out, size, stream->in + stream->in_at, taken, NULL);

    if (LZ4F_isError(result))
        return damaged(stream, LZ4F_getErrorName(result), err);
    stream->in_member = result != 0;
    return 0;
}

static int step(struct stream *stream, char *out, size_t *size, struct error *err)
{
    size_t taken;
    int result;

    if (!stream->in_member && begin_member(stream, err))
        return -1;
    if (stream->ended) {
        *size = 0;
        return 0;
    }
    if (stream->in_at == stream->in_end && refill(stream, err))
        return -1;
    taken = stream->in_end - stream->in_at;
    result = stream->codec == STREAM_GZIP   ? step_gzip(stream, out, size, &taken, err)
             : stream->codec == STREAM_ZSTD ? step_zstd(stream, out, size, &taken, err)
                                            : step_lz4(stream, out, size, &taken, err);
    if (result)
        return -1;
    stream->in_at += taken;
    stream->consumed += taken;
    /* Nothing comes in, and nothing is left to come out. */
    if (stream->in_member && !taken && !*size) {
        if (stream->in_at < stream->in_end)
            return damaged(stream, "it makes no sense", err);
        return stream->fetched == stream->size ? truncated(stream, err) : 0;
    }
    return 0;
}

int stream_read(struct stream *stream, char *buffer, size_t size, size_t *ret_n,
                struct error *err)
{
    size_t used = 0;

    if (stream->codec == STREAM_PLAIN) {
        if (fetch(stream, buffer, size, ret_n, err))
            return -1;
        stream->consumed += *ret_n;
        return 0;
    }
    while (used < size && !stream->ended) {
        size_t n = size - used;

        if (step(stream, buffer + used, &n, err))
            return -1;
        used += n;
    }
    *ret_n = used;
    return 0;
}
