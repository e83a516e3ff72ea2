/* A coordinator by itself, for fuzzers: what peers say goes in by calls, what it sends to them
 * is packed, checked as a receiver would, and kept as far as an honest worker needs it. Its
 * paths are confined to a folder, whatever a message says. One world at a time. */
#ifndef FUZZ_WORLD_H
#define FUZZ_WORLD_H

#include <stdbool.h>

#include "coordinator/core.h"

enum { WORLD_TASKS = 64, WORLD_JOBS = 4 };

/* Peers by number. */
enum { WORLD_WORKER = 11, WORLD_OTHER, WORLD_CLIENT, WORLD_STRANGER };

struct world {
    struct coordinator *coordinator;
    void *context;
    const char *folder;
    int stop;
    Mr__Assign *tasks[WORLD_TASKS]; /* that were given out, owned */
    uint64_t workers[WORLD_TASKS];  /* to whom */
    size_t task_count;
    uint64_t jobs[WORLD_JOBS]; /* the first ones that it accepted or told of */
    size_t job_count;
    uint64_t sent; /* messages */
};

/* `folder`, which must outlive it, is its state; with `journal` it goes on from what is there.
 * -1: that is refused. */
int world_open(struct world *world, const char *folder, bool journal, struct error *err);
void world_close(struct world *world);

/* Lets it do what there is to do. */
void world_round(struct world *world);

/* A peer says something; a `job` below WORLD_JOBS stands for one of the world's. */
void world_say(struct world *world, uint64_t peer, enum frame_type type,
               const ProtobufCMessage *message);
/* The same, as bytes that may be no message at all. */
void world_say_bytes(struct world *world, uint64_t peer, unsigned type, const uint8_t *bytes,
                     size_t size);
void world_greet(struct world *world, uint64_t peer, Mr__Role role);

/* The worker that has this attempt, one of those given out, does it as it should. */
void world_does(struct world *world, size_t index);

/* Paths of the specification now lie in a world's folder, or are none. */
void world_confine(Mr__JobSpec *spec, const char *folder);

#endif
