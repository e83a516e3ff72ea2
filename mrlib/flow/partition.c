#include "flow/partition.h"
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

/* Part of the format of every output: never changed. */
#define PARTITION_SEED UINT64_C(0x6d617272616d) /* "marram" */

uint32_t partition_of(struct mr_bytes key, uint32_t parts)
{
    uint64_t hash;

    check(parts > 0);
    if (parts == 1)
        return 0;
    hash = XXH3_64bits_withSeed(key.ptr, key.len, PARTITION_SEED);
    return (uint32_t)((hash >> 32) * parts >> 32);
}

uint32_t partitioner_pick(const struct partitioner *partitioner, struct mr_bytes key)
{
    if (partitioner->range)
        return range_pick(partitioner->range, key);
    if (partitioner->custom)
        return partitioner->custom(partitioner->task, key, partitioner->parts);
    return partition_of(key, partitioner->parts);
}
