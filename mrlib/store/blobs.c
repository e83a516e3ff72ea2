#include "store/blobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/memory.h"
#include "store/object.h"
#include "store/tree.h"

/* A blob on its way. */
struct arriving {
    uint64_t source;
    uint8_t hash[BLOB_HASH];
    uint64_t have, total;
    char *path;
    int fd;
};

struct blobs {
    char *folder;
    bool durable;
    struct arriving *arriving;
    size_t count, capacity;
};

/* What is whole has a name without a dot. */
static void remove_unfinished(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        if (entry->d_name[0] != '.' && strchr(entry->d_name, '.'))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
}

int blobs_open(const char *folder, bool durable, struct blobs **ret, struct error *err)
{
    struct blobs *blobs;

    if (mkdir(folder, 0700) && errno != EEXIST)
        return error_scratch(err, ERROR_IO, "make folder '%s'", folder);
    remove_unfinished(folder);
    blobs = memory_zeroed(1, sizeof *blobs);
    blobs->folder = memory_text(folder);
    blobs->durable = durable;
    *ret = blobs;
    return 0;
}

static void drop(struct blobs *blobs, size_t index)
{
    struct arriving *arriving = &blobs->arriving[index];

    close(arriving->fd);
    unlink(arriving->path);
    free(arriving->path);
    *arriving = blobs->arriving[--blobs->count];
}

void blobs_close(struct blobs *blobs)
{
    if (!blobs)
        return;
    while (blobs->count)
        drop(blobs, 0);
    free(blobs->arriving);
    free(blobs->folder);
    free(blobs);
}

static char *final_path(const struct blobs *blobs, const uint8_t *hash)
{
    char hex[2 * BLOB_HASH + 1];

    object_hex(hash, hex);
    return memory_format("%s/%s", blobs->folder, hex);
}

char *blobs_path(const struct blobs *blobs, const uint8_t hash[BLOB_HASH])
{
    char *path = final_path(blobs, hash);

    if (!access(path, R_OK))
        return path;
    free(path);
    return NULL;
}

static struct arriving *find(struct blobs *blobs, uint64_t source, const uint8_t *hash)
{
    for (size_t i = 0; i < blobs->count; i++)
        if (blobs->arriving[i].source == source &&
            !memcmp(blobs->arriving[i].hash, hash, BLOB_HASH))
            return &blobs->arriving[i];
    return NULL;
}

static size_t count_of(const struct blobs *blobs, uint64_t source)
{
    size_t n = 0;

    for (size_t i = 0; i < blobs->count; i++)
        n += blobs->arriving[i].source == source;
    return n;
}

static struct arriving *begin(struct blobs *blobs, uint64_t source, const uint8_t *hash,
                              uint64_t total, struct error *err)
{
    cleanup_free char *path = final_path(blobs, hash);
    struct arriving arriving = {.source = source, .total = total};

    if (count_of(blobs, source) == LIMIT_BLOBS) {
        error_set(err, ERROR_REFUSED, "more than %d files are on their way at once",
                  LIMIT_BLOBS);
        return NULL;
    }
    memcpy(arriving.hash, hash, BLOB_HASH);
    arriving.path = memory_format("%s.%016llx", path, (unsigned long long)source);
    arriving.fd = open(arriving.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (arriving.fd < 0) {
        error_scratch(err, ERROR_IO, "create '%s'", arriving.path);
        free(arriving.path);
        return NULL;
    }
    memory_reserve(&blobs->arriving, &blobs->capacity, blobs->count + 1, sizeof arriving);
    blobs->arriving[blobs->count] = arriving;
    return &blobs->arriving[blobs->count++];
}

static int write_all(const struct arriving *arriving, const char *bytes, size_t size,
                     struct error *err)
{
    while (size) {
        ssize_t n = write(arriving->fd, bytes, size);

        if (n < 0 && errno != EINTR)
            return error_scratch(err, ERROR_IO, "write '%s'", arriving->path);
        if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* The last piece is there: it is what it is called, or it is nothing. */
static int complete(struct blobs *blobs, struct arriving *arriving, struct error *err)
{
    cleanup_free char *path = final_path(blobs, arriving->hash);
    uint8_t hash[BLOB_HASH];
    int result = 1;

    if (object_sha256(arriving->path, hash, err))
        result = -1;
    else if (memcmp(hash, arriving->hash, BLOB_HASH))
        result = error_set(err, ERROR_DAMAGE,
                           "a job object arrived with another hash than announced");
    else if (blobs->durable && fsync(arriving->fd))
        result = error_scratch(err, ERROR_IO, "sync '%s'", arriving->path);
    else if (rename(arriving->path, path))
        result = error_scratch(err, ERROR_IO, "rename '%s'", arriving->path);
    else if (blobs->durable && tree_sync(blobs->folder, err))
        result = -1;
    drop(blobs, (size_t)(arriving - blobs->arriving));
    return result;
}

/* Whether the piece can be the next one of `arriving` (NULL: of none). */
static int check_piece(const struct arriving *arriving, uint64_t offset, uint64_t total,
                       size_t size, struct error *err)
{
    if (total > LIMIT_OBJECT || size > BLOB_PIECE || offset > total || size > total - offset)
        return error_set(err, ERROR_REFUSED, "a job object of %llu bytes is above the limit",
                         (unsigned long long)total);
    if (offset && (!arriving || offset != arriving->have || total != arriving->total))
        return error_set(err, ERROR_DAMAGE, "a piece of a job object came out of order");
    return 0;
}

int blobs_add(struct blobs *blobs, uint64_t source, const uint8_t hash[BLOB_HASH],
              uint64_t offset, uint64_t total, const void *bytes, size_t size,
              struct error *err)
{
    struct arriving *arriving = find(blobs, source, hash);
    int wrong = check_piece(arriving, offset, total, size, err);

    if (arriving && (wrong || offset == 0)) {
        drop(blobs, (size_t)(arriving - blobs->arriving));
        arriving = NULL;
    }
    if (!wrong && !arriving)
        arriving = begin(blobs, source, hash, total, err);
    if (!arriving)
        return -1;
    if (write_all(arriving, bytes, size, err)) {
        drop(blobs, (size_t)(arriving - blobs->arriving));
        return -1;
    }
    arriving->have += size;
    return arriving->have == total ? complete(blobs, arriving, err) : 0;
}

void blobs_forget(struct blobs *blobs, uint64_t source)
{
    for (size_t i = blobs->count; i-- > 0;)
        if (blobs->arriving[i].source == source)
            drop(blobs, i);
}

int blobs_read(const struct blobs *blobs, const uint8_t hash[BLOB_HASH], uint64_t offset,
               void *bytes, size_t *ret_size, uint64_t *ret_total, struct error *err)
{
    cleanup_free char *path = final_path(blobs, hash);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) || offset > INT64_MAX ||
        (n = pread(fd, bytes, BLOB_PIECE, (off_t)offset)) < 0)
        return error_errno(err, ERROR_OBJECT, "job object '%s'", path);
    *ret_size = (size_t)n;
    *ret_total = (uint64_t)st.st_size;
    return 0;
}
