/* The list of all jobs: those in memory, then those that only the history knows, the newest
 * first. An answer has at most LIMIT_MESSAGE bytes: what has no room is left out and counted.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/memory.h"
#include "coordinator/core.h"

struct listing {
    const struct coordinator *coordinator;
    Mr__JobInfo **jobs; /* owned, and nothing in them borrowed */
    size_t count, capacity;
    size_t room;  /* bytes */
    size_t ended; /* so many jobs that have ended are still to be listed */
    bool full;
    uint64_t past; /* listed that only the history knows */
};

/* Lists a copy, if there is room. */
static bool add(struct listing *listing, const Mr__JobInfo *info)
{
    size_t size = mr__job_info__get_packed_size(info);
    cleanup_free uint8_t *packed = NULL;

    if (listing->full || size + 16 > listing->room) {
        listing->full = true;
        return false;
    }
    packed = memory_new(size + 1);
    mr__job_info__pack(info, packed);
    memory_reserve(&listing->jobs, &listing->capacity, listing->count + 1,
                   sizeof(Mr__JobInfo *));
    listing->jobs[listing->count] = mr__job_info__unpack(NULL, size, packed);
    check(listing->jobs[listing->count]);
    listing->count++;
    listing->room -= size + 16;
    return true;
}

static bool add_past(void *context, const struct history_job *past)
{
    struct listing *listing = context;
    struct past_info described;

    if (core_job(listing->coordinator, past->id))
        return true;
    if (!listing->ended)
        return false;
    past_describe(past, &described);
    if (!add(listing, &described.info))
        return false;
    listing->ended--;
    listing->past++;
    return true;
}

/* Those in memory; returns how many of them have ended. */
static size_t add_present(struct listing *listing, uint32_t limit, uint64_t *left_out)
{
    const struct coordinator *coordinator = listing->coordinator;
    size_t going = 0;

    for (size_t i = 0; i < coordinator->job_count; i++)
        going += !coordinator->jobs[i]->result;
    listing->ended = !limit ? SIZE_MAX : limit > going ? limit - going : 0;
    for (size_t i = coordinator->job_count; i-- > 0;) {
        const struct job *job = coordinator->jobs[i];
        char reason[512];
        Mr__JobInfo info;

        answer_describe(coordinator, job, reason, &info);
        if ((job->result && !listing->ended) || !add(listing, &info))
            ++*left_out;
        else if (job->result)
            listing->ended--;
    }
    return coordinator->job_count - going;
}

void listing_answer(struct coordinator *coordinator, uint64_t client, uint32_t limit)
{
    struct listing listing = {.coordinator = coordinator, .room = LIMIT_MESSAGE - 1024};
    Mr__Jobs answer = MR__JOBS__INIT;
    uint64_t left_out = 0, known = add_present(&listing, limit, &left_out);

    if (coordinator->history) {
        uint64_t all = history_each(coordinator->history, add_past, &listing);

        known += listing.past;
        left_out += all > known ? all - known : 0;
    }
    answer.jobs = listing.jobs;
    answer.n_jobs = listing.count;
    answer.left_out = (uint32_t)left_out;
    core_send(coordinator, client, FRAME_JOBS, &answer.base);
    for (size_t i = 0; i < listing.count; i++)
        mr__job_info__free_unpacked(listing.jobs[i], NULL);
    free(listing.jobs);
}
