/* What the coordinator announced and assigned: jobs, their objects, tasks on their way to an
 * executor. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "store/tree.h"
#include "wire/bytes.h"
#include "worker/agent/core.h"
#include "worker/agent/revoked.h"

struct known_job *jobs_find(struct agent *agent, uint64_t id)
{
    for (size_t i = 0; i < agent->job_count; i++)
        if (agent->jobs[i].id == id)
            return &agent->jobs[i];
    return NULL;
}

char *jobs_folder(const struct agent *agent, uint64_t job)
{
    return memory_format("%s/%012" PRIx64, agent->options.scratch, job);
}

/* What each executor that has a job may use. */
static uint64_t memory_share(const struct agent *agent)
{
    uint64_t sharers = 0;

    for (int i = 0; i < agent->child_count; i++)
        sharers += agent->children[i]->job != 0;
    return agent->options.memory / (sharers ? sharers : 1);
}

/* Announces the job to an executor. */
static int open_at(struct agent *agent, struct child *child, const struct known_job *job,
                   struct error *err)
{
    cleanup_free char *folder = jobs_folder(agent, job->id);
    Mr__JobOpen open = *job->open;

    open.scratch = bytes_of(folder);
    open.threads = agent->options.threads;
    open.memory = agent->options.memory;
    open.memory_share = child->memory = memory_share(agent);
    open.object_path = bytes_of(job->object);
    open.direct_reads = agent->options.direct_reads;
    open.far = agent->options.far;
    return channel_send(&child->channel, FRAME_JOB_OPEN, &open.base, err);
}

void jobs_share_memory(struct agent *agent)
{
    uint64_t share = memory_share(agent);
    struct error ignored;

    for (int i = 0; i < agent->child_count; i++) {
        struct child *child = agent->children[i];

        /* One that died just now is noticed by its channel. */
        if (child->job && child->memory != share)
            open_at(agent, child, jobs_find(agent, child->job), &ignored);
    }
}

/* Makes `child` the job's executor: tells it all that the coordinator told us. */
static int bind_child(struct agent *agent, struct child *child, struct known_job *job,
                      struct error *err)
{
    cleanup_free char *folder = jobs_folder(agent, job->id);
    const Mr__JobSpec *spec = job->open->spec;

    if (mkdir(folder, 0700) && errno != EEXIST)
        return error_scratch(err, ERROR_IO, "make folder '%s'", folder);
    child->job = job->id;
    agent->bound_ms = clock_ms();
    agent->spare_died = false;
    fences_bind(agent, child, job->open->staging);
    child->task_timeout = spec && spec->task_timeout ? spec->task_timeout : LIMIT_SILENCE_S;
    if (open_at(agent, child, job, err))
        return -1;
    for (size_t i = 0; i < job->output_count; i++)
        if (channel_send(&child->channel, FRAME_MAP_OUTPUTS, &job->outputs[i]->base, err))
            return -1;
    jobs_share_memory(agent);
    return 0;
}

/* The job's executor: the one it has, the spare, or a new one. */
static struct child *child_for(struct agent *agent, uint64_t id, struct error *err)
{
    struct child *child = children_find(agent, id);
    struct known_job *job = jobs_find(agent, id);

    if (child)
        return child;
    if (!job) {
        error_set(err, ERROR_INTERNAL, "a task came before its job");
        return NULL;
    }
    child = children_find(agent, 0);
    if (!child)
        child = children_start(agent, err);
    if (!child || bind_child(agent, child, job, err))
        return NULL;
    return child;
}

/* Takes over the message. */
void jobs_assign(struct agent *agent, Mr__Assign *task)
{
    struct verdict verdict = {.blamed = true};
    struct known_job *job = jobs_find(agent, task->job);
    struct child *child;

    if (job && !job->object) {
        memory_reserve(&job->waiting, &job->waiting_capacity, job->waiting_count + 1,
                       sizeof *job->waiting);
        job->waiting[job->waiting_count++] = task;
        return;
    }
    child = child_for(agent, task->job, &verdict.error);
    if (!child) {
        children_report(agent, task, &verdict, NULL);
        frame_free(&task->base);
        return;
    }
    child_hold(child, task);
    if (job && task->kind == MR__TASK_KIND__REDUCE)
        ahead_hand_over(agent, job, task->task, child);
    /* An executor that died just now is noticed by its channel, and the task is reported then.
     */
    channel_send(&child->channel, FRAME_ASSIGN, &task->base, &verdict.error);
}

static void ask_for_object(struct agent *agent, const struct known_job *job)
{
    Mr__BlobGet wanted = MR__BLOB_GET__INIT;

    wanted.sha256 = job->open->spec->blobs[0]->sha256;
    wanted.offset = job->have;
    agent_tell(agent, FRAME_BLOB_GET, &wanted.base);
}

