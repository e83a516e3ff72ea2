/* Which of consecutive ranges of keys a key lies in, for jobs whose parts are in total order.
 * n points, ascending, cut the keys into n + 1 ranges: range 0 holds those before the first
 * point, range k those from point k - 1 on and before point k. Of equal points the last one
 * counts, and the ranges between them are empty. Keys are compared bytewise; a prefix comes
 * before what it begins.
 *
 * What all points have in common is compared once; the two bytes behind it are looked up in a
 * table that says which points agree with them; among those the next eight bytes are searched
 * as one number (without branches: Khuong and Morin, Array Layouts for Comparison-Based
 * Searching, 2017), and whole keys are compared only where even these are equal. */
#ifndef FLOW_RANGE_H
#define FLOW_RANGE_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { RANGE_POINTS_MAX = UINT16_MAX };

/* Never changes once it is made: any number of threads may use one. */
struct range;

/* Point i is `prefix` followed by points[i]; all are copied. ERROR_INTERNAL when they are not
 * in order, or more than RANGE_POINTS_MAX. */
int range_new(struct mr_bytes prefix, const struct mr_bytes *points, size_t n,
              struct range **ret, struct error *err);
/* Takes NULL. */
void range_free(struct range *range);

/* How many points the range has. */
size_t range_points(const struct range *range);

/* The number of points that are not above the key: 0 .. n. */
uint32_t range_pick(const struct range *range, struct mr_bytes key);

#endif
