#include "worker/executor/sift.h"

#include <stdlib.h>

/* Pairs that no combiner sees are dropped. */
static void drop_pairs(struct thread *thread)
{
    if (thread->table)
        aggregate_clear(thread->table);
    if (!thread->pairs)
        return;
    pairs_free(thread->pairs);
    thread->pairs = pairs_new(thread->host->open->parts,
                              thread->host->map_only ? 0 : thread->host->value_width);
}

/* Into a run that nobody reads. */
static int combine_pairs(struct map_task *map, struct error *err)
{
    int result = map_open_run(map, err);

    if (!result) {
        result = map_flush_round(map, false, err);
        run_abandon(map->run);
    }
    free(map->path);
    map->path = NULL;
    return result;
}

static int sift_chunk(struct map_task *map, struct input *input,
                      const struct supply_chunk *chunk, struct error *err)
{
    struct thread *thread = &map->executor->threads[0];
    int result = 0;

    /* Set by the first record that is fed: what is found goes back to it. */
    thread->slot->sifts = 0;
    thread_set_up(thread);
    if (!thread->failed)
        map_chunk(map, thread, input, chunk);
    if (!thread->failed && thread->slot->sifts && map->host->job.combine)
        result = combine_pairs(map, err);
    else
        drop_pairs(thread);
    thread_phase(thread, SLOT_HOST);
    if (thread->failed) {
        *err = thread->error;
        return -1;
    }
    return result;
}

static int sift_chunks(struct map_task *map, struct error *err)
{
    struct thread *thread = &map->executor->threads[0];
    struct input input = {.fd = -1};
    struct supply_chunk chunk;
    int result = 0, taken = 0;

    while (!result && (taken = supply_take(&map->supply, thread, &chunk)) > 0)
        result = sift_chunk(map, &input, &chunk, err);
    input_close(&input);
    if (taken < 0)
        *err = thread->error;
    return result || taken < 0 ? -1 : 0;
}

int sift(const struct map_task *whole, const struct thread **ret_failed, struct error *err)
{
    const Mr__Place *from = whole->assign->sift;
    const struct thread *thread = &whole->executor->threads[0];
    struct map_task map = {.executor = whole->executor,
                           .host = whole->host,
                           .assign = whole->assign,
                           .n = 1,
                           .memory = whole->memory,
                           .run_id = whole->run_id,
                           .skips = whole->skips};
    int result;

    map.skips.sifts = true;
    map.skips.from = (struct skips_place){from->file, from->offset, 0};
    /* As if for many threads: a chunk is done again for each bad key in it. */
    supply_init(&map.supply, map.host, map.assign, LIMIT_THREADS);
    map.supply.text_max = LIMIT_PIECE;
    supply_pass(&map.supply, from->file);
    map_begin_threads(&map);
    thread->slot->lone = 1;
    result = sift_chunks(&map, err);
    *ret_failed = thread->failed ? thread : NULL;
    map_end_threads(&map);
    supply_done(&map.supply);
    return result;
}
