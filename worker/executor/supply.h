/* What threads take of a split, chunk by chunk, in the order of the input: stretches of files
 * that each thread reads for itself, and texts of solid files (record/solid.h), which are read
 * here.
 *
 * One lock hands chunks out. Of a solid file the thread whose turn it is reads the next text
 * under the lock, into its own buffer, and maps it outside, while the next thread reads on: so
 * one thread decompresses at any time, and all others map, none further ahead than the text in
 * its buffer. Chunks are numbered as they are handed out; those that were handed out are always
 * a contiguous range of the input, whatever the threads do. */
#ifndef EXECUTOR_SUPPLY_H
#define EXECUTOR_SUPPLY_H

#include <mr/job.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "record/solid.h"
#include "worker/executor/chunks.h"
#include "worker/executor/input.h"
#include "worker/executor/thread.h"

struct supply {
    pthread_mutex_t lock;
    const struct host *host;
    struct chunks chunks;
    size_t next;     /* of them */
    uint64_t number; /* of the chunk that is handed out next */
    struct input input;
    struct solid *solid; /* the open one; NULL: none */
    size_t text_max;     /* bytes of a text, but for a record that is longer */
};

/* A chunk: pieces to be read, or a text that was. */
struct supply_chunk {
    uint64_t number;
    const struct piece *pieces; /* NULL: a text */
    uint32_t count;
    uint32_t extent; /* of the text */
    struct mr_bytes text;
    uint64_t offset, used; /* of the text, and how many bytes of the file were read for it,
                              which the thread has counted */
};

void supply_init(struct supply *supply, const struct host *host, const Mr__Assign *assign,
                 int threads);
void supply_done(struct supply *supply);

/* Passes over chunks, not yet taken, of files before this one. */
void supply_pass(struct supply *supply, uint32_t file);

/* Takes the next chunk, with its text in the thread's buffer. 1, 0 when there is none left, or
 * -1 when the thread has failed. */
int supply_take(struct supply *supply, struct thread *thread, struct supply_chunk *ret);

/* Whether there is, as far as is known, more to take. No thread is at it. */
bool supply_has_more(const struct supply *supply);

/* Opens the solid file of extent number `index`: *ret reads it as long as `input` is open. */
int supply_open(const struct host *host, struct input *input, Mr__Extent *const *extents,
                uint32_t index, struct solid **ret, struct error *err);

/* Tells the thread's fields which file comes, if they are of another one; under the lock of the
 * solid file, if others share it. */
int supply_bind(struct thread *thread, const struct solid *solid, const struct input *input,
                const Mr__Extent *extent, struct error *err);

#endif
