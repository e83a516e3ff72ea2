#include "coordinator/journal_format.h"

#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/journal.h"

static const char magic[8] = {'M', 'R', 'J', 'O', 'U', 'R', 'N', 'L'};

static uint64_t header_sum(const struct journal_header *header)
{
    return XXH3_64bits(header, offsetof(struct journal_header, checksum));
}

struct journal_header journal_header(enum journal_file kind, uint64_t generation, uint64_t salt,
                                     uint64_t base)
{
    struct journal_header header = {.version = JOURNAL_VERSION,
                                    .kind = kind,
                                    .generation = generation,
                                    .salt = salt,
                                    .base = base};

    memcpy(header.magic, magic, sizeof magic);
    header.checksum = header_sum(&header);
    return header;
}

int journal_header_check(const struct journal_header *header, enum journal_file kind,
                         struct error *err)
{
    if (memcmp(header->magic, magic, sizeof magic))
        return error_set(err, ERROR_DAMAGE, "it does not begin as a journal does");
    /* Before the checksum, which may stand elsewhere in a version to come. */
    if (header->version > JOURNAL_VERSION)
        return error_set(err, ERROR_REFUSED,
                         "it has version %u, this program knows %d: start the newer program "
                         "that wrote it",
                         header->version, JOURNAL_VERSION);
    if (header->checksum != header_sum(header) || header->version != JOURNAL_VERSION ||
        header->kind != kind)
        return error_set(err, ERROR_DAMAGE, "its header is damaged");
    return 0;
}

uint64_t journal_frame_sum(const struct journal_frame *frame, const void *payload,
                           uint64_t salt)
{
    uint64_t head = XXH3_64bits_withSeed(frame, offsetof(struct journal_frame, checksum), salt);

    return XXH3_64bits_withSeed(payload, frame->length, head);
}

void journal_frame_add(struct journal_bytes *to, enum journal_kind kind, uint64_t sequence,
                       struct mr_bytes payload, uint64_t salt)
{
    struct journal_frame frame = {
        .length = (uint32_t)payload.len, .kind = kind, .sequence = sequence};

    check(payload.len <= JOURNAL_RECORD_MAX);
    frame.checksum = journal_frame_sum(&frame, payload.ptr, salt);
    memory_reserve(&to->items, &to->capacity, to->count + sizeof frame + payload.len, 1);
    memcpy(to->items + to->count, &frame, sizeof frame);
    to->count += sizeof frame;
    if (payload.len)
        memcpy(to->items + to->count, payload.ptr, payload.len);
    to->count += payload.len;
}
