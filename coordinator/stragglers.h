/* How long the attempts of a job take, and which of those that run are slow: the judgement that
 * the scheduler, which has no clock, cannot make. Times are handed in, in milliseconds of one
 * clock. One thread.
 *
 * An attempt is slow when it runs for half as long again as the median of those of its kind
 * that are done; or when its threads finish records at less than half of the median rate, and
 * it has more before it, at that rate, than a whole attempt takes elsewhere. The slowest are
 * those whose end is farthest away (LATE: Zaharia, Konwinski, Joseph, Katz, Stoica: Improving
 * MapReduce Performance in Heterogeneous Environments, OSDI 2008). */
#ifndef COORDINATOR_STRAGGLERS_H
#define COORDINATOR_STRAGGLERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "coordinator/sched/sched.h"

enum { STRAGGLERS_KEPT = 512 }; /* of what is done, the latest */

/* What is known of the attempts of one kind that are done. */
struct pace {
    uint32_t count; /* in all */
    uint32_t rates; /* of them, those whose rate is known */
    double seconds[STRAGGLERS_KEPT], rate[STRAGGLERS_KEPT]; /* ticks a second */
};

/* An attempt that runs. */
struct timed {
    struct sched_attempt attempt;
    uint64_t worker;
    int64_t since_ms;
    int64_t ticks_ms; /* when ticks were told; 0: never */
    uint64_t ticks;
};

/* Zero-initialise. */
struct stragglers {
    struct map running; /* struct timed by attempt */
    struct pace *pace;  /* of maps, of reduces; NULL: none is done */
    struct map mapped;  /* by worker: when a map of it was done last, as a number */
};
void stragglers_done(struct stragglers *stragglers);

void stragglers_began(struct stragglers *stragglers, uint64_t worker,
                      const struct sched_attempt *attempt, int64_t now_ms);
/* Its threads have finished so many records or values. */
void stragglers_ticked(struct stragglers *stragglers, const struct sched_attempt *attempt,
                       uint64_t ticks, int64_t now_ms);
/* It is done, after so many seconds; negative: that is not known. A worker does one map after
 * the other: what it had in hand begins now. */
double stragglers_ended(struct stragglers *stragglers, const struct sched_attempt *attempt,
                        int64_t now_ms);
/* It runs no longer. */
void stragglers_forget(struct stragglers *stragglers, const struct sched_attempt *attempt);

/* What to judge by. */
struct stragglers_rule {
    enum sched_kind kind;
    uint32_t tasks;   /* of that kind, in all */
    int64_t least_ms; /* nothing younger is slow */
    int64_t now_ms;
    void *context; /* of the calls */
    /* Whether it runs, and as the only one of its task. */
    bool (*runs)(void *context, const struct timed *timed);
};

/* The slow ones, those first that would end last; returns how many, `max` at most. */
size_t stragglers_find(const struct stragglers *stragglers, const struct stragglers_rule *rule,
                       struct sched_attempt *ret, size_t max);

#endif
