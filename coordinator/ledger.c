#include "coordinator/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "record/content.h"
#include "wire/bytes.h"
#include "wire/frame.h"

enum {
    ENTRIES_MAX = 4 << 20, /* of all maps, of some nine bytes each */
    GROUPS_MIN = 16,
};

uint32_t ledger_groups(const struct job *job)
{
    uint32_t groups = job->map_count ? ENTRIES_MAX / job->map_count : job->part_count;

    if (groups < GROUPS_MIN)
        groups = GROUPS_MIN;
    return groups < job->part_count ? groups : job->part_count;
}

static struct mr_bytes content_bytes(const Mr__TaskDone *done)
{
    return (struct mr_bytes){(const char *)done->content.data, done->content.len};
}

bool ledger_take(const struct job *job, Mr__TaskDone *done)
{
    uint32_t groups = ledger_groups(job);
    cleanup_free struct content *parts = NULL;

    if (!done->content.len)
        return true;
    parts = memory_new(job->part_count * sizeof *parts);
    if (content_decode(content_bytes(done), job->part_count, parts))
        return false;
    for (uint32_t i = groups; i < job->part_count; i++)
        content_add(&parts[i % groups], &parts[i]);
    free(done->content.data);
    done->content.data = content_encode(parts, groups, &done->content.len);
    return true;
}

/* The groups of a message that was taken in; caller frees. */
static struct content *groups_of(const struct job *job, const Mr__TaskDone *done)
{
    uint32_t groups = ledger_groups(job);
    struct content *parts = memory_new(groups * sizeof *parts);

    if (!content_decode(content_bytes(done), groups, parts))
        return parts;
    free(parts);
    return NULL;
}

uint32_t *ledger_changed(const struct job *job, const Mr__TaskDone *done, size_t *ret_count)
{
    const Mr__TaskDone *former = job->former ? job->former[done->task] : NULL;
    cleanup_free struct content *was = NULL, *is = NULL;
    uint32_t groups = ledger_groups(job), *list;
    size_t n = 0;

    *ret_count = 0;
    if (!former || !former->content.len || !done->content.len)
        return NULL;
    was = groups_of(job, former);
    is = groups_of(job, done);
    if (!was || !is)
        return NULL;
    list = memory_new(job->part_count * sizeof *list);
    for (uint32_t i = 0; i < job->part_count; i++)
        if (was[i % groups].pairs != is[i % groups].pairs ||
            was[i % groups].digest != is[i % groups].digest)
            list[n++] = i;
    *ret_count = n;
    if (n)
        return list;
    free(list);
    return NULL;
}

void ledger_lost(struct job *job, uint32_t task)
{
    if (!job->maps[task])
        return;
    if (job->former[task])
        frame_free(&job->former[task]->base);
    job->former[task] = job->maps[task];
    job->maps[task] = NULL;
    job->remade = true;
}

void ledger_recall(struct job *job)
{
    for (uint32_t i = 0; i < job->map_count; i++)
        if (!job->maps[i]) {
            job->maps[i] = job->former[i];
            job->former[i] = NULL;
        }
}

/* ---- The balance ---- */

static int64_t counter_of(const Mr__TaskDone *done, const char *name)
{
    for (size_t k = 0; k < done->n_counters; k++)
        if (bytes_are(done->counters[k]->name, name))
            return done->counters[k]->value;
    return 0;
}

static int imbalance(const struct job *job, uint32_t group, const char *what, uint64_t told,
                     uint64_t got, struct error *err)
{
    uint32_t groups = ledger_groups(job);
    cleanup_free char *others = groups < job->part_count
                                    ? memory_format(" and each %u-th behind it", groups)
                                    : memory_text("");

    return error_set(err, ERROR_INTERNAL,
                     "the counts do not balance in part %u%s: its maps hold %" PRIu64
                     " %s, its reducer received %" PRIu64
                     " (a bug in Marram; no output was made)",
                     group, others, told, what, got);
}

/* Adds up what all maps hold; 1 if one of them told nothing. */
static int add_maps(const struct job *job, struct content *told, struct error *err)
{
    for (uint32_t i = 0; i < job->map_count; i++) {
        const Mr__TaskDone *done = job->maps[i];
        uint64_t before = 0, after = 0;
        cleanup_free struct content *parts = NULL;

        if (!done->content.len)
            return 1;
        parts = groups_of(job, done);
        for (uint32_t g = 0; parts && g < ledger_groups(job); g++) {
            before += told[g].pairs;
            content_add(&told[g], &parts[g]);
            after += told[g].pairs;
        }
        if (!parts || (int64_t)(after - before) != counter_of(done, "map_output_records"))
            return error_set(err, ERROR_INTERNAL,
                             "the counts do not balance: map task %u emitted %" PRId64
                             " pairs, its output holds %" PRIu64
                             " (a bug in Marram; no output was made)",
                             i, counter_of(done, "map_output_records"), after - before);
    }
    return 0;
}

int ledger_balance(const struct job *job, struct error *err)
{
    uint32_t groups = ledger_groups(job);
    cleanup_free struct content *told = memory_zeroed(groups, sizeof *told),
                                *got = memory_zeroed(groups, sizeof *got);
    /* Text is told in pieces; and how many records stand for the same pairs depends on the run
     * that a reducer read, of which there were two. */
    bool records = !job->check->description->map_only && !job->remade;
    int result = add_maps(job, told, err);

    if (result)
        return result < 0 ? -1 : 0;
    for (uint32_t i = 0; i < job->part_count; i++) {
        got[i % groups].pairs += (uint64_t)counter_of(job->parts[i], "reduce_input_pairs");
        got[i % groups].records += (uint64_t)counter_of(job->parts[i], "reduce_input_records");
    }
    for (uint32_t g = 0; g < groups; g++) {
        if (told[g].pairs != got[g].pairs)
            return imbalance(job, g, "pairs", told[g].pairs, got[g].pairs, err);
        if (records && told[g].records != got[g].records)
            return imbalance(job, g, "records", told[g].records, got[g].records, err);
    }
    return 0;
}
