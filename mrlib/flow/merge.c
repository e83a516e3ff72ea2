/* A merge is planned when it is opened: what must be sorted is sorted, what does not fit is
 * spilled, and passes are made until what is left can be merged at once. */
#include "flow/merge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "flow/spill.h"

enum {
    FAN_MIN = 2,
    FAN_MAX = 1024,
    FOLDED_BATCH = 32,
};

/* One stream of the last pass, in the order of the input: a sorted segment, or a stretch of the
 * entries that were loaded. */
struct item {
    bool loaded;
    struct merge_source source;
    size_t first, count; /* entries */
};

struct plan {
    struct merge head;       /* first: it is what the caller sees */
    const struct fold *fold; /* NULL: keep every record */
    uint32_t value_width;
    struct load load;
    struct load_space own; /* where the caller has no space to lend */
    struct spills spills;
    struct item *items;
    size_t count, capacity;
    struct tournament *tournament;
    struct merge_totals totals;
    uint64_t received, expected; /* records, of the last pass */
    /* With a fold: records that are joined, the keys in a buffer of their own. */
    const struct tournament_record *raw, *raw_end;
    struct tournament_record folded[FOLDED_BATCH];
    char values[FOLDED_BATCH][8 * MR_LANES_MAX];
    char *keys;
    size_t keys_capacity;
};

static struct plan *plan_of(struct merge *merge)
{
    return (struct plan *)merge;
}

/* ---- Loading what is not sorted -----------------------------------------------------------
 */

static struct item *add_item(struct plan *plan, struct item item)
{
    memory_reserve(&plan->items, &plan->capacity, plan->count + 1, sizeof *plan->items);
    plan->items[plan->count] = item;
    return &plan->items[plan->count++];
}

/* Sorts the stretch that was being loaded, if the last item is one. */
static void end_stretch(struct plan *plan)
{
    struct item *last = plan->count ? &plan->items[plan->count - 1] : NULL;

    if (last && last->loaded && !last->count) {
        last->count = plan->load.count - last->first;
        load_sort(&plan->load, last->first, last->count);
        if (!last->count)
            plan->count--;
    }
}

/* Writes the records of the open spill from a tournament, joined by the plan's fold. */
static int spill_all(struct plan *plan, struct spill *spill, struct error *err)
{
    struct mr_bytes key, value;
    int result;

    while ((result = merge_next(&plan->head, &key, &value, err)) > 0)
        if (spill_add(spill, key, value, err))
            return -1;
    return result;
}

/* Merges some neighbouring items into one spilled run. */
static int spill_items(struct plan *plan, const struct item *items, size_t n,
                       struct merge_source *ret, struct error *err)
{
    struct plan pass = {.fold = plan->fold, .value_width = plan->value_width};
    struct spill spill;
    int result;

    pass.tournament = tournament_new(n, plan->value_width);
    for (size_t i = 0; i < n; i++)
        if (items[i].loaded) {
            tournament_add_list(pass.tournament, plan->load.entries + items[i].first,
                                items[i].count);
            pass.expected += items[i].count;
        } else {
            tournament_add_run(pass.tournament, items[i].source.run, items[i].source.segment);
            pass.expected += items[i].source.segment->records;
        }
    result = spill_open(&plan->spills, plan->value_width, &spill, err);
    if (!result)
        result = spill_all(&pass, &spill, err);
    result = spill_close(&plan->spills, &spill, !result, ret, err);
    tournament_free(pass.tournament);
    free(pass.keys);
    return result;
}

/* Turns everything that was loaded into spilled runs, and makes the space free. */
static int spill_loaded(struct plan *plan, struct error *err)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct merge_source source;

        if (!plan->items[i].loaded)
            continue;
        if (spill_items(plan, &plan->items[i], 1, &source, err))
            return -1;
        plan->items[i] = (struct item){.source = source};
    }
    return load_empty(&plan->load, err);
}

