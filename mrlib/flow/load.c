#include "flow/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/slab.h"
#include "record/run_format.h"
#include "record/run_record.h"

/* Read at a time: small enough to be checked and cut into records while it is in the cache. */
enum { PIECE = 512 << 10 };

/* A small job does not touch a slab. */
enum { SMALL = 256 << 10 };

void load_space_free(struct load_space *space)
{
    if (space->size > SMALL)
        slab_give(space->bytes, space->size);
    else
        memory_unmap(space->bytes, space->size);
    *space = (struct load_space){NULL, 0};
}

/* From the pool, so that what maps used makes way for it. */
static int space_take(struct load_space *space, size_t size, struct error *err)
{
    space->bytes = size > SMALL ? slab_take(size) : memory_map(size);
    if (!space->bytes)
        return error_set(err, ERROR_MEMORY, "no memory for %zu bytes of values", size);
    space->size = size;
    return 0;
}

/* Divides the space into payloads and entries; what is in it is lost if it must grow. */
static int lay_out(struct load *load, size_t payloads, size_t entries, struct error *err)
{
    size_t aligned = (payloads + 15) & ~(size_t)15,
           size = aligned + 2 * entries * sizeof *load->entries;

    if (size > load->space->size) {
        /* The next part may be a little larger. */
        size += size / 8;
        load_space_free(load->space);
        if (space_take(load->space, size, err))
            return -1;
    }
    load->payload_size = payloads;
    load->entries = (struct sort_entry *)(void *)(load->space->bytes + aligned);
    load->capacity = entries;
    return 0;
}

int load_open(struct load *load, struct load_space *space, uint64_t bytes, uint64_t records,
              size_t memory, uint32_t value_width, struct error *err)
{
    uint64_t need = bytes + 2 * records * sizeof *load->entries;

    *load = (struct load){.space = space, .value_width = value_width};
    /* An earlier merge may have had more. */
    if (space->size / 2 > memory)
        load_space_free(space);
    if (need > memory) {
        bytes = (uint64_t)((double)memory * (double)bytes / (double)need);
        records = (memory - bytes) / (2 * sizeof *load->entries);
    }
    return lay_out(load, bytes, records, err);
}

void load_reader_open(struct load_reader *reader, const struct run_file *run,
                      const struct run_segment *segment)
{
    *reader = (struct load_reader){.run = run, .segment = segment};
    if (segment->raw_size == segment->size)
        reader->audit = run_audit_new(segment);
    else
        reader->cursor = run_cursor_new(run, segment);
}

void load_reader_close(struct load_reader *reader)
{
    run_audit_free(reader->audit);
    run_cursor_free(reader->cursor);
}

/* The bytes of the block at hand, its header included; 0 while its header is not read. */
static size_t block_size(const struct load *load, struct run_block *ret_header)
{
    if (load->tail < sizeof *ret_header)
        return 0;
    memcpy(ret_header, load->space->bytes + load->used, sizeof *ret_header);
    return sizeof *ret_header + ret_header->stored_size;
}

/* Entries for a block's records; there is room for them. */
static int add_entries(struct load *load, struct mr_bytes payload, uint32_t records,
                       struct error *err)
{
    struct sort_entry *entry = &load->entries[load->count];
    uint32_t width = load->value_width;
    struct mr_bytes key, value;

    for (uint32_t i = 0; i < records; i++) {
        const char *place = payload.ptr;

        if (run_decode(&payload, width, &key, &value) != 1)
            return error_set(err, ERROR_DAMAGE, "a block's records make no sense");
        *entry++ = sort_entry_of(key, place);
    }
    if (payload.len)
        return error_set(err, ERROR_DAMAGE, "a block holds more records than it says");
    load->count += records;
    return 0;
}