/* The object is here: what waited for it begins. */
static void object_arrived(struct agent *agent, struct known_job *job)
{
    cleanup_free Mr__Assign **waiting = job->waiting;
    size_t count = job->waiting_count;

    job->object = blobs_path(agent->blobs, job->open->spec->blobs[0]->sha256.data);
    job->waiting = NULL;
    job->waiting_count = job->waiting_capacity = 0;
    for (size_t i = 0; i < count; i++)
        jobs_assign(agent, waiting[i]);
}

/* It cannot be had: what waited for it fails, not through its own fault. */
static void object_failed(struct agent *agent, struct known_job *job, const struct error *error)
{
    struct verdict verdict = {.error = *error};

    verdict.error.code = error_policy(error->code) == POLICY_NO_ROOM ? error->code : ERROR_LOST;
    for (size_t i = 0; i < job->waiting_count; i++) {
        children_report(agent, job->waiting[i], &verdict, NULL);
        frame_free(&job->waiting[i]->base);
    }
    job->waiting_count = 0;
    job->have = 0;
}

static bool wants(const struct known_job *job, const Mr__Blob *piece)
{
    const Mr__BlobRef *object = job->open->spec->blobs[0];

    return !job->object && piece->sha256.len == BLOB_HASH && piece->offset == job->have &&
           !memcmp(piece->sha256.data, object->sha256.data, BLOB_HASH);
}

void jobs_piece(struct agent *agent, const Mr__Blob *piece)
{
    for (size_t i = 0; i < agent->job_count; i++) {
        struct known_job *job = &agent->jobs[i];
        struct error err;
        int result;

        if (!wants(job, piece))
            continue;
        if (!piece->total)
            result = error_set(&err, ERROR_OBJECT, "the coordinator has no object for the job");
        else
            result = blobs_add(agent->blobs, job->id, piece->sha256.data, piece->offset,
                               piece->total, piece->data.data, piece->data.len, &err);
        job->have += piece->data.len;
        if (result > 0)
            object_arrived(agent, job);
        else if (result < 0)
            object_failed(agent, job, &err);
        else
            ask_for_object(agent, job);
        return;
    }
}

/* Said again, once the ranges of its parts are known: its executor is told as well. */
static void open_again(struct agent *agent, struct known_job *job, Mr__JobOpen *open)
{
    struct child *child = children_find(agent, job->id);
    struct error ignored;

    if (job->former) {
        frame_free(&job->open->base);
        job->open = open;
        job->former = false;
        if (!job->object)
            ask_for_object(agent, job);
        return;
    }
    if (!open->ranges || job->open->ranges) {
        frame_free(&open->base);
        return;
    }
    frame_free(&job->open->base);
    job->open = open;
    if (child)
        open_at(agent, child, job, &ignored);
}

/* Takes over the message. */
void jobs_open(struct agent *agent, Mr__JobOpen *open)
{
    struct known_job *job = jobs_find(agent, open->job);

    if (!open->spec || !open->spec->n_blobs || open->spec->blobs[0]->sha256.len != BLOB_HASH) {
        frame_free(&open->base);
        return;
    }
    if (job) {
        open_again(agent, job, open);
        return;
    }
    memory_reserve(&agent->jobs, &agent->job_capacity, agent->job_count + 1,
                   sizeof *agent->jobs);
    job = &agent->jobs[agent->job_count++];
    *job = (struct known_job){.id = open->job, .open = open};
    job->object = blobs_path(agent->blobs, open->spec->blobs[0]->sha256.data);
    if (!job->object)
        ask_for_object(agent, job);
}

