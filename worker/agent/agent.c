#include "worker/agent/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"
#include "base/memory.h"
#include "store/tree.h"
#include "wire/link.h"
#include "worker/agent/blame.h"
#include "worker/agent/child.h"
#include "worker/agent/strays.h"
#include "worker/agent/watch.h"

enum { CHILDREN_MAX = 64, WATCH_MS = 100, EVENTS_A_CHILD = 3 };

/* A job that the coordinator announced: what each new executor of it must be told. */
struct known_job {
    uint64_t id;
    Mr__JobOpen *open;
    Mr__MapOutputs **outputs;
    size_t output_count, output_capacity;
};

struct agent {
    struct agent_options options;
    struct link *link;
    struct child *children[CHILDREN_MAX];
    int child_count;
    struct known_job *jobs;
    size_t job_count, job_capacity;
};

static struct known_job *find_job(struct agent *agent, uint64_t id)
{
    for (size_t i = 0; i < agent->job_count; i++)
        if (agent->jobs[i].id == id)
            return &agent->jobs[i];
    return NULL;
}

static void tell(struct agent *agent, enum frame_type type, const ProtobufCMessage *message)
{
    struct error ignored;

    link_send(agent->link, 0, type, message, &ignored);
}

static char *job_folder(const struct agent *agent, uint64_t job)
{
    return memory_format("%s/%012" PRIx64, agent->options.scratch, job);
}

/* Reports a failed attempt; `log` may be NULL. */
static void report_failure(struct agent *agent, const Mr__Assign *task,
                           const struct verdict *verdict, const char *log)
{
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Error error = MR__ERROR__INIT;

    error.code = verdict->error.code;
    error.text =
        (ProtobufCBinaryData){strlen(verdict->error.text), (uint8_t *)verdict->error.text};
    failed.job = task->job;
    failed.kind = task->kind;
    failed.task = task->task;
    failed.attempt = task->attempt;
    failed.blamed = verdict->blamed;
    failed.suspect = verdict->suspect;
    failed.error = &error;
    failed.lost_map = verdict->lost_map;
    if (log)
        failed.log_tail = (ProtobufCBinaryData){strlen(log), (uint8_t *)log};
    tell(agent, FRAME_TASK_FAILED, &failed.base);
}

static struct child *find_child(const struct agent *agent, uint64_t job)
{
    for (int i = 0; i < agent->child_count; i++)
        if (agent->children[i]->job == job)
            return agent->children[i];
    return NULL;
}

static struct child *start_child(struct agent *agent, struct error *err)
{
    struct child *child;

    if (agent->child_count == CHILDREN_MAX) {
        error_set(err, ERROR_REFUSED, "this worker has %d executors already", CHILDREN_MAX);
        return NULL;
    }
    if (child_spawn(agent->options.program, agent->options.threads, &child, err))
        return NULL;
    agent->children[agent->child_count++] = child;
    return child;
}

static void forget_child(struct agent *agent, struct child *child)
{
    for (int i = 0; i < agent->child_count; i++)
        if (agent->children[i] == child)
            agent->children[i] = agent->children[--agent->child_count];
    child_free(child);
}

/* Makes `child` the job's executor: tells it all that the coordinator told us. */
static int bind_child(struct agent *agent, struct child *child, struct known_job *job,
                      struct error *err)
{
    cleanup_free char *folder = job_folder(agent, job->id);
    Mr__JobOpen open = *job->open;

    if (mkdir(folder, 0700) && errno != EEXIST)
        return error_errno(err, ERROR_IO, "make folder '%s'", folder);
    open.scratch = (ProtobufCBinaryData){strlen(folder), (uint8_t *)folder};
    open.threads = agent->options.threads;
    open.memory = agent->options.memory;
    child->job = job->id;
    child->task_timeout = open.spec && open.spec->task_timeout ? open.spec->task_timeout : 600;
    if (channel_send(&child->channel, FRAME_JOB_OPEN, &open.base, err))
        return -1;
    for (size_t i = 0; i < job->output_count; i++)
        if (channel_send(&child->channel, FRAME_MAP_OUTPUTS, &job->outputs[i]->base, err))
            return -1;
    return 0;
}

