/* Submissions: checked, given a number, and handed to the scheduler, once their blobs are here.
 */
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "coordinator/spec.h"

/* Ids sort by time and do not meet those of other coordinators on the same storage: 32 bits of
 * seconds, 16 of chance. */
static uint64_t new_job_id(const struct coordinator *coordinator)
{
    uint64_t id;

    do {
        uint16_t chance;

        check(getrandom(&chance, sizeof chance, 0) == sizeof chance);
        id = ((uint64_t)time(NULL) & 0xffffffff) << 16 | chance;
    } while (core_job(coordinator, id));
    return id;
}

/* Asks for the blobs that are not here; false when all are. */
static bool ask_for_blobs(struct coordinator *coordinator, uint64_t client,
                          const Mr__JobSpec *spec)
{
    Mr__Submitted reply = MR__SUBMITTED__INIT;
    ProtobufCBinaryData needs[LIMIT_BLOBS];

    reply.needs = needs;
    for (size_t i = 0; i < spec->n_blobs; i++) {
        cleanup_free char *path = blobs_path(coordinator->blobs, spec->blobs[i]->sha256.data);

        if (!path)
            needs[reply.n_needs++] = spec->blobs[i]->sha256;
    }
    if (reply.n_needs)
        core_send(coordinator, client, FRAME_SUBMITTED, &reply.base);
    return reply.n_needs > 0;
}

static void reject(struct coordinator *coordinator, uint64_t client, const struct error *err)
{
    Mr__Submitted reply = MR__SUBMITTED__INIT;
    Mr__Error error;

    core_error(&error, err);
    reply.error = &error;
    core_send(coordinator, client, FRAME_SUBMITTED, &reply.base);
    log_event(LOG_INFO, "submission refused", LOG_ID("client", client),
              LOG_TEXT("why", err->text));
}

static void admit(struct coordinator *coordinator, uint64_t client, struct job *job,
                  bool detach)
{
    struct sched_event event = {.type = EVENT_JOB_SUBMITTED,
                                .job = job->id,
                                .priority = job->priority,
                                .steady = job->submit->spec->steady,
                                .skips = job->submit->spec->skip_bad_records};
    cleanup_free char *output = memory_text(job->output.target);

    memory_reserve(&coordinator->jobs, &coordinator->job_capacity, coordinator->job_count + 1,
                   sizeof *coordinator->jobs);
    coordinator->jobs[coordinator->job_count++] = job;
    job->client = client;
    job->output.fleeting = !coordinator->options.journal;
    /* Without a worker it waits as others do, and is planned for those that come. */
    if (coordinator->worker_count)
        job->check = checked_get(&coordinator->checked, job->submit->spec);
    event.checked = job->check != NULL;
    if (!detach)
        job_watch(job, client);
    log_event(LOG_INFO, "job submitted", LOG_ID("job", job->id),
              LOG_TEXT("object", job->object), LOG_NUMBER("files", job->plan.files.count),
              LOG_NUMBER("bytes", job->plan.bytes), LOG_TEXT("output", output));
    core_post(coordinator, &event);
}

/* Whether an unfinished job writes to the same output. */
static int check_output(const struct coordinator *coordinator, const struct job *job,
                        struct error *err)
{
    for (size_t i = 0; i < coordinator->job_count; i++) {
        const struct job *other = coordinator->jobs[i];

        if (!other->result && !strcmp(other->output.target, job->output.target))
            return error_set(err, ERROR_OUTPUT, "output '%s' is being written by job %s",
                             job->output.target, other->name);
    }
    return 0;
}

/* Jobs that have not ended take memory here and room in the journal: a script that submits in a
 * loop is to hear of it, not the machine. */
static int check_room(const struct coordinator *coordinator, struct error *err)
{
    size_t open = 0;

    for (size_t i = 0; i < coordinator->job_count; i++)
        open += !coordinator->jobs[i]->result;
    if (open < LIMIT_JOBS)
        return 0;
    return error_set(
        err, ERROR_REFUSED,
        "%zu jobs wait or run, as many as the coordinator takes: submit again when "
        "some have ended, or cancel some ('marram jobs' lists them)",
        open);
}

