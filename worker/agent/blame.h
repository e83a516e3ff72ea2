/* Who is to blame for an executor's death: read from its progress slots once it is dead.
 *
 * A thread that raised a signal or called exit() marked its slot. Where no slot is marked
 * (a signal that was sent to the process, _exit) the tasks in user code are suspects: with one,
 * it is that one; with several, each is tried again alone. Tasks that had not begun are
 * innocent.
 *
 * What a task failed on is its culprit if one thread alone can have done it: the one that is
 * marked, or the only one in user code. Else no record is named as if it were known. */
#ifndef AGENT_BLAME_H
#define AGENT_BLAME_H

#include <stdbool.h>

#include "wire/culprit.h"
#include "worker/agent/child.h"

struct verdict {
    bool blamed, suspect; /* neither: innocent */
    struct error error;
    bool certain;           /* `culprit` is what it failed on */
    struct culprit culprit; /* with the path that its ASSIGN has */
    uint32_t lost_map;      /* with ERROR_FETCH: the map task whose run could not be read */
};

/* `status` as of waitpid. One verdict for each held task, in order; the caller gives the array.
 */
void blame(const struct child *child, int status, struct verdict *verdicts);

/* Where a slot's thread is: "in map at '/data/x', offset 17"; written to text. */
void blame_place(const struct child *child, const struct slot *slot, char *text, size_t size);

#endif
