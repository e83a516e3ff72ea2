#include "worker/executor/supply.h"

#include "base/limits.h"
#include "record/limit.h"

void supply_init(struct supply *supply, const struct host *host, const Mr__Assign *assign,
                 int threads)
{
    *supply = (struct supply){.host = host, .input.fd = -1, .text_max = LIMIT_CHUNK};
    pthread_mutex_init(&supply->lock, NULL);
    chunks_cut(&supply->chunks, host->input_format, assign->extents, assign->n_extents,
               threads);
}

static void close_solid(struct supply *supply)
{
    solid_free(supply->solid);
    supply->solid = NULL;
    input_close(&supply->input);
}

void supply_done(struct supply *supply)
{
    close_solid(supply);
    chunks_done(&supply->chunks);
    pthread_mutex_destroy(&supply->lock);
}

bool supply_has_more(const struct supply *supply)
{
    return supply->next < supply->chunks.count ||
           (supply->solid && !solid_ended(supply->solid));
}

int supply_open(const struct host *host, struct input *input, Mr__Extent *const *extents,
                uint32_t index, struct solid **ret, struct error *err)
{
    const Mr__Extent *extent = extents[index];
    uint64_t window = record_window(host->open->memory);

    if (input_open(input, extents, index, err))
        return -1;
    *ret = solid_new(host->input_format,
                     &(struct lines_file){input->fd, input->path, extent->file_size}, window);
    return 0;
}

int supply_bind(struct thread *thread, const struct solid *solid, const struct input *input,
                const Mr__Extent *extent, struct error *err)
{
    if (!thread->fields || fields_is_of(thread->fields, extent->file))
        return 0;
    return fields_file(thread->fields, extent->file, input->path, solid_first_row(solid), err);
}

void supply_pass(struct supply *supply, uint32_t file)
{
    const struct chunks *chunks = &supply->chunks;

    for (; supply->next < chunks->count; supply->next++) {
        const struct chunk *chunk = &chunks->items[supply->next];

        if (chunks->extents[chunks->pieces[chunk->first + chunk->count - 1].extent]->file >=
            file)
            return;
    }
}

/* The next text of the open solid file; empty at its end. */
static int take_text(struct supply *supply, struct thread *thread, struct supply_chunk *ret,
                     struct error *err)
{
    const Mr__Extent *extent = supply->chunks.extents[supply->input.extent];

    if (solid_next(supply->solid, &thread->lines, supply->text_max, &ret->text, &ret->offset,
                   &ret->used, err) ||
        input_check(&supply->input, extent, err))
        return -1;
    ret->extent = supply->input.extent;
    return ret->text.len ? supply_bind(thread, supply->solid, &supply->input, extent, err) : 0;
}

/* 1: *ret is the next chunk; 0: there is none. Of a file without a text what was read counts.
 */
static int take(struct supply *supply, struct thread *thread, struct supply_chunk *ret,
                struct error *err)
{
    *ret = (struct supply_chunk){.number = supply->number};
    while (supply_has_more(supply)) {
        const struct chunk *chunk;

        if (supply->solid) {
            if (take_text(supply, thread, ret, err))
                return -1;
            thread->input_bytes += ret->used;
            if (solid_ended(supply->solid))
                close_solid(supply);
            if (!ret->text.len)
                continue;
            supply->number++;
            return 1;
        }
        chunk = &supply->chunks.items[supply->next++];
        if (chunk->solid) {
            if (supply_open(supply->host, &supply->input, supply->chunks.extents,
                            supply->chunks.pieces[chunk->first].extent, &supply->solid, err))
                return -1;
            continue;
        }
        ret->pieces = &supply->chunks.pieces[chunk->first];
        ret->count = chunk->count;
        supply->number++;
        return 1;
    }
    return 0;
}

int supply_take(struct supply *supply, struct thread *thread, struct supply_chunk *ret)
{
    struct error err;
    int result;

    thread_phase(thread, SLOT_HOST);
    pthread_mutex_lock(&supply->lock);
    result = take(supply, thread, ret, &err);
    pthread_mutex_unlock(&supply->lock);
    if (result < 0)
        thread_fail(thread, err.code, "%s", err.text);
    return result;
}
