/* What a worker makes of the parts of runs that other workers send it. Three of them hold six
 * runs; the input is a list of deeds: answers as an honest one gives them, the same with a
 * field changed, bytes that may be no answer, sessions that end, workers that are given up.
 * Whatever comes, a part that is delivered is a bundle that reads without damage and holds
 * nothing that nobody asked for, of one that fails no file is left, and honest workers bring
 * each to its end. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "tests/fuzz/lib/inputs.h"
#include "wire/bytes.h"
#include "worker/agent/fetch.h"
#include "worker/agent/pull.h"

enum { TASKS = 6, ROUNDS = 2, PARTS = 2, SOURCES = 3, ASKED = 64, DEEDS = 300, JOB = 7 };

/* ---- Runs, the same for all inputs ---- */

struct held {
    struct run_segment segment;
    uint8_t *bytes;
};
static struct held runs[TASKS][PARTS][ROUNDS];

/* Those of the last task are large enough for several messages. */
static void add_records(struct run_builder *builder, uint32_t task, uint32_t part,
                        uint32_t round)
{
    static const char zeros[9000];
    size_t size = task == TASKS - 1 ? sizeof zeros : task * 3;
    struct error err;

    for (uint32_t i = 0; i < task + part + round; i++) {
        char key[32];
        int n = snprintf(key, sizeof key, "%u %u %u", task, round, i);

        check(!run_builder_add(builder, (struct mr_bytes){key, (size_t)n},
                               (struct mr_bytes){zeros, size}, &err));
    }
    run_builder_pairs(builder, task + part + round);
}

static void make_run(const char *path, uint32_t task)
{
    struct run_shape shape = {PARTS, RUN_SORTED, 0, task};
    struct run_builder *builder = run_builder_new(0);
    struct run_writer *writer;
    struct run_file *run;
    struct error err;
    uint64_t size;
    size_t count;

    check(!run_create(path, &shape, &writer, &err));
    for (uint32_t round = 0; round < ROUNDS; round++)
        for (uint32_t part = 0; part < PARTS; part++) {
            add_records(builder, task, part, round);
            check(!run_append(writer, round, part, builder, true, &err));
        }
    check(!run_finish(writer, false, &size, &err));
    run_builder_free(builder);
    check(!run_open(path, task, &run, &err));
    for (uint32_t part = 0; part < PARTS; part++) {
        const struct run_segment *segments = run_part(run, part, &count);

        check(count == ROUNDS);
        for (size_t round = 0; round < ROUNDS; round++) {
            struct held *held = &runs[task][part][round];

            held->segment = segments[round];
            held->bytes = memory_new(held->segment.size);
            check(!run_read(run, &held->segment, 0, held->bytes, held->segment.size, &err));
        }
    }
    run_close(run);
}

static void make_runs(const char *folder)
{
    if (runs[0][0][0].bytes)
        return;
    for (uint32_t task = 0; task < TASKS; task++) {
        cleanup_free char *path = memory_format("%s/run-%u", folder, task);

        make_run(path, task);
        check(!unlink(path));
    }
}

/* ---- Workers that are asked ---- */

struct asked {
    uint64_t id;
    uint32_t part, tasks[TASKS];
    size_t count, segment, sent; /* whole segments, and bytes of the one after them */
};

/* One that is connected. */
struct link {
    char endpoint[40];
    struct asked asked[ASKED];
    size_t asked_count;
    ProtobufCMessage *message; /* or NULL: on its way, of `type`, if that is set */
    enum frame_type type;
};

static struct link *connected[SOURCES];

static struct link **place_of(const char *endpoint)
{
    return &connected[(endpoint[strlen("tcp://10.0.0.")] - '0') % SOURCES];
}

int __wrap_link_connect_guarded(void *context, const char *endpoint,
                                const struct link_guard *guard, struct link **ret,
                                struct error *err);
int __wrap_link_connect_guarded(void *context, const char *endpoint,
                                const struct link_guard *guard, struct link **ret,
                                struct error *err)
{
    (void)context;
    (void)err;
    check(!guard && !*place_of(endpoint));
    *ret = *place_of(endpoint) = memory_zeroed(1, sizeof **ret);
    strcpy((*ret)->endpoint, endpoint);
    return 0;
}

