#include "worker/executor/part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"
#include "worker/executor/door.h"

enum { BUFFER = 1 << 20 };

struct part {
    char *path;
    int fd;
    enum output_format format;
    char *buffer;
    size_t used, capacity;
    uint64_t size;
    XXH3_state_t *checksum;
};

int part_open(const char *path, enum output_format format, struct part **ret, struct error *err)
{
    struct part *part;
    int fd = door_create(path);

    if (fd < 0)
        return error_errno(err, ERROR_OUTPUT, "create '%s'", path);
    part = memory_zeroed(1, sizeof *part);
    part->path = memory_text(path);
    part->fd = fd;
    part->format = format;
    part->checksum = XXH3_createState();
    check(part->checksum);
    XXH3_64bits_reset(part->checksum);
    *ret = part;
    return 0;
}

static int flush(struct part *part, struct error *err)
{
    const char *at = part->buffer;
    size_t left = part->used;

    if (left)
        XXH3_64bits_update(part->checksum, at, left);
    while (left) {
        ssize_t n = write(part->fd, at, left);

        if (n < 0 && errno != EINTR)
            return error_errno(err, ERROR_IO, "write '%s'", part->path);
        if (n > 0) {
            at += n;
            left -= (size_t)n;
        }
    }
    part->size += part->used;
    part->used = 0;
    return 0;
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
    return part->size + part->used;
}

static void part_free(struct part *part)
{
    if (part->fd >= 0)
        close(part->fd);
    XXH3_freeState(part->checksum);
    free(part->buffer);
    free(part->path);
    free(part);
}

int part_finish(struct part *part, bool sync, struct part_result *ret, struct error *err)
{
    int fd = part->fd;

    if (flush(part, err)) {
        part_abandon(part);
        return -1;
    }
    part->fd = -1;
    if ((sync && fsync(fd)) || close(fd)) {
        error_errno(err, ERROR_IO, "close '%s'", part->path);
        part_abandon(part);
        return -1;
    }
    *ret = (struct part_result){part->size, XXH3_64bits_digest(part->checksum)};
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
