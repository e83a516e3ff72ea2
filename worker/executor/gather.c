#include "worker/executor/gather.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "wire/bytes.h"
#include "wire/frame.h"
#include "worker/executor/door.h"
#include "worker/executor/work.h"

/* Of the outputs in one PART_WANTED: half a message is room enough for what is around them. */
enum { WANTED_MAX = LIMIT_MESSAGE / 2 };

struct gather_wait {
    struct gather_wait *next;
    uint32_t part;
    Mr__PartFetched *answer; /* or NULL, until it comes */
};

/* Where a map task's output is read. */
struct place {            /* struct sources has them */
    struct run_file *run; /* by its path, or NULL ... */
    size_t bundle;        /* ... and the index of its bundle ... */
    bool ahead;           /* ... which was fetched ahead */
};

/* What was fetched ahead of a part: messages, owned. */
struct ahead_bundles {
    Mr__PartFetched **items;
    size_t count;
};

/* Outputs that the agent is to fetch; the strings are copies. */
struct missing {
    Mr__MapOutput *outputs;
    size_t count, capacity;
};

void gather_init(struct gather *gather)
{
    pthread_mutex_init(&gather->lock, NULL);
    pthread_cond_init(&gather->answered, NULL);
    gather->waits = NULL;
    gather->ahead = NULL;
    gather->ahead_count = gather->ahead_capacity = 0;
}

/* ---- By path ------------------------------------------------------------------------------
 */

static void add_missing(struct missing *missing, uint32_t map, const struct map_output *output)
{
    Mr__MapOutput *out;

    memory_reserve(&missing->outputs, &missing->capacity, missing->count + 1,
                   sizeof *missing->outputs);
    out = &missing->outputs[missing->count++];
    mr__map_output__init(out);
    out->task = map;
    out->attempt = output->attempt;
    out->run_id = output->run_id;
    out->path = bytes_of(memory_text(output->path));
    out->endpoint = bytes_of(memory_text(output->endpoint));
}

static void missing_done(struct missing *missing)
{
    for (size_t i = 0; i < missing->count; i++) {
        free(missing->outputs[i].path.data);
        free(missing->outputs[i].endpoint.data);
    }
    free(missing->outputs);
}

/* The outputs in a bundle that are those that count now are found. With the lock held. */
static void use_ahead(const struct executor *executor, const Mr__Assign *assign,
                      const Mr__PartFetched *bundle, size_t index, struct place *places)
{
    for (size_t i = 0; i < bundle->n_outputs; i++) {
        const Mr__MapOutput *in = bundle->outputs[i];
        const struct map_output *output;

        if (in->task >= assign->maps || in->task >= executor->output_count)
            continue;
        output = &executor->outputs[in->task];
        if (output->attempt && output->attempt == in->attempt && output->run_id == in->run_id)
            places[in->task] = (struct place){.bundle = index, .ahead = true};
    }
}

/* By its path. */
static int open_run(struct map_output *output, uint32_t map, struct error *err)
{
    int fd = door_run(map, output->path);

    if (fd < 0)
        return error_errno(err, ERROR_IO, "open '%s'", output->path);
    return run_open_fd(fd, output->path, output->run_id, &output->run, err);
}

/* The run of a map task, opened once an executor; or the output becomes a missing one. With the
 * lock held. */
static int find_output(struct executor *executor, uint32_t map, struct place *ret,
                       struct missing *missing, struct error *err)
{
    struct map_output *output;
    bool elsewhere;

    if (map >= executor->output_count || !executor->outputs[map].attempt)
        return error_set(err, ERROR_FETCH, "the output of map task %u is not known here", map);
    output = &executor->outputs[map];
    if (ret->ahead)
        return 0;
    elsewhere = output->endpoint[0];
    if (!output->run && (executor->host.open->direct_reads || !elsewhere) &&
        open_run(output, map, err)) {
        output->run = NULL;
        if (!elsewhere) {
            err->code = ERROR_FETCH;
            return error_wrap(err, "the output of map task %u", map);
        }
    }
    ret->run = output->run;
    if (!ret->run)
        add_missing(missing, map, output);
    return 0;
}

static int find_outputs(struct executor *executor, const Mr__Assign *assign,
                        const struct ahead_bundles *ahead, struct place *places,
                        struct missing *missing, uint32_t *ret_lost_map, struct error *err)
{
    int result = 0;

    pthread_mutex_lock(&executor->lock);
    for (size_t i = 0; i < ahead->count; i++)
        use_ahead(executor, assign, ahead->items[i], i, places);
    for (uint32_t map = 0; !result && map < assign->maps; map++) {
        *ret_lost_map = map;
        result = find_output(executor, map, &places[map], missing, err);
    }
    pthread_mutex_unlock(&executor->lock);
    return result;
}

/* ---- Over the agent -----------------------------------------------------------------------
 */

/* The file of a bundle goes as soon as it is open, or not wanted: whatever becomes of us, it
 * fills no disk. */
static void unlink_bundle(const Mr__PartFetched *answer)
{
    cleanup_free char *path =
        memory_format("%.*s", (int)answer->path.len, (const char *)answer->path.data);

    if (!answer->error)
        unlink(path);
}

