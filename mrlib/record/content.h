/* What a map task's output holds, part by part: told with the task's end, and compared when the
 * task ran again. Each of the three is a sum, so that what several tasks or parts hold together
 * is the sum of what each holds.
 *
 * The digest depends on the pairs alone: not on rounds, threads, memory or what was combined
 * (docs/decisions/0023). In messages: for each part in order varint pairs, varint records, four
 * bytes of digest; 0 and varint n for n parts without a pair. */
#ifndef RECORD_CONTENT_H
#define RECORD_CONTENT_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

struct content {
    uint64_t pairs;   /* emitted */
    uint64_t records; /* that stand for them in the run */
    uint32_t digest;  /* of the pairs */
};

/* The digest of 64 bits that is summed up while pairs pass, as it is told. */
uint32_t content_fold(uint64_t digest);

void content_add(struct content *to, const struct content *more);

/* Encodes `count` parts; *ret_size bytes, which the caller frees. */
uint8_t *content_encode(const struct content *parts, uint32_t count, size_t *ret_size);

/* Fills `count` parts. -1 if the bytes are not those of exactly so many; ret_parts is undefined
 * then. */
int content_decode(struct mr_bytes bytes, uint32_t count, struct content *ret_parts);

#endif
