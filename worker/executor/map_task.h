/* A map attempt in the making, for those who work on it: mapper.c does it, sift.c looks for bad
 * records first. */
#ifndef EXECUTOR_MAP_TASK_H
#define EXECUTOR_MAP_TASK_H

#include <stdatomic.h>

#include "worker/executor/supply.h"
#include "worker/executor/work.h"

struct map_task {
    struct executor *executor;
    const struct host *host;
    const Mr__Assign *assign;
    int n;           /* threads */
    uint64_t memory; /* bytes for this attempt */
    struct skips skips;
    struct supply supply;
    atomic_size_t bytes; /* in all containers */
    size_t limit;        /* of them */
    atomic_bool failed;
    struct run_writer *run;
    char *path;
    uint64_t run_id, size; /* of the run, once it is finished */
    uint32_t round;
    uint64_t flushed; /* bytes of input whose pairs are written */
    uint64_t emitted, combined_in, combined_out, spilled;
    ProtobufCBinaryData content; /* of the run, once it is finished */
};

/* Binds the attempt's threads to it, with empty containers; and ends what they have of it. */
void map_begin_threads(struct map_task *map);
void map_end_threads(struct map_task *map);

/* Feeds a chunk to the thread's map. */
void map_chunk(struct map_task *map, struct thread *thread, struct input *input,
               const struct supply_chunk *chunk);

/* Creates the file that rounds are written to. */
int map_open_run(struct map_task *map, struct error *err);

/* Writes what all threads have gathered, through combine; `last`: nothing comes behind it. */
int map_flush_round(struct map_task *map, bool last, struct error *err);

#endif
