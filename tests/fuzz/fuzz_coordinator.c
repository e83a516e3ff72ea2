/* A coordinator whose peers may say anything, in any order: two workers, a client and one that
 * never said who it is, around a job that runs. The input is a list of deeds: frames whose
 * envelopes are right and whose messages are not, and between them what honest peers do, so
 * that every phase of a job is reached. Whatever it sends must be a message that a receiver
 * takes. */
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "tests/fuzz/lib/inputs.h"
#include "tests/fuzz/lib/world.h"
#include "wire/bytes.h"

static const uint8_t object[] = "an object that nobody loads";
/* SHA-256 of it. */
static const uint8_t hash[32] = {0x4a, 0xd0, 0xf1, 0x89, 0x4a, 0x94, 0x77, 0x88,
                                 0x25, 0xf6, 0xc4, 0xeb, 0x42, 0xb7, 0x8a, 0xbc,
                                 0x63, 0xf3, 0xff, 0x97, 0x07, 0x41, 0x5a, 0x90,
                                 0xfb, 0x81, 0x7d, 0x80, 0x23, 0x0b, 0xb9, 0x36};

static void submit(struct world *world)
{
    Mr__Submit submit = MR__SUBMIT__INIT;
    Mr__JobSpec spec = MR__JOB_SPEC__INIT;
    Mr__BlobRef blob = MR__BLOB_REF__INIT, *blobs[] = {&blob};
    Mr__Blob piece = MR__BLOB__INIT;
    ProtobufCBinaryData inputs[] = {bytes_of("range:1000")};

    blob.name = bytes_of("job.so");
    blob.sha256 = piece.sha256 = (ProtobufCBinaryData){sizeof hash, (uint8_t *)(uintptr_t)hash};
    blob.size = piece.total = sizeof object;
    piece.data = (ProtobufCBinaryData){sizeof object, (uint8_t *)(uintptr_t)object};
    spec.blobs = blobs;
    spec.n_blobs = 1;
    spec.inputs = inputs;
    spec.n_inputs = 1;
    spec.output = bytes_of("/o");
    spec.reducers = 2;
    spec.split_size = 3000;
    spec.skip_bad_records = 2;
    submit.spec = &spec;
    world_say(world, WORLD_CLIENT, FRAME_SUBMIT, &submit.base);
    world_say(world, WORLD_CLIENT, FRAME_BLOB, &piece.base);
    world_say(world, WORLD_CLIENT, FRAME_SUBMIT, &submit.base);
}

/* What an honest peer does. */
static void behave(struct world *world, uint8_t deed)
{
    uint64_t peer = deed & 1 ? WORLD_WORKER : WORLD_OTHER;
    size_t choice = deed >> 4 & 7;
    Mr__Heartbeat beat = MR__HEARTBEAT__INIT;

    switch (deed >> 1 & 7) {
    case 0:
        if (world->task_count)
            world_does(world, choice % world->task_count);
        break;
    case 1:
        if (world->task_count)
            world_does(world, world->task_count - 1 - choice % world->task_count);
        break;
    case 2:
        world_say(world, peer, FRAME_GOODBYE, NULL);
        break;
    case 3:
        world_greet(world, peer, MR__ROLE__WORKER);
        break;
    case 4:
        beat.scratch_free = UINT64_C(1) << (choice * 8);
        world_say(world, peer, FRAME_HEARTBEAT, &beat.base);
        break;
    case 5:
        world_say(world, WORLD_CLIENT, FRAME_GOODBYE, NULL);
        world_greet(world, WORLD_CLIENT, MR__ROLE__CLIENT);
        break;
    case 6:
        submit(world);
        break;
    default:
        for (size_t i = 0; i < world->task_count; i++)
            world_does(world, i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t peers[] = {WORLD_WORKER, WORLD_OTHER, WORLD_CLIENT, WORLD_STRANGER};
    struct world world;
    struct error err;

    check(!world_open(&world, inputs_folder(), false, &err));
    world_greet(&world, WORLD_WORKER, MR__ROLE__WORKER);
    world_greet(&world, WORLD_CLIENT, MR__ROLE__CLIENT);
    submit(&world);
    check(world.job_count == 1 && world.task_count == 1);
    while (size >= 4) {
        size_t length = data[2] | (size_t)data[3] << 8;

        if (data[0] & 0x80) {
            behave(&world, data[0] & 0x7f);
            data++;
            size--;
            continue;
        }
        length = length < size - 4 ? length : size - 4;
        world_say_bytes(&world, peers[data[0] & 3], data[1], data + 4, length);
        data += 4 + length;
        size -= 4 + length;
    }
    world_close(&world);
    return 0;
}
