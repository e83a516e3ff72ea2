/* Executors: what they say, and their ends. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "wire/bytes.h"
#include "worker/agent/core.h"
#include "worker/agent/door.h"
#include "worker/agent/revoked.h"
#include "worker/agent/symbols.h"
#include "worker/agent/watch.h"

/* Of one job. */
enum { TRACES_NAMED = 8 };

struct child *children_find(const struct agent *agent, uint64_t job)
{
    for (int i = 0; i < agent->child_count; i++)
        if (agent->children[i]->job == job)
            return agent->children[i];
    return NULL;
}

struct child *children_start(struct agent *agent, struct error *err)
{
    struct child *child;

    if (agent->child_count == CHILDREN_MAX) {
        error_set(err, ERROR_REFUSED, "this worker has %d executors already", CHILDREN_MAX);
        return NULL;
    }
    if (child_spawn(agent->options.program, agent->options.threads, &agent->groups, &child,
                    err))
        return NULL;
    guard_watch(agent->guard, child->leader, child->group);
    agent->children[agent->child_count++] = child;
    return child;
}

void children_keep_spare(struct agent *agent)
{
    struct error ignored;

    if (!agent->options.keep_spare || agent->spare_died || agent->child_count == CHILDREN_MAX ||
        children_find(agent, 0) ||
        (agent->job_count && clock_ms() - agent->bound_ms < WATCH_MS))
        return;
    /* Without one the next job starts its own, and says why if it cannot. */
    agent->spare_died = !children_start(agent, &ignored);
}

void children_forget(struct agent *agent, struct child *child)
{
    for (int i = 0; i < agent->child_count; i++)
        if (agent->children[i] == child)
            agent->children[i] = agent->children[--agent->child_count];
    guard_forget(agent->guard, child->leader);
    child_free(child);
}

/* Reports a failed attempt; `log` may be NULL. */
void children_report(struct agent *agent, const Mr__Assign *task, const struct verdict *verdict,
                     const char *log)
{
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Error error = MR__ERROR__INIT;

    error.code = verdict->error.code;
    error.text = bytes_of(verdict->error.text);
    failed.job = task->job;
    failed.kind = task->kind;
    failed.task = task->task;
    failed.attempt = task->attempt;
    failed.blamed = verdict->blamed;
    failed.suspect = verdict->suspect;
    failed.error = &error;
    failed.lost_map = verdict->lost_map;
    if (error_policy(verdict->error.code) == POLICY_NO_ROOM)
        failed.scratch_free = lease_scratch_free(agent);
    if (verdict->certain)
        failed.culprit = (Mr__Culprit *)(uintptr_t)&verdict->culprit.message;
    if (log)
        failed.log_tail = bytes_of(log);
    agent_tell(agent, FRAME_TASK_FAILED, &failed.base);
}

/* The executor's report, in words of ours: user code may have written it. */
static void child_failed_task(struct agent *agent, struct child *child,
                              const Mr__TaskFailed *failed)
{
    struct verdict verdict = {.blamed = failed->blamed,
                              .certain = failed->culprit != NULL,
                              .lost_map = failed->lost_map};
    const Mr__Error *error = failed->error;
    Mr__Assign task = MR__ASSIGN__INIT;
    cleanup_free char *log = NULL;

    task.job = failed->job;
    task.kind = failed->kind;
    task.task = failed->task;
    task.attempt = failed->attempt;
    if (failed->culprit)
        verdict.culprit.message = *failed->culprit;
    if (error && error->code && error->code < ERROR_CODES)
        error_set(&verdict.error, (enum error_code)error->code, "%.*s", (int)error->text.len,
                  (const char *)error->text.data);
    else
        error_set(&verdict.error, ERROR_CRASH,
                  "its executor reports a failure without a cause");
    tail_drain(&child->tail, child->output);
    log = tail_text(&child->tail);
    children_report(agent, &task, &verdict, log);
}

/* Whether the message holds what the coordinator needs. */
static bool is_whole(const Mr__TaskDone *done)
{
    return (done->kind != MR__TASK_KIND__CHECK || done->description) &&
           (done->kind != MR__TASK_KIND__MAP || done->output) &&
           (done->kind != MR__TASK_KIND__SAMPLE || done->ranges);
}

