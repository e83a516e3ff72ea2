/* Merging sorted streams with a loser tree; unsorted segments become streams in load.c first.
 */
#include "flow/merge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "flow/load.h"
#include "flow/sort.h"

enum { FAN_MIN = 2, FAN_MAX = 1024 };

/* One sorted input and its current record. */
struct stream {
    struct run_cursor *cursor; /* or NULL and `list` */
    struct load_list *list;
    struct mr_bytes key, value;
    uint64_t prefix;
    bool done;
};

struct merge {
    const struct fold *fold; /* NULL: keep every record */
    struct stream *streams;
    size_t stream_count;
    size_t n;       /* streams being merged; 0 at the end */
    size_t *losers; /* losers[0] is the winner */
    bool started;
    struct load load; /* unsorted sources, and what was spilled */
    struct merge_totals totals;
    uint64_t received, expected; /* records, of the last pass */
    char *key;                   /* the current record, with a fold */
    size_t key_capacity;
    char value[8 * MR_LANES_MAX];
};

static int advance(struct stream *stream, struct error *err)
{
    int result = stream->cursor ? run_next(stream->cursor, &stream->key, &stream->value, err)
                                : load_list_next(stream->list, &stream->key, &stream->value);

    if (result < 0)
        return -1;
    stream->done = !result;
    if (result)
        stream->prefix = sort_prefix(stream->key);
    return 0;
}

/* Whether stream a's record comes before stream b's: by key, then by the order of the streams.
 */
static bool before(const struct merge *merge, size_t a, size_t b)
{
    const struct stream *x = &merge->streams[a], *y = &merge->streams[b];
    int order;

    if (x->done || y->done)
        return x->done == y->done ? a < b : y->done;
    if (x->prefix != y->prefix)
        return x->prefix < y->prefix;
    order = sort_compare(x->key, y->key);
    return order ? order < 0 : a < b;
}

/* Plays the matches below `node`, leaves at n .. 2n-1; returns the winner. */
static size_t play(struct merge *merge, size_t node)
{
    size_t left, right;

    if (node >= merge->n)
        return node - merge->n;
    left = play(merge, 2 * node);
    right = play(merge, 2 * node + 1);
    if (before(merge, left, right)) {
        merge->losers[node] = right;
        return left;
    }
    merge->losers[node] = left;
    return right;
}

/* The stream `winner` has a new record: replays its matches up to the root. */
static void replay(struct merge *merge, size_t winner)
{
    for (size_t node = (winner + merge->n) / 2; node; node /= 2)
        if (before(merge, merge->losers[node], winner)) {
            size_t loser = winner;

            winner = merge->losers[node];
            merge->losers[node] = loser;
        }
    merge->losers[0] = winner;
}

static int start(struct merge *merge, struct error *err)
{
    for (size_t i = 0; i < merge->n; i++)
        if (advance(&merge->streams[i], err))
            return -1;
    merge->losers[0] = merge->n > 1 ? play(merge, 1) : 0;
    merge->started = true;
    return 0;
}

/* Moves the winner's stream on, and finds the next winner. */
static int step(struct merge *merge, struct error *err)
{
    size_t winner = merge->losers[0];

    if (advance(&merge->streams[winner], err))
        return -1;
    if (merge->n > 1)
        replay(merge, winner);
    return 0;
}

static int finish(const struct merge *merge, struct error *err)
{
    if (merge->received != merge->expected)
        return error_set(err, ERROR_DAMAGE,
                         "the merge received %" PRIu64
                         " records, the runs' indexes promise %" PRIu64,
                         merge->received, merge->expected);
    return 0;
}

/* The raw order: one record of one stream. */
static int next_record(struct merge *merge, struct mr_bytes *ret_key,
                       struct mr_bytes *ret_value, struct error *err)
{
    const struct stream *top;

    if (!merge->n)
        return finish(merge, err);
    if (merge->started ? step(merge, err) : start(merge, err))
        return -1;
    top = &merge->streams[merge->losers[0]];
    if (top->done) {
        merge->n = 0;
        return finish(merge, err);
    }
    *ret_key = top->key;
    *ret_value = top->value;
    merge->received++;
    return 1;
}

/* With a fold: the winner's record is kept aside, and all others of its key are joined to it.
 */
static int next_folded(struct merge *merge, struct mr_bytes *ret_key,
                       struct mr_bytes *ret_value, struct error *err)
{
    size_t width = 8 * (size_t)merge->fold->lanes;
    const struct stream *top;
    uint64_t prefix;

    if (!merge->n)
        return 0;
    if (!merge->started && start(merge, err))
        return -1;
    top = &merge->streams[merge->losers[0]];
    if (top->done) {
        merge->n = 0;
        return finish(merge, err);
    }
    memory_reserve(&merge->key, &merge->key_capacity, top->key.len + 1, 1);
    if (top->key.len)
        memcpy(merge->key, top->key.ptr, top->key.len);
    *ret_key = (struct mr_bytes){merge->key, top->key.len};
    prefix = top->prefix;
    check(top->value.len == width);
    memcpy(merge->value, top->value.ptr, width);
    merge->received++;
    for (;;) {
        if (step(merge, err))
            return -1;
        top = &merge->streams[merge->losers[0]];
        if (top->done || top->prefix != prefix || sort_compare(top->key, *ret_key))
            break;
        fold_join(merge->fold, merge->value, top->value.ptr);
        merge->received++;
    }
    *ret_value = (struct mr_bytes){merge->value, width};
    return 1;
}