static void throw_away(Mr__PartFetched *answer)
{
    unlink_bundle(answer);
    frame_free(&answer->base);
}

void gather_answer(struct gather *gather, Mr__PartFetched *answer)
{
    struct gather_wait *wait = NULL;
    bool taken = true;

    pthread_mutex_lock(&gather->lock);
    if (answer->n_outputs) {
        memory_reserve(&gather->ahead, &gather->ahead_capacity, gather->ahead_count + 1,
                       sizeof(Mr__PartFetched *));
        gather->ahead[gather->ahead_count++] = answer;
    } else {
        for (wait = gather->waits; wait; wait = wait->next)
            if (wait->part == answer->part && !wait->answer)
                break;
        taken = wait;
    }
    if (wait) {
        wait->answer = answer;
        pthread_cond_broadcast(&gather->answered);
    }
    pthread_mutex_unlock(&gather->lock);
    if (!taken)
        throw_away(answer);
}

/* Asks, and waits for the answer. */
static Mr__PartFetched *ask(struct executor *executor, const Mr__PartWanted *wanted)
{
    struct gather *gather = &executor->gather;
    struct gather_wait wait = {.part = wanted->part}, **link;

    pthread_mutex_lock(&gather->lock);
    wait.next = gather->waits;
    gather->waits = &wait;
    pthread_mutex_unlock(&gather->lock);
    work_send(executor, FRAME_PART_WANTED, &wanted->base);
    pthread_mutex_lock(&gather->lock);
    while (!wait.answer)
        pthread_cond_wait(&gather->answered, &gather->lock);
    for (link = &gather->waits; *link != &wait; link = &(*link)->next)
        ;
    *link = wait.next;
    pthread_mutex_unlock(&gather->lock);
    return wait.answer;
}

static int open_answer(const Mr__PartFetched *answer, uint64_t id, struct bundle **ret,
                       uint32_t *ret_lost_map, struct error *err)
{
    cleanup_free char *path =
        memory_format("%.*s", (int)answer->path.len, (const char *)answer->path.data);
    int result;

    if (answer->error) {
        uint32_t code = answer->error->code;

        *ret_lost_map = answer->lost_map;
        return error_set(err, code && code < ERROR_CODES ? (enum error_code)code : ERROR_FETCH,
                         "%.*s", (int)answer->error->text.len,
                         (const char *)answer->error->text.data);
    }
    result = bundle_open(path, answer->part, id, ret, err);
    unlink_bundle(answer);
    return result;
}

static void keep_bundle(struct sources *sources, struct bundle *bundle)
{
    memory_reserve(&sources->bundles, &sources->bundle_capacity, sources->bundle_count + 1,
                   sizeof(struct bundle *));
    sources->bundles[sources->bundle_count++] = bundle;
}

/* Fetches `count` outputs into one bundle more. */
static int fetch_some(struct executor *executor, const Mr__Assign *assign,
                      Mr__MapOutput *outputs, size_t count, struct sources *sources,
                      uint32_t *ret_lost_map, struct error *err)
{
    cleanup_free Mr__MapOutput **pointers = memory_new(count * sizeof(Mr__MapOutput *));
    cleanup_free uint64_t *ids = memory_new(count * sizeof *ids);
    Mr__PartWanted wanted = MR__PART_WANTED__INIT;
    Mr__PartFetched *answer;
    struct bundle *bundle;
    int result;

    for (size_t i = 0; i < count; i++) {
        pointers[i] = &outputs[i];
        ids[i] = outputs[i].run_id;
    }
    wanted.job = assign->job;
    wanted.part = assign->task;
    wanted.outputs = pointers;
    wanted.n_outputs = count;
    answer = ask(executor, &wanted);
    result = open_answer(answer, bundle_id(ids, count), &bundle, ret_lost_map, err);
    frame_free(&answer->base);
    if (result)
        return -1;
    keep_bundle(sources, bundle);
    return 0;
}

/* All that is missing, as many at a time as one message takes. */
static int fetch_missing(struct executor *executor, const Mr__Assign *assign,
                         struct missing *missing, struct place *places, struct sources *sources,
                         uint32_t *ret_lost_map, struct error *err)
{
    for (size_t from = 0, to; from < missing->count; from = to) {
        size_t size = 0;

        for (to = from; to < missing->count; to++) {
            size += mr__map_output__get_packed_size(&missing->outputs[to]) + 8;
            if (size > WANTED_MAX && to > from)
                break;
            places[missing->outputs[to].task].bundle = sources->bundle_count;
        }
        if (fetch_some(executor, assign, missing->outputs + from, to - from, sources,
                       ret_lost_map, err))
            return -1;
    }
    return 0;
}

/* ---- Fetched ahead ------------------------------------------------------------------------
 */

