/* A reduce attempt: one part, on one thread. All segments of the part are merged and grouped by
 * key, reduced, and written to a part file in the staging folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "worker/executor/work.h"

struct reduce_task {
    struct executor *executor;
    const struct host *host;
    const Mr__Assign *assign;
    struct thread *thread;
    struct merge_source *sources; /* in the order of the input */
    size_t count, capacity;
    uint64_t bytes; /* of all segments */
    uint32_t lost_map;
    char *path;
    struct merge_totals totals;
    uint64_t records; /* written */
};

/* The run of a map task, opened once an executor. */
static struct run_file *open_run(struct executor *executor, uint32_t map, struct error *err)
{
    struct run_file *run = NULL;

    pthread_mutex_lock(&executor->lock);
    if (map >= executor->output_count || !executor->outputs[map].attempt) {
        error_set(err, ERROR_FETCH, "the output of map task %u is not known here", map);
    } else {
        struct map_output *output = &executor->outputs[map];

        if (!output->run && run_open(output->path, output->run_id, &output->run, err)) {
            err->code = ERROR_FETCH;
            error_wrap(err, "the output of map task %u", map);
        }
        run = output->run;
    }
    pthread_mutex_unlock(&executor->lock);
    return run;
}

/* The first segment of the part, or where it would be: they are sorted by (part, round). */
static size_t find_part(const struct run_segment *segments, size_t count, uint32_t part)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (segments[middle].part < part)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int gather_sources(struct reduce_task *reduce, struct error *err)
{
    for (uint32_t map = 0; map < reduce->assign->maps; map++) {
        struct run_file *run = open_run(reduce->executor, map, err);
        const struct run_segment *segments;
        size_t count, at;

        if (!run) {
            reduce->lost_map = map;
            return -1;
        }
        segments = run_segments(run, &count);
        for (at = find_part(segments, count, reduce->assign->task);
             at < count && segments[at].part == reduce->assign->task; at++) {
            memory_reserve(&reduce->sources, &reduce->capacity, reduce->count + 1,
                           sizeof *reduce->sources);
            reduce->sources[reduce->count++] = (struct merge_source){run, &segments[at]};
            reduce->bytes += segments[at].size;
        }
    }
    return 0;
}

/* ---- Map-only: the pieces of text, one behind the other
 * ------------------------------------------- */

static int copy_text(struct reduce_task *reduce, struct error *err)
{
    for (size_t i = 0; i < reduce->count; i++) {
        struct run_cursor *cursor =
            run_cursor_new(reduce->sources[i].run, reduce->sources[i].segment);
        struct mr_bytes text, none;
        int result;

        while ((result = run_next(cursor, &text, &none, err)) > 0)
            if (part_bytes(reduce->thread->part, text, err)) {
                result = -1;
                break;
            }
        run_cursor_free(cursor);
        if (result)
            return -1;
        reduce->totals.pairs += reduce->sources[i].segment->pairs;
        reduce->totals.records += reduce->sources[i].segment->pairs;
        reduce->records += reduce->sources[i].segment->pairs;
    }
    return 0;
}

/* ---- With a merge
 * --------------------------------------------------------------------------------- */

static int open_merge(struct reduce_task *reduce, struct error *err)
{
    const Mr__JobOpen *open = reduce->host->open;
    cleanup_free char *scratch = memory_format(
        "%.*s/reduce-%05u.%u.spill", (int)open->scratch.len, (const char *)open->scratch.data,
        reduce->assign->task, reduce->assign->attempt);
    struct merge_options options = {
        .memory = (size_t)(open->memory / 10 * 6 / (uint64_t)reduce->executor->thread_count),
        .scratch = scratch,
        .fold = &reduce->host->fold};

    return merge_open(reduce->sources, reduce->count, &options, &reduce->thread->merge, err);
}

/* Folded values without a reduce function are the output. */
static int write_folded(struct reduce_task *reduce, struct error *err)
{
    struct thread *thread = reduce->thread;
    struct mr_bytes key, value;
    int result;

    while ((result = merge_next(thread->merge, &key, &value, err)) > 0) {
        if (part_pair(thread->part, key, value, reduce->host->output, err))
            return -1;
        thread->groups++;
        thread->output_records++;
    }
    return result;
}

/* The group's key is kept aside: its record's memory is reused as values are read. */
static struct mr_bytes keep_key(struct thread *thread, struct mr_bytes key)
{
    struct slot *slot = thread->slot;

