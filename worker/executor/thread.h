/* What one OpenMP thread of the executor works with: the job's view of it (struct mr_task,
 * first, so that the calls in ops.c find the rest), its slot, and where its emits go. Each
 * belongs to its thread alone. */
#ifndef EXECUTOR_THREAD_H
#define EXECUTOR_THREAD_H

#include <mr/job.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/aggregate.h"
#include "flow/merge.h"
#include "flow/pairs.h"
#include "flow/partition.h"
#include "flow/sample.h"
#include "record/fields.h"
#include "record/lines.h"
#include "wire/slots.h"
#include "worker/executor/host.h"
#include "worker/executor/part.h"
#include "worker/executor/skips.h"

/* Where an emit goes. */
enum sink {
    SINK_NONE,     /* emitting is an error */
    SINK_FOLD,     /* map, with a fold of several lanes */
    SINK_FOLD_I64, /* map, with a fold of one integer */
    SINK_FOLD_F64, /* map, with a fold of one double */
    SINK_PAIRS,    /* map, without */
    SINK_TEXT,     /* map of a map-only job */
    SINK_SAMPLE,   /* map, of which only the keys count */
    SINK_COMBINE,  /* combine */
    SINK_PART,     /* reduce */
};

/* The values of one key, for reduce or combine. */
struct mr_values {
    struct thread *thread;
    struct pairs_group *group; /* combine; else reduce, from thread->merge */
    struct mr_bytes key;       /* with `group`: the prefix that makes the group ... */
    struct mr_bytes whole;     /* ... and the whole key of the value handed out last */
    struct mr_bytes first;     /* the value that came with the key ... */
    bool has_first;            /* ... and was not handed out yet */
    bool ended;
};

struct thread {
    struct mr_task task;
    const struct host *host;
    struct slot *slot;
    const Mr__Assign *assign;
    const struct skips *skips; /* of the attempt; NULL: it has none */
    enum sink sink;
    bool set_up;
    bool failed;      /* emits are dropped, the attempt fails with `error` */
    uint32_t stops;   /* of the executor's, those that were looked at */
    const char *text; /* the input in hand: keys inside it are padded */
    size_t text_size;
    struct aggregate *table; /* empty but in map; kept until the first reduce */
    struct error error;
    enum slot_phase failed_in; /* what it did then */
    struct mr_source source;
    struct lines lines;
    struct fields *fields; /* of map and sample attempts, where records are looked at */
    struct pairs *pairs;
    struct sample *sample;
    struct partitioner partitioner;
    char *out; /* SINK_TEXT: output of the chunk, not yet handed over */
    size_t out_used, out_capacity;
    uint64_t out_records, out_digest;
    int64_t counters[LIMIT_COUNTERS];
    uint64_t input_records, input_bytes;
    uint64_t skipped;         /* records or groups that were left out */
    uint64_t output_records;  /* not of folds, whose tables count */
    struct mr_values *values; /* SINK_COMBINE: of the key being combined */
    /* reduce */
    struct merge *merge;
    struct load_space space; /* of merges, kept from part to part until maps need the memory */
    struct mr_bytes next_key, next_value; /* of the next group, already read */
    bool has_next;
    struct part *part;
    char *key; /* of the group */
    size_t key_capacity;
    uint64_t groups;
};

/* Binds a thread to an attempt: counters, failure and source start anew. */
void thread_begin(struct thread *thread, const struct host *host, const Mr__Assign *assign);

/* And to the records of its input; frees what it had for those of the attempt before. */
void thread_take_records(struct thread *thread);
void thread_drop_records(struct thread *thread);

/* Says in the slot what the thread does from now on. */
void thread_phase(struct thread *thread, enum slot_phase phase);

/* Runs the job's setup if this thread has not yet; and its teardown if it has. */
void thread_set_up(struct thread *thread);
void thread_tear_down(struct thread *thread);

/* Fails the attempt on this thread, keeping the first cause; the place in input or key is put
 * in front. */
void thread_fail(struct thread *thread, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* What groups a key: its prefix under the job's `group`, else all of it. -1 when the job said
 * nonsense: the attempt has failed. */
int thread_group(struct thread *thread, struct mr_bytes key, struct mr_bytes *ret_prefix);

/* Hands the chunk's text over to the pairs. */
void thread_flush_text(struct thread *thread);

#endif
