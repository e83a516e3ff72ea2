/* Finding what a reducer reads: the segments of its part in the runs of all map tasks. Runs
 * that can be opened by their paths are read where they are; the others the agent fetches from
 * the workers that hold them, into bundles. Some it may have fetched ahead: what of these
 * bundles still counts, and is whole, is not asked for again.
 *
 * Several reducers gather at once, each on its thread; answers come in on the listening one. */
#ifndef EXECUTOR_GATHER_H
#define EXECUTOR_GATHER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "flow/merge.h"
#include "record/bundle.h"
#include "wire/mr.pb-c.h"

struct executor;

/* In the order of the input: by map task, then by round. */
struct sources {
    struct merge_source *items;
    size_t count, capacity;
    struct place *places; /* of each map's output, owned */
    uint32_t maps;
    uint32_t part;
    uint64_t bytes;       /* of all segments */
    uint64_t ahead_bytes; /* of those that were fetched ahead */
    struct bundle **bundles;
    size_t bundle_count, bundle_capacity;
};

/* Reducers that wait for the agent, and what it fetched ahead; the executor has one. */
struct gather {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    struct gather_wait *waits;
    Mr__PartFetched **ahead; /* for reducers that have not begun; owned */
    size_t ahead_count, ahead_capacity;
};
void gather_init(struct gather *gather);

/* Gathers the sources of a REDUCE attempt; waits, for minutes perhaps, while they are fetched.
 * On failure (ERROR_FETCH with the map task in *ret_lost_map, or what the agent met) there is
 * nothing to be freed. */
int gather_sources(struct executor *executor, const Mr__Assign *assign, struct sources *ret,
                   uint32_t *ret_lost_map, struct error *err);
void gather_done(struct sources *sources);

/* Reading the sources failed with *err: finds out which of them is damaged, if one is, by
 * reading all of them again. What a map left makes of it ERROR_FETCH with that map in
 * *ret_lost_map, what was fetched here ERROR_FETCH that complains of no map: it is fetched
 * again. */
void gather_blame(const struct sources *sources, uint32_t *ret_lost_map, struct error *err);

/* Hands an answer of the agent to the reducer that waits for it, or keeps what was fetched
 * ahead for the one that will begin; takes it over. The listening thread calls. */
void gather_answer(struct gather *gather, Mr__PartFetched *answer);

#endif
