/* A reduce attempt: one part, on one thread. All segments of the part are merged and grouped by
 * key, reduced, and written to a part file in the staging folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/resources.h"
#include "wire/bytes.h"
#include "wire/culprit.h"
#include "worker/executor/budget.h"
#include "worker/executor/work.h"

enum { SYNCED_LATER_MAX = 1 << 20 }; /* bytes of a part */

struct reduce_task {
    struct executor *executor;
    const struct host *host;
    const Mr__Assign *assign;
    struct thread *thread;
    struct skips skips;
    struct sources sources;
    uint32_t lost_map;
    char *path;
    struct merge_totals totals;
    uint64_t records; /* written */
    bool unsynced;    /* left to the coordinator */
};

/* ---- Map-only: the pieces of text, one behind the other
 * ------------------------------------------- */

static int copy_text(struct reduce_task *reduce, struct error *err)
{
    for (size_t i = 0; i < reduce->sources.count; i++) {
        const struct merge_source *source = &reduce->sources.items[i];
        struct run_cursor *cursor = run_cursor_new(source->run, source->segment);
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
        reduce->totals.pairs += source->segment->pairs;
        reduce->totals.records += source->segment->pairs;
        reduce->records += source->segment->pairs;
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
        .memory = budget_reduce(reduce->executor->memory, reduce->executor->thread_count),
        .scratch = scratch,
        .fold = &reduce->host->fold,
        .space = &reduce->thread->space,
        .compression = reduce->host->spills};

    return merge_open(reduce->sources.items, reduce->sources.count, &options,
                      &reduce->thread->merge, err);
}

static bool is_stopped(struct reduce_task *reduce, struct error *err)
{
    if (!stops_look(&reduce->executor->stops, reduce->thread))
        return false;
    *err = reduce->thread->error;
    return true;
}

/* Folded values without a reduce function are the output. */
static int write_folded(struct reduce_task *reduce, struct error *err)
{
    struct thread *thread = reduce->thread;
    struct mr_bytes key, value;
    int result;

    while ((result = merge_next(thread->merge, &key, &value, err)) > 0) {
        if (is_stopped(reduce, err) ||
            part_pair(thread->part, key, value, reduce->host->output, err))
            return -1;
        thread->groups++;
        thread->output_records++;
    }
    return result;
}

/* The pairs of a job in total order that has neither fold nor reduce are the output, too. Runs
 * do not tell a value that is empty from none at all: both are printed as none. */
static int write_sorted(struct reduce_task *reduce, struct error *err)
{
    struct thread *thread = reduce->thread;
    struct mr_bytes key, value;
    int result;

    while ((result = merge_next(thread->merge, &key, &value, err)) > 0) {
        if (!value.len)
            value.ptr = NULL;
        if (is_stopped(reduce, err) ||
            part_pair(thread->part, key, value, reduce->host->output, err))
            return -1;
        thread->output_records++;
    }
    return result;
}

/* The group's key is kept aside: its record's memory is reused as values are read. */
static struct mr_bytes keep_key(struct thread *thread, struct mr_bytes key)
{
    memory_reserve(&thread->key, &thread->key_capacity, key.len + MR_PADDING, 1);
    if (key.len)
        memcpy(thread->key, key.ptr, key.len);
    memset(thread->key + key.len, 0, MR_PADDING);
    culprit_show_key(thread->slot, thread->key, key.len, key.len);
    return (struct mr_bytes){thread->key, key.len};
}

static void reduce_group(struct reduce_task *reduce)
{
    struct thread *thread = reduce->thread;
    struct mr_values values = {
        .thread = thread, .first = thread->next_value, .has_first = true};
    struct mr_bytes value;

    values.whole = keep_key(thread, thread->next_key);
    thread->has_next = false;
    slot_set_phase(thread->slot, SLOT_REDUCE);
    if (thread_group(thread, values.whole, &values.key))
        return;
    if (reduce->host->job.group)
        culprit_show_key(thread->slot, thread->key, values.whole.len, values.key.len);
    if (skips_key(&reduce->skips, values.key.ptr, values.key.len)) {
        thread->skipped++;
    } else {
        thread->groups++;
        reduce->host->job.reduce(&thread->task, values.key, &values);
    }
    slot_tick(thread->slot);
    /* What the job did not read is skipped: the next group begins behind it, as the job's own
     * `group` may have to say. */
    while (!values.ended && !thread->failed)
        thread->task.ops->next(&values, &value);
    slot_set_phase(thread->slot, SLOT_HOST);
}