void __wrap_link_close(struct link *link);
void __wrap_link_close(struct link *link)
{
    *place_of(link->endpoint) = NULL;
    frame_free(link->message);
    free(link);
}

static void forget(struct link *link, uint64_t id)
{
    for (size_t i = 0; i < link->asked_count; i++)
        if (link->asked[i].id == id) {
            link->asked_count--;
            memmove(link->asked + i, link->asked + i + 1,
                    (link->asked_count - i) * sizeof *link->asked);
            return;
        }
}

void __wrap_link_send(struct link *link, uint64_t peer, enum frame_type type,
                      const ProtobufCMessage *message);
void __wrap_link_send(struct link *link, uint64_t peer, enum frame_type type,
                      const ProtobufCMessage *message)
{
    const Mr__Fetch *fetch = (const Mr__Fetch *)message;
    struct asked *asked;

    check(!peer && (type == FRAME_FETCH || type == FRAME_GOODBYE));
    if (type == FRAME_GOODBYE)
        return;
    if (!fetch->credit)
        forget(link, fetch->request);
    if (!fetch->n_outputs)
        return;
    check(fetch->job == JOB && fetch->part < PARTS && fetch->n_outputs <= TASKS);
    check(link->asked_count < ASKED);
    asked = &link->asked[link->asked_count++];
    *asked = (struct asked){.id = fetch->request, .part = fetch->part};
    for (; asked->count < fetch->n_outputs; asked->count++)
        asked->tasks[asked->count] = fetch->outputs[asked->count]->task;
}

long __wrap_link_tend(struct link *link);
long __wrap_link_tend(struct link *link)
{
    (void)link;
    return -1;
}

int __wrap_link_receive(struct link *link, uint64_t *ret_peer, enum frame_type *ret_type,
                        ProtobufCMessage **ret_message);
int __wrap_link_receive(struct link *link, uint64_t *ret_peer, enum frame_type *ret_type,
                        ProtobufCMessage **ret_message)
{
    if (!link->type)
        return 0;
    *ret_peer = 0;
    *ret_type = link->type;
    *ret_message = link->message;
    link->message = NULL;
    link->type = 0;
    return 1;
}

/* ---- Who asks ---- */

struct world {
    const char *folder;
    struct pull *pull;
    struct pull_budget ahead;
    unsigned added;
    bool honest; /* so far, everybody */
};

static bool asked_for(const Mr__PartWanted *wanted, uint32_t task)
{
    for (size_t i = 0; i < wanted->n_outputs; i++)
        if (wanted->outputs[i]->task == task)
            return true;
    return false;
}

/* Only what was packed may yet turn out to be damaged, when it is unpacked. */
static void expect_whole(struct run_file *run, const struct run_segment *segment)
{
    struct run_cursor *cursor = run_cursor_new(run, segment);
    struct mr_bytes payload;
    struct error err;
    uint32_t records;
    int result;

    while ((result = run_next_block(cursor, &payload, &records, &err)) == 1)
        ;
    check(!result || segment->raw_size > segment->size);
    run_cursor_free(cursor);
}

static uint64_t id_of(const uint32_t *tasks, size_t count)
{
    uint64_t ids[TASKS];

    for (size_t i = 0; i < count; i++)
        ids[i] = tasks[i];
    return bundle_id(ids, count);
}

static void expect_bundle(const struct world *world, const struct pull_part *part, uint64_t id)
{
    const Mr__PartWanted *wanted = part->wanted;
    struct bundle *bundle;
    struct error err;
    size_t total, count, found = 0;

    check(!bundle_open(part->path, wanted->part, id, &bundle, &err));
    run_segments(bundle_run(bundle), &total);
    for (uint32_t task = 0; task < TASKS; task++) {
        const struct run_segment *segments = bundle_segments(bundle, task, &count);

        check(!count || asked_for(wanted, task));
        check(!world->honest || count == (asked_for(wanted, task) ? ROUNDS : 0));
        for (size_t i = 0; i < count; i++)
            expect_whole(bundle_run(bundle), &segments[i]);
        found += count;
    }
    check(found == total);
    bundle_close(bundle);
}