/* The job's executor: the one it has, the spare, or a new one. */
static struct child *child_for(struct agent *agent, uint64_t id, struct error *err)
{
    struct child *child = find_child(agent, id);
    struct known_job *job = find_job(agent, id);

    if (child)
        return child;
    if (!job) {
        error_set(err, ERROR_INTERNAL, "a task came before its job");
        return NULL;
    }
    child = find_child(agent, 0);
    if (!child)
        child = start_child(agent, err);
    if (!child || bind_child(agent, child, job, err))
        return NULL;
    return child;
}

/* Takes over the message. */
static void assign(struct agent *agent, Mr__Assign *task)
{
    struct verdict verdict = {.blamed = true};
    struct child *child = child_for(agent, task->job, &verdict.error);

    if (!child) {
        report_failure(agent, task, &verdict, NULL);
        frame_free(&task->base);
        return;
    }
    child_hold(child, task);
    /* An executor that died just now is noticed by its channel, and the task is reported then.
     */
    channel_send(&child->channel, FRAME_ASSIGN, &task->base, &verdict.error);
}

/* Takes over the message. */
static void open_job(struct agent *agent, Mr__JobOpen *open)
{
    if (find_job(agent, open->job)) {
        frame_free(&open->base);
        return;
    }
    memory_reserve(&agent->jobs, &agent->job_capacity, agent->job_count + 1,
                   sizeof *agent->jobs);
    agent->jobs[agent->job_count++] = (struct known_job){.id = open->job, .open = open};
}

/* Takes over the message. */
static void keep_outputs(struct agent *agent, Mr__MapOutputs *outputs)
{
    struct known_job *job = find_job(agent, outputs->job);
    struct child *child = find_child(agent, outputs->job);
    struct error ignored;

    if (!job) {
        frame_free(&outputs->base);
        return;
    }
    memory_reserve(&job->outputs, &job->output_capacity, job->output_count + 1,
                   sizeof *job->outputs);
    job->outputs[job->output_count++] = outputs;
    if (child)
        channel_send(&child->channel, FRAME_MAP_OUTPUTS, &outputs->base, &ignored);
}

static void free_job(struct known_job *job)
{
    frame_free(&job->open->base);
    for (size_t i = 0; i < job->output_count; i++)
        frame_free(&job->outputs[i]->base);
    free(job->outputs);
}

static void close_job(struct agent *agent, uint64_t id)
{
    cleanup_free char *folder = job_folder(agent, id);
    struct known_job *job = find_job(agent, id);
    struct child *child = find_child(agent, id);
    struct error ignored;

    if (!job)
        return;
    if (child) {
        child_kill(child, NULL);
        forget_child(agent, child);
    }
    tree_remove(folder, &ignored);
    free_job(job);
    *job = agent->jobs[--agent->job_count];
}

/* A queued attempt is withdrawn. One that runs goes on: its answer will be refused, and the end
 * of its job ends it. */
static void withdraw(struct agent *agent, const Mr__Revoke *revoke)
{
    struct child *child = find_child(agent, revoke->job);
    struct error ignored;

    if (child && child_drop(child, revoke->kind, revoke->task, revoke->attempt))
        channel_send(&child->channel, FRAME_REVOKE, &revoke->base, &ignored);
}

