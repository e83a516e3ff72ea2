/* Feeding input to a job's map, piece by piece, for map and sample attempts. */
#ifndef EXECUTOR_FEED_H
#define EXECUTOR_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/mr.pb-c.h"
#include "worker/executor/input.h"
#include "worker/executor/thread.h"

/* Runs map on the records that begin in [offset, offset + length) of the file of extent number
 * `index`. False when none does, or the thread has failed. */
bool feed_map(struct thread *thread, struct input *input, Mr__Extent *const *extents,
              uint32_t index, uint64_t offset, uint64_t length);

/* Runs map on a text of a solid file, the file of extent number `index`, that begins at byte
 * `offset` of its stream. */
void feed_text(struct thread *thread, struct input *input, Mr__Extent *const *extents,
               uint32_t index, struct mr_bytes text, uint64_t offset);

#endif
