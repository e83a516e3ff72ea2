/* Progress slots: a page of shared memory between an agent and its executor, one slot a thread.
 *
 * Each executor thread says what it is working on before it calls user code; the agent reads it
 * while the executor runs (has anything moved since the last look?) and after it died (what was
 * it doing?). The executor is the only writer. Fields are read and written with relaxed
 * atomics: after the writer's death they are exact, before it they are a hint. */
#ifndef WIRE_SLOTS_H
#define WIRE_SLOTS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/limits.h"

enum slot_phase {
    SLOT_IDLE,
    SLOT_HOST, /* our own code: reading, sorting, writing; not timed */
    SLOT_SETUP,
    SLOT_MAP,
    SLOT_COMBINE,
    SLOT_MERGE,
    SLOT_FINISH,
    SLOT_REDUCE,
    SLOT_TEARDOWN,
    SLOT_PARTITION, /* called while tables are written; else what calls it counts */
    SLOT_LOAD,      /* dlopen and constructors */
};

enum { SLOT_TEXT = 256, SLOT_TRACE = 3072, SLOT_DIGEST = 16 };

struct slot {
    _Atomic uint32_t phase; /* enum slot_phase */
    _Atomic uint32_t kind;  /* enum task_kind of wire/mr.proto */
    _Atomic uint32_t task;
    _Atomic uint32_t attempt;
    _Atomic uint32_t file; /* index of the input file in the task's list */
    _Atomic uint32_t
        single; /* 1: `offset` is one record's; 0: that of a block of `length` bytes */
    _Atomic uint64_t offset; /* of the record or block in the file */
    _Atomic uint64_t length;
    _Atomic uint64_t ticks; /* grows with each finished record or value */
    _Atomic uint32_t
        fault; /* the signal that this thread raised; SLOT_EXITED if it called exit() */
    _Atomic uint32_t key_length;
    _Atomic uint32_t unpacked;     /* 1: `offset` is in the text of a compressed file */
    _Atomic uint32_t group_length; /* of the key: what makes its group */
    _Atomic uint32_t lone;         /* 1: no other thread is at work on the attempt */
    _Atomic uint32_t sifts;        /* 1: in search of bad records; it has got to ... */
    _Atomic uint32_t sift_file;    /* ... this file ... */
    _Atomic uint64_t sift_offset;  /* ... and this record, but for those in hand */
    char key[SLOT_TEXT];           /* in reduce and combine: the key's first bytes */
    uint8_t digest[SLOT_DIGEST]; /* of what makes the group, where that is longer than `key` */
    char status[SLOT_TEXT];      /* what the job said last with mr_status */
    char trace[SLOT_TRACE];      /* backtrace, a line a frame, terminated; written by the fault
                                    handler */
} __attribute__((aligned(64)));

enum { SLOT_EXITED = 0x1000 };

/* One more record or value is finished. Only the slot's own thread writes: no locked addition
 * is needed. */
static inline void slot_tick(struct slot *slot)
{
    atomic_store_explicit(&slot->ticks,
                          atomic_load_explicit(&slot->ticks, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static inline void slot_set_phase(struct slot *slot, enum slot_phase phase)
{
    atomic_store_explicit(&slot->phase, phase, memory_order_relaxed);
}

struct slots {
    uint32_t version; /* SLOTS_VERSION */
    uint32_t count;
    struct slot slot[LIMIT_THREADS];
};

enum { SLOTS_VERSION = 3 };

#endif
