/* Which part a key goes to. By default XXH3 with a fixed seed, scaled: it depends on the key
 * alone.
 */
#ifndef FLOW_PARTITION_H
#define FLOW_PARTITION_H

#include <mr/job.h>
#include <stdint.h>

#include "flow/range.h"

/* 0 .. parts-1; parts > 0. */
uint32_t partition_of(struct mr_bytes key, uint32_t parts);

/* How a map task's pairs are assigned: by ranges where the job asks for total order, by the
 * job's own function where it has one, else by partition_of. A result of parts or more is an
 * error of the job that the caller reports. */
struct partitioner {
    uint32_t parts;
    uint32_t (*custom)(struct mr_task *task, struct mr_bytes key, uint32_t parts);
    struct mr_task *task;
    const struct range *range; /* of parts - 1 points; NULL: none */
};
/* `key`: the bytes to partition by. */
uint32_t partitioner_pick(const struct partitioner *partitioner, struct mr_bytes key);

#endif
