/* A simulated cluster around the real scheduler: virtual time, and one seed that decides how
 * large it is, what its jobs are like and which faults befall it. Workers join, stall, crash,
 * are cut off, from the coordinator or from each other, and leave; messages are late, lost,
 * doubled and out of order; the disk is slow and answers for many records at once; jobs crash,
 * are suspected, cannot read outputs, are cancelled, cannot be planned or committed, have files
 * that some workers do not see. After a while the faults stop, and every job must come to the
 * end that it deserves. Each step is judged by the model (tests/lib/sim_model.h).
 */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "coordinator/sched/sched.h"

/* What is counted: name, words. */
#define SIM_COUNTS_TABLE(X)                                         \
    X(EVENTS, "events")                                             \
    X(ACTIONS, "actions")                                           \
    X(RECORDS, "records")                                           \
    X(RECORDS_SKIPPED, "records answered together with later ones") \
    X(WORKERS, "workers")                                           \
    X(CRASHES, "crashes")                                           \
    X(CUTS, "workers cut off")                                      \
    X(GOODBYES, "goodbyes")                                         \
    X(LOSSES, "workers declared lost")                              \
    X(LATE, "messages of lost workers")                             \
    X(DROPPED, "messages dropped")                                  \
    X(DOUBLED, "messages doubled")                                  \
    X(REORDERED, "messages overtaken")                              \
    X(STALLED, "messages stalled")                                  \
    X(NONSENSE, "nonsense events")                                  \
    X(ASSIGNED, "assignments")                                      \
    X(ALONE, "assignments alone")                                   \
    X(REFUSED, "answers refused")                                   \
    X(REPEATED, "answers repeated")                                 \
    X(REVOKED, "attempts revoked")                                  \
    X(BLAMED, "blamed failures")                                    \
    X(SUSPECTED, "suspects")                                        \
    X(INNOCENT, "innocent failures")                                \
    X(SKIPPED, "bad records skipped")                               \
    X(OVERFLOWS, "jobs with too many of them")                      \
    X(UNREAD, "fetch errors")                                       \
    X(UNSEEN, "files unseen")                                       \
    X(UNREACHED, "workers not reached by others")                   \
    X(CUT_PAIRS, "pairs of them known to a job")                    \
    X(ASIDE, "workers set aside")                                   \
    X(EXCLUDED, "workers excluded from a job")                      \
    X(HELD, "attempts that they held still")                        \
    X(COUNTED, "of them accepted")                                  \
    X(WAITS_WORKER, "waits for a worker")                           \
    X(WAITS_SIGHT, "waits for a worker that sees")                  \
    X(WAITS_TURN, "waits for a turn")                               \
    X(WAITS_QUEUE, "waits in the queue")                            \
    X(FILLED, "full disks")                                         \
    X(ROOM, "of them with room again")                              \
    X(STARVED, "jobs ended for want of room")                       \
    X(WAITS_ROOM, "waits for room")                                 \
    X(STRAGGLERS, "attempts said to be slow")                       \
    X(COPIES, "copies of attempts")                                 \
    X(COPIES_WON, "of them accepted")                               \
    X(COPIES_LEFT, "of them left alone")                            \
    X(COPIES_GIVEN_BACK, "of such pairs one was taken back")        \
    X(HANDS, "attempts taken from hands")                           \
    X(SAMPLES, "samples accepted")                                  \
    X(SAMPLES_AGAIN, "of them later attempts")                      \
    X(RESTARTS, "restarts of the coordinator")                      \
    X(RECORDS_LOST, "records that were not on disk then")           \
    X(FACTS, "facts told again")                                    \
    X(SUBMITTED_AGAIN, "jobs submitted again")                      \
    X(COMMITTED_AGAIN, "jobs committed again")                      \
    X(ENDED_AGAIN, "ends that nobody had heard of")                 \
    X(UNCLAIMED, "outputs that nobody claimed")                     \
    X(WAITS_OUTPUTS, "waits for outputs")                           \
    X(MAPS_AGAIN, "maps made again")                                \
    X(CLAIMS, "outputs that others say they hold")                  \
    X(ADOPTED, "of them adopted")                                   \
    X(DROPPED_RUNS, "of them dropped")                              \
    X(DRAINS, "drains")                                             \
    X(DRAINING_JOINS, "workers that join to leave")                 \
    X(MOVES, "outputs moved")                                       \
    X(BROKEN, "outputs that cannot be moved")                       \
    X(DISMISSED, "workers dismissed")                               \
    X(CANCELS, "cancels")                                           \
    X(PLANS_BROKEN, "plans broken")                                 \
    X(COMMITS_BROKEN, "commits broken")                             \
    X(RELEASED, "releases")                                         \
    X(FORGOTTEN, "jobs forgotten")                                  \
    X(DONE, "jobs done")                                            \
    X(FAILED, "jobs failed")                                        \
    X(CANCELLED, "jobs cancelled")

#define SIM_COUNT_NAME(name, words) SIM_##name,
enum sim_count { SIM_COUNTS_TABLE(SIM_COUNT_NAME) SIM_COUNTS };
#undef SIM_COUNT_NAME

/* Words for a count. */
const char *sim_count_words(enum sim_count count);

struct sim_report {
    uint64_t hash; /* of all events and actions */
    uint64_t counts[SIM_COUNTS];
    char *failure; /* what went wrong and the last events and actions; NULL: nothing; the caller
                      frees */
};

/* Falsifies the actions of a step before the model sees them; the cluster follows the true
 * ones. */
typedef void sim_falsify(void *context, const struct sched_event *event,
                         struct sched_actions *actions);

/* Runs one seed to its end, or to the first failure. `falsify` may be NULL. */
void sim_run(uint64_t seed, sim_falsify *falsify, void *context, struct sim_report *ret);

#endif
