/* Questions of clients: jobs, workers, logs. An answer has at most LIMIT_MESSAGE bytes: what
 * has no room is left out, the oldest first, and counted. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "coordinator/skips.h"
#include "coordinator/told.h"
#include "wire/bytes.h"

enum { TASKS_SHOWN = 1000 };

static const char *state_of(const struct job *job, const char *reason)
{
    return job->result ? job_state_name(job->state) : *reason ? "waiting" : "running";
}

/* What a job's answer borrows from. */
struct described {
    char reason[512];
    Mr__TaskInfo tasks[TASKS_SHOWN];
    Mr__TaskInfo *pointers[TASKS_SHOWN];
};

void answer_describe(const struct coordinator *coordinator, const struct job *job,
                     char reason[512], Mr__JobInfo *info)
{
    struct sched_progress progress = job->shown;

    if (!job->result)
        progress = sched_progress(coordinator->sched, job->id);
    carry_reason(coordinator, job, reason);
    mr__job_info__init(info);
    info->job = job->id;
    info->name = bytes_of(job->title);
    info->object = bytes_of(job->object);
    info->state = bytes_of(state_of(job, reason));
    info->reason = bytes_of(reason);
    info->output = bytes_of(job->output.target);
    info->maps = progress.maps;
    info->maps_done = progress.maps_done;
    info->reduces = progress.reduces;
    info->reduces_done = progress.reduces_done;
    info->running = job->result ? 0 : progress.running;
    info->failed_attempts = progress.failed_attempts;
    info->speculative_attempts = progress.speculative_attempts;
    info->priority = job->priority;
    info->age = info->seconds = (double)(clock_ms() - job->started_ms) / 1000;
    if (job->result) {
        info->seconds = job->result->seconds;
        info->error = job->result->error;
    }
}

static void describe_tasks(const struct coordinator *coordinator, const struct job *job,
                           struct described *described, Mr__JobInfo *info)
{
    info->tasks = described->pointers;
    for (size_t i = 0; i < coordinator->member_count; i++) {
        const struct member *member = coordinator->members[i];
        const Mr__Heartbeat *heartbeat = member->heartbeat;

        for (size_t k = 0; heartbeat && k < heartbeat->n_tasks && info->n_tasks < TASKS_SHOWN;
             k++) {
            const Mr__TaskProgress *progress = heartbeat->tasks[k];
            Mr__TaskInfo *task = &described->tasks[info->n_tasks];

            if (progress->job != job->id)
                continue;
            mr__task_info__init(task);
            task->kind = progress->kind;
            task->task = progress->task;
            task->attempt = progress->attempt;
            task->ticks = progress->ticks;
            task->worker = member->hello->name;
            described->pointers[info->n_tasks++] = task;
        }
    }
}

static void answer_job(struct coordinator *coordinator, uint64_t client, const struct job *job)
{
    Mr__Jobs answer = MR__JOBS__INIT;
    Mr__JobInfo info, *pointer = &info;
    cleanup_free struct described *described = memory_new(sizeof *described);

    answer_describe(coordinator, job, described->reason, &info);
    if (job->result) {
        info.counters = job->result->counters;
        info.n_counters = job->result->n_counters;
        info.skipped = job->result->skipped;
        info.n_skipped = job->result->n_skipped;
        info.skipped_count = job->result->skipped_count;
        info.replay = job->result->replay;
    } else {
        info.skipped = job->skips;
        info.n_skipped = skips_shown(job);
        info.skipped_count = (uint32_t)job->skip_count;
        describe_tasks(coordinator, job, described, &info);
    }
    info.unread = bytes_of(job->unread.text);
    answer.jobs = &pointer;
    answer.n_jobs = 1;
    core_send(coordinator, client, FRAME_JOBS, &answer.base);
}

static void answer_wait(struct coordinator *coordinator, uint64_t client, struct job *job)
{
    if (job->result) {
        core_send(coordinator, client, FRAME_FINISHED, &job->result->base);
        return;
    }
    job_watch(job, client);
    carry_progress_to(coordinator, job, client);
}

static bool is_wanted(const Mr__Query *query, const struct sched_attempt *attempt)
{
    return !query->one_task ||
           (attempt->kind == (enum sched_kind)query->kind && attempt->task == query->task);
}

static void answer_logs(struct coordinator *coordinator, uint64_t client, const struct job *job,
                        const Mr__Query *query)
{
    Mr__Logs answer = MR__LOGS__INIT;
    cleanup_free Mr__LogEntry *entries = memory_new((job->failure_count + 1) * sizeof *entries);
    cleanup_free Mr__LogEntry **pointers =
        memory_new((job->failure_count + 1) * sizeof *pointers);
    cleanup_free Mr__Error *errors = memory_new((job->failure_count + 1) * sizeof *errors);
    size_t room = LIMIT_MESSAGE - 1024;

    answer.entries = pointers;
    for (size_t i = 0; i < job->failure_count; i++) {
        const struct job_failure *failure = &job->failures[i];
        Mr__LogEntry *entry = &entries[answer.n_entries];
        size_t size;

        if (!is_wanted(query, &failure->attempt))
            continue;
        mr__log_entry__init(entry);
        entry->kind = (Mr__TaskKind)failure->attempt.kind;
        entry->task = failure->attempt.task;
        entry->attempt = failure->attempt.attempt;
        entry->worker = bytes_of(failure->worker);
        entry->text = bytes_of(failure->log_tail);
        if (failure->error.code) {
            core_error(&errors[answer.n_entries], &failure->error);
            entry->error = &errors[answer.n_entries];
        }
        size = protobuf_c_message_get_packed_size(&entry->base) + 16;
        if (size > room)
            break;
        room -= size;
        pointers[answer.n_entries++] = entry;
    }
    core_send(coordinator, client, FRAME_LOGS, &answer.base);
}