static void from_coordinator(struct agent *agent, enum frame_type type,
                             ProtobufCMessage *message)
{
    switch (type) {
    case FRAME_JOB_OPEN:
        open_job(agent, (Mr__JobOpen *)message);
        return;
    case FRAME_MAP_OUTPUTS:
        keep_outputs(agent, (Mr__MapOutputs *)message);
        return;
    case FRAME_ASSIGN:
        assign(agent, (Mr__Assign *)message);
        return;
    case FRAME_JOB_CLOSE:
        close_job(agent, ((const Mr__JobClose *)message)->job);
        break;
    case FRAME_REVOKE:
        withdraw(agent, (const Mr__Revoke *)message);
        break;
    default:
        break;
    }
    frame_free(message);
}

/* The executor's report, in words of ours: user code may have written it. */
static void child_failed_task(struct agent *agent, struct child *child,
                              const Mr__TaskFailed *failed)
{
    struct verdict verdict = {.blamed = failed->blamed, .lost_map = failed->lost_map};
    const Mr__Error *error = failed->error;
    Mr__Assign task = MR__ASSIGN__INIT;
    cleanup_free char *log = NULL;

    task.job = failed->job;
    task.kind = failed->kind;
    task.task = failed->task;
    task.attempt = failed->attempt;
    if (error && error->code && error->code < ERROR_CODES)
        error_set(&verdict.error, (enum error_code)error->code, "%.*s", (int)error->text.len,
                  (const char *)error->text.data);
    else
        error_set(&verdict.error, ERROR_CRASH,
                  "its executor reports a failure without a cause");
    tail_drain(&child->tail, child->output);
    log = tail_text(&child->tail);
    report_failure(agent, &task, &verdict, log);
}

/* Whether the message holds what the coordinator needs. */
static bool is_whole(const Mr__TaskDone *done)
{
    return (done->kind != MR__TASK_KIND__CHECK || done->description) &&
           (done->kind != MR__TASK_KIND__MAP || done->output);
}

/* False when the message makes no sense. An answer to what was withdrawn does, and is dropped.
 */
