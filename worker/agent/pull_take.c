/* What the sources send, none of which is trusted: it comes from other machines. */
#include <inttypes.h>
#include <stdlib.h>

#include "worker/agent/fetch.h"
#include "worker/agent/pull_internal.h"

/* Less credit than this is not worth a message. */
enum { GRANT_MIN = 1 << 20 };

static bool asked_for(const struct request *request, uint32_t task)
{
    size_t low = 0, high = request->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (request->outputs[middle]->task < task)
            low = middle + 1;
        else
            high = middle;
    }
    return low < request->count && request->outputs[low]->task == task;
}

static int nonsense(const char *what, struct error *err)
{
    return error_set(err, ERROR_DAMAGE, "it sent %s", what);
}

/* The segment that the next bytes are of: the one at hand, or a new one. */
static int find_segment(struct request *request, const Mr__Segment *in,
                        const struct run_shape *shape, struct error *err)
{
    struct run_segment segment = {.round = in->round,
                                  .size = in->size,
                                  .records = in->records,
                                  .pairs = in->pairs,
                                  .digest = in->digest,
                                  .raw_size = in->raw_size ? in->raw_size : in->size,
                                  .flags = in->flags};

    if (request->in_segment) {
        if (in->task != request->task || in->round != request->round)
            return nonsense("a segment before the last was whole", err);
        return 0;
    }
    if (!asked_for(request, in->task))
        return nonsense("what nobody asked for", err);
    request->task = in->task;
    request->round = in->round;
    return bundle_add(request->part->bundle, in->task, &segment, shape, &request->index, err);
}

/* What is fetched ahead must not fill memory or disk. */
static int count_ahead(struct pull_part *part, size_t size, struct error *err)
{
    struct pull_budget *budget = part->ahead;

    if (!budget)
        return 0;
    part->held += size;
    if (atomic_fetch_add(&budget->held, size) + size > atomic_load(&budget->limit))
        return error_set(err, ERROR_SPACE, "as much was fetched ahead as may be");
    return 0;
}

static int take_segment(struct request *request, const Mr__Segment *in,
                        const struct run_shape *shape, struct error *err)
{
    struct bundle_writer *bundle = request->part->bundle;

    request->received += in->data.len;
    if (request->received > request->granted)
        return nonsense("more than it may", err);
    if (find_segment(request, in, shape, err) ||
        count_ahead(request->part, in->data.len, err) ||
        bundle_write(bundle, request->index, in->data.data, in->data.len, err))
        return -1;
    request->in_segment = bundle_lacks(bundle, request->index) > 0;
    return 0;
}

static int take_segments(struct request *request, const Mr__Fetched *message, struct error *err)
{
    struct run_shape shape = {.value_width = message->value_width};

    for (size_t i = 0; i < message->n_segments; i++)
        if (take_segment(request, message->segments[i], &shape, err))
            return -1;
    if (message->last && request->in_segment)
        return nonsense("the end in the middle of a segment", err);
    return 0;
}

static int take_message(struct request *request, const Mr__Fetched *message,
                        uint32_t *ret_lost_map, struct error *err)
{
    *ret_lost_map = request->outputs[0]->task;
    if (message->error) {
        if (asked_for(request, message->lost_map))
            *ret_lost_map = message->lost_map;
        return error_set(err, ERROR_FETCH, "%.*s", (int)message->error->text.len,
                         (const char *)message->error->text.data);
    }
    if (!take_segments(request, message, err))
        return 0;
    if (request->in_segment || asked_for(request, request->task))
        *ret_lost_map = request->task;
    /* A peer that makes no sense is no source; a full disk is our own. */
    if (err->code == ERROR_DAMAGE)
        err->code = ERROR_FETCH;
    return -1;
}

void pull_take(struct pull *pull, struct source *source, const Mr__Fetched *message)
{
    struct request *request = NULL;
    struct error err;
    uint32_t lost_map;

    for (size_t i = 0; i < source->active; i++)
        if (source->requests[i]->id == message->request)
            request = source->requests[i];
    if (!request)
        return; /* its part has ended meanwhile */
    if (take_message(request, message, &lost_map, &err)) {
        if (err.code == ERROR_FETCH)
            error_wrap(&err, "fetch from %s", source->endpoint);
        pull_fail(pull, request->part, &err, lost_map);
    } else if (message->last) {
        pull_end_request(pull, source, request);
    } else if (request->granted - request->received <= FETCH_CREDIT_EACH - GRANT_MIN) {
        pull_grant(source, request);
    }
}
