/* A map attempt. The threads take chunks of the split in order; what they emit gathers in
 * containers of their own; when these have filled their share of the memory, or at the end, all
 * threads stop at a chunk's end and the containers are written to the run as one round. A round
 * covers a contiguous range of chunks, so that the run keeps the order of the input whatever
 * the threads did. */
#include <fcntl.h>
#include <inttypes.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "wire/bytes.h"
#include "wire/culprit.h"
#include "worker/executor/budget.h"
#include "worker/executor/fault.h"
#include "worker/executor/feed.h"
#include "worker/executor/map_task.h"
#include "worker/executor/sift.h"

static size_t container_bytes(const struct thread *thread)
{
    return (thread->table ? aggregate_bytes(thread->table) : 0) +
           (thread->pairs ? pairs_bytes(thread->pairs) : 0) + thread->out_capacity;
}

static bool is_passed(const struct map_task *map, uint32_t extent, uint64_t end)
{
    return skips_passed(&map->skips, map->assign->extents[extent]->file, end);
}

void map_chunk(struct map_task *map, struct thread *thread, struct input *input,
               const struct supply_chunk *chunk)
{
    Mr__Extent *const *extents = map->assign->extents;
    const struct piece *piece = chunk->pieces;
    size_t before = container_bytes(thread);

    if (thread->pairs)
        pairs_chunk(thread->pairs, chunk->number);
    if (!piece && !stops_look(&map->executor->stops, thread) &&
        !is_passed(map, chunk->extent, chunk->offset + chunk->text.len))
        feed_text(thread, input, extents, chunk->extent, chunk->text, chunk->offset);
    for (uint32_t k = 0; k < chunk->count && !thread->failed; k++, piece++)
        if (!stops_look(&map->executor->stops, thread) &&
            !is_passed(map, piece->extent, piece->offset + piece->length))
            feed_map(thread, input, extents, piece->extent, piece->offset, piece->length);
    if (thread->failed)
        return;
    if (thread->sink == SINK_TEXT)
        thread_flush_text(thread);
    atomic_fetch_add(&map->bytes, container_bytes(thread) - before);
}

/* One thread's part in a round. */
static void map_chunks(struct map_task *map, struct thread *thread)
{
    struct input input = {.fd = -1};

    while (!atomic_load(&map->failed) && (atomic_load(&map->bytes) < map->limit)) {
        struct supply_chunk chunk;
        int taken = supply_take(&map->supply, thread, &chunk);

        if (!taken)
            break;
        if (taken > 0)
            thread_set_up(thread);
        if (!thread->failed)
            map_chunk(map, thread, &input, &chunk);
        if (thread->failed)
            atomic_store(&map->failed, true);
    }
    thread_phase(thread, SLOT_IDLE);
    input_close(&input);
    thread->source.path = "";
}

/* ---- Rounds
 * -------------------------------------------------------------------------------------- */

/* A key that combine is not called for keeps its values. */
static int pass_on(struct pairs_group *group, struct error *err)
{
    struct mr_bytes value;

    while (pairs_group_next(group, &value))
        if (pairs_group_emit(group, value, err))
            return -1;
    return 0;
}

static int combine_one(void *context, int index, struct mr_bytes key, struct pairs_group *group,
                       struct error *err)
{
    struct map_task *map = context;
    struct thread *thread = &map->executor->threads[index];
    struct mr_values values = {.thread = thread, .group = group, .key = key, .whole = key};
    enum sink before = thread->sink; /* map goes on after this round */
    struct mr_bytes prefix = key;
    bool dropped;

