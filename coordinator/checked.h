/* What CHECK tasks found, kept for the next submission of the same object with the same
 * parameters and formats, which then needs none: the answer depends on these alone. Only what
 * went well is kept; a worker that cannot load the object says so when it maps. */
#ifndef COORDINATOR_CHECKED_H
#define COORDINATOR_CHECKED_H

#include <stddef.h>
#include <stdint.h>

#include "wire/mr.pb-c.h"

enum { CHECKED_MAX = 64 };

/* The latest ones, the oldest of which makes room. Zero-initialise. */
struct checked {
    struct checked_entry {
        uint8_t *question, *answer; /* packed messages */
        size_t question_size, answer_size;
    } entries[CHECKED_MAX];
    size_t next;
};

/* Remembers the description of a job that was submitted as `spec`. */
void checked_put(struct checked *checked, const Mr__JobSpec *spec,
                 const Mr__Description *description);

/* The answer of a CHECK task with the description, for frame_free; NULL: not known. */
Mr__TaskDone *checked_get(const struct checked *checked, const Mr__JobSpec *spec);

void checked_done(struct checked *checked);

#endif
