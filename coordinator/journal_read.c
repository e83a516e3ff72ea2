#include "coordinator/journal_read.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "coordinator/journal.h"

enum { WINDOW = 256 << 10 };

static const char way_out[] =
    "put back a copy of the state folder, or move folder 'journal' out of it to begin without "
    "the jobs that it holds";

/* A file, and the piece of it that is in memory. */
struct reader {
    int fd;
    const char *name;
    uint64_t size;
    uint8_t *window;
    size_t capacity, filled;
    uint64_t start; /* of the window */
};

static int reader_init(struct reader *reader, int fd, const char *name, struct error *err)
{
    struct stat st;

    *reader = (struct reader){.fd = fd, .name = name};
    if (fstat(fd, &st))
        return error_errno(err, ERROR_IO, "read '%s'", name);
    reader->size = (uint64_t)st.st_size;
    return 0;
}

static void reader_done(struct reader *reader)
{
    free(reader->window);
}

static int damaged(const struct reader *reader, uint64_t offset, const char *what,
                   struct error *err)
{
    return error_set(err, ERROR_DAMAGE, "journal '%s' is damaged at offset %" PRIu64 ": %s; %s",
                     reader->name, offset, what, way_out);
}

/* Borrows `n` bytes of the file, which has them, until the next call. NULL: an error. */
static const uint8_t *reader_bytes(struct reader *reader, uint64_t offset, size_t n,
                                   struct error *err)
{
    uint64_t rest = reader->size - offset;
    size_t wanted = n > WINDOW ? n : WINDOW;

    if (offset >= reader->start && offset - reader->start + n <= reader->filled)
        return reader->window + (offset - reader->start);
    if (wanted > rest)
        wanted = (size_t)rest;
    memory_reserve(&reader->window, &reader->capacity, wanted, 1);
    reader->start = offset;
    reader->filled = 0;
    while (reader->filled < wanted) {
        ssize_t got = pread(reader->fd, reader->window + reader->filled,
                            wanted - reader->filled, (off_t)(offset + reader->filled));

        if (got < 0 && errno == EINTR)
            continue;
        if (!got)
            errno = EIO; /* it was longer a moment ago */
        if (got <= 0) {
            error_errno(err, ERROR_IO, "read '%s' at offset %" PRIu64, reader->name, offset);
            return NULL;
        }
        reader->filled += (size_t)got;
    }
    return reader->window;
}

/* The frame at `offset`: 1, 0 when there is none whose checksum is right, -1. The payload is
 * borrowed until the next reading. */
static int read_frame(struct reader *reader, uint64_t offset, uint64_t salt,
                      struct journal_frame *ret, const uint8_t **ret_payload, struct error *err)
{
    struct journal_frame frame;
    const uint8_t *bytes;

    if (reader->size - offset < sizeof frame)
        return 0;
    bytes = reader_bytes(reader, offset, sizeof frame, err);
    if (!bytes)
        return -1;
    memcpy(&frame, bytes, sizeof frame);
    if (frame.kind < JOURNAL_RECORD || frame.kind > JOURNAL_END ||
        (frame.kind != JOURNAL_RECORD && frame.length) || frame.length > JOURNAL_RECORD_MAX ||
        frame.length > reader->size - offset - sizeof frame)
        return 0;
    bytes = reader_bytes(reader, offset, sizeof frame + frame.length, err);
    if (!bytes)
        return -1;
    if (frame.checksum != journal_frame_sum(&frame, bytes + sizeof frame, salt))
        return 0;
    *ret = frame;
    *ret_payload = bytes + sizeof frame;
    return 1;
}

static int take(const struct journal_taker *taker, const struct journal_frame *frame,
                const uint8_t *payload, struct error *err)
{
    struct mr_bytes record = {(const char *)payload, frame->length};

    return taker->take ? taker->take(taker->context, record, err) : 0;
}

static int read_header(struct reader *reader, enum journal_file kind,
                       struct journal_header *ret, struct error *err)
{
    const uint8_t *bytes;

    if (reader->size < sizeof *ret)
        return damaged(reader, 0, "its header is not whole", err);
    bytes = reader_bytes(reader, 0, sizeof *ret, err);
    if (!bytes)
        return -1;
    memcpy(ret, bytes, sizeof *ret);
    if (!journal_header_check(ret, kind, err))
        return 0;
    if (err->code == ERROR_DAMAGE) {
        struct error why = *err;

        return damaged(reader, 0, why.text, err);
    }
    return error_wrap(err, "journal '%s'", reader->name);
}

