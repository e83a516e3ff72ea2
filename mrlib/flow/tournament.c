#include "flow/tournament.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "record/run_record.h"

enum { AHEAD = 12 }; /* records of a list whose memory is asked for in advance */

/* One sorted input and its current record. */
struct stream {
    struct run_cursor *cursor; /* of a run; NULL: a list */
    struct mr_bytes rest;      /* of the cursor's block */
    uint32_t left;             /* records in it */
    const struct sort_entry *next, *end;
    struct mr_bytes key, value;
    uint64_t prefix; /* UINT64_MAX when done */
    bool done;
};

/* A match that was lost, or the winner: the prefix stands here as well, beside its rivals'. */
struct entrant {
    uint64_t prefix;
    size_t stream;
};

struct tournament {
    uint32_t value_width;
    size_t n, added;
    struct stream *streams;
    struct entrant *losers; /* losers[0] is the winner */
    bool started;
    bool starved;         /* the winner's current record was taken, its next block is unread */
    struct mr_bytes last; /* key of the record taken last, and its prefix */
    uint64_t last_prefix;
    bool has_last;
    char *last_copy;
    size_t last_capacity;
    struct tournament_record batch[TOURNAMENT_BATCH];
};

struct tournament *tournament_new(size_t n, uint32_t value_width)
{
    struct tournament *tournament = memory_zeroed(1, sizeof *tournament);

    tournament->value_width = value_width;
    tournament->n = n;
    tournament->streams = memory_zeroed(n, sizeof *tournament->streams);
    tournament->losers = memory_zeroed(n + 1, sizeof *tournament->losers);
    return tournament;
}

void tournament_free(struct tournament *tournament)
{
    if (!tournament)
        return;
    for (size_t i = 0; i < tournament->added; i++)
        run_cursor_free(tournament->streams[i].cursor);
    free(tournament->streams);
    free(tournament->losers);
    free(tournament->last_copy);
    free(tournament);
}

void tournament_add_run(struct tournament *tournament, struct run_file *run,
                        const struct run_segment *segment)
{
    check(tournament->added < tournament->n);
    tournament->streams[tournament->added++].cursor = run_cursor_new(run, segment);
}

void tournament_add_list(struct tournament *tournament, const struct sort_entry *entries,
                         size_t count)
{
    check(tournament->added < tournament->n);
    tournament->streams[tournament->added++] =
        (struct stream){.next = entries, .end = entries + count};
}

/* ---- One stream ---------------------------------------------------------------------------
 */

static void end_stream(struct stream *stream)
{
    stream->done = true;
    stream->prefix = UINT64_MAX;
}

/* Reads blocks until there is one with a record; at the end of the segment the stream is done.
 */
static int refill(struct stream *stream, struct error *err)
{
    while (!stream->left) {
        int result;

        if (stream->rest.len)
            return run_cursor_damaged(stream->cursor, "a block holds more records than it says",
                                      err);
        result = run_next_block(stream->cursor, &stream->rest, &stream->left, err);
        if (result < 0)
            return -1;
        if (!result) {
            end_stream(stream);
            return 0;
        }
    }
    return 0;
}

/* Takes the next record that is in memory; there is one. */
static inline int take(struct stream *stream, uint32_t value_width, struct error *err)
{
    if (stream->cursor) {
        stream->left--;
        if (run_decode(&stream->rest, value_width, &stream->key, &stream->value) != 1)
            return run_cursor_damaged(stream->cursor, "a record makes no sense", err);
        stream->prefix = sort_prefix(stream->key);
    } else {
        struct mr_bytes rest = {sort_place(stream->next), SIZE_MAX / 2};

        if (stream->end - stream->next > AHEAD) {
            const char *later = sort_place(stream->next + AHEAD);

            __builtin_prefetch(later);
            __builtin_prefetch(later + 64);
        }
        stream->prefix = stream->next++->prefix;
        check(run_decode(&rest, value_width, &stream->key, &stream->value) == 1);
    }
    return 0;
}

static inline bool is_starved(const struct stream *stream)
{
    return stream->cursor && !stream->left;
}

/* Moves on to the next record, wherever it must be read from. */
static int advance(struct stream *stream, uint32_t value_width, struct error *err)
{
    if (is_starved(stream)) {
        if (refill(stream, err))
            return -1;
        if (stream->done)
            return 0;
    } else if (!stream->cursor && stream->next == stream->end) {
        end_stream(stream);
        return 0;
    }
    return take(stream, value_width, err);
}

