/* Shared by pull.c (parts, requests and sources) and pull_take.c (what the sources send). */
#ifndef AGENT_PULL_INTERNAL_H
#define AGENT_PULL_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "worker/agent/pull.h"

struct request {
    struct pull_part *part;
    uint64_t id;
    Mr__MapOutput **outputs; /* by task; the part's */
    size_t count;
    int tries;                  /* links that it was sent over */
    uint64_t received, granted; /* bytes of data, over its life on this link */
    bool in_segment;            /* which lacks bytes */
    uint32_t task, round;
    size_t index; /* of it, in the bundle */
};

struct source {
    char *endpoint, *key;
    struct link *link;         /* or NULL */
    struct request **requests; /* the first `active` of them were sent */
    size_t count, active, capacity;
    int silences;     /* links in a row that nothing came over, before this one */
    bool heard;       /* something came over this one */
    int64_t heard_ms; /* when; or since when it could */
    int64_t used_ms;  /* when it had requests */
};

struct pull {
    void *context;
    const struct certificate *own; /* NULL: nobody has keys */
    pull_deliver *deliver;
    void *deliver_context;
    struct source **sources;
    size_t count, capacity, turn;
    struct pull_part **parts;
    size_t part_count, part_capacity;
    size_t active; /* requests, of all sources */
    uint64_t last_id;
};

/* Ends a part with an error, at all its sources. Requests vanish, sources stay. */
void pull_fail(struct pull *pull, struct pull_part *part, const struct error *error,
               uint32_t lost_map);

/* Ends a request whose answer is whole, and its part with the last of them. */
void pull_end_request(struct pull *pull, struct source *source, struct request *request);

/* Allows the source of an active request to send more. */
void pull_grant(struct source *source, struct request *request);

/* Takes in one message of a source. */
void pull_take(struct pull *pull, struct source *source, const Mr__Fetched *message);

#endif