static int read_snapshot(struct reader *reader, const struct journal_taker *taker,
                         struct journal_header *header, uint64_t *ret_records,
                         struct error *err)
{
    uint64_t offset = sizeof *header, records = 0;
    struct journal_frame frame;
    const uint8_t *payload;
    int found;

    if (read_header(reader, JOURNAL_SNAPSHOT, header, err))
        return -1;
    while ((found = read_frame(reader, offset, header->salt, &frame, &payload, err)) == 1) {
        bool end = frame.kind == JOURNAL_END;

        offset += sizeof frame + frame.length;
        if (frame.kind == JOURNAL_MARK || frame.sequence != records + !end ||
            (end && offset != reader->size))
            return damaged(reader, offset - sizeof frame - frame.length,
                           "what stands there does not belong there", err);
        if (end) {
            *ret_records = records;
            return 0;
        }
        records++;
        if (take(taker, &frame, payload, err))
            return -1;
    }
    return found ? -1 : damaged(reader, offset, "a record fails its check", err);
}

int journal_read_snapshot(int fd, const char *name, const struct journal_taker *taker,
                          struct journal_header *ret_header, uint64_t *ret_records,
                          struct error *err)
{
    struct reader reader;
    int result = reader_init(&reader, fd, name, err);

    if (!result)
        result = read_snapshot(&reader, taker, ret_header, ret_records, err);
    reader_done(&reader);
    return result;
}

/* There is no good frame in place of what comes behind record `end->sequence`. Whether that was
 * ever promised is told by the marks behind it. */
static int judge_tail(struct reader *reader, uint64_t salt, struct journal_end *end,
                      struct error *err)
{
    struct journal_frame frame;
    const uint8_t *payload;
    uint64_t at = end->size + 1;

    while (at < reader->size) {
        int found = read_frame(reader, at, salt, &frame, &payload, err);

        if (found < 0)
            return -1;
        if (found && frame.kind == JOURNAL_MARK && frame.sequence > end->sequence) {
            char what[96];

            snprintf(what, sizeof what,
                     "a record fails its check, and what follows it (offset %" PRIu64
                     ") is good",
                     at);
            return damaged(reader, end->size, what, err);
        }
        at += found ? sizeof frame + frame.length : 1;
    }
    end->torn = reader->size - end->size;
    return 0;
}

static int read_log(struct reader *reader, const struct journal_header *snapshot,
                    const struct journal_taker *taker, struct journal_end *end,
                    struct error *err)
{
    struct journal_header header, wanted = journal_header(JOURNAL_LOG, snapshot->generation,
                                                          snapshot->salt, snapshot->base);
    struct journal_frame frame;
    const uint8_t *payload;
    int found;

    *end = (struct journal_end){.sequence = snapshot->base, .marked = true};
    if (reader->size < sizeof header) {
        end->torn = reader->size;
        payload = reader->size ? reader_bytes(reader, 0, (size_t)reader->size, err) : NULL;
        if (reader->size && !payload)
            return -1;
        if (reader->size && memcmp(payload, &wanted, (size_t)reader->size))
            return damaged(reader, 0, "its header is damaged", err);
        return 0;
    }
    if (read_header(reader, JOURNAL_LOG, &header, err))
        return -1;
    if (memcmp(&header, &wanted, sizeof header))
        return damaged(reader, 0, "it does not belong to the snapshot beside it", err);
    end->size = sizeof header;
    while ((found = read_frame(reader, end->size, header.salt, &frame, &payload, err)) == 1) {
        bool record = frame.kind == JOURNAL_RECORD;

        if (frame.kind == JOURNAL_END || frame.sequence != end->sequence + record)
            return damaged(reader, end->size, "what stands there does not belong there", err);
        if (record && take(taker, &frame, payload, err))
            return -1;
        end->sequence = frame.sequence;
        end->size += sizeof frame + frame.length;
        end->marked = !record;
    }
    return found ? -1 : judge_tail(reader, header.salt, end, err);
}

int journal_read_log(int fd, const char *name, const struct journal_header *snapshot,
                     const struct journal_taker *taker, struct journal_end *ret,
                     struct error *err)
{
    struct reader reader;
    int result = reader_init(&reader, fd, name, err);

    if (!result)
        result = read_log(&reader, snapshot, taker, ret, err);
    reader_done(&reader);
    return result;
}