    thread->sink = SINK_COMBINE;
    thread->values = &values;
    thread_set_up(thread);
    culprit_show_key(thread->slot, key.ptr, key.len, key.len);
    thread_phase(thread, SLOT_COMBINE);
    /* What is wrong with its group is said as if of the key. */
    if (map->host->job.group && !thread_group(thread, key, &prefix))
        culprit_show_key(thread->slot, key.ptr, key.len, prefix.len);
    dropped = skips_key(&map->skips, prefix.ptr, prefix.len);
    if (!dropped && !thread->failed)
        map->host->job.combine(&thread->task, key, &values);
    slot_tick(thread->slot);
    thread_phase(thread, SLOT_HOST);
    thread->sink = before;
    thread->values = NULL;
    if (!thread->failed)
        return dropped ? pass_on(group, err) : 0;
    *err = thread->error;
    return -1;
}

static int flush_tables(struct map_task *map, struct error *err)
{
    struct executor *executor = map->executor;
    cleanup_free struct aggregate **tables = memory_new((size_t)map->n * sizeof *tables);
    cleanup_free struct partitioner *partitioners =
        memory_new((size_t)map->n * sizeof *partitioners);
    uint64_t pairs = 0, records = 0;

    for (int i = 0; i < map->n; i++) {
        tables[i] = executor->threads[i].table;
        if (map->host->job.partition)
            thread_set_up(&executor->threads[i]);
        partitioners[i] = executor->threads[i].partitioner;
    }
    if (aggregate_flush(tables, map->n, partitioners, map->round, map->run, &pairs, &records,
                        err))
        return -1;
    map->combined_in += pairs;
    map->combined_out += records;
    map->round++;
    return 0;
}

/* How large a part of this round may be if all rounds of all maps give it as much for their
 * input, and one reducer shall be able to sort it all; 0: of any size. */
static uint64_t sort_above(struct map_task *map)
{
    uint64_t before = map->flushed, whole = map->assign->input_size;
    size_t most = budget_reduce(map->memory, map->n);

    map->flushed = 0;
    for (int i = 0; i < map->n; i++)
        map->flushed += map->executor->threads[i].input_bytes;
    if (map->host->map_only || map->flushed == before || whole < map->flushed - before)
        return 0;
    return (uint64_t)((double)most * (double)(map->flushed - before) / (double)whole) + 1;
}

static int flush_pairs(struct map_task *map, struct error *err)
{
    struct pairs_combiner combiner = {map, combine_one};
    struct pairs_options options = {
        .combiner = map->host->job.combine ? &combiner : NULL,
        .sort_above = sort_above(map),
        .scratch = budget_sort(map->memory, map->n),
    };
    cleanup_free struct pairs **all = memory_new((size_t)map->n * sizeof *all);
    uint64_t in = 0, out = 0;

    for (int i = 0; i < map->n; i++)
        all[i] = map->executor->threads[i].pairs;
    if (pairs_flush(all, map->n, &options, map->round, map->run, &in, &out, err))
        return -1;
    if (map->host->job.combine) {
        map->combined_in += in;
        map->combined_out += out;
    }
    map->round += PAIRS_ROUNDS;
    return 0;
}

int map_flush_round(struct map_task *map, bool last, struct error *err)
{
    uint64_t before = run_written(map->run);
    size_t bytes = 0;
    int result;

    for (int i = 0; i < map->n; i++)
        thread_phase(&map->executor->threads[i], SLOT_HOST);
    result = map->host->fold.lanes ? flush_tables(map, err) : flush_pairs(map, err);
    fault_watch(map->executor->threads[0].slot);
    if (!last)
        map->spilled += run_written(map->run) - before;
    for (int i = 0; i < map->n; i++)
        bytes += container_bytes(&map->executor->threads[i]);
    atomic_store(&map->bytes, bytes);
    return result;
}

/* ---- The attempt
 * --------------------------------------------------------------------------------- */

int map_open_run(struct map_task *map, struct error *err)
{
    const struct host *host = map->host;
    const Mr__JobOpen *open = host->open;
    bool sorted = host->fold.lanes || host->job.combine;
    struct run_shape shape = {open->parts, sorted ? RUN_SORTED : 0,
                              host->map_only ? 0 : host->value_width, map->run_id, host->runs};

    map->path = memory_format("%.*s/map-%05u.%u.run", (int)open->scratch.len,
                              (const char *)open->scratch.data, map->assign->task,
                              map->assign->attempt);
    unlink(map->path);
    if (run_create(map->path, &shape, &map->run, err))
        return -1;
    if (map->executor->keeps_part)
        run_keep_only(map->run, map->executor->only_part);
    return 0;
}