/* Takes the whole blocks of what was read: 1 when their records do not fit. */
static int take_blocks(struct load *load, struct error *err)
{
    struct run_block header;

    for (size_t size; (size = block_size(load, &header)) && size <= load->tail;) {
        struct mr_bytes payload = {load->space->bytes + load->used + sizeof header,
                                   header.stored_size};

        if (header.codec)
            return error_set(err, ERROR_DAMAGE,
                             "a compressed block, though its segment has none");
        if (header.records > load->capacity - load->count)
            return 1;
        if (add_entries(load, payload, header.records, err))
            return -1;
        load->used += size;
        load->tail -= size;
    }
    return 0;
}

/* Reads on: 1 when the block at hand does not fit. */
static int read_piece(struct load *load, struct load_reader *reader, struct error *err)
{
    uint64_t left = reader->segment->size - reader->fed;
    size_t room = load->payload_size - load->used - load->tail, size = PIECE, need;
    char *at = load->space->bytes + load->used + load->tail;
    struct run_block header;

    need = block_size(load, &header);
    need = need ? need - load->tail : 1;
    if (need > room)
        return 1;
    size = size < need ? need : size;
    size = size > room ? room : size;
    size = size > left ? (size_t)left : size;
    if (run_read(reader->run, reader->segment, reader->fed, at, size, err) ||
        run_audit_feed(reader->audit, at, size, err))
        return -1;
    reader->fed += size;
    load->tail += size;
    return 0;
}

/* Unpacks block by block: 1 when the block at hand does not fit. */
static int read_packed(struct load *load, struct load_reader *reader, struct error *err)
{
    for (;;) {
        struct mr_bytes *payload = &reader->payload;
        struct mr_bytes copy = {load->space->bytes + load->used, 0};
        int result = reader->pending
                         ? 1
                         : run_next_block(reader->cursor, payload, &reader->records, err);

        if (result <= 0)
            return result;
        reader->pending = true;
        if (payload->len > load->payload_size - load->used ||
            reader->records > load->capacity - load->count) {
            load->lacked = payload->len;
            load->lacked_records = reader->records;
            return 1;
        }
        copy.len = payload->len;
        memcpy(load->space->bytes + load->used, payload->ptr, payload->len);
        if (add_entries(load, copy, reader->records, err))
            return error_wrap(err, "run '%s'", run_file_path(reader->run));
        load->used += payload->len;
        reader->pending = false;
    }
}

int load_read(struct load *load, struct load_reader *reader, struct error *err)
{
    int result;

    if (reader->cursor)
        return read_packed(load, reader, err);
    while (!(result = take_blocks(load, err)) && reader->fed < reader->segment->size)
        if ((result = read_piece(load, reader, err)))
            break;
    check(result || !load->tail); /* the audit has seen the segment end with a block */
    if (result < 0 && err->code == ERROR_DAMAGE)
        return error_wrap(err, "run '%s'", run_file_path(reader->run));
    return result;
}

int load_empty(struct load *load, struct error *err)
{
    char *bytes = load->space->bytes;
    size_t tail = load->tail, size, payloads = load->payload_size, entries = load->capacity;
    size_t records;
    struct run_block header = {.records = 0};
    cleanup_free char *copy = NULL;

    size = block_size(load, &header);
    size = size > sizeof header + tail ? size : sizeof header + tail;
    size = size > load->lacked ? size : load->lacked;
    records = header.records > load->lacked_records ? header.records : load->lacked_records;
    if (size <= payloads && records <= entries) {
        if (tail)
            memmove(bytes, bytes + load->used, tail);
    } else {
        copy = memory_new(tail);
        if (tail)
            memcpy(copy, bytes + load->used, tail);
        if (lay_out(load, size > payloads ? size : payloads,
                    records > entries ? records : entries, err))
            return -1;
        if (tail)
            memcpy(load->space->bytes, copy, tail);
    }
    load->used = load->count = load->lacked = load->lacked_records = 0;
    return 0;
}

void load_sort(struct load *load, size_t first, size_t count)
{
    check(first + count <= load->count && count <= load->capacity);
    sort_entries(load->entries + first, load->entries + load->capacity, count,
                 &(struct sort_keys){sort_record_key, load->value_width});
}