static void deliver(void *context, struct pull_part *part, const struct error *error,
                    uint32_t lost_map)
{
    const struct world *world = context;
    uint32_t tasks[TASKS];
    size_t count = 0;

    for (uint32_t task = 0; task < TASKS; task++)
        if (asked_for(part->wanted, task))
            tasks[count++] = task;
    if (!error) {
        expect_bundle(world, part, id_of(tasks, count));
        check(!unlink(part->path));
    } else {
        check(error->text[0] && access(part->path, F_OK));
        check(!world->honest || (part->ahead && error->code == ERROR_SPACE));
        check((error->code != ERROR_FETCH && error->code != ERROR_CUT) ||
              asked_for(part->wanted, lost_map));
    }
    pull_part_free(part);
}

/* Asks for the part of the runs whose bits are set. */
static void want(struct world *world, uint32_t number, unsigned set, bool ahead)
{
    struct pull_part *part = memory_zeroed(1, sizeof *part);
    Mr__PartWanted wanted = MR__PART_WANTED__INIT;
    Mr__MapOutput outputs[TASKS], *pointers[TASKS];
    char endpoints[TASKS][40];
    uint32_t tasks[TASKS];
    struct error err;

    for (uint32_t task = 0; task < TASKS; task++) {
        Mr__MapOutput *output = &outputs[wanted.n_outputs];

        if (!(set & 1U << task))
            continue;
        mr__map_output__init(output);
        snprintf(endpoints[task], sizeof endpoints[task], "tcp://10.0.0.%u:1", task % SOURCES);
        output->task = output->run_id = tasks[wanted.n_outputs] = task;
        output->endpoint = bytes_of(endpoints[task]);
        output->path = bytes_of("/run");
        pointers[wanted.n_outputs++] = output;
    }
    wanted.job = JOB;
    wanted.part = number;
    wanted.outputs = pointers;
    part->wanted = (Mr__PartWanted *)frame_copy(&wanted.base);
    part->path = memory_format("%s/bundle-%u", world->folder, world->added++);
    part->ahead = ahead ? &world->ahead : NULL;
    check(!bundle_create(part->path, number, id_of(tasks, wanted.n_outputs), &part->bundle,
                         &err));
    pull_add(world->pull, part);
}

/* ---- Deeds ---- */

/* Comes at once; the message is taken over. */
static void say(struct world *world, struct link *link, enum frame_type type,
                ProtobufCMessage *message)
{
    link->type = type;
    link->message = message;
    pull_receive(world->pull);
    pull_tend(world->pull);
}

static void change(Mr__Fetched *message, Mr__Segment *segment, uint8_t which, uint64_t value)
{
    switch (which % 14) {
    case 0:
        segment->task = (uint32_t)value % (TASKS + 1);
        break;
    case 1:
        segment->round = (uint32_t)value;
        break;
    case 2:
        segment->records += value;
        break;
    case 3:
        segment->pairs += value;
        break;
    case 4:
        segment->digest ^= value;
        break;
    case 5:
        segment->size += value;
        break;
    case 6:
        segment->size -= value;
        break;
    case 7:
        segment->flags ^= (uint32_t)value;
        break;
    case 8:
        segment->raw_size = value;
        break;
    case 9:
        segment->data.len -= value % (segment->data.len + 1);
        break;
    case 10:
        message->last = !message->last;
        break;
    case 11:
        message->value_width ^= (uint32_t)value;
        break;
    case 12:
        message->request += value;
        break;
    default:
        if (segment->data.len) /* the message has it for itself */
            segment->data.data[value % segment->data.len] ^= (uint8_t)(value >> 8) | 1;
    }
}

/* The next piece of what was asked for, of at most `most` bytes; `changes` gives what to change
 * in it and how, or is NULL. */
