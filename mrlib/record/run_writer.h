/* What run_writer.c and run_packed.c share. See run.h. */
#ifndef RECORD_RUN_WRITER_H
#define RECORD_RUN_WRITER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "record/run.h"
#include "record/run_format.h"

struct run_writer {
    char *path;
    int fd;
    struct run_shape shape;
    _Atomic uint64_t offset;  /* what lies before it is written, or has its writer */
    _Atomic uint64_t written; /* bytes */
    pthread_mutex_t lock;     /* of what follows: */
    struct run_segment *segments;
    size_t count, capacity;
    bool keeps_only; /* the segments of `kept` */
    uint32_t kept;
    uint64_t *digests;       /* by part; NULL: none was noted */
    struct packer **packers; /* that nobody has at the moment */
    size_t packer_count, packer_capacity;
};

/* Writes all of the `count` pieces; they are changed on the way. */
int run_write_pieces(struct run_writer *writer, struct iovec *pieces, int count,
                     uint64_t offset, struct error *err);
int run_write_at(struct run_writer *writer, const void *bytes, size_t size, uint64_t offset,
                 struct error *err);

/* A place of `size` bytes in the file, which is the caller's. */
uint64_t run_take_place(struct run_writer *writer, uint64_t size);
/* Gives back what a place has too much, if nobody took another one since; else it stays a hole
 * in the file. */
void run_give_back(struct run_writer *writer, uint64_t used_end, uint64_t place_end);

/* Enters a segment that is written into the index. */
void run_enter(struct run_writer *writer, const struct run_segment *segment);

/* A packer for the thread, until it gives it back; NULL where the run is not compressed. */
struct packer *run_packer_take(struct run_writer *writer);
void run_packer_give(struct run_writer *writer, struct packer *packer);

/* How many of the ranges make one block; its sizes and records. */
size_t run_cut_block(const struct run_range *ranges, size_t count, struct run_block *ret);
/* Sets the checksum of a header whose payload is these ranges. */
void run_seal_block(struct run_block *header, const struct run_range *ranges, size_t n);
/* Writes a block whose payload is these ranges. */
int run_write_block(struct run_writer *writer, struct run_block *header,
                    const struct run_range *ranges, size_t n, uint64_t offset,
                    struct error *err);

/* run_append_ranges for a run whose blocks are compressed. */
int run_append_packed(struct run_writer *writer, uint32_t round, uint32_t part,
                      const struct run_range *ranges, size_t count, struct error *err);

#endif
