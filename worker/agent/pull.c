#include "worker/agent/pull.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "wire/bytes.h"
#include "worker/agent/fetch.h"
#include "worker/agent/pull_internal.h"

enum {
    ACTIVE_MAX = FETCH_CREDIT / FETCH_CREDIT_EACH,
    ACTIVE_OF_ONE = 4,      /* of one source, so that a dead one does not hold up all others */
    TRIES = 3,              /* a source is asked so often, each time over a new link ... */
    SILENT_MS = 5000,       /* ... once it was silent for so long ... */
    SILENT_AGAIN_MS = 2500, /* ... and, where it was silent before, for so long */
    UNUSED_MS = 30000,      /* then its link is closed, and its silence forgotten */
    MESSAGES_A_ROUND = 64,  /* of one source, before others have their turn */
    LOOK_MS = 500,          /* how often silence is looked for */
};

/* ---- Parts --------------------------------------------------------------------------------
 */

void pull_part_free(struct pull_part *part)
{
    if (!part)
        return;
    bundle_abandon(part->bundle);
    if (part->ahead)
        part->ahead->held -= part->held;
    frame_free(&part->wanted->base);
    free(part->path);
    free(part);
}

struct pull *pull_new(void *context, const struct certificate *own, pull_deliver *deliver,
                      void *deliver_context)
{
    struct pull *pull = memory_zeroed(1, sizeof *pull);

    pull->context = context;
    pull->own = own;
    pull->deliver = deliver;
    pull->deliver_context = deliver_context;
    return pull;
}

static void remove_request(struct pull *pull, struct source *source, size_t index)
{
    struct request *request = source->requests[index];

    if (index < source->active) {
        source->active--;
        pull->active--;
    }
    source->count--;
    memmove(source->requests + index, source->requests + index + 1,
            (source->count - index) * sizeof *source->requests);
    source->used_ms = clock_ms();
    free(request->outputs);
    free(request);
}

/* Takes a part out of everything; a source that is sending is told to stop. */
static void withdraw(struct pull *pull, struct pull_part *part)
{
    for (size_t s = 0; s < pull->count; s++) {
        struct source *source = pull->sources[s];

        for (size_t i = source->count; i-- > 0;) {
            if (source->requests[i]->part != part)
                continue;
            if (i < source->active && source->link) {
                Mr__Fetch stop = MR__FETCH__INIT;

                stop.request = source->requests[i]->id;
                link_send(source->link, 0, FRAME_FETCH, &stop.base);
            }
            remove_request(pull, source, i);
        }
    }
    for (size_t i = 0; i < pull->part_count; i++)
        if (pull->parts[i] == part) {
            pull->parts[i] = pull->parts[--pull->part_count];
            break;
        }
}

void pull_fail(struct pull *pull, struct pull_part *part, const struct error *error,
               uint32_t lost_map)
{
    withdraw(pull, part);
    bundle_abandon(part->bundle);
    part->bundle = NULL;
    pull->deliver(pull->deliver_context, part, error, lost_map);
}

static void finish_part(struct pull *pull, struct pull_part *part)
{
    struct bundle_writer *bundle = part->bundle;
    struct error err;

    part->bundle = NULL;
    withdraw(pull, part);
    if (bundle_finish(bundle, &err))
        pull->deliver(pull->deliver_context, part, &err, 0);
    else
        pull->deliver(pull->deliver_context, part, NULL, 0);
}

void pull_end_request(struct pull *pull, struct source *source, struct request *request)
{
    struct pull_part *part = request->part;
    size_t index = 0;

    while (source->requests[index] != request)
        index++;
    remove_request(pull, source, index);
    if (!--part->open)
        finish_part(pull, part);
}

bool pull_covers(const struct pull_scope *scope, uint64_t job, uint32_t part, bool ahead)
{
    if (scope->job != job)
        return false;
    return scope->what == PULL_ALL || (scope->what == PULL_WAITED && !ahead) ||
           (scope->what == PULL_AHEAD && ahead && scope->part == part);
}