static enum sink sink_of(const struct host *host)
{
    if (host->map_only)
        return SINK_TEXT;
    if (!host->fold.lanes)
        return SINK_PAIRS;
    if (host->fold.lanes > 1)
        return SINK_FOLD;
    return host->fold.floating ? SINK_FOLD_F64 : SINK_FOLD_I64;
}

static size_t container_limit(const struct map_task *map)
{
    return map->host->fold.lanes ? budget_tables(map->memory, map->n, map->host->open->parts)
                                 : budget_pairs(map->memory, map->n);
}

void map_begin_threads(struct map_task *map)
{
    const struct host *host = map->host;

    map->limit = container_limit(map);
    for (int i = 0; i < map->n; i++) {
        struct thread *thread = &map->executor->threads[i];

        thread_begin(thread, host, map->assign);
        thread_take_records(thread);
        thread->skips = &map->skips;
        load_space_free(&thread->space);
        thread->sink = sink_of(host);
        if (!host->fold.lanes)
            thread->pairs =
                pairs_new(host->open->parts, host->map_only ? 0 : host->value_width);
        else if (!thread->table)
            thread->table = aggregate_new(&host->fold);
        if (thread->table)
            aggregate_limit(thread->table, map->limit / (size_t)map->n);
        atomic_fetch_add(&map->bytes, container_bytes(thread));
    }
}

void map_end_threads(struct map_task *map)
{
    for (int i = 0; i < map->n; i++) {
        struct thread *thread = &map->executor->threads[i];

        thread_tear_down(thread);
        thread_drop_records(thread);
        if (thread->table)
            aggregate_clear(thread->table);
        pairs_free(thread->pairs);
        thread->pairs = NULL;
        thread_phase(thread, SLOT_IDLE);
    }
}

/* Joins the threads' states into the first one's, and lets it emit what is left. */
static void finish_states(struct map_task *map)
{
    const struct mr_job *job = &map->host->job;
    struct thread *into = NULL;

    for (int i = 0; i < map->n && (job->merge || job->finish); i++) {
        struct thread *thread = &map->executor->threads[i];

        if (!thread->set_up)
            continue;
        if (into && job->merge) {
            thread_phase(into, SLOT_MERGE);
            job->merge(&into->task, &thread->task);
            slot_tick(into->slot);
        }
        into = into ? into : thread;
    }
    if (!into)
        return;
    if (job->finish) {
        if (into->pairs)
            pairs_chunk(into->pairs, map->supply.number);
        thread_phase(into, SLOT_FINISH);
        job->finish(&into->task);
        thread_flush_text(into);
    }
    thread_phase(into, SLOT_HOST);
    if (into->failed)
        atomic_store(&map->failed, true);
}

/* The thread that tells why the attempt failed; NULL: none did. */
static const struct thread *failed_thread(const struct map_task *map)
{
    for (int i = 0; i < map->n; i++)
        if (map->executor->threads[i].failed)
            return &map->executor->threads[i];
    return NULL;
}

static int first_failure(const struct map_task *map, struct error *err)
{
    const struct thread *thread = failed_thread(map);

    if (!thread)
        return 0;
    *err = thread->error;
    return -1;
}

static int run_rounds(struct map_task *map, struct error *err)
{
    do {
#pragma omp parallel num_threads(map->n)
        map_chunks(map, &map->executor->threads[omp_get_thread_num()]);
        fault_watch(map->executor->threads[0].slot);
        if (first_failure(map, err))
            return -1;
        if (supply_has_more(&map->supply) && map_flush_round(map, false, err))
            return -1;
    } while (supply_has_more(&map->supply));
    finish_states(map);
    if (first_failure(map, err) || map_flush_round(map, true, err))
        return -1;
    return first_failure(map, err);
}