/* ---- The tree -----------------------------------------------------------------------------
 */

/* Between equal prefixes: by whole keys, then by the order of the streams; who is done loses.
 */
static bool tie_before(const struct tournament *tournament, size_t a, size_t b)
{
    const struct stream *x = &tournament->streams[a], *y = &tournament->streams[b];
    int order;

    if (x->done || y->done)
        return x->done == y->done ? a < b : y->done;
    order = sort_compare(x->key, y->key);
    return order ? order < 0 : a < b;
}

static inline bool before(const struct tournament *tournament, struct entrant a,
                          struct entrant b)
{
    return a.prefix != b.prefix ? a.prefix < b.prefix
                                : tie_before(tournament, a.stream, b.stream);
}

/* Plays the matches below `node`, leaves at n .. 2n-1; returns the winner. */
static struct entrant play(struct tournament *tournament, size_t node)
{
    struct entrant left, right;

    if (node >= tournament->n) {
        size_t stream = node - tournament->n;

        return (struct entrant){tournament->streams[stream].prefix, stream};
    }
    left = play(tournament, 2 * node);
    right = play(tournament, 2 * node + 1);
    if (before(tournament, left, right)) {
        tournament->losers[node] = right;
        return left;
    }
    tournament->losers[node] = left;
    return right;
}

/* The stream of the last winner has a new record: replays its matches up to the root. */
static void replay(struct tournament *tournament)
{
    size_t stream = tournament->losers[0].stream;
    struct entrant winner = {tournament->streams[stream].prefix, stream};

    for (size_t node = (stream + tournament->n) / 2; node; node /= 2)
        if (before(tournament, tournament->losers[node], winner)) {
            struct entrant loser = winner;

            winner = tournament->losers[node];
            tournament->losers[node] = loser;
        }
    tournament->losers[0] = winner;
}

static int start(struct tournament *tournament, struct error *err)
{
    check(tournament->added == tournament->n);
    for (size_t i = 0; i < tournament->n; i++)
        if (advance(&tournament->streams[i], tournament->value_width, err))
            return -1;
    tournament->losers[0] = tournament->n > 1
                                ? play(tournament, 1)
                                : (struct entrant){tournament->streams[0].prefix, 0};
    tournament->started = true;
    return 0;
}

/* ---- Batches ------------------------------------------------------------------------------
 */

/* The block of the last key is about to go. */
static void keep_last(struct tournament *tournament)
{
    struct mr_bytes last = tournament->last;

    if (!tournament->has_last || last.ptr == tournament->last_copy)
        return;
    memory_reserve(&tournament->last_copy, &tournament->last_capacity, last.len + 1, 1);
    if (last.len)
        memcpy(tournament->last_copy, last.ptr, last.len);
    tournament->last.ptr = tournament->last_copy;
}

/* Whether the stream's record has the key of the record taken last. */
static inline bool is_same(const struct tournament *tournament, const struct stream *stream)
{
    struct mr_bytes last = tournament->last;

    return stream->prefix == tournament->last_prefix && tournament->has_last &&
           stream->key.len == last.len &&
           (!last.len || !memcmp(stream->key.ptr, last.ptr, last.len));
}

/* Reads on where the last batch had to end. */
static int resume(struct tournament *tournament, struct error *err)
{
    if (!tournament->started)
        return start(tournament, err);
    if (!tournament->starved)
        return 0;
    keep_last(tournament);
    if (advance(&tournament->streams[tournament->losers[0].stream], tournament->value_width,
                err))
        return -1;
    tournament->starved = false;
    replay(tournament);
    return 0;
}

int tournament_next(struct tournament *tournament, const struct tournament_record **ret,
                    struct error *err)
{
    struct tournament_record *out = tournament->batch;
    struct tournament_record *end = out + TOURNAMENT_BATCH;

    if (!tournament->n)
        return 0;
    if (resume(tournament, err))
        return -1;
    while (out < end) {
        struct stream *top = &tournament->streams[tournament->losers[0].stream];
        uint64_t prefix = top->prefix;

        if (top->done)
            break;
        *out = (struct tournament_record){top->key, top->value, is_same(tournament, top)};
        tournament->last = top->key;
        tournament->last_prefix = prefix;
        tournament->has_last = true;
        out++;
        if (is_starved(top)) {
            tournament->starved = true;
            break;
        }
        if (advance(top, tournament->value_width, err))
            return -1;
        if (top->done || !is_same(tournament, top))
            replay(tournament);
    }
    *ret = tournament->batch;
    return (int)(out - tournament->batch);
}