/* Takes out what is there for a part. */
static void take_ahead(struct gather *gather, uint32_t part, struct ahead_bundles *ret)
{
    size_t kept = 0;

    pthread_mutex_lock(&gather->lock);
    ret->items = memory_new((gather->ahead_count + 1) * sizeof(Mr__PartFetched *));
    for (size_t i = 0; i < gather->ahead_count; i++)
        if (gather->ahead[i]->part == part)
            ret->items[ret->count++] = gather->ahead[i];
        else
            gather->ahead[kept++] = gather->ahead[i];
    gather->ahead_count = kept;
    pthread_mutex_unlock(&gather->lock);
}

static int open_ahead(const Mr__PartFetched *answer, struct bundle **ret)
{
    cleanup_free uint64_t *ids = memory_new(answer->n_outputs * sizeof *ids);
    struct error ignored;
    uint32_t no_map;

    for (size_t i = 0; i < answer->n_outputs; i++)
        ids[i] = answer->outputs[i]->run_id;
    if (open_answer(answer, bundle_id(ids, answer->n_outputs), ret, &no_map, &ignored))
        return -1;
    /* It may have lain on the disk for long. */
    if (!run_verify(bundle_run(*ret), &ignored))
        return 0;
    bundle_close(*ret);
    return -1;
}

/* Opens the bundles that were fetched ahead of a part; those that are no good are forgotten,
 * and what is in them will be missing. The index of a bundle is that of its message. */
static void open_all_ahead(struct executor *executor, uint32_t part,
                           struct ahead_bundles *ahead, struct sources *sources)
{
    size_t good = 0;

    take_ahead(&executor->gather, part, ahead);
    for (size_t i = 0; i < ahead->count; i++) {
        struct bundle *bundle;

        if (open_ahead(ahead->items[i], &bundle)) {
            frame_free(&ahead->items[i]->base);
            continue;
        }
        keep_bundle(sources, bundle);
        ahead->items[good++] = ahead->items[i];
    }
    ahead->count = good;
}

static void ahead_done(struct ahead_bundles *ahead)
{
    for (size_t i = 0; i < ahead->count; i++)
        frame_free(&ahead->items[i]->base);
    free(ahead->items);
}

/* ---- Together -----------------------------------------------------------------------------
 */

static void add_segments(struct sources *sources, struct run_file *run,
                         const struct run_segment *segments, size_t count)
{
    memory_reserve(&sources->items, &sources->capacity, sources->count + count,
                   sizeof *sources->items);
    for (size_t i = 0; i < count; i++) {
        sources->items[sources->count++] = (struct merge_source){run, &segments[i]};
        sources->bytes += segments[i].size;
    }
}

/* The segments of a map's output, and the file that they are in. */
static const struct run_segment *segments_of(const struct sources *sources, uint32_t map,
                                             struct run_file **ret_run, size_t *ret_count)
{
    const struct place *place = &sources->places[map];
    const struct bundle *bundle;

    *ret_run = place->run;
    if (place->run)
        return run_part(place->run, sources->part, ret_count);
    bundle = sources->bundles[place->bundle];
    *ret_run = bundle_run(bundle);
    return bundle_segments(bundle, map, ret_count);
}

static void add_place(struct sources *sources, uint32_t map)
{
    uint64_t before = sources->bytes;
    struct run_file *run;
    size_t count;
    const struct run_segment *segments = segments_of(sources, map, &run, &count);

    add_segments(sources, run, segments, count);
    if (sources->places[map].ahead)
        sources->ahead_bytes += sources->bytes - before;
}

int gather_sources(struct executor *executor, const Mr__Assign *assign, struct sources *ret,
                   uint32_t *ret_lost_map, struct error *err)
{
    struct place *places = memory_zeroed(assign->maps + 1UL, sizeof *places);
    struct missing missing = {.count = 0};
    struct sources sources = {.places = places, .maps = assign->maps, .part = assign->task};
    struct ahead_bundles ahead = {.count = 0};
    int result;

    open_all_ahead(executor, assign->task, &ahead, &sources);
    result = find_outputs(executor, assign, &ahead, places, &missing, ret_lost_map, err);
    ahead_done(&ahead);
    if (!result)
        result = fetch_missing(executor, assign, &missing, places, &sources, ret_lost_map, err);
    missing_done(&missing);
    if (result) {
        gather_done(&sources);
        return -1;
    }
    for (uint32_t map = 0; map < assign->maps; map++)
        add_place(&sources, map);
    *ret = sources;
    return 0;
}

void gather_blame(const struct sources *sources, uint32_t *ret_lost_map, struct error *err)
{
    for (uint32_t map = 0; map < sources->maps; map++) {
        struct run_file *run;
        size_t count;
        const struct run_segment *segments = segments_of(sources, map, &run, &count);
        bool here = !sources->places[map].run;

        if (!run_verify_some(run, segments, count, err))
            continue;
        err->code = ERROR_FETCH;
        *ret_lost_map = here ? UINT32_MAX : map;
        error_wrap(err, here ? "what was fetched of map task %u" : "the output of map task %u",
                   map);
        return;
    }
}

void gather_done(struct sources *sources)
{
    for (size_t i = 0; i < sources->bundle_count; i++)
        bundle_close(sources->bundles[i]);
    free(sources->bundles);
    free(sources->items);
    free(sources->places);
    *sources = (struct sources){.count = 0};
}