static void answer(struct world *world, struct link *link, struct asked *asked, size_t most,
                   const uint8_t *changes)
{
    Mr__Fetched fetched = MR__FETCHED__INIT, *message;
    Mr__Segment segment = MR__SEGMENT__INIT, *pointer = &segment;
    uint32_t task = asked->tasks[asked->segment / ROUNDS];
    const struct held *held = &runs[task][asked->part][asked->segment % ROUNDS];
    size_t left = held->segment.size - asked->sent, size = left < most ? left : most;

    segment.task = task;
    segment.round = held->segment.round;
    segment.records = held->segment.records;
    segment.pairs = held->segment.pairs;
    segment.digest = held->segment.digest;
    segment.size = held->segment.size;
    segment.flags = held->segment.flags;
    segment.data = (ProtobufCBinaryData){size, held->bytes + asked->sent};
    asked->sent += size;
    if (asked->sent == held->segment.size) {
        asked->segment++;
        asked->sent = 0;
    }
    fetched.request = asked->id;
    fetched.segments = &pointer;
    fetched.n_segments = 1;
    fetched.last = asked->segment == asked->count * ROUNDS;
    message = (Mr__Fetched *)frame_copy(&fetched.base);
    if (changes)
        change(message, message->segments[0], changes[0],
               UINT64_C(1) << (changes[1] & 63) | changes[1] >> 6);
    if (fetched.last)
        forget(link, fetched.request);
    say(world, link, FRAME_FETCHED, &message->base);
}

/* A small number as the request means one of those that were asked. */
static void answer_bytes(struct world *world, struct link *link, const uint8_t *bytes,
                         size_t size)
{
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;
    size_t framed;
    cleanup_free uint8_t *frame = inputs_frame(FRAME_FETCHED, bytes, size, &framed);

    if (frame_unpack(frame, framed, &type, &message, &err))
        return;
    if (((Mr__Fetched *)message)->request < link->asked_count)
        ((Mr__Fetched *)message)->request = link->asked[((Mr__Fetched *)message)->request].id;
    say(world, link, FRAME_FETCHED, message);
}

/* Nobody's fault, and to be borne a few times. */
static void end_session(struct world *world, struct link *link)
{
    world->honest = false;
    say(world, link, FRAME_FENCED, NULL);
}

/* One deed of four bytes, with bytes behind it; how many of those it used. */
static size_t act(struct world *world, const uint8_t *deed, const uint8_t *more, size_t size)
{
    struct link *link = connected[deed[1] % SOURCES];
    struct asked *asked =
        link && link->asked_count ? &link->asked[deed[2] % link->asked_count] : NULL;
    size_t length = deed[3] < size ? deed[3] : size;
    char endpoint[40];

    switch (deed[0] % 7) {
    case 0:
        if (asked)
            answer(world, link, asked, (size_t)1 << deed[3] % 18, NULL);
        return 0;
    case 1:
        world->honest = false;
        if (asked && size >= 2)
            answer(world, link, asked, (size_t)1 << deed[3] % 18, more);
        return size < 2 ? size : 2;
    case 2:
        world->honest = false;
        if (link)
            answer_bytes(world, link, more, length);
        return length;
    case 3:
        if (link)
            end_session(world, link);
        return 0;
    case 4:
        world->honest = false;
        snprintf(endpoint, sizeof endpoint, "tcp://10.0.0.%u:1", deed[1] % (SOURCES + 1));
        pull_gone(world->pull, endpoint);
        return 0;
    case 5:
        if (world->added < 20)
            want(world, deed[1] % PARTS, deed[2], deed[3] & 1);
        pull_tend(world->pull);
        return 0;
    default:
        pull_drop(world->pull, &(struct pull_scope){JOB, deed[1] % 3, deed[2] % PARTS});
        pull_tend(world->pull);
        return 0;
    }
}

/* What is still asked for is answered, so that everything comes to its end. */
static void finish(struct world *world)
{
    bool more = true;

    while (more) {
        more = false;
        for (size_t i = 0; i < SOURCES; i++)
            if (connected[i] && connected[i]->asked_count) {
                answer(world, connected[i], &connected[i]->asked[0], 256 << 10, NULL);
                more = true;
            }
    }
}

static size_t files_in(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t count = 0;

    check(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world world = {.folder = inputs_folder(), .ahead = {.limit = 50000}, .honest = true};

    make_runs(world.folder);
    world.pull = pull_new(NULL, NULL, deliver, &world);
    want(&world, 0, 0x3f, false);
    pull_tend(world.pull);
    for (int deeds = 0; size >= 4 && deeds < DEEDS; deeds++) {
        size_t used = 4 + act(&world, data, data + 4, size - 4);

        data += used;
        size -= used;
    }
    finish(&world);
    check(!world.honest || !files_in(world.folder));
    pull_free(world.pull);
    check(!files_in(world.folder) && !world.ahead.held);
    return 0;
}
