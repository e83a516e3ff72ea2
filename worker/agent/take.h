/* Taking over runs of other workers: each is linked or copied if it can be opened by its path,
 * else fetched whole from the worker that has it, and then verified. A thread of its own does
 * one after the other, so that neither a disk nor a slow source holds up the agent, whose
 * thread calls everything here. */
#ifndef AGENT_TAKE_H
#define AGENT_TAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/certificate.h"
#include "wire/mr.pb-c.h"

struct take;
/* `context` is link_context_new's; `own` as of fetch_open; `direct`: try paths first. */
int take_open(void *context, const struct certificate *own, bool direct, struct take **ret,
              struct error *err);
/* Forgets what is not done; files of results that nobody took are removed. Takes NULL. */
void take_close(struct take *take);
/* Becomes readable when a result waits; stays the take's own. */
int take_fd(const struct take *take);

/* Asks for a run to be put at `target`; a result will follow, unless the job is dropped first.
 * A file that is there is replaced. With `link_only` it may cost no space. */
void take_run(struct take *take, uint64_t job, const Mr__MapOutput *output, const char *target,
              bool link_only);

enum take_way { TAKE_LINKED, TAKE_COPIED, TAKE_FETCHED };
/* What became of a run. Without an error (ERROR_NONE) the file at `path` is the taker's. Else
 * there is none: ERROR_SPACE: no room; ERROR_DAMAGE: it is broken where it is, or on the way
 * twice; ERROR_FETCH: it cannot be had. */
struct take_result {
    uint64_t job;
    uint32_t task, attempt;
    uint64_t run_id, size;
    char *path; /* the taker frees it */
    enum take_way way;
    struct error error;
};
/* The next result; false when there is none. */
bool take_next(struct take *take, struct take_result *ret);

/* Forgets the job: no result of it comes after this has returned, and no file is made. */
void take_drop_job(struct take *take, uint64_t job);

#endif