/* Our own runs are fetched from where we listen: the way that others take need not lead back
 * here. */
static void stay_here(const struct agent *agent, Mr__PartWanted *wanted)
{
    for (size_t i = 0; agent->share && i < wanted->n_outputs; i++) {
        ProtobufCBinaryData *endpoint = &wanted->outputs[i]->endpoint;

        if (!bytes_are(*endpoint, share_endpoint(agent->share)))
            continue;
        free(endpoint->data);
        *endpoint = bytes_of(memory_text(share_listens(agent->share)));
    }
}

/* A reducer needs its part of runs that it cannot open. False when that cannot even be begun.
 */
static bool want_part(struct agent *agent, const struct child *child, Mr__PartWanted *wanted)
{
    cleanup_free char *folder = jobs_folder(agent, child->job);
    cleanup_free char *path = memory_format("%s/fetched-%" PRIu64, folder, agent->bundles++);
    struct error ignored;

    if (wanted->job != child->job)
        return false;
    if (!agent->fetch &&
        fetch_open(agent->options.context, agent_own(agent), &agent->fetch, &ignored))
        return false;
    sources_fill(&agent->sources, wanted);
    stay_here(agent, wanted);
    fetch_part(agent->fetch, wanted, path);
    return true;
}

static void hand_over(struct agent *agent, const struct fetch_result *result)
{
    struct child *child = children_find(agent, result->job);
    Mr__PartFetched message = MR__PART_FETCHED__INIT;
    Mr__Error error = MR__ERROR__INIT;
    struct error ignored;

    if (!child) {
        if (result->path)
            unlink(result->path);
        return;
    }
    message.job = result->job;
    message.part = result->part;
    message.lost_map = result->lost_map;
    if (result->error.code) {
        error.code = result->error.code;
        error.text = bytes_of(result->error.text);
        message.error = &error;
    } else {
        message.path = bytes_of(result->path);
    }
    channel_send(&child->channel, FRAME_PART_FETCHED, &message.base, &ignored);
}

void children_fetched(struct agent *agent)
{
    struct fetch_result result;

    while (agent->fetch && fetch_take(agent->fetch, &result)) {
        if (result.ahead)
            ahead_arrived(agent, &result);
        else
            hand_over(agent, &result);
        free(result.path);
    }
}

/* False when the message makes no sense. An answer to what was withdrawn does, and is dropped.
 */
static bool from_child(struct agent *agent, struct child *child, enum frame_type type,
                       const ProtobufCMessage *message)
{
    const Mr__TaskDone *done = (const Mr__TaskDone *)message;
    const Mr__TaskFailed *failed = (const Mr__TaskFailed *)message;

    if (type == FRAME_TASK_DONE && done->job == child->job && is_whole(done)) {
        if (child_drop(child, done->kind, done->task, done->attempt)) {
            if (done->kind == MR__TASK_KIND__MAP && jobs_find(agent, done->job))
                kept_note(jobs_find(agent, done->job), done->output);
            agent_tell(agent, type, message);
        } else if (revoked_drop(child, done->kind, done->task, done->attempt)) {
            jobs_drop_run(agent, done->job, done->kind, done->task, done->attempt);
        }
        return true;
    }
    if (type == FRAME_TASK_FAILED && failed->job == child->job) {
        if (child_drop(child, failed->kind, failed->task, failed->attempt))
            child_failed_task(agent, child, failed);
        else
            revoked_drop(child, failed->kind, failed->task, failed->attempt);
        return true;
    }
    if (type == FRAME_CONFINED) {
        fences_told(agent, child, (const Mr__Confinement *)message);
        return true;
    }
    return type == FRAME_PART_WANTED && want_part(agent, child, (Mr__PartWanted *)message);
}

/* Takes what an executor has said; false when it is gone, or speaks nonsense (user code may
 * have written into the channel). */
