/* What fetch.c's thread works with: parts that are wanted, the requests that they are made of,
 * one for each source, and the sources, one for each endpoint. One thread; no locks.
 *
 * A request belongs to its part and stands in its source's list, first the active ones: those
 * were sent to the source, hold credit, and their answers come in. */
#ifndef AGENT_PULL_H
#define AGENT_PULL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"
#include "record/bundle.h"
#include "wire/link.h"
#include "wire/mr.pb-c.h"

/* How many bytes of data the parts that are fetched ahead hold and may hold, all together. */
struct pull_budget {
    _Atomic uint64_t held, limit;
};

struct pull_part {
    Mr__PartWanted *wanted;
    char *path;
    struct bundle_writer *bundle;
    size_t open;               /* requests that have not ended */
    struct pull_budget *ahead; /* of a part that nobody waits for yet; else NULL */
    uint64_t held;             /* bytes that it counts there */
};
/* Removes an unfinished bundle, gives back what it holds of the budget. Takes NULL. */
void pull_part_free(struct pull_part *part);

/* Says what became of a part, which it takes over; its bundle is finished, or `error` is set
 * and there is no file. */
typedef void pull_deliver(void *context, struct pull_part *part, const struct error *error,
                          uint32_t lost_map);

struct pull;
struct pull *pull_new(void *context, const struct certificate *own, pull_deliver *deliver,
                      void *deliver_context);
void pull_free(struct pull *pull);

/* Takes the part over and asks for it. */
void pull_add(struct pull *pull, struct pull_part *part);
/* Which parts of a job are meant: all; those that reducers wait for; what is fetched ahead of
 * one part. */
struct pull_scope {
    uint64_t job;
    enum { PULL_ALL, PULL_WAITED, PULL_AHEAD } what;
    uint32_t part;
};
bool pull_covers(const struct pull_scope *scope, uint64_t job, uint32_t part, bool ahead);
/* Forgets parts without a word. */
void pull_drop(struct pull *pull, const struct pull_scope *scope);

/* Nothing comes from that endpoint any more: who waits for it fails with ERROR_FETCH. */
void pull_gone(struct pull *pull, const char *endpoint);

/* Sends what is due, gives up on who is silent. Returns how many milliseconds to wait at most,
 * -1: for ever. */
long pull_tend(struct pull *pull);
/* The links to wait for: at most PULL_LINKS, valid until the next call of any other function.
 */
enum { PULL_LINKS = 256 };
int pull_events(const struct pull *pull, struct link_event *events);
/* Takes in what came. */
void pull_receive(struct pull *pull);

#endif
