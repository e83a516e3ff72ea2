/* A sample of the keys that a job emits, and the points at which it is cut into ranges of about
 * the same number of keys.
 *
 * Each thread fills a container of its own, piece by piece. A piece is what one stretch of the
 * input gives, on one thread; what is kept of it depends on it alone, so that the points are
 * the same however many threads took part. Memory is bounded: SAMPLE_KEY bytes of a key, and a
 * share of SAMPLE_BYTES for each piece, the rest of which is dropped. */
#ifndef FLOW_SAMPLE_H
#define FLOW_SAMPLE_H

#include <mr/job.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SAMPLE_KEY = 1024,             /* bytes kept of a key */
    SAMPLE_BYTES = 16 << 20,       /* of all containers, with what sorting them takes */
    SAMPLE_RANGES_MAX = 448 << 10, /* bytes that the points take in a message */
};

struct sample;
struct sample *sample_new(void);
/* Takes NULL. */
void sample_free(struct sample *sample);

/* What follows is of another piece, one of `pieces` in all. */
void sample_piece(struct sample *sample, size_t pieces);
void sample_add(struct sample *sample, struct mr_bytes key);

/* Point i is `prefix` followed by points[i]. Slices of the containers. */
struct sample_points {
    struct mr_bytes prefix;
    struct mr_bytes *points; /* ascending; the caller frees */
    size_t count;
};

/* Sorts the keys of the n containers and cuts them at equal ranks into `parts`: parts - 1
 * points, each the shortest prefix of a key that is above all sampled keys below that key; but
 * all of them as short as SAMPLE_RANGES_MAX asks for. One key at several of these ranks gives
 * equal points, and no key at all points that are empty. */
void sample_cut(struct sample *const *all, int n, uint32_t parts, struct sample_points *ret);

#endif
