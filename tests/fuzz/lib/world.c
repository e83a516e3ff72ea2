#include "tests/fuzz/lib/world.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/record.h"
#include "tests/fuzz/lib/inputs.h"
#include "wire/bytes.h"
#include "wire/hello.h"

static struct world *there;

/* ---- What it sends ---- */

static void keep_task(struct world *world, uint64_t peer, const Mr__Assign *task)
{
    if (world->task_count == WORLD_TASKS)
        return;
    world->workers[world->task_count] = peer;
    world->tasks[world->task_count++] = (Mr__Assign *)frame_copy(&task->base);
}

static void keep_job(struct world *world, uint64_t job)
{
    for (size_t i = 0; i < world->job_count; i++)
        if (world->jobs[i] == job)
            return;
    if (job && world->job_count < WORLD_JOBS)
        world->jobs[world->job_count++] = job;
}

/* In place of the link's: whoever is spoken to takes the message as it came over a wire. */
void __wrap_link_send(struct link *link, uint64_t peer, enum frame_type type,
                      const ProtobufCMessage *message);
void __wrap_link_send(struct link *link, uint64_t peer, enum frame_type type,
                      const ProtobufCMessage *message)
{
    ProtobufCMessage *taken;
    enum frame_type is;
    struct error err;
    size_t size;
    uint8_t *frame = frame_pack(type, message, &size);

    (void)link;
    check(!frame_unpack(frame, size, &is, &taken, &err) && is == type);
    if (there && type == FRAME_ASSIGN)
        keep_task(there, peer, (const Mr__Assign *)taken);
    if (there && type == FRAME_SUBMITTED)
        keep_job(there, ((const Mr__Submitted *)taken)->job);
    if (there && type == FRAME_JOB_OPEN)
        keep_job(there, ((const Mr__JobOpen *)taken)->job);
    if (there)
        there->sent++;
    frame_free(taken);
    free(frame);
}

void __wrap_link_send_once(struct link *link, uint64_t peer, enum frame_type type,
                           const ProtobufCMessage *message);
void __wrap_link_send_once(struct link *link, uint64_t peer, enum frame_type type,
                           const ProtobufCMessage *message)
{
    __wrap_link_send(link, peer, type, message);
}

/* ---- Life ---- */

int world_open(struct world *world, const char *folder, bool journal, struct error *err)
{
    struct coordinator_options options = {.endpoint = "inproc://world",
                                          .state = folder,
                                          .heartbeat_ms = 1000,
                                          .lease_ms = 3600000,
                                          .journal = journal,
                                          .patient = true,
                                          .retained = 4};

    *world = (struct world){.context = link_context_new(), .folder = folder};
    options.context = world->context;
    there = world;
    if (serve_open(&options, &world->coordinator, err)) {
        there = NULL;
        link_context_free(world->context);
        return -1;
    }
    world->stop = eventfd(1, EFD_CLOEXEC);
    return 0;
}

void world_close(struct world *world)
{
    there = NULL;
    serve_close(world->coordinator);
    link_context_free(world->context);
    for (size_t i = 0; i < world->task_count; i++)
        frame_free(&world->tasks[i]->base);
    close(world->stop);
}

/* The loop looks at everything once before it sees that it is to stop. */
void world_round(struct world *world)
{
    struct error err;

    check(!serve_run(world->coordinator, world->stop, &err));
    while (world->coordinator->unsaved_count) {
        struct pollfd wait = {.fd = journal_fd(world->coordinator->journal), .events = POLLIN};

        check(poll(&wait, 1, 10000) == 1);
        check(!record_durable(world->coordinator, &err));
        check(!serve_run(world->coordinator, world->stop, &err));
    }
}

/* ---- What peers say ---- */

static void set(ProtobufCBinaryData *field, char *text)
{
    free(field->data);
    field->data = (uint8_t *)text;
    field->len = strlen(text);
}

void world_confine(Mr__JobSpec *spec, const char *folder)
{
    if (spec->output.len)
        set(&spec->output,
            memory_format("%s/%s", folder,
                          spec->output.data[spec->output.len - 1] & 1 ? "out" : "above/other"));
    for (size_t i = 0; i < spec->n_inputs; i++)
        if (spec->inputs[i].len)
            set(&spec->inputs[i], spec->inputs[i].data[0] == '/'
                                      ? memory_format("%s/input", folder)
                                      : memory_text("range:1000"));
}