static int load_source(struct plan *plan, const struct merge_source *source, struct error *err)
{
    struct load_reader reader;
    int result;

    load_reader_open(&reader, source->run, source->segment);
    for (;;) {
        struct item *last = plan->count ? &plan->items[plan->count - 1] : NULL;

        if (!last || !last->loaded || last->count)
            add_item(plan, (struct item){.loaded = true, .first = plan->load.count});
        result = load_read(&plan->load, &reader, err);
        if (result <= 0)
            break;
        end_stretch(plan);
        result = spill_loaded(plan, err);
        if (result)
            break;
    }
    load_reader_close(&reader);
    return result;
}

/* ---- Passes -------------------------------------------------------------------------------
 */

static size_t fan_in(size_t memory, size_t buffers)
{
    size_t fan = memory / (buffers * LIMIT_BLOCK);

    return fan < FAN_MIN ? FAN_MIN : fan > FAN_MAX ? FAN_MAX : fan;
}

/* Where the `n` neighbours begin that are the least to merge. */
static size_t smallest_window(const struct plan *plan, size_t n)
{
    uint64_t bytes = 0, least;
    size_t best = 0;

    for (size_t i = 0; i < n; i++)
        bytes += plan->items[i].source.segment->size;
    least = bytes;
    for (size_t i = n; i < plan->count; i++) {
        bytes += plan->items[i].source.segment->size;
        bytes -= plan->items[i - n].source.segment->size;
        if (bytes < least) {
            least = bytes;
            best = i - n + 1;
        }
    }
    return best;
}

/* Merges neighbours until at most `fan` items are left: no more at a time than is needed for
 * that. */
static int make_passes(struct plan *plan, size_t fan, struct error *err)
{
    if (plan->count > fan && spill_loaded(plan, err))
        return -1;
    while (plan->count > fan) {
        size_t excess = plan->count - fan + 1, n = excess < fan ? excess : fan, first;
        struct merge_source source;

        first = smallest_window(plan, n);
        if (spill_items(plan, &plan->items[first], n, &source, err))
            return -1;
        plan->items[first] = (struct item){.source = source};
        memmove(&plan->items[first + 1], &plan->items[first + n],
                (plan->count - first - n) * sizeof *plan->items);
        plan->count -= n - 1;
    }
    return 0;
}

/* ---- Opening ------------------------------------------------------------------------------
 */

/* Each stream of such has a buffer more. */
static bool is_packed(const struct run_segment *segment)
{
    return segment->raw_size != segment->size;
}

static size_t buffers_of(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        if (!plan->items[i].loaded && is_packed(plan->items[i].source.segment))
            return 3;
    return plan->spills.compression.codec ? 3 : 2;
}

static int bring_in(struct plan *plan, const struct merge_source *sources, size_t n,
                    const struct merge_options *options, struct error *err)
{
    uint64_t bytes = 0, records = 0;
    size_t streams = 0, memory = options->memory;
    struct load_space *space = options->space ? options->space : &plan->own;

    for (size_t i = 0; i < n; i++)
        if (sources[i].segment->flags & RUN_SORTED) {
            streams += is_packed(sources[i].segment) ? 2 : 1;
        } else {
            bytes += sources[i].segment->raw_size;
            records += sources[i].segment->records;
        }
    /* Half of the memory, at least, is for loading. */
    memory -= streams < memory / 2 / LIMIT_BLOCK ? streams * LIMIT_BLOCK : memory / 2;
    if (load_open(&plan->load, space, bytes, records, memory, plan->value_width, err))
        return -1;
    for (size_t i = 0; i < n; i++)
        if (sources[i].segment->flags & RUN_SORTED) {
            end_stretch(plan);
            if (sources[i].segment->records)
                add_item(plan, (struct item){.source = sources[i]});
        } else if (load_source(plan, &sources[i], err)) {
            return -1;
        }
    end_stretch(plan);
    return make_passes(plan, fan_in(options->memory, buffers_of(plan)), err);
}

static void begin(struct plan *plan)
{
    plan->tournament = tournament_new(plan->count, plan->value_width);
    for (size_t i = 0; i < plan->count; i++) {
        const struct item *item = &plan->items[i];

        if (item->loaded) {
            tournament_add_list(plan->tournament, plan->load.entries + item->first,
                                item->count);
            plan->expected += item->count;
        } else {
            tournament_add_run(plan->tournament, item->source.run, item->source.segment);
            plan->expected += item->source.segment->records;
        }
    }
}