/* The job that the client has submitted already, with the same token; NULL: none. */
static struct job *submitted_before(const struct coordinator *coordinator, uint64_t token)
{
    for (size_t i = coordinator->job_count; token && i-- > 0;)
        if (coordinator->jobs[i]->token == token)
            return coordinator->jobs[i];
    return NULL;
}

/* Its client did not hear that it was accepted. */
static void admit_again(struct coordinator *coordinator, uint64_t client, struct job *job,
                        bool detach)
{
    Mr__Submitted reply = MR__SUBMITTED__INIT;

    reply.job = job->id;
    job->client = client;
    if (job->admitted) /* else it is told when that is on disk */
        core_send(coordinator, client, FRAME_SUBMITTED, &reply.base);
    if (job->result && !detach)
        core_send(coordinator, client, FRAME_FINISHED, &job->result->base);
    else if (!detach)
        job_watch(job, client);
}

void submit_job(struct coordinator *coordinator, uint64_t client, Mr__Submit *message)
{
    struct job *before = submitted_before(coordinator, message->token);

    struct error err = {0};
    struct job *job = NULL;
    bool detach = message->detach;

    if (before) {
        admit_again(coordinator, client, before, detach);
        frame_free(&message->base);
        return;
    }
    if (!spec_check(message->spec, &err) && !check_room(coordinator, &err)) {
        if (ask_for_blobs(coordinator, client, message->spec)) {
            frame_free(&message->base);
            return;
        }
        if (!job_open(new_job_id(coordinator), message, &job, &err) &&
            !check_output(coordinator, job, &err)) {
            admit(coordinator, client, job, detach);
            return;
        }
    } else {
        frame_free(&message->base);
    }
    job_free(job);
    reject(coordinator, client, &err);
}

void submit_blob(struct coordinator *coordinator, uint64_t client, const Mr__Blob *piece)
{
    struct error err;

    if (piece->sha256.len != BLOB_HASH)
        error_set(&err, ERROR_USAGE, "a piece of a job object has no hash");
    else if (blobs_add(coordinator->blobs, client, piece->sha256.data, piece->offset,
                       piece->total, piece->data.data, piece->data.len, &err) >= 0)
        return;
    reject(coordinator, client, &err);
}

void submit_blob_get(struct coordinator *coordinator, uint64_t worker,
                     const Mr__BlobGet *wanted)
{
    Mr__Blob piece = MR__BLOB__INIT;
    cleanup_free uint8_t *bytes = memory_new(BLOB_PIECE);
    struct error err;

    piece.sha256 = wanted->sha256;
    piece.offset = wanted->offset;
    piece.data.data = bytes;
    if (wanted->sha256.len == BLOB_HASH &&
        blobs_read(coordinator->blobs, wanted->sha256.data, wanted->offset, bytes,
                   &piece.data.len, &piece.total, &err))
        log_event(LOG_ERRORS, "blob missing", LOG_ID("worker", worker),
                  LOG_TEXT("why", err.text));
    core_send(coordinator, worker, FRAME_BLOB, &piece.base);
}

void submit_cancel(struct coordinator *coordinator, uint64_t client, const Mr__Cancel *message)
{
    struct sched_event event = {.type = EVENT_JOB_CANCELLED, .job = message->job};
    struct job *job = core_job(coordinator, message->job);
    struct error err;

    if (!job || job->result) {
        error_set(&err, ERROR_STALE,
                  job ? "job %012" PRIx64 " has ended already" : "there is no job %012" PRIx64,
                  message->job);
        answer_error(coordinator, client, &err);
        return;
    }
    /* The answer comes with the job's end, when it cannot be forgotten any more. */
    job_note_worker(&job->cancels, &job->cancel_count, &job->cancel_capacity, client);
    log_event(LOG_INFO, "job cancelled", LOG_ID("job", message->job), LOG_ID("client", client));
    core_post(coordinator, &event);
}