    memory_reserve(&thread->key, &thread->key_capacity, key.len + MR_PADDING, 1);
    if (key.len)
        memcpy(thread->key, key.ptr, key.len);
    memset(thread->key + key.len, 0, MR_PADDING);
    slot->key_length = (uint32_t)key.len;
    memcpy(slot->key, thread->key, key.len < SLOT_TEXT ? key.len : SLOT_TEXT);
    return (struct mr_bytes){thread->key, key.len};
}

static void reduce_group(struct reduce_task *reduce)
{
    struct thread *thread = reduce->thread;
    struct mr_values values = {
        .thread = thread, .first = thread->next_value, .has_first = true};
    struct mr_bytes value;

    values.key = keep_key(thread, thread->next_key);
    thread->has_next = false;
    thread->groups++;
    thread->sink = SINK_PART;
    thread_phase(thread, SLOT_REDUCE);
    reduce->host->job.reduce(&thread->task, values.key, &values);
    thread_phase(thread, SLOT_HOST);
    thread->slot->ticks++;
    /* What the job did not read is skipped: the next group begins behind it. */
    while (!values.ended && !thread->failed)
        thread->task.ops->next(&values, &value);
}

static int reduce_groups(struct reduce_task *reduce, struct error *err)
{
    struct thread *thread = reduce->thread;
    int result;

    thread_set_up(thread);
    result = merge_next(thread->merge, &thread->next_key, &thread->next_value, err);
    thread->has_next = result > 0;
    while (thread->has_next && !thread->failed)
        reduce_group(reduce);
    thread_tear_down(thread);
    if (thread->failed) {
        *err = thread->error;
        return -1;
    }
    return result < 0 ? -1 : 0;
}

static int reduce_merged(struct reduce_task *reduce, struct error *err)
{
    int result = open_merge(reduce, err);

    if (!result)
        result =
            reduce->host->job.reduce ? reduce_groups(reduce, err) : write_folded(reduce, err);
    if (reduce->thread->merge)
        reduce->totals = merge_totals(reduce->thread->merge);
    merge_close(reduce->thread->merge);
    reduce->thread->merge = NULL;
    reduce->records = reduce->thread->output_records;
    return result;
}

/* ---- The attempt
 * ---------------------------------------------------------------------------------- */

static void report(struct reduce_task *reduce, const struct part_result *part)
{
    const struct host *host = reduce->host;
    const struct thread *thread = reduce->thread;
    struct counter_list counters = {.count = 0};
    Mr__TaskDone done = MR__TASK_DONE__INIT;

    counter_add(&counters, "reduce_input_groups", (int64_t)thread->groups);
    counter_add(&counters, "reduce_output_records", (int64_t)reduce->records);
    counter_add(&counters, "reduce_input_records", (int64_t)reduce->totals.records);
    counter_add(&counters, "reduce_input_pairs", (int64_t)reduce->totals.pairs);
    counter_add(&counters, "shuffle_bytes", (int64_t)reduce->bytes);
    counter_add(&counters, "spilled_bytes", (int64_t)reduce->totals.spilled_bytes);
    for (uint32_t c = 0; c < host->counter_count; c++)
        counter_add(&counters, host->job.counters[c], thread->counters[c]);
    done.counters = counters.pointers;
    done.n_counters = counters.count;
    done.part_path = (ProtobufCBinaryData){strlen(reduce->path), (uint8_t *)reduce->path};
    done.part_size = part->size;
    done.part_checksum = part->checksum;
    done.part_records = reduce->records;
    work_done(reduce->executor, &done, reduce->assign);
}

void reduce_run(struct executor *executor, struct thread *thread, const Mr__Assign *assign)
{
    const Mr__JobOpen *open = executor->host.open;
    struct reduce_task reduce = {
        .executor = executor, .host = &executor->host, .assign = assign, .thread = thread};
    struct part_result part;
    struct error err;
    int result;

    thread_begin(thread, &executor->host, assign);
    thread_phase(thread, SLOT_HOST);
    reduce.path =
        memory_format("%.*s/part-%05u.%u", (int)open->staging.len,
                      (const char *)open->staging.data, assign->task, assign->attempt);
    result = gather_sources(&reduce, &err);
    if (!result)
        result = part_open(reduce.path, &thread->part, &err);
    if (!result)
        result =
            executor->host.map_only ? copy_text(&reduce, &err) : reduce_merged(&reduce, &err);
    if (result)
        part_abandon(thread->part);
    else
        result = part_finish(thread->part, open->spec->sync, &part, &err);
    thread->part = NULL;
    thread_phase(thread, SLOT_IDLE);
    if (result)
        work_failed(executor, assign, &err, reduce.lost_map);
    else
        report(&reduce, &part);
    free(reduce.sources);
    free(reduce.path);
}
