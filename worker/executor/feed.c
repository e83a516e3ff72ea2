#include "worker/executor/feed.h"

#include <string.h>

#include "base/memory.h"
#include "record/fixed.h"
#include "record/newlines.h"

static void show_place(struct thread *thread, uint64_t offset, size_t length, bool single)
{
    struct slot *slot = thread->slot;

    atomic_store_explicit(&slot->offset, offset, memory_order_relaxed);
    atomic_store_explicit(&slot->length, length, memory_order_relaxed);
    atomic_store_explicit(&slot->single, single, memory_order_relaxed);
    thread->source.offset = offset;
}

/* Maps one record; `text` is where its piece of the file begins, at byte `offset` there. */
static inline void map_record(struct thread *thread, struct mr_bytes record, const char *text,
                              uint64_t offset)
{
    show_place(thread, offset + (uint64_t)(record.ptr - text), record.len, true);
    thread->host->job.map(&thread->task, record);
    thread->input_records++;
    slot_tick(thread->slot);
}

/* Feeds lines one by one; `whole` with their newline, as a block of one record. */
static void map_lines(struct thread *thread, struct mr_bytes text, uint64_t offset, bool whole)
{
    struct newlines newlines = newlines_in(text);
    const char *end = text.ptr + text.len;

    for (const char *at = text.ptr, *next; at < end && !thread->failed; at = next) {
        const char *newline = newlines_next(&newlines);
        const char *stop = newline ? newline : end;

        next = newline ? newline + 1 : end;
        map_record(thread, (struct mr_bytes){at, (size_t)((whole ? next : stop) - at)},
                   text.ptr, offset);
    }
}

static void map_fixed(struct thread *thread, struct mr_bytes text, uint64_t offset)
{
    struct mr_bytes rest = text, record;

    while (!thread->failed && mr_next_record(&rest, thread->host->input_format.width, &record))
        map_record(thread, record, text.ptr, offset);
}

/* Feeds a stretch of whole records, as blocks where the job takes them. */
static void map_stretch(struct thread *thread, struct mr_bytes text, uint64_t offset,
                        bool single)
{
    bool blocks = thread->host->job.input == MR_BLOCKS;

    if (blocks && !single) {
        show_place(thread, offset, text.len, false);
        thread->host->job.map(&thread->task, text);
        thread->input_records += format_count(thread->host->input_format, text);
        slot_tick(thread->slot);
    } else if (thread->host->input_format.kind == INPUT_FIXED) {
        map_fixed(thread, text, offset);
    } else {
        map_lines(thread, text, offset, blocks);
    }
}

/* Bytes of the first record, with what ends it. */
static size_t first_record(const struct thread *thread, struct mr_bytes text)
{
    size_t width = thread->host->input_format.width;
    const char *newline;

    if (thread->host->input_format.kind == INPUT_FIXED)
        return width < text.len ? width : text.len;
    newline = memchr(text.ptr, '\n', text.len);
    return newline ? (size_t)(newline - text.ptr) + 1 : text.len;
}

/* Text of which some records are left out, or fed singly: what lies between is fed as it is. */
static void map_with_care(struct thread *thread, struct mr_bytes text, uint64_t offset)
{
    uint64_t at = offset, end = offset + text.len, until;

    for (; at < end && !thread->failed; at = until) {
        struct mr_bytes rest = {text.ptr + (at - offset), (size_t)(end - at)};
        enum skips_how how = skips_at(thread->skips, thread->source.file, at, end, &until);

        if (how == SKIPS_LEAVE_OUT) {
            until = at + first_record(thread, rest);
            thread->skipped++;
            continue;
        }
        rest.len = (size_t)(until - at);
        map_stretch(thread, rest, at, how == SKIPS_SINGLY || thread->assign->single);
    }
}

static void map_text(struct thread *thread, struct mr_bytes text, uint64_t offset)
{
    const struct skips *skips = thread->skips;

    thread->text = text.ptr;
    thread->text_size = text.len;
    thread_phase(thread, SLOT_MAP);
    if (skips && (skips->record_count || skips->narrow_count))
        map_with_care(thread, text, offset);
    else
        map_stretch(thread, text, offset, thread->assign->single);
    thread_phase(thread, SLOT_HOST);
    thread->text = NULL;
    thread->text_size = 0;
    thread->input_bytes += text.len;
}

static int read_piece(struct thread *thread, const struct input *input,
                      const Mr__Extent *extent, uint64_t offset, uint64_t length,
                      struct mr_bytes *ret_text, uint64_t *ret_offset, struct error *err)
{
    if (input->fd < 0) /* a range */
        return fixed_numbers(&thread->lines, extent->file_size / FIXED_NUMBER, offset, length,
                             ret_text, ret_offset, err);
    return format_read(thread->host->input_format, &thread->lines,
                       &(struct lines_file){input->fd, input->path, extent->file_size}, offset,
                       length, ret_text, ret_offset, err);
}

bool feed_map(struct thread *thread, struct input *input, Mr__Extent *const *extents,
              uint32_t index, uint64_t offset, uint64_t length)
{
    const Mr__Extent *extent = extents[index];
    struct mr_bytes text;
    uint64_t begin;
    struct error err;

    thread_phase(thread, SLOT_HOST);
    if (input_open(input, extents, index, &err) ||
        read_piece(thread, input, extent, offset, length, &text, &begin, &err)) {
        thread_fail(thread, err.code, "%s", err.text);
        return false;
    }
    thread->source.file = extent->file;
    thread->source.path = input->path;
    atomic_store_explicit(&thread->slot->file, extent->file, memory_order_relaxed);
    if (text.len)
        map_text(thread, text, begin);
    return text.len > 0;
}
