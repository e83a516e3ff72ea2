#include "worker/executor/part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"
#include "record/encoder.h"
#include "worker/executor/door.h"

enum { BUFFER = 1 << 20 };

struct part {
    char *path;
    int fd;
    enum output_format format;
    char *buffer;
    size_t used, capacity;
    uint64_t size, raw_size;
    struct encoder *encoder; /* or NULL */
    XXH3_state_t *checksum;
};

/* A full disk is not one of this worker's own: others would fill it no less. */
static int failed(const char *path, const char *what, enum error_code code, struct error *err)
{
    error_errno(err, code, "%s '%s'", what, path);
    if (err->code == ERROR_SPACE)
        err->code = ERROR_OUTPUT_FULL;
    return -1;
}

int part_open(const char *path, enum output_format format, enum output_codec codec,
              struct part **ret, struct error *err)
{
    struct part *part;
    int fd = door_create(path);

    if (fd < 0)
        return failed(path, "create", ERROR_OUTPUT, err);
    part = memory_zeroed(1, sizeof *part);
    part->path = memory_text(path);
    part->fd = fd;
    part->format = format;
    part->encoder = codec == OUTPUT_PLAIN ? NULL : encoder_new(codec);
    part->checksum = XXH3_createState();
    check(part->checksum);
    XXH3_64bits_reset(part->checksum);
    *ret = part;
    return 0;
}

static int write_out(struct part *part, struct mr_bytes bytes, struct error *err)
{
    const char *at = bytes.ptr;
    size_t left = bytes.len;

    if (left)
        XXH3_64bits_update(part->checksum, at, left);
    while (left) {
        ssize_t n = write(part->fd, at, left);

        if (n < 0 && errno != EINTR)
            return failed(part->path, "write", ERROR_IO, err);
        if (n > 0) {
            at += n;
            left -= (size_t)n;
        }
    }
    part->size += bytes.len;
    return 0;
}

static int flush(struct part *part, struct error *err)
{
    struct mr_bytes bytes = {part->buffer, part->used};

    part->raw_size += part->used;
    part->used = 0;
    return write_out(
        part, part->encoder ? encoder_feed(part->encoder, bytes.ptr, bytes.len) : bytes, err);
}

static int flush_all(struct part *part, struct error *err)
{
    if (flush(part, err))
        return -1;
    return part->encoder ? write_out(part, encoder_end(part->encoder), err) : 0;
}

/* Room for `need` more bytes, flushing if that spares growing. */
static int make_room(struct part *part, size_t need, struct error *err)
{
    if (part->used + need <= part->capacity)
        return 0;
    if (part->used + need > BUFFER && flush(part, err))
        return -1;
    memory_reserve(&part->buffer, &part->capacity, part->used + need, 1);
    return 0;
}

int part_pair(struct part *part, struct mr_bytes key, struct mr_bytes value, enum mr_type type,
              struct error *err)
{
    if (make_room(part, format_room(part->format, key, value, type), err))
        return -1;
    part->used += format_pair(part->format, part->buffer + part->used, key, value, type);
    return 0;
}

int part_bytes(struct part *part, struct mr_bytes bytes, struct error *err)
{
    if (make_room(part, bytes.len, err))
        return -1;
    if (bytes.len)
        memcpy(part->buffer + part->used, bytes.ptr, bytes.len);
    part->used += bytes.len;
    return 0;
}

uint64_t part_size(const struct part *part)
{
    return part->raw_size + part->used;
}

static void part_free(struct part *part)
{
    if (part->fd >= 0)
        close(part->fd);
    encoder_free(part->encoder);
    XXH3_freeState(part->checksum);
    free(part->buffer);
    free(part->path);
    free(part);
}

int part_finish(struct part *part, bool sync, struct part_result *ret, struct error *err)
{
    int fd = part->fd;

    if (flush_all(part, err)) {
        part_abandon(part);
        return -1;
    }
    part->fd = -1;
    if ((sync && fsync(fd)) || close(fd)) {
        failed(part->path, "close", ERROR_IO, err);
        part_abandon(part);
        return -1;
    }
    *ret = (struct part_result){part->size, XXH3_64bits_digest(part->checksum), part->raw_size};
    part_free(part);
    return 0;
}

void part_abandon(struct part *part)
{
    if (!part)
        return;
    door_remove(part->path);
    part_free(part);
}