static bool listen_to(struct agent *agent, struct child *child)
{
    ProtobufCMessage *message;
    enum frame_type type;
    struct error ignored;
    int result;

    while ((result = channel_receive(&child->channel, false, &type, &message, &ignored)) == 1) {
        bool sensible = from_child(agent, child, type, message);

        frame_free(message);
        if (!sensible)
            return false;
    }
    return result == 2;
}

/* With the names that the job object has for its frames; of the first few alone, for it takes
 * time in which others wait. Caller frees. */
static char *named_trace(struct agent *agent, const struct child *child, const char *trace)
{
    struct known_job *job = jobs_find(agent, child->job);
    const Mr__JobSpec *spec = job ? job->open->spec : NULL;
    cleanup_free char *name = NULL;

    if (!*trace || !job || !job->object || !spec->n_blobs || job->named >= TRACES_NAMED)
        return memory_text(trace);
    job->named++;
    name = bytes_text(spec->blobs[0]->name);
    return symbols_name(agent->options.program, trace, job->object, name);
}

/* The executor's last words: its output, and the backtrace of the thread that is to blame. */
static char *last_words(struct agent *agent, const struct child *child)
{
    cleanup_free char *log = tail_text(&child->tail);
    cleanup_free char *trace = NULL;
    cleanup_free char *named = NULL;

    for (int i = 0; i < LIMIT_THREADS && !trace; i++)
        if (child->slots->slot[i].fault)
            trace = memory_format("%.*s", SLOT_TRACE - 1, child->slots->slot[i].trace);
    named = named_trace(agent, child, trace ? trace : "");
    return memory_format("%s%s%s", log, *named ? "backtrace:\n" : "", named);
}

/* An executor is dead or to be killed: what it said before counts, what it holds is judged. */
void children_bury(struct agent *agent, struct child *child)
{
    cleanup_free struct verdict *verdicts = NULL;
    cleanup_free char *log = NULL;
    int status = 0;

    agent->spare_died = agent->spare_died || !child->job;
    child_kill(child, &status);
    fences_judge(child, status);
    listen_to(agent, child);
    tail_drain(&child->tail, child->output);
    verdicts = memory_new((child->held_count + 1) * sizeof *verdicts);
    log = last_words(agent, child);
    blame(child, status, verdicts);
    for (size_t i = 0; i < child->held_count; i++)
        children_report(agent, child->held[i], &verdicts[i],
                        verdicts[i].blamed || verdicts[i].suspect ? log : NULL);
    /* No answer to what it asked for may reach the next one. */
    if (agent->fetch)
        fetch_drop_waited(agent->fetch, child->job);
    children_forget(agent, child);
    jobs_share_memory(agent);
}

/* Fills the events of one executor; a closed output pipe is not waited for. */
int children_events(struct child *child, struct link_event *events)
{
    int n = 0;

    events[n++] = (struct link_event){.fd = child->channel.fd};
    events[n++] = (struct link_event){.fd = child->pidfd};
    events[n++] = (struct link_event){.fd = child->door};
    if (child->output >= 0)
        events[n++] = (struct link_event){.fd = child->output};
    return n;
}

void children_serve(struct agent *agent, struct child *child, const struct link_event *events,
                    int n)
{
    bool sensible = true;

    if (n > 3 && events[3].ready && !tail_drain(&child->tail, child->output)) {
        close(child->output);
        child->output = -1;
    }
    if (events[2].ready && !events[1].ready)
        sensible = door_serve(child, jobs_find(agent, child->job));
    if (events[1].ready || !sensible || (events[0].ready && !listen_to(agent, child)))
        children_bury(agent, child);
}

bool children_busy(const struct agent *agent)
{
    for (int i = 0; i < agent->child_count; i++)
        if (agent->children[i]->held_count || agent->children[i]->revoked_count)
            return true;
    return false;
}

/* Ends executors whose tasks stand still or that outgrow their memory. */
void children_watch(struct agent *agent)
{
    for (int i = agent->child_count - 1; i >= 0; i--)
        if (watch_child(agent->children[i], agent->options.memory) ||
            revoked_overdue(agent->children[i]))
            children_bury(agent, agent->children[i]);
}
