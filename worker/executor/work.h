/* The executor's work: one attempt at a time of CHECK, SAMPLE and MAP, on all threads; REDUCE
 * attempts one a thread. */
#ifndef EXECUTOR_WORK_H
#define EXECUTOR_WORK_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "record/run.h"
#include "wire/channel.h"
#include "wire/slots.h"
#include "worker/executor/gather.h"
#include "worker/executor/host.h"
#include "worker/executor/queue.h"
#include "worker/executor/stops.h"
#include "worker/executor/thread.h"

/* A map task's output, as the agent told, and its run once a reducer opened it by its path. */
struct map_output {
    uint32_t attempt; /* 0: not told */
    uint64_t run_id;
    char *path;
    char *endpoint; /* of who else can send it; "": nobody */
    struct run_file *run;
};

struct replay;

struct executor {
    struct channel channel;
    struct slots *slots;
    struct queue queue;
    struct stops stops;
    struct host host;
    _Atomic uint64_t memory; /* bytes to use from the next task on */
    int thread_count;
    struct thread *threads;
    pthread_mutex_t lock; /* of outputs, which the listening thread adds to */
    struct map_output *outputs;
    size_t output_count, output_capacity;
    struct gather gather;
    struct replay *replay; /* NULL: there is an agent */
    bool keeps_part;       /* of runs only the segments of `only_part` are kept */
    uint32_t only_part;
};

/* Loads the job if it is not loaded yet; blames `assign` for what its constructors do. */
int work_load(struct executor *executor, const Mr__Assign *assign, struct error *err);

/* The threads' places, as many as the job was announced with. */
void work_make_threads(struct executor *executor);

/* Where a map's output is. */
void work_keep_output(struct executor *executor, const Mr__MapOutput *message);

/* Do an attempt and report it. reduce_run is called on the thread's own OpenMP thread. */
void map_run(struct executor *executor, const Mr__Assign *assign);
void sample_run(struct executor *executor, const Mr__Assign *assign);
void reduce_run(struct executor *executor, struct thread *thread, const Mr__Assign *assign);

/* Sends to the agent, from any thread; without one the process ends. */
void work_send(struct executor *executor, enum frame_type type,
               const ProtobufCMessage *message);

/* Reports. `failed`: the thread whose place in input or keys the error is about; NULL: none.
 */
void work_failed(struct executor *executor, const Mr__Assign *assign, const struct error *error,
                 const struct thread *failed, uint32_t lost_map);
void work_done(struct executor *executor, Mr__TaskDone *done, const Mr__Assign *assign);

/* A counter list for a report: a fixed number of built-in counters, and the job's own. */
struct counter_list {
    Mr__Counter items[LIMIT_COUNTERS + 16];
    Mr__Counter *pointers[LIMIT_COUNTERS + 16];
    size_t count;
};
void counter_add(struct counter_list *list, const char *name, int64_t value);

/* Names the run of a map attempt: what map_run writes and reduce_run expects. */
uint64_t work_run_id(uint64_t job, uint32_t task, uint32_t attempt);

#endif