/* What stands in the run, for who accepts it; caller frees. */
static ProtobufCBinaryData content_of(struct map_task *map)
{
    uint32_t count = map->host->open->parts;
    cleanup_free struct content *parts = memory_new(count * sizeof *parts);
    ProtobufCBinaryData bytes;

    for (int i = 0; i < map->n; i++)
        if (map->executor->threads[i].pairs)
            pairs_note(map->executor->threads[i].pairs, map->run);
    run_content(map->run, parts);
    bytes.data = content_encode(parts, count, &bytes.len);
    return bytes;
}

static void report(struct map_task *map)
{
    const struct host *host = map->host;
    struct counter_list counters = {.count = 0};
    Mr__MapOutput output = MR__MAP_OUTPUT__INIT;
    Mr__TaskDone done = MR__TASK_DONE__INIT;
    uint64_t records = 0, bytes = 0, emitted = 0, skipped = 0;

    for (int i = 0; i < map->n; i++) {
        skipped += map->executor->threads[i].skipped;
        records += map->executor->threads[i].input_records;
        bytes += map->executor->threads[i].input_bytes;
        emitted += map->executor->threads[i].output_records;
    }
    counter_add(&counters, "map_input_records", (int64_t)records);
    counter_add(&counters, "map_input_bytes", (int64_t)bytes);
    /* A fold's tables count what they were given. */
    if (host->fold.lanes)
        emitted = map->combined_in;
    counter_add(&counters, "map_output_records", (int64_t)emitted);
    counter_add(&counters, "skipped_records", (int64_t)skipped);
    counter_add(&counters, "combine_input_records", (int64_t)map->combined_in);
    counter_add(&counters, "combine_output_records", (int64_t)map->combined_out);
    counter_add(&counters, "spilled_bytes", (int64_t)map->spilled);
    for (uint32_t c = 0; c < host->counter_count; c++) {
        uint64_t sum = 0; /* wraps, as in op_count */

        for (int i = 0; i < map->n; i++)
            sum += (uint64_t)map->executor->threads[i].counters[c];
        counter_add(&counters, host->job.counters[c], (int64_t)sum);
    }
    output.task = map->assign->task;
    output.attempt = map->assign->attempt;
    output.run_id = map->run_id;
    output.path = bytes_of(map->path);
    output.size = map->size;
    done.output = &output;
    done.content = map->content;
    done.counters = counters.pointers;
    done.n_counters = counters.count;
    work_done(map->executor, &done, map->assign);
}

/* All but the search for bad records. */
static int run_map(struct map_task *map, struct error *err)
{
    int result;

    supply_init(&map->supply, map->host, map->assign, map->n);
    map_begin_threads(map);
    result = map_open_run(map, err);
    if (!result)
        result = run_rounds(map, err);
    if (result) {
        run_abandon(map->run);
    } else {
        map->content = content_of(map);
        result = run_finish(map->run, false, &map->size, err);
    }
    map_end_threads(map);
    supply_done(&map->supply);
    return result;
}

void map_run(struct executor *executor, const Mr__Assign *assign)
{
    struct map_task map = {
        .executor = executor,
        .host = &executor->host,
        .assign = assign,
        /* Who dies without a word leaves nothing but what its threads were doing: a record or
         * key is blamed with certainty where one thread does all. */
        .n = assign->single ? 1 : executor->thread_count,
        .memory = executor->memory,
        .run_id = work_run_id(assign->job, assign->task, assign->attempt),
    };
    const struct thread *failed = NULL;
    struct error err;

    skips_open(&map.skips, assign);
    if (assign->sift && sift(&map, &failed, &err))
        work_failed(executor, assign, &err, failed, 0);
    else if (run_map(&map, &err))
        work_failed(executor, assign, &err, failed_thread(&map), 0);
    else
        report(&map);
    free(map.content.data);
    skips_close(&map.skips);
    free(map.path);
}