static int reduce_groups(struct reduce_task *reduce, struct error *err)
{
    struct thread *thread = reduce->thread;
    int result;

    thread_set_up(thread);
    result = merge_next(thread->merge, &thread->next_key, &thread->next_value, err);
    thread->has_next = result > 0;
    thread->sink = SINK_PART;
    while (thread->has_next && !thread->failed)
        if (!stops_look(&reduce->executor->stops, thread))
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
    const struct host *host = reduce->host;
    int result = open_merge(reduce, err);

    if (!result)
        result = host->job.reduce   ? reduce_groups(reduce, err)
                 : host->fold.lanes ? write_folded(reduce, err)
                                    : write_sorted(reduce, err);
    if (reduce->thread->merge)
        reduce->totals = merge_totals(reduce->thread->merge);
    merge_close(reduce->thread->merge);
    reduce->thread->merge = NULL;
    reduce->records = reduce->thread->output_records;
    return result;
}

/* ---- The attempt
 * ---------------------------------------------------------------------------------- */

/* Whether the coordinator syncs the part: it runs on our kernel, whose cache holds what we
 * wrote, and the part is too small to be worth beginning with it now. */
static bool is_synced_later(const struct thread *thread, const Mr__JobOpen *open)
{
    char kernel[RESOURCES_KERNEL];

    if (!open->spec->sync || !open->syncs_on.len || part_size(thread->part) > SYNCED_LATER_MAX)
        return false;
    resources_kernel(kernel);
    return strlen(kernel) == open->syncs_on.len &&
           !memcmp(kernel, open->syncs_on.data, open->syncs_on.len);
}

static void report(struct reduce_task *reduce, const struct part_result *part)
{
    const struct host *host = reduce->host;
    const struct thread *thread = reduce->thread;
    struct counter_list counters = {.count = 0};
    Mr__TaskDone done = MR__TASK_DONE__INIT;

    counter_add(&counters, "reduce_input_groups", (int64_t)thread->groups);
    counter_add(&counters, "reduce_output_records", (int64_t)reduce->records);
    counter_add(&counters, "skipped_records", (int64_t)thread->skipped);
    counter_add(&counters, "reduce_input_records", (int64_t)reduce->totals.records);
    counter_add(&counters, "reduce_input_pairs", (int64_t)reduce->totals.pairs);
    counter_add(&counters, "shuffle_bytes", (int64_t)reduce->sources.bytes);
    counter_add(&counters, "prefetched_bytes", (int64_t)reduce->sources.ahead_bytes);
    counter_add(&counters, "spilled_bytes", (int64_t)reduce->totals.spilled_bytes);
    for (uint32_t c = 0; c < host->counter_count; c++)
        counter_add(&counters, host->job.counters[c], thread->counters[c]);
    done.counters = counters.pointers;
    done.n_counters = counters.count;
    done.part_path = bytes_of(reduce->path);
    done.part_size = part->size;
    done.part_checksum = part->checksum;
    done.part_raw_size = part->raw_size;
    done.part_records = reduce->records;
    done.unsynced = reduce->unsynced;
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
    skips_open(&reduce.skips, assign);
    reduce.path =
        memory_format("%.*s/part-%05u.%u", (int)open->staging.len,
                      (const char *)open->staging.data, assign->task, assign->attempt);
    result = gather_sources(executor, assign, &reduce.sources, &reduce.lost_map, &err);
    if (!result) {
        reduce.lost_map = UINT32_MAX; /* all are there: what is lost from now on is our own */
        result = part_open(reduce.path, executor->host.output_format,
                           executor->host.output_codec, &thread->part, &err);
    }
    if (!result)
        result =
            executor->host.map_only ? copy_text(&reduce, &err) : reduce_merged(&reduce, &err);
    if (result && reduce.sources.count && (err.code == ERROR_DAMAGE || err.code == ERROR_IO))
        gather_blame(&reduce.sources, &reduce.lost_map, &err);
    reduce.unsynced = !result && is_synced_later(thread, open);
    if (result)
        part_abandon(thread->part);
    else
        result = part_finish(thread->part, open->spec->sync && !reduce.unsynced, &part, &err);
    thread->part = NULL;
    thread_phase(thread, SLOT_IDLE);
    if (result)
        work_failed(executor, assign, &err, thread->failed ? thread : NULL, reduce.lost_map);
    else
        report(&reduce, &part);
    gather_done(&reduce.sources);
    skips_close(&reduce.skips);
    free(reduce.path);
}
