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

/* Takes the next record of a format with fields, unless the thread has failed; one that is not
 * valid fails it. */
static bool next_record(struct thread *thread, struct mr_bytes *rest,
                        struct mr_bytes *ret_whole, struct mr_bytes *ret_record,
                        const char *text, uint64_t offset)
{
    struct error err;
    int result =
        thread->failed ? 0 : fields_next(thread->fields, rest, ret_whole, ret_record, &err);

    if (result >= 0)
        return result > 0;
    show_place(thread, offset + (uint64_t)(ret_whole->ptr - text), ret_whole->len, true);
    thread_fail(thread, err.code, "%s", err.text);
    return false;
}

/* Feeds records that have fields, or whole rows as blocks of one. */
static void map_records(struct thread *thread, struct mr_bytes text, uint64_t offset,
                        bool whole)
{
    struct mr_bytes rest = text, row, record;

    while (next_record(thread, &rest, &row, &record, text.ptr, offset))
        map_record(thread, whole ? row : record, text.ptr, offset);
}

/* The records of a block, looked at before `map` sees it. */
static uint64_t count_records(struct thread *thread, struct mr_bytes text, uint64_t offset)
{
    struct mr_bytes rest = text, row, record;
    uint64_t n = 0;

    if (!thread->fields)
        return format_count(thread->host->input_format, text);
    while (next_record(thread, &rest, &row, &record, text.ptr, offset))
        n++;
    return n;
}

static void map_block(struct thread *thread, struct mr_bytes text, uint64_t offset)
{
    uint64_t n = count_records(thread, text, offset);

    if (thread->failed)
        return;
    show_place(thread, offset, text.len, false);
    thread->host->job.map(&thread->task, text);
    thread->input_records += n;
    slot_tick(thread->slot);
}

/* Feeds a stretch of whole records, as blocks where the job takes them. */
static void map_stretch(struct thread *thread, struct mr_bytes text, uint64_t offset,
                        bool single)
{
    bool blocks = thread->host->job.input == MR_BLOCKS;

    if (blocks && !single) {
        map_block(thread, text, offset);
    } else if (thread->fields) {
        map_records(thread, text, offset, blocks);
    } else if (thread->host->input_format.kind == INPUT_FIXED) {
        map_fixed(thread, text, offset);
    } else {
        map_lines(thread, text, offset, blocks);
    }
}

/* Bytes of the first record, valid or not, with what ends it. */
static size_t first_record(const struct thread *thread, struct mr_bytes text)
{
    size_t width = thread->host->input_format.width;
    struct mr_bytes rest = text, whole, record;
    const char *newline;
    struct error ignored;

    if (thread->fields)
        return fields_next(thread->fields, &rest, &whole, &record, &ignored) ? whole.len
                                                                             : text.len;
    if (thread->host->input_format.kind == INPUT_FIXED)
        return width < text.len ? width : text.len;
    newline = memchr(text.ptr, '\n', text.len);
    return newline ? (size_t)(newline - text.ptr) + 1 : text.len;
}

/* Where the search for bad records goes on in a text: behind what it is beyond. */
static uint64_t sift_from(struct thread *thread, uint64_t offset)
{
    const struct skips_place *from = &thread->skips->from;
    uint64_t at =
        from->file == thread->source.file && from->offset > offset ? from->offset : offset;

    if (thread->slot->sifts)
        return at;
    /* What is emitted from here on is looked at once the chunk has been fed. */
    thread->slot->sift_file = thread->source.file;
    thread->slot->sift_offset = at;
    thread->slot->sifts = 1;
    return at;
}

/* Text of which some records are left out, or fed singly: what lies between is fed as it is. */
static void map_with_care(struct thread *thread, struct mr_bytes text, uint64_t offset)
{
    bool single = thread->assign->single || thread->skips->sifts;
    uint64_t at = thread->skips->sifts ? sift_from(thread, offset) : offset;
    uint64_t end = offset + text.len, until;

    for (; at < end && !thread->failed; at = until) {
        struct mr_bytes rest = {text.ptr + (at - offset), (size_t)(end - at)};
        enum skips_how how = skips_at(thread->skips, thread->source.file, at, end, &until);

        if (how == SKIPS_LEAVE_OUT) {
            until = at + first_record(thread, rest);
            thread->skipped++;
            continue;
        }
        rest.len = (size_t)(until - at);
        map_stretch(thread, rest, at, how == SKIPS_SINGLY || single);
    }
}

static void map_text(struct thread *thread, struct mr_bytes text, uint64_t offset)
{
    const struct skips *skips = thread->skips;

    thread->text = text.ptr;
    thread->text_size = text.len;
    thread_phase(thread, SLOT_MAP);
    if (skips && (skips->record_count || skips->narrow_count || skips->sifts))
        map_with_care(thread, text, offset);
    else
        map_stretch(thread, text, offset, thread->assign->single);
    thread_phase(thread, SLOT_HOST);
    thread->text = NULL;
    thread->text_size = 0;
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

/* The thread says from which file its text is. */
static void show_file(struct thread *thread, const struct input *input,
                      const Mr__Extent *extent)
{
    thread->source.file = extent->file;
    thread->source.path = input->path;
    atomic_store_explicit(&thread->slot->file, extent->file, memory_order_relaxed);
    atomic_store_explicit(&thread->slot->unpacked,
                          format_codec(thread->host->input_format, input->path) != STREAM_PLAIN,
                          memory_order_relaxed);
}

/* Of csv in lines: what a file begins with is no record, and names the fields of those that are
 * read of it anywhere. */
static int read_header(struct thread *thread, const struct input *input,
                       const Mr__Extent *extent, struct mr_bytes *text, uint64_t *begin,
                       struct error *err)
{
    const struct lines_file file = {input->fd, input->path, extent->file_size};
    struct input_format format = thread->host->input_format;
    struct mr_bytes first = {NULL, 0};
    struct lines lines;
    uint64_t offset;
    int result = 0;

    if (format.kind == INPUT_CSV && *begin == 0) {
        size_t skipped = fields_preamble(format, *text, &first);

        text->ptr += skipped;
        text->len -= skipped;
        *begin += skipped;
    }
    if (!text->len || fields_is_of(thread->fields, extent->file))
        return 0;
    lines_init(&lines);
    lines.limit = thread->lines.limit;
    if (format.kind == INPUT_CSV && !first.ptr) {
        result = format_read(format, &lines, &file, 0, 1, &first, &offset, err);
        if (!result)
            fields_preamble(format, first, &first);
    }
    if (!result)
        result = fields_file(thread->fields, extent->file, input->path, first, err);
    lines_done(&lines);
    return result;
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
        read_piece(thread, input, extent, offset, length, &text, &begin, &err) ||
        input_check(input, extent, &err)) {
        thread_fail(thread, err.code, "%s", err.text);
        return false;
    }
    thread->input_bytes += text.len;
    if (text.len && thread->fields && read_header(thread, input, extent, &text, &begin, &err)) {
        thread_fail(thread, err.code, "%s", err.text);
        return false;
    }
    show_file(thread, input, extent);
    if (text.len)
        map_text(thread, text, begin);
    return text.len > 0;
}

void feed_text(struct thread *thread, struct input *input, Mr__Extent *const *extents,
               uint32_t index, struct mr_bytes text, uint64_t offset)
{
    input_name(input, extents, index);
    show_file(thread, input, extents[index]);
    map_text(thread, text, offset);
}
