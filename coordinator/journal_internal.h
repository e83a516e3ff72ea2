/* An open journal, shared by journal.c (opening, the caller's side), journal_writer.c (the
 * thread that writes) and journal_snapshot.c. */
#ifndef COORDINATOR_JOURNAL_INTERNAL_H
#define COORDINATOR_JOURNAL_INTERNAL_H

#include <pthread.h>

#include "coordinator/journal.h"
#include "coordinator/journal_folder.h"

/* What begins a new generation: the whole file. */
struct journal_snapshot {
    struct journal_header header;
    struct journal_bytes bytes;
    uint64_t records;
    uint64_t number; /* of the last record that it stands for */
};

struct journal {
    int event; /* eventfd */
    pthread_t thread;

    /* The caller's alone. */
    uint64_t generation, salt; /* of what is appended now */
    uint64_t base;             /* the sequence of a record is this and its number */
    uint64_t appended;         /* number of the last record */

    /* The writer's alone, once it runs. */
    struct journal_folder folder;
    int log;
    uint64_t log_generation, log_salt, log_size;
    struct journal_bytes writing;

    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t work;  /* for the writer */
    pthread_cond_t rest;  /* no snapshot waits any more */
    struct journal_bytes pending;
    struct journal_snapshot *snapshot; /* to be written before what is pending; owned */
    uint64_t pending_last;             /* number of the last pending record */
    uint64_t durable;
    uint64_t log_bytes, snapshot_bytes; /* for journal_wants_snapshot */
    bool closing, failed;
    struct error why;
};

/* The thread's function; `journal` as its argument. */
void *journal_writer(void *journal);

/* A new generation's header and first bytes; journal_snapshot_seal closes it. */
struct journal_snapshot *journal_snapshot_new(uint64_t generation, uint64_t base);
void journal_snapshot_seal(struct journal_snapshot *snapshot);
/* Takes NULL. */
void journal_snapshot_free(struct journal_snapshot *snapshot);

#endif