int merge_open(const struct merge_source *sources, size_t n,
               const struct merge_options *options, struct merge **ret, struct error *err)
{
    struct plan *plan = memory_zeroed(1, sizeof *plan);

    plan->fold = options->fold && options->fold->lanes ? options->fold : NULL;
    plan->value_width = n ? run_shape(sources[0].run)->value_width : 0;
    plan->spills.scratch = options->scratch;
    plan->spills.compression = options->compression;
    for (size_t i = 0; i < n; i++) {
        plan->totals.pairs += sources[i].segment->pairs;
        plan->totals.records += sources[i].segment->records;
    }
    if (bring_in(plan, sources, n, options, err)) {
        spills_judge(&plan->spills, err);
        merge_close(&plan->head);
        return -1;
    }
    begin(plan);
    *ret = &plan->head;
    return 0;
}

struct merge_totals merge_totals(const struct merge *merge)
{
    const struct plan *plan = (const struct plan *)merge;
    struct merge_totals totals = plan->totals;

    totals.spilled_bytes = plan->spills.bytes;
    return totals;
}

void merge_close(struct merge *merge)
{
    struct plan *plan = plan_of(merge);

    if (!merge)
        return;
    tournament_free(plan->tournament);
    spills_done(&plan->spills);
    load_space_free(&plan->own);
    free(plan->items);
    free(plan->keys);
    free(plan);
}

/* ---- Records ------------------------------------------------------------------------------
 */

static int end(const struct plan *plan, struct error *err)
{
    if (plan->received != plan->expected)
        return error_set(err, ERROR_DAMAGE,
                         "the merge received %" PRIu64
                         " records, the runs' indexes promise %" PRIu64,
                         plan->received, plan->expected);
    return 0;
}

static int refill_raw(struct plan *plan, const struct tournament_record **ret_next,
                      const struct tournament_record **ret_end, struct error *err)
{
    const struct tournament_record *batch;
    int n = tournament_next(plan->tournament, &batch, err);

    if (n <= 0)
        return n < 0 ? -1 : end(plan, err);
    *ret_next = batch;
    *ret_end = batch + n;
    plan->received += (uint64_t)n;
    return 1;
}

/* Opens a joined record with the raw one at hand. */
static void begin_folded(struct plan *plan, size_t at, size_t *keys_used)
{
    const struct tournament_record *raw = plan->raw++;
    size_t width = 8 * (size_t)plan->fold->lanes;
    struct mr_bytes key = raw->key;

    check(raw->value.len == width);
    memory_reserve(&plan->keys, &plan->keys_capacity, *keys_used + key.len + 1, 1);
    if (key.len)
        memcpy(plan->keys + *keys_used, key.ptr, key.len);
    memcpy(plan->values[at], raw->value.ptr, width);
    /* The buffer may still move: the pointer is set when the batch is whole. */
    plan->folded[at] =
        (struct tournament_record){{NULL, key.len}, {plan->values[at], width}, false};
    *keys_used += key.len;
}

/* A batch of joined records. The last one is whole when a raw one with another key is there. */
static int refill_folded(struct plan *plan, struct error *err)
{
    size_t n = 0, used = 0;

    for (;;) {
        if (plan->raw == plan->raw_end) {
            int result = refill_raw(plan, &plan->raw, &plan->raw_end, err);

            if (result < 0)
                return -1;
            if (!result)
                break;
        }
        if (n && plan->raw->same)
            fold_join(plan->fold, plan->values[n - 1], plan->raw++->value.ptr);
        else if (n == FOLDED_BATCH)
            break;
        else
            begin_folded(plan, n++, &used);
    }
    used = 0;
    for (size_t i = 0; i < n; i++) {
        plan->folded[i].key.ptr = plan->keys + used;
        used += plan->folded[i].key.len;
    }
    plan->head.next = plan->folded;
    plan->head.end = plan->folded + n;
    return n > 0;
}

int merge_refill(struct merge *merge, struct error *err)
{
    struct plan *plan = plan_of(merge);
    int result = plan->fold ? refill_folded(plan, err)
                            : refill_raw(plan, &merge->next, &merge->end, err);

    if (result < 0)
        spills_judge(&plan->spills, err);
    return result;
}
