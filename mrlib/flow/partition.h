/* Which part a key goes to: XXH3 with a fixed seed, scaled. Depends on the key alone. */
#ifndef FLOW_PARTITION_H
#define FLOW_PARTITION_H

#include <mr/job.h>
#include <stdint.h>

/* 0 .. parts-1; parts > 0. */
uint32_t partition_of(struct mr_bytes key, uint32_t parts);

/* How a map task's pairs are assigned: the job's own function where it has one, else
 * partition_of. A result of parts or more is an error of the job that the caller reports. */
struct partitioner {
    uint32_t parts;
    uint32_t (*custom)(struct mr_task *task, struct mr_bytes key, uint32_t parts);
    struct mr_task *task;
};
uint32_t partitioner_pick(const struct partitioner *partitioner, struct mr_bytes key);

#endif