int merge_next(struct merge *merge, struct mr_bytes *ret_key, struct mr_bytes *ret_value,
               struct error *err)
{
    return merge->fold ? next_folded(merge, ret_key, ret_value, err)
                       : next_record(merge, ret_key, ret_value, err);
}

static void free_streams(struct merge *merge)
{
    for (size_t i = 0; i < merge->stream_count; i++)
        run_cursor_free(merge->streams[i].cursor);
    free(merge->streams);
    free(merge->losers);
    free(merge->key);
}

static void add_stream(struct merge *merge, struct run_cursor *cursor, struct load_list *list)
{
    merge->streams[merge->n++] = (struct stream){.cursor = cursor, .list = list};
    merge->stream_count = merge->n;
}

static void make_streams(struct merge *merge, const struct merge_source *sources, size_t n)
{
    size_t count = n + (merge->load.list ? 1 : 0);

    merge->streams = memory_zeroed(count, sizeof *merge->streams);
    merge->losers = memory_zeroed(count + 1, sizeof *merge->losers);
    for (size_t i = 0; i < n; i++)
        add_stream(merge, run_cursor_new(sources[i].run, sources[i].segment), NULL);
    /* What is still in memory came last in the input. */
    if (merge->load.list)
        add_stream(merge, NULL, merge->load.list);
}

/* Merges `n` neighbouring sources into one spilled run, which takes their place. */
static int merge_some(const struct merge_source *sources, size_t n,
                      const struct merge_options *options, struct load *load,
                      struct merge_source *ret, struct error *err)
{
    struct merge merge = {.fold = options->fold && options->fold->lanes ? options->fold : NULL};
    struct load_spill spill;
    struct mr_bytes key, value;
    int result, more = 0;

    for (size_t i = 0; i < n; i++)
        merge.expected += sources[i].segment->records;
    make_streams(&merge, sources, n);
    result = load_spill_open(load, run_shape(sources[0].run)->value_width, &spill, err);
    while (!result && (more = merge_next(&merge, &key, &value, err)) > 0)
        result = load_spill_add(&spill, key, value, err);
    result = load_spill_close(load, &spill, !result && !more, ret, err);
    free_streams(&merge);
    return result;
}

/* Reduces *n sources to at most `fan`, pass by pass, keeping their order. */
static int merge_passes(struct merge_source *sources, size_t *n, size_t fan,
                        const struct merge_options *options, struct load *load,
                        struct error *err)
{
    while (*n > fan) {
        size_t out = 0;

        for (size_t i = 0; i < *n; i += fan) {
            size_t count = *n - i < fan ? *n - i : fan;

            if (count == 1)
                sources[out++] = sources[i];
            else if (merge_some(&sources[i], count, options, load, &sources[out], err))
                return -1;
            else
                out++;
        }
        *n = out;
    }
    return 0;
}

static size_t fan_in(const struct merge_options *options)
{
    size_t fan = options->memory / (2 * LIMIT_BLOCK);

    return fan < FAN_MIN ? FAN_MIN : fan > FAN_MAX ? FAN_MAX : fan;
}

static int open_sources(struct merge *merge, struct merge_source *sources, size_t n,
                        bool sorted, const struct merge_options *options, struct error *err)
{
    if (!sorted) {
        if (load_sources(&merge->load, sources, n, options->memory, err))
            return -1;
        sources = merge->load.spilled;
        n = merge->load.spilled_count;
    }
    if (merge_passes(sources, &n, fan_in(options), options, &merge->load, err))
        return -1;
    /* From here on the streams are what must be received: passes with a fold join records. */
    for (size_t i = 0; i < n; i++)
        merge->expected += sources[i].segment->records;
    if (merge->load.list)
        merge->expected += load_list_records(merge->load.list);
    make_streams(merge, sources, n);
    return 0;
}

int merge_open(const struct merge_source *sources, size_t n,
               const struct merge_options *options, struct merge **ret, struct error *err)
{
    struct merge *merge = memory_zeroed(1, sizeof *merge);
    cleanup_free struct merge_source *copy = memory_new((n + 1) * sizeof *copy);
    bool sorted = true;

    if (n)
        memcpy(copy, sources, n * sizeof *copy);
    merge->fold = options->fold && options->fold->lanes ? options->fold : NULL;
    load_init(&merge->load, options->scratch);
    for (size_t i = 0; i < n; i++) {
        merge->totals.pairs += sources[i].segment->pairs;
        merge->totals.records += sources[i].segment->records;
        sorted = sorted && sources[i].segment->flags & RUN_SORTED;
    }
    if (open_sources(merge, copy, n, sorted, options, err)) {
        merge_close(merge);
        return -1;
    }
    *ret = merge;
    return 0;
}

struct merge_totals merge_totals(const struct merge *merge)
{
    struct merge_totals totals = merge->totals;

    totals.spilled_bytes = merge->load.spilled_bytes;
    return totals;
}

void merge_close(struct merge *merge)
{
    if (!merge)
        return;
    free_streams(merge);
    load_done(&merge->load);
    free(merge);
}
