/* Journals from a damaged disk or a foreign hand: the input as a log and as a snapshot, as it
 * is, and again with header and checksums made right, so that what lies behind them is reached.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/journal_read.h"

enum { GENERATION = 3, SALT = 0x5eed, BASE = 100 };

struct counter {
    uint64_t records, bytes;
};

static int count(void *context, struct mr_bytes record, struct error *err)
{
    struct counter *counter = context;

    (void)err;
    counter->records++;
    for (size_t i = 0; i < record.len; i++)
        counter->bytes += 1 + (record.ptr[i] == 'x');
    return 0;
}

/* What a writer would have made of these bytes, as far as they have the shape of frames. */
static void seal(uint8_t *bytes, size_t size, enum journal_file kind)
{
    struct journal_header header = journal_header(kind, GENERATION, SALT, BASE);
    struct journal_frame frame;

    memcpy(bytes, &header, size < sizeof header ? size : sizeof header);
    for (size_t at = sizeof header; at + sizeof frame <= size;) {
        size_t room = size - at - sizeof frame;

        memcpy(&frame, bytes + at, sizeof frame);
        if (frame.length > room)
            frame.length %= room + 1;
        /* A zero leaves the frame wrong, so that what follows is behind a bad one. */
        if (frame.checksum)
            frame.checksum = journal_frame_sum(&frame, bytes + at + sizeof frame, SALT);
        memcpy(bytes + at, &frame, sizeof frame);
        at += sizeof frame + frame.length;
    }
}

static int file_of(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("journal", MFD_CLOEXEC);

    check(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    return fd;
}

static void try_log(const uint8_t *bytes, size_t size)
{
    const struct journal_header snapshot =
        journal_header(JOURNAL_SNAPSHOT, GENERATION, SALT, BASE);
    struct counter counter = {0}, again = {0};
    const struct journal_taker taker = {count, &counter}, taker_again = {count, &again};
    struct journal_end end, end_again;
    struct error err = {0};
    int fd = file_of(bytes, size);

    if (journal_read_log(fd, "log", &snapshot, &taker, &end, &err)) {
        check((err.code == ERROR_DAMAGE || err.code == ERROR_REFUSED) && err.text[0]);
    } else {
        check(end.size + end.torn == size && end.sequence - BASE == counter.records);
        /* Without its torn tail it is the same log. */
        check(!ftruncate(fd, (off_t)end.size));
        check(!journal_read_log(fd, "log", &snapshot, &taker_again, &end_again, &err));
        check(!end_again.torn && end_again.size == end.size &&
              end_again.sequence == end.sequence && again.bytes == counter.bytes);
    }
    close(fd);
}

static void try_snapshot(const uint8_t *bytes, size_t size)
{
    struct counter counter = {0};
    const struct journal_taker taker = {count, &counter};
    struct journal_header header;
    struct error err = {0};
    uint64_t records;
    int fd = file_of(bytes, size);

    if (journal_read_snapshot(fd, "snapshot", &taker, &header, &records, &err))
        check((err.code == ERROR_DAMAGE || err.code == ERROR_REFUSED) && err.text[0]);
    else
        check(records == counter.records);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_free uint8_t *sealed = memory_new(size + 1);

    try_log(data, size);
    try_snapshot(data, size);
    memcpy(sealed, data, size);
    seal(sealed, size, JOURNAL_LOG);
    try_log(sealed, size);
    memcpy(sealed, data, size);
    seal(sealed, size, JOURNAL_SNAPSHOT);
    try_snapshot(sealed, size);
    return 0;
}
