/* The shuffle's asking side: brings a part of many runs from other workers into one bundle
 * (record/bundle.h). A thread of its own keeps a link to each endpoint that is in use, so that
 * neither a slow source nor a full disk holds up the agent.
 *
 * At most FETCH_CREDIT bytes are on their way at any time, FETCH_CREDIT_EACH of one request. A
 * source that is silent for 5 s is asked twice more, over a new link each time, for 2.5 s; then
 * the part fails with ERROR_CUT and the number of a map task whose run the source holds. A
 * source that answers, but not with the run, makes it fail with ERROR_FETCH. Any thread may
 * call. */
#ifndef AGENT_FETCH_H
#define AGENT_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "wire/certificate.h"
#include "wire/mr.pb-c.h"

enum { FETCH_CREDIT = 64 << 20, FETCH_CREDIT_EACH = 4 << 20 };

struct fetch;
/* `context` is link_context_new's; `own`, which must outlive it, is shown to sources that are
 * named with their key, and others are not asked then; NULL: nobody has keys. */
int fetch_open(void *context, const struct certificate *own, struct fetch **ret,
               struct error *err);
/* Forgets all requests, removes their files and those of results that nobody took. Takes NULL.
 */
void fetch_close(struct fetch *fetch);

/* Becomes readable when a result waits; stays the fetch's own. */
int fetch_fd(const struct fetch *fetch);

/* Asks for a part; a result will follow, unless the job is dropped first. `bundle_path` must
 * not exist; it is created before this returns. The bundle's id is bundle_id of the run ids in
 * the order of `wanted`. */
void fetch_part(struct fetch *fetch, const Mr__PartWanted *wanted, const char *bundle_path);

/* The same for a part that nobody waits for yet. It yields to those that are waited for, and
 * fails with ERROR_SPACE when all that was fetched ahead and not given back is more than the
 * limit, which is 0 at first. */
void fetch_ahead(struct fetch *fetch, const Mr__PartWanted *wanted, const char *bundle_path);
void fetch_ahead_limit(struct fetch *fetch, uint64_t bytes);
/* How many bytes are held; and that so many of them are not any more. */
uint64_t fetch_ahead_held(const struct fetch *fetch);
void fetch_ahead_return(struct fetch *fetch, uint64_t bytes);

/* What became of a part. Without an error (ERROR_NONE) the file at `path` is the taker's;
 * otherwise it is removed. ERROR_FETCH and ERROR_CUT go with `lost_map`. */
struct fetch_result {
    uint64_t job;
    uint32_t part;
    char *path; /* the taker frees it */
    struct error error;
    uint32_t lost_map;
    bool ahead;     /* fetch_ahead asked for it, and it ... */
    uint64_t bytes; /* ... holds so many bytes, which the taker returns some day */
};

/* The next result; false when there is none. */
bool fetch_take(struct fetch *fetch, struct fetch_result *ret);

/* The worker at that endpoint is lost: what is wanted from there now fails with ERROR_FETCH. */
void fetch_gone(struct fetch *fetch, const char *endpoint);

/* Forgets the job's requests and results, and removes their files: no result of it comes after
 * this has returned, and no file is created (one may be removed a little later). */
void fetch_drop_job(struct fetch *fetch, uint64_t job);
/* The same for what fetch_part asked for alone, and for what fetch_ahead asked for of one part.
 */
void fetch_drop_waited(struct fetch *fetch, uint64_t job);
void fetch_drop_ahead(struct fetch *fetch, uint64_t job, uint32_t part);

#endif