static bool from_child(struct agent *agent, struct child *child, enum frame_type type,
                       const ProtobufCMessage *message)
{
    const Mr__TaskDone *done = (const Mr__TaskDone *)message;
    const Mr__TaskFailed *failed = (const Mr__TaskFailed *)message;

    if (type == FRAME_TASK_DONE && done->job == child->job && is_whole(done)) {
        if (child_drop(child, done->kind, done->task, done->attempt))
            tell(agent, type, message);
        return true;
    }
    if (type == FRAME_TASK_FAILED && failed->job == child->job) {
        if (child_drop(child, failed->kind, failed->task, failed->attempt))
            child_failed_task(agent, child, failed);
        return true;
    }
    return false;
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

/* The executor's last words: its output, and the backtrace of the thread that is to blame. */
static char *last_words(const struct child *child)
{
    cleanup_free char *log = tail_text(&child->tail);
    const char *trace = "";

    for (int i = 0; i < LIMIT_THREADS && !*trace; i++)
        if (child->slots->slot[i].fault)
            trace = child->slots->slot[i].trace;
    return memory_format("%s%s%.*s", log, *trace ? "backtrace:\n" : "", SLOT_TRACE - 1, trace);
}

/* An executor is dead or to be killed: what it said before counts, what it holds is judged. */
static void bury(struct agent *agent, struct child *child)
{
    cleanup_free struct verdict *verdicts = NULL;
    cleanup_free char *log = NULL;
    int status = 0;

    child_kill(child, &status);
    listen_to(agent, child);
    tail_drain(&child->tail, child->output);
    verdicts = memory_new((child->held_count + 1) * sizeof *verdicts);
    log = last_words(child);
    blame(child, status, verdicts);
    for (size_t i = 0; i < child->held_count; i++)
        report_failure(agent, child->held[i], &verdicts[i],
                       verdicts[i].blamed || verdicts[i].suspect ? log : NULL);
    forget_child(agent, child);
}

/* Fills the events of one executor; a closed output pipe is not waited for. */
static int child_events(struct child *child, struct link_event *events)
{
    int n = 0;

    events[n++] = (struct link_event){.fd = child->channel.fd};
    events[n++] = (struct link_event){.fd = child->pidfd};
    if (child->output >= 0)
        events[n++] = (struct link_event){.fd = child->output};
    return n;
}

static void serve_child(struct agent *agent, struct child *child,
                        const struct link_event *events, int n)
{
    if (n > 2 && events[2].ready && !tail_drain(&child->tail, child->output)) {
        close(child->output);
        child->output = -1;
    }
    if (events[1].ready || (events[0].ready && !listen_to(agent, child)))
        bury(agent, child);
}

static bool is_busy(const struct agent *agent)
{
    for (int i = 0; i < agent->child_count; i++)
        if (agent->children[i]->held_count)
            return true;
    return false;
}

/* Ends executors whose tasks stand still or that outgrow their memory. */
static void watch(struct agent *agent)
{
    for (int i = agent->child_count - 1; i >= 0; i--)
        if (watch_child(agent->children[i], agent->options.memory))
            bury(agent, agent->children[i]);
}

/* One round of the loop; false when it is time to stop. */
static bool serve_once(struct agent *agent, int stop_fd)
{
    struct link_event events[2 + EVENTS_A_CHILD * CHILDREN_MAX];
    struct child *children[CHILDREN_MAX];
    int counts[CHILDREN_MAX], child_count = agent->child_count, n = 2;
    ProtobufCMessage *message;
    enum frame_type type;
    uint64_t peer;

    events[0] = (struct link_event){.link = agent->link};
    events[1] = (struct link_event){.fd = stop_fd};
    for (int i = 0; i < child_count; i++) {
        children[i] = agent->children[i];
        counts[i] = child_events(children[i], &events[n]);
        n += counts[i];
    }
    link_wait(events, n, is_busy(agent) ? WATCH_MS : -1);
    if (events[1].ready)
        return false;
    n = 2;
    for (int i = 0; i < child_count; n += counts[i++])
        serve_child(agent, children[i], &events[n], counts[i]);
    while (events[0].ready && link_receive(agent->link, &peer, &type, &message))
        from_coordinator(agent, type, message);
    watch(agent);
    return true;
}

static void say_hello(struct agent *agent)
{
    Mr__Hello hello = MR__HELLO__INIT;

    hello.major = 0;
    hello.minor = 1;
    hello.name =
        (ProtobufCBinaryData){strlen(agent->options.name), (uint8_t *)agent->options.name};
    hello.threads = agent->options.threads;
    hello.memory = agent->options.memory;
    hello.pid = (uint32_t)getpid();
    tell(agent, FRAME_HELLO, &hello.base);
}

int agent_open(const struct agent_options *options, struct agent **ret, struct error *err)
{
    struct agent *agent = memory_zeroed(1, sizeof *agent);

    agent->options = *options;
    if (mkdir(options->scratch, 0700) && errno != EEXIST) {
        error_errno(err, ERROR_IO, "make scratch folder '%s'", options->scratch);
        agent_close(agent);
        return -1;
    }
    strays_adopt();
    if (!start_child(agent, err) ||
        link_connect(options->context, options->endpoint, &agent->link, err)) {
        agent_close(agent);
        return -1;
    }
    say_hello(agent);
    *ret = agent;
    return 0;
}

void agent_run(struct agent *agent, int stop_fd)
{
    while (serve_once(agent, stop_fd))
        ;
}

void agent_close(struct agent *agent)
{
    struct error ignored;

    if (!agent)
        return;
    while (agent->child_count) {
        child_kill(agent->children[0], NULL);
        forget_child(agent, agent->children[0]);
    }
    for (size_t i = 0; i < agent->job_count; i++)
        free_job(&agent->jobs[i]);
    free(agent->jobs);
    if (agent->link) {
        tell(agent, FRAME_GOODBYE, NULL);
        link_close(agent->link);
    }
    tree_remove(agent->options.scratch, &ignored);
    free(agent);
}