static void describe_worker(const struct coordinator *coordinator, const struct member *member,
                            Mr__WorkerInfo *info)
{
    int64_t now_ms = clock_ms();

    mr__worker_info__init(info);
    info->worker = member->id;
    info->name = member->hello->name;
    info->running = sched_held(coordinator->sched, member->id);
    info->state = bytes_of(drain_reason(member)  ? "draining"
                           : room_reason(member) ? "full"
                           : info->running       ? "busy"
                                                 : "idle");
    if (drain_reason(member))
        info->reason = bytes_of(drain_reason(member));
    else if (room_reason(member))
        info->reason = bytes_of(room_reason(member));
    info->outputs = drain_outputs(member);
    info->threads = member->hello->threads;
    info->memory = member->hello->memory;
    info->pid = member->hello->pid;
    info->data_endpoint = member->hello->data_endpoint;
    info->heard = (double)(now_ms - member->heard_ms) / 1000;
    info->age = (double)(now_ms - member->joined_ms) / 1000;
    if (!member->heartbeat)
        return;
    info->scratch_free = member->heartbeat->scratch_free;
    info->confinement = member->heartbeat->confinement;
}

/* `place` is that of a probe; -1: nobody asks what they see. */
static void answer_workers(struct coordinator *coordinator, uint64_t client, int place)
{
    Mr__Workers answer = MR__WORKERS__INIT;
    cleanup_free Mr__WorkerInfo *infos =
        memory_new((coordinator->member_count + 1) * sizeof *infos);
    cleanup_free Mr__WorkerInfo **pointers =
        memory_new((coordinator->member_count + 1) * sizeof *pointers);
    struct link_counts counts = link_counts(coordinator->link);
    size_t room = LIMIT_MESSAGE - 1024;

    answer.workers = pointers;
    for (size_t i = 0; i < coordinator->member_count; i++) {
        Mr__WorkerInfo *info = &infos[answer.n_workers];
        size_t size;

        if (coordinator->members[i]->hello->role != MR__ROLE__WORKER)
            continue;
        describe_worker(coordinator, coordinator->members[i], info);
        if (place >= 0)
            probe_describe(coordinator, coordinator->members[i], place, info);
        size = protobuf_c_message_get_packed_size(&info->base) + 16;
        if (size > room)
            break;
        room -= size;
        pointers[answer.n_workers++] = info;
    }
    answer.lost = coordinator->lost;
    answer.refused = counts.fenced;
    answer.damaged = counts.damaged;
    core_send(coordinator, client, FRAME_WORKERS, &answer.base);
}

void answer_error(struct coordinator *coordinator, uint64_t client, const struct error *err)
{
    Mr__Reply reply = MR__REPLY__INIT;
    Mr__Error error;

    core_error(&error, err);
    reply.error = &error;
    core_send(coordinator, client, FRAME_REPLY, &reply.base);
}

void answer_query(struct coordinator *coordinator, uint64_t client, const Mr__Query *query)
{
    struct job *job = core_job(coordinator, query->job);
    struct error err;
    int place;

    if (query->question == MR__QUESTION__ALL_JOBS) {
        listing_answer(coordinator, client, query->limit);
    } else if (query->question == MR__QUESTION__ALL_WORKERS) {
        answer_workers(coordinator, client, -1);
    } else if (query->question == MR__QUESTION__SIGHT) {
        if (probe_ask(coordinator, query, &place, &err))
            answer_error(coordinator, client, &err);
        else
            answer_workers(coordinator, client, place);
    } else if (query->question == MR__QUESTION__CLUSTER) {
        public_answer(coordinator, client);
    } else if (query->question == MR__QUESTION__EVENTS) {
        public_listen(coordinator, client);
    } else if (!job && past_answer(coordinator, client, query)) {
        return;
    } else if (!job) {
        error_set(&err, ERROR_STALE, "there is no job %012" PRIx64, query->job);
        answer_error(coordinator, client, &err);
    } else if (query->question == MR__QUESTION__ONE_JOB) {
        answer_job(coordinator, client, job);
    } else if (query->question == MR__QUESTION__WAIT_JOB) {
        answer_wait(coordinator, client, job);
    } else if (query->question == MR__QUESTION__JOB_LOGS) {
        answer_logs(coordinator, client, job, query);
    } else if (query->question == MR__QUESTION__REPLAY_TASK) {
        told_replay(coordinator, client, job, query);
    } else {
        error_set(&err, ERROR_USAGE, "the coordinator does not know this question (%d)",
                  (int)query->question);
        answer_error(coordinator, client, &err);
    }
}