/* Takes over the message. */
void jobs_outputs(struct agent *agent, Mr__MapOutputs *outputs)
{
    struct known_job *job = jobs_find(agent, outputs->job);
    struct child *child = children_find(agent, outputs->job);
    struct error ignored;

    for (size_t i = 0; agent->fetch && i < outputs->n_gone; i++) {
        cleanup_free char *endpoint = bytes_text(outputs->gone[i]);

        fetch_gone(agent->fetch, endpoint);
    }
    sources_learn(&agent->sources, outputs);
    if (!job || !outputs->n_outputs) {
        frame_free(&outputs->base);
        return;
    }
    if (outputs->homes) {
        ahead_announced(agent, job, outputs);
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
    for (size_t i = 0; i < job->waiting_count; i++)
        frame_free(&job->waiting[i]->base);
    kept_done(job);
    free(job->waiting);
    free(job->outputs);
    free(job->object);
}

/* What the executor printed last goes to the coordinator with the end of its job. */
static void say_last_words(struct agent *agent, struct child *child)
{
    Mr__JobClosed closed = MR__JOB_CLOSED__INIT;
    cleanup_free char *log = NULL;

    tail_drain(&child->tail, child->output);
    log = tail_text(&child->tail);
    closed.job = child->job;
    closed.log_tail = bytes_of(log);
    if (*log)
        agent_tell(agent, FRAME_JOB_CLOSED, &closed.base);
}

void jobs_close(struct agent *agent, uint64_t id)
{
    cleanup_free char *folder = jobs_folder(agent, id);
    struct known_job *job = jobs_find(agent, id);
    struct child *child = children_find(agent, id);
    struct error ignored;

    if (!job)
        return;
    if (child) {
        child_kill(child, NULL);
        say_last_words(agent, child);
        children_forget(agent, child);
    }
    blobs_forget(agent->blobs, id);
    if (agent->fetch)
        fetch_drop_job(agent->fetch, id);
    if (agent->take)
        take_drop_job(agent->take, id);
    ahead_forget(agent, job);
    tree_remove(folder, &ignored);
    free_job(job);
    *job = agent->jobs[--agent->job_count];
    jobs_share_memory(agent);
}

void jobs_drop_run(const struct agent *agent, uint64_t job, Mr__TaskKind kind, uint32_t task,
                   uint32_t attempt)
{
    cleanup_free char *folder = jobs_folder(agent, job);
    cleanup_free char *path = memory_format("%s/map-%05u.%u.run", folder, task, attempt);

    if (kind == MR__TASK_KIND__MAP)
        unlink(path);
}

/* A queued attempt is withdrawn, one that runs is stopped. Its answer, if it was on its way,
 * will be refused. */
void jobs_withdraw(struct agent *agent, const Mr__Revoke *revoke)
{
    struct child *child = children_find(agent, revoke->job);
    struct known_job *job = jobs_find(agent, revoke->job);
    struct error ignored;

    for (size_t i = 0; job && i < job->waiting_count; i++)
        if (job->waiting[i]->kind == revoke->kind && job->waiting[i]->task == revoke->task &&
            job->waiting[i]->attempt == revoke->attempt) {
            frame_free(&job->waiting[i]->base);
            job->waiting[i] = job->waiting[--job->waiting_count];
            return;
        }
    if (job && kept_drop(job, revoke))
        return;
    if (child && child_drop(child, revoke->kind, revoke->task, revoke->attempt)) {
        revoked_add(child, revoke);
        channel_send(&child->channel, FRAME_REVOKE, &revoke->base, &ignored);
    } else {
        jobs_drop_run(agent, revoke->job, revoke->kind, revoke->task, revoke->attempt);
    }
}

static void end_children(struct agent *agent)
{
    while (agent->child_count) {
        child_kill(agent->children[0], NULL);
        children_forget(agent, agent->children[0]);
    }
}

/* What belongs to the session that is over. */
static void suspend(struct agent *agent, struct known_job *job)
{
    blobs_forget(agent->blobs, job->id);
    if (agent->fetch)
        fetch_drop_job(agent->fetch, job->id);
    if (agent->take)
        take_drop_job(agent->take, job->id);
    ahead_forget(agent, job);
    kept_sweep(agent, job);
    for (size_t i = 0; i < job->output_count; i++)
        frame_free(&job->outputs[i]->base);
    for (size_t i = 0; i < job->waiting_count; i++)
        frame_free(&job->waiting[i]->base);
    job->output_count = job->waiting_count = 0;
    job->have = 0;
    job->former = true;
}

void jobs_suspend(struct agent *agent)
{
    end_children(agent);
    for (size_t i = agent->job_count; i-- > 0;)
        if (agent->jobs[i].kept_count)
            suspend(agent, &agent->jobs[i]);
        else
            jobs_close(agent, agent->jobs[i].id);
}

/* Drops all work: nobody will take it from us. */
void jobs_stop(struct agent *agent)
{
    struct error ignored;

    end_children(agent);
    for (size_t i = 0; i < agent->job_count; i++) {
        cleanup_free char *folder = jobs_folder(agent, agent->jobs[i].id);

        blobs_forget(agent->blobs, agent->jobs[i].id);
        if (agent->fetch)
            fetch_drop_job(agent->fetch, agent->jobs[i].id);
        if (agent->take)
            take_drop_job(agent->take, agent->jobs[i].id);
        ahead_forget(agent, &agent->jobs[i]);
        free_job(&agent->jobs[i]);
        tree_remove(folder, &ignored);
    }
    agent->job_count = 0;
}