void pull_drop(struct pull *pull, const struct pull_scope *scope)
{
    for (size_t i = pull->part_count; i-- > 0;) {
        struct pull_part *part = pull->parts[i];

        if (pull_covers(scope, part->wanted->job, part->wanted->part, part->ahead)) {
            withdraw(pull, part);
            pull_part_free(part);
        }
    }
}

/* ---- Requests -----------------------------------------------------------------------------
 */

/* Who has another key at the same endpoint is another source. */
static struct source *source_of(struct pull *pull, const Mr__MapOutput *output)
{
    struct source *source;

    for (size_t i = 0; i < pull->count; i++)
        if (bytes_are(output->endpoint, pull->sources[i]->endpoint) &&
            bytes_are(output->key, pull->sources[i]->key))
            return pull->sources[i];
    source = memory_zeroed(1, sizeof *source);
    source->endpoint = bytes_text(output->endpoint);
    source->key = bytes_text(output->key);
    memory_reserve(&pull->sources, &pull->capacity, pull->count + 1, sizeof *pull->sources);
    pull->sources[pull->count++] = source;
    return source;
}

static int compare_bytes(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    size_t length = a.len < b.len ? a.len : b.len;
    int order = length ? memcmp(a.data, b.data, length) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_sources(const Mr__MapOutput *a, const Mr__MapOutput *b)
{
    int order = compare_bytes(a->endpoint, b->endpoint);

    return order ? order : compare_bytes(a->key, b->key);
}

static int compare_outputs(const void *a, const void *b)
{
    const Mr__MapOutput *x = *(Mr__MapOutput *const *)a, *y = *(Mr__MapOutput *const *)b;
    int order = compare_sources(x, y);

    return order ? order : x->task < y->task ? -1 : x->task > y->task;
}

/* Puts a request in its row: what a reducer waits for goes before what is fetched ahead. */
static void queue_request(struct source *source, struct request *request)
{
    size_t at = source->count;

    memory_reserve(&source->requests, &source->capacity, source->count + 1,
                   sizeof *source->requests);
    for (;
         !request->part->ahead && at > source->active && source->requests[at - 1]->part->ahead;
         at--)
        source->requests[at] = source->requests[at - 1];
    source->requests[at] = request;
    source->count++;
}

static void add_request(struct pull *pull, struct pull_part *part, Mr__MapOutput **outputs,
                        size_t count)
{
    struct source *source = source_of(pull, outputs[0]);
    struct request *request = memory_zeroed(1, sizeof *request);

    request->part = part;
    request->id = ++pull->last_id;
    request->outputs = memory_new(count * sizeof(Mr__MapOutput *));
    memcpy(request->outputs, outputs, count * sizeof(Mr__MapOutput *));
    request->count = count;
    queue_request(source, request);
    part->open++;
}

void pull_add(struct pull *pull, struct pull_part *part)
{
    Mr__PartWanted *wanted = part->wanted;
    size_t from = 0;

    memory_reserve(&pull->parts, &pull->part_capacity, pull->part_count + 1,
                   sizeof *pull->parts);
    pull->parts[pull->part_count++] = part;
    if (!wanted->n_outputs) {
        finish_part(pull, part);
        return;
    }
    qsort(wanted->outputs, wanted->n_outputs, sizeof(Mr__MapOutput *), compare_outputs);
    for (size_t i = 1; i <= wanted->n_outputs; i++)
        if (i == wanted->n_outputs ||
            compare_sources(wanted->outputs[from], wanted->outputs[i])) {
            add_request(pull, part, wanted->outputs + from, i - from);
            from = i;
        }
    for (size_t i = 0; i < wanted->n_outputs; i++) /* the source knows them */
        wanted->outputs[i]->endpoint.len = wanted->outputs[i]->key.len = 0;
}

void pull_grant(struct source *source, struct request *request)
{
    Mr__Fetch fetch = MR__FETCH__INIT;

    request->granted = request->received + FETCH_CREDIT_EACH;
    fetch.request = request->id;
    fetch.credit = request->granted;
    link_send(source->link, 0, FRAME_FETCH, &fetch.base);
}

/* Sends a request from its beginning. */
static void send_request(struct source *source, struct request *request)
{
    Mr__Fetch fetch = MR__FETCH__INIT;

    request->tries++;
    request->received = 0;
    request->granted = FETCH_CREDIT_EACH;
    request->in_segment = false;
    fetch.request = request->id;
    fetch.job = request->part->wanted->job;
    fetch.part = request->part->wanted->part;
    fetch.outputs = request->outputs;
    fetch.n_outputs = request->count;
    fetch.credit = request->granted;
    link_send(source->link, 0, FRAME_FETCH, &fetch.base);
}

/* ---- Sources ------------------------------------------------------------------------------
 */

static void close_link(struct source *source)
{
    if (!source->link)
        return;
    link_send(source->link, 0, FRAME_GOODBYE, NULL);
    link_close(source->link);
    source->link = NULL;
}

static void fail_request(struct pull *pull, const struct source *source,
                         const struct request *request, enum error_code code, const char *why)
{
    uint32_t lost_map = request->outputs[0]->task;
    struct error err;

    error_set(&err, code, "the output of map task %u: fetch from %s: %s", lost_map,
              source->endpoint, why);
    pull_fail(pull, request->part, &err, lost_map);
}

static void fail_all(struct pull *pull, struct source *source, enum error_code code,
                     const char *why)
{
    close_link(source);
    while (source->count)
        fail_request(pull, source, source->requests[0], code, why);
}

/* The link that was unused longest makes room; active requests are fewer than links. */
static void make_room(struct pull *pull)
{
    struct source *oldest = NULL;
    size_t open = 0;

    for (size_t i = 0; i < pull->count; i++) {
        struct source *source = pull->sources[i];

        open += source->link != NULL;
        if (source->link && !source->active && (!oldest || source->used_ms < oldest->used_ms))
            oldest = source;
    }
    if (open >= PULL_LINKS) {
        check(oldest);
        close_link(oldest);
    }
}

/* False when there is none to be had; all its parts have failed then. */
static bool open_link(struct pull *pull, struct source *source)
{
    const struct link_guard guard = {pull->own, NULL, source->key};
    struct error err;
    int result;

    make_room(pull);
    if (pull->own && !*source->key)
        result = error_set(&err, ERROR_FETCH, "nobody told its key");
    else
        result = link_connect_guarded(pull->context, source->endpoint,
                                      pull->own ? &guard : NULL, &source->link, &err);
    if (result) {
        fail_all(pull, source, ERROR_FETCH, err.text);
        return false;
    }
    source->heard = false;
    source->heard_ms = clock_ms();
    return true;
}

/* A source that says nothing, or does not know us any more: everything is asked for anew over a
 * new link, but what was asked for often enough. A silent one is remembered as such until
 * something comes from it: who asks next does not wait as long again. */
static void renew(struct pull *pull, struct source *source, enum error_code code,
                  const char *why)
{
    source->silences = source->heard ? 1 : source->silences + 1;
    if (source->silences >= TRIES) {
        fail_all(pull, source, code, why);
        source->silences = TRIES - 1;
        return;
    }
    close_link(source);
    for (size_t i = 0; i < source->active;) {
        if (source->requests[i]->tries >= TRIES) {
            fail_request(pull, source, source->requests[i], code, why);
            i = 0;
        } else {
            i++;
        }
    }
    if (!source->active || !open_link(pull, source))
        return;
    for (size_t i = 0; i < source->active; i++)
        send_request(source, source->requests[i]);
}

/* As after its last silence: should somebody ask it all the same, that is not for long. */
void pull_gone(struct pull *pull, const char *endpoint)
{
    for (size_t i = 0; i < pull->count; i++) {
        struct source *source = pull->sources[i];

        if (strcmp(source->endpoint, endpoint))
            continue;
        source->heard = false;
        source->silences = TRIES - 1;
        fail_all(pull, source, ERROR_FETCH, "the coordinator has given its worker up");
    }
}

/* Sends the first request that waits at this source, if it may. */
static bool activate_one(struct pull *pull, struct source *source)
{
    if (source->active == source->count || source->active == ACTIVE_OF_ONE)
        return false;
    if (!source->link && !open_link(pull, source))
        return false;
    if (!source->active)
        source->heard_ms = clock_ms();
    send_request(source, source->requests[source->active]);
    source->active++;
    pull->active++;
    return true;
}

static void activate(struct pull *pull)
{
    for (size_t idle = 0; idle < pull->count && pull->active < ACTIVE_MAX;) {
        pull->turn = (pull->turn + 1) % pull->count;
        idle = activate_one(pull, pull->sources[pull->turn]) ? 0 : idle + 1;
    }
}

static void free_source(struct source *source)
{
    close_link(source);
    free(source->requests);
    free(source->endpoint);
    free(source->key);
    free(source);
}

/* Closes links that nobody needs, and forgets their sources. */
static void sweep(struct pull *pull)
{
    int64_t now_ms = clock_ms();

    for (size_t i = pull->count; i-- > 0;) {
        struct source *source = pull->sources[i];

        if (source->count || now_ms - source->used_ms < UNUSED_MS)
            continue;
        free_source(source);
        pull->sources[i] = pull->sources[--pull->count];
    }
}

void pull_free(struct pull *pull)
{
    while (pull->part_count) {
        struct pull_part *part = pull->parts[0];

        withdraw(pull, part);
        pull_part_free(part);
    }
    for (size_t i = 0; i < pull->count; i++)
        free_source(pull->sources[i]);
    free(pull->sources);
    free(pull->parts);
    free(pull);
}

/* ---- The thread's round -------------------------------------------------------------------
 */

long pull_tend(struct pull *pull)
{
    long wait = -1;

    activate(pull);
    sweep(pull);
    for (size_t i = 0; i < pull->count; i++)
        if (pull->sources[i]->link) {
            long due = link_tend(pull->sources[i]->link);

            if (due < 0 || due > LOOK_MS)
                due = LOOK_MS;
            wait = wait < 0 || due < wait ? due : wait;
        }
    return wait;
}

int pull_events(const struct pull *pull, struct link_event *events)
{
    int count = 0;

    for (size_t i = 0; i < pull->count; i++)
        if (pull->sources[i]->link)
            events[count++] = (struct link_event){.link = pull->sources[i]->link};
    check(count <= PULL_LINKS);
    return count;
}

/* True when all was taken in. */
static bool drain(struct pull *pull, struct source *source)
{
    for (int i = 0; i < MESSAGES_A_ROUND; i++) {
        ProtobufCMessage *message;
        enum frame_type type;
        uint64_t peer;

        if (!link_receive(source->link, &peer, &type, &message))
            return true;
        if (type == FRAME_FETCHED) {
            source->heard = true;
            source->silences = 0;
            source->heard_ms = clock_ms();
            pull_take(pull, source, (const Mr__Fetched *)message);
        }
        frame_free(message);
        if (type == FRAME_FENCED) {
            renew(pull, source, ERROR_FETCH, "it does not know us any more");
            return false;
        }
    }
    return false;
}

void pull_receive(struct pull *pull)
{
    for (size_t i = 0; i < pull->count; i++) {
        struct source *source = pull->sources[i];

        /* Silence counts only when nothing is left to be read: the time may have gone by while
         * we wrote to a slow disk. */
        if (source->link && drain(pull, source) && source->active &&
            clock_ms() - source->heard_ms >= (source->silences ? SILENT_AGAIN_MS : SILENT_MS))
            renew(pull, source, ERROR_CUT, "it does not answer");
    }
}