static void settle_fields(struct world *world, enum frame_type type, ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "job");

    if (field && field->type == PROTOBUF_C_TYPE_UINT64) {
        uint64_t *job = (uint64_t *)(void *)((char *)message + field->offset);

        if (*job < world->job_count)
            *job = world->jobs[*job];
    }
    if (type == FRAME_SUBMIT && ((Mr__Submit *)message)->spec)
        world_confine(((Mr__Submit *)message)->spec, world->folder);
    if (type == FRAME_QUERY && ((Mr__Query *)message)->path.len)
        set(&((Mr__Query *)message)->path, memory_format("%s/input", world->folder));
}

static void deliver(struct world *world, uint64_t peer, const uint8_t *frame, size_t size)
{
    ProtobufCMessage *message;
    enum frame_type type;
    struct error err;

    if (frame_unpack(frame, size, &type, &message, &err))
        return;
    if (message)
        settle_fields(world, type, message);
    core_receive(world->coordinator, peer, type, message);
    world_round(world);
}

void world_say(struct world *world, uint64_t peer, enum frame_type type,
               const ProtobufCMessage *message)
{
    size_t size;
    cleanup_free uint8_t *frame = frame_pack(type, message, &size);

    deliver(world, peer, frame, size);
}

void world_say_bytes(struct world *world, uint64_t peer, unsigned type, const uint8_t *bytes,
                     size_t size)
{
    size_t framed;
    cleanup_free uint8_t *frame = inputs_frame(type, bytes, size, &framed);

    deliver(world, peer, frame, framed);
}

void world_greet(struct world *world, uint64_t peer, Mr__Role role)
{
    Mr__Hello hello;

    hello_fill(&hello, role);
    hello.name = bytes_of(peer == WORLD_WORKER ? "worker" : "other");
    hello.data_endpoint = bytes_of("tcp://127.0.0.1:1");
    hello.threads = 2;
    world_say(world, peer, FRAME_HELLO, &hello.base);
}

/* ---- An honest worker ---- */

static uint32_t parts_of(const struct world *world, uint64_t job)
{
    const struct job *known = core_job(world->coordinator, job);

    return known ? known->plan.parts : 0;
}

static void write_part(const struct world *world, const Mr__Assign *task)
{
    const struct job *job = core_job(world->coordinator, task->job);
    cleanup_free char *path =
        job && job->output.staging
            ? memory_format("%s/part-%05u.%u", job->output.staging, task->task, task->attempt)
            : NULL;
    cleanup_close int fd = path ? open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;

    if (fd >= 0)
        check(write(fd, "1", 1) == 1);
}

void world_does(struct world *world, size_t index)
{
    const Mr__Assign *task = world->tasks[index];
    Mr__TaskDone done = MR__TASK_DONE__INIT;
    Mr__Description description = MR__DESCRIPTION__INIT;
    Mr__MapOutput output = MR__MAP_OUTPUT__INIT;
    Mr__Ranges ranges = MR__RANGES__INIT;
    Mr__Counter bytes = MR__COUNTER__INIT, *counters[] = {&bytes};
    uint32_t parts = parts_of(world, task->job);
    cleanup_free ProtobufCBinaryData *points = memory_zeroed(parts + 1, sizeof *points);

    done.job = task->job;
    done.kind = task->kind;
    done.task = task->task;
    done.attempt = task->attempt;
    if (task->kind == MR__TASK_KIND__CHECK) {
        description.name = bytes_of("fuzzed");
        description.input_format = bytes_of("fixed:8");
        done.description = &description;
    } else if (task->kind == MR__TASK_KIND__SAMPLE) {
        ranges.points = points;
        ranges.n_points = parts ? parts - 1 : 0;
        done.ranges = &ranges;
    } else if (task->kind == MR__TASK_KIND__MAP) {
        output.task = task->task;
        output.attempt = task->attempt;
        output.path = bytes_of("/none/run");
        bytes.name = bytes_of("map_input_bytes");
        for (size_t i = 0; i < task->n_extents; i++)
            bytes.value = (int64_t)((uint64_t)bytes.value + task->extents[i]->length);
        done.output = &output;
        done.counters = counters;
        done.n_counters = 1;
    } else {
        write_part(world, task);
        done.part_size = 1;
    }
    world_say(world, world->workers[index], FRAME_TASK_DONE, &done.base);
}
