/* Leaving in order, and what other workers that leave have this one take over. A worker that is
 * to leave asks the coordinator to let it go: it is given nothing more, and its outputs move to
 * others. When it is dismissed it stays until nobody has fetched from it for a moment, for some
 * may not have heard yet where its outputs are now. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "wire/bytes.h"
#include "worker/agent/core.h"

enum {
    QUIET_MS = 300,    /* nobody fetches from here: it may go ... */
    LINGER_MS = 10000, /* ... and so it may after so long */
    LOOK_MS = 50,
    REJOIN_MS = 2000, /* a coordinator that is there answers HELLO within so long */
};

/* ---- Leaving ------------------------------------------------------------------------------
 */

void agent_drain(struct agent *agent, int64_t timeout_ms)
{
    if (agent->draining)
        return;
    agent->draining = true;
    agent->drain_until_ms = clock_ms() + timeout_ms;
    log_event(LOG_INFO, "is to leave", LOG_NUMBER("timeout_ms", timeout_ms));
    if (agent->welcome)
        drain_say(agent);
}

void drain_say(struct agent *agent)
{
    Mr__Drain drain = MR__DRAIN__INIT;
    int64_t left_ms = agent->drain_until_ms - clock_ms();

    if (!agent->draining)
        return;
    drain.timeout_ms = left_ms > 1 ? (uint32_t)left_ms : 1;
    agent_tell(agent, FRAME_DRAIN, &drain.base);
}

void drain_told(struct agent *agent, const Mr__Drain *drain)
{
    if (drain->leave) {
        agent->dismissed = true;
        agent->dismissed_ms = clock_ms();
        log_event(LOG_INFO, "may leave", LOG_NUMBER("jobs", agent->job_count));
    } else if (!agent->draining) {
        agent->draining = true;
        agent->drain_until_ms = clock_ms() + drain->timeout_ms;
        log_event(LOG_INFO, "is to leave", LOG_NUMBER("timeout_ms", drain->timeout_ms));
    }
}

bool drain_over(const struct agent *agent)
{
    if (!agent->draining)
        return false;
    /* Nobody knows of it, and it has nothing that anybody could want. */
    if (!agent->welcome && !agent->job_count)
        return true;
    return agent->dismissed && (!agent->share || share_idle_ms(agent->share) >= QUIET_MS ||
                                clock_ms() - agent->dismissed_ms >= LINGER_MS);
}

/* When it goes if no coordinator has answered by then. */
static int64_t gives_up_ms(const struct agent *agent)
{
    int64_t answer_ms = agent->hello_ms + REJOIN_MS;

    return agent->drain_until_ms > answer_ms ? agent->drain_until_ms : answer_ms;
}

int drain_keep(const struct agent *agent, struct error *err)
{
    size_t runs = 0;

    if (!agent->draining || agent->welcome || clock_ms() < gives_up_ms(agent))
        return 0;
    for (size_t i = 0; i < agent->job_count; i++)
        runs += agent->jobs[i].kept_count;
    return error_set(err, ERROR_UNREACHABLE,
                     "left without the coordinator at %s, which did not answer until the time "
                     "for leaving was over: %zu runs of %zu jobs are lost, and their maps will "
                     "be made again",
                     agent->options.endpoint, runs, agent->job_count);
}

long drain_may_wait(const struct agent *agent)
{
    int64_t left_ms = gives_up_ms(agent) - clock_ms();

    if (agent->dismissed)
        return LOOK_MS;
    if (!agent->draining || agent->welcome)
        return -1;
    return left_ms > 0 ? (long)left_ms : 0;
}

/* ---- Taking over --------------------------------------------------------------------------
 */

static void say_took(struct agent *agent, uint64_t job, uint32_t task, uint32_t attempt,
                     const struct error *error)
{
    Mr__Took took = MR__TOOK__INIT;
    Mr__Error text = MR__ERROR__INIT;

    text.code = error->code;
    text.text = bytes_of(error->text);
    took.job = job;
    took.task = task;
    took.attempt = attempt;
    took.error = &text;
    agent_tell(agent, FRAME_TOOK, &took.base);
}

static int prepare(struct agent *agent, const char *folder, struct error *err)
{
    if (mkdir(folder, 0700) && errno != EEXIST)
        return error_errno(err, ERROR_IO, "make folder '%s'", folder);
    return agent->take ? 0
                       : take_open(agent->options.context, agent_own(agent),
                                   agent->options.direct_reads, &agent->take, err);
}

void drain_take(struct agent *agent, const Mr__Take *wanted)
{
    cleanup_free char *folder = jobs_folder(agent, wanted->job);
    struct error err;
    int result;

    if (!jobs_find(agent, wanted->job))
        return;
    result = prepare(agent, folder, &err);
    for (size_t i = 0; i < wanted->n_outputs; i++) {
        const Mr__MapOutput *output = wanted->outputs[i];
        cleanup_free char *target =
            memory_format("%s/taken-%05u.%u.run", folder, output->task, output->attempt);

        if (result)
            say_took(agent, wanted->job, output->task, output->attempt, &err);
        else
            take_run(agent->take, wanted->job, output, target, wanted->link_only);
    }
}

static void say_held(struct agent *agent, const struct take_result *result)
{
    Mr__MapOutput output = MR__MAP_OUTPUT__INIT, *outputs = &output;
    Mr__Held held = MR__HELD__INIT;

    output.task = result->task;
    output.attempt = result->attempt;
    output.run_id = result->run_id;
    output.path = bytes_of(result->path);
    output.size = result->size;
    if (agent->share)
        output.endpoint = bytes_of(share_endpoint(agent->share));
    if (jobs_find(agent, result->job))
        kept_note(jobs_find(agent, result->job), &output);
    held.job = result->job;
    held.outputs = &outputs;
    held.n_outputs = 1;
    agent_tell(agent, FRAME_HELD, &held.base);
}

void drain_taken(struct agent *agent)
{
    static const char *const ways[] = {
        [TAKE_LINKED] = "link", [TAKE_COPIED] = "copy", [TAKE_FETCHED] = "fetch"};
    struct take_result result;

    while (agent->take && take_next(agent->take, &result)) {
        if (result.error.code) {
            log_event(LOG_WARNINGS, "run not taken", LOG_ID("job", result.job),
                      LOG_NUMBER("map", result.task), LOG_TEXT("why", result.error.text));
            say_took(agent, result.job, result.task, result.attempt, &result.error);
        } else {
            log_event(LOG_INFO, "run taken", LOG_ID("job", result.job),
                      LOG_NUMBER("map", result.task), LOG_TEXT("way", ways[result.way]),
                      LOG_NUMBER("bytes", result.size));
            say_held(agent, &result);
        }
        free(result.path);
    }
}
