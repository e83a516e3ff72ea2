/* Feeding input to a job's map, for map and sample attempts. */
#ifndef EXECUTOR_MAPPER_H
#define EXECUTOR_MAPPER_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/mr.pb-c.h"
#include "worker/executor/thread.h"

/* The file that a thread reads; consecutive pieces are mostly of one file. */
struct open_file {
    int fd; /* -1: none */
    uint32_t extent;
    char *path;
};
void open_file_close(struct open_file *file);

/* Runs map on the records that begin in [offset, offset + length) of the file of `extent`,
 * which is number `index` of the attempt. False when none does, or the thread has failed. */
bool map_feed(struct thread *thread, struct open_file *file, const Mr__Extent *extent,
              uint32_t index, uint64_t offset, uint64_t length);

#endif
