#include "coordinator/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "coordinator/ledger.h"
#include "coordinator/skips.h"
#include "coordinator/tally.h"
#include "flow/sample.h"
#include "flow/sort.h"
#include "wire/bytes.h"
#include "wire/frame.h"

enum { FAILURES_KEPT = 1000 };

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int job_expand(struct job *job, struct error *err)
{
    const Mr__JobSpec *spec = job->submit->spec;
    cleanup_free const char **inputs = memory_zeroed(spec->n_inputs, sizeof *inputs);
    int result;

    for (size_t i = 0; i < spec->n_inputs; i++)
        inputs[i] = bytes_text(spec->inputs[i]);
    result = plan_inputs(&job->plan, inputs, spec->n_inputs, spec->reducers, err);
    for (size_t i = 0; i < spec->n_inputs; i++)
        free((char *)inputs[i]);
    return result;
}

static int open_paths(struct job *job, struct error *err)
{
    const Mr__JobSpec *spec = job->submit->spec;
    cleanup_free char *target = bytes_text(spec->output);

    if (job_expand(job, err))
        return -1;
    return output_open(&job->output, target, job->name, spec->overwrite, spec->sync, err);
}

/* "wordcount" for "wordcount.so". */
static char *without_suffix(const char *object)
{
    size_t length = strlen(object);

    if (length > 3 && !strcmp(object + length - 3, ".so"))
        length -= 3;
    return memory_format("%.*s", (int)length, object);
}

static struct job *job_new(uint64_t id, Mr__Submit *submit)
{
    const Mr__JobSpec *spec = submit->spec;
    struct job *job = memory_zeroed(1, sizeof *job);

    job->id = id;
    job->token = submit->token;
    job->submit = submit;
    job->object = bytes_text(spec->blobs[0]->name);
    job->title = spec->name.len ? bytes_text(spec->name) : without_suffix(job->object);
    job->started_ms = clock_ms();
    job->time_ms = wall_ms();
    job->priority = spec->priority ? spec->priority - 1 : SCHED_PRIORITY_USUAL;
    snprintf(job->name, sizeof job->name, "%012" PRIx64, id);
    return job;
}

int job_open(uint64_t id, Mr__Submit *submit, struct job **ret, struct error *err)
{
    struct job *job = job_new(id, submit);

    if (open_paths(job, err)) {
        job_free(job);
        return -1;
    }
    *ret = job;
    return 0;
}

struct job *job_restore(uint64_t id, Mr__Submit *submit, bool mounted)
{
    const Mr__JobSpec *spec = submit->spec;
    struct output like = {.mounted = mounted, .overwrite = spec->overwrite, .sync = spec->sync};
    struct job *job = job_new(id, submit);
    cleanup_free char *target = bytes_text(spec->output);

    job->admitted = true;
    output_restore(&job->output, target, job->name, &like);
    return job;
}

static void free_messages(Mr__TaskDone **messages, size_t n)
{
    for (size_t i = 0; messages && i < n; i++)
        if (messages[i])
            frame_free(&messages[i]->base);
    free(messages);
}

void job_forget_plan(struct job *job)
{
    plan_done(&job->plan);
    job->plan = (struct plan){.parts = job->plan.parts};
    if (job->submit)
        frame_free(&job->submit->base);
    job->submit = NULL;
    if (job->check)
        frame_free(&job->check->base);
    if (job->sample)
        frame_free(&job->sample->base);
    job->check = job->sample = NULL;
    skips_done(job);
}

static const char *const states[] = {[SCHED_RUNNING] = "running",
                                     [SCHED_DONE] = "done",
                                     [SCHED_FAILED] = "failed",
                                     [SCHED_CANCELLED] = "cancelled"};

const char *job_state_name(enum sched_state state)
{
    return states[state];
}

bool job_state_of_end(ProtobufCBinaryData name, enum sched_state *ret)
{
    for (enum sched_state state = SCHED_DONE; state <= SCHED_CANCELLED; state++)
        if (bytes_are(name, states[state])) {
            *ret = state;
            return true;
        }
    return false;
}

void job_shrink(struct job *job)
{
    output_abandon(&job->output);
    if (job->state != SCHED_FAILED || !job->plan.splits)
        job_forget_plan(job);
    free_messages(job->maps, job->map_count);
    free_messages(job->parts, job->part_count);
    free_messages(job->former, job->map_count);
    job->maps = job->parts = job->former = NULL;
    for (size_t i = 0; i < job->reported_count; i++) {
        frame_free(&job->reported[i].done->base);
        free(job->reported[i].changed);
    }
    free(job->reported);
    for (size_t i = 0; i < job->claim_count; i++)
        free(job->claims[i].path);
    free(job->claims);
    free(job->moves);
    free(job->moved);
    job->claims = NULL;
    job->moves = NULL;
    job->moved = NULL;
    job->moved_count = job->moved_capacity = 0;
    job->claim_count = job->claim_capacity = 0;
    free(job->workers);
    free(job->fed);
    free(job->watchers);
    free(job->cancels);
    job->cancels = NULL;
    job->cancel_count = job->cancel_capacity = 0;
    free(job->news);
    free(job->told);
    stragglers_done(&job->stragglers);
    job->news = NULL;
    job->told = NULL;
    job->news_count = job->news_capacity = job->announced = 0;
    job->reported = NULL;
    job->workers = job->fed = job->watchers = NULL;
    job->reported_count = job->worker_count = job->fed_count = job->watcher_count = 0;
    job->reported_capacity = job->worker_capacity = job->fed_capacity = job->watcher_capacity =
        0;
    job->shrunk = true;
}

static void failure_done(struct job_failure *failure)
{
    free(failure->log_tail);
    if (failure->culprit)
        frame_free(&failure->culprit->base);
}

void job_free(struct job *job)
{
    if (!job)
        return;
    job_shrink(job);
    job_forget_plan(job);
    output_done(&job->output);
    if (job->result)
        frame_free(&job->result->base);
    if (job->ending)
        frame_free(&job->ending->base);
    for (size_t i = 0; i < job->failure_count; i++)
        failure_done(&job->failures[i]);
    free(job->failures);
    free(job->title);
    free(job->object);
    free(job);
}

void job_make_room(struct job *job)
{
    job->map_count = (uint32_t)job->plan.split_count;
    job->part_count = job->plan.parts;
    job->maps = memory_zeroed(job->map_count, sizeof *job->maps);
    job->parts = memory_zeroed(job->part_count, sizeof *job->parts);
    job->former = memory_zeroed(job->map_count, sizeof *job->former);
}

int job_plan(struct job *job, uint32_t workers, struct error *err)
{
    const Mr__Description *description = job->check->description;
    cleanup_free char *format = bytes_text(description->input_format);

    if (job->lost.code) {
        *err = job->lost;
        return -1;
    }
    if (plan_format(&job->plan, format, err))
        return -1;
    plan_splits(&job->plan, job->submit->spec->split_size, workers, description->map_only);
    if (plan_check(&job->plan, job->submit->spec->split_size, err))
        return -1;
    if (description->total_order && job->plan.parts > 1)
        plan_sample(&job->plan);
    job_make_room(job);
    return output_stage(&job->output, err);
}

enum output_codec job_output_codec(const struct job *job)
{
    cleanup_free char *name = bytes_text(job->check->description->output_format);
    enum output_format format;
    enum output_codec codec;
    struct error ignored;

    return format_parse_output(name, &format, &codec, &ignored) ? OUTPUT_PLAIN : codec;
}

int job_commit(struct job *job, struct error *err)
{
    cleanup_free struct output_part *parts = memory_zeroed(job->part_count, sizeof *parts);
    cleanup_free char *manifest = NULL;

    ledger_recall(job);
    if (tally_balance(job, err))
        return -1;
    for (uint32_t i = 0; i < job->part_count; i++)
        parts[i] = (struct output_part){job->parts[i]->attempt, job->parts[i]->part_size,
                                        job->parts[i]->part_records,
                                        job->parts[i]->part_checksum, job->parts[i]->unsynced};
    job->output.suffix = format_suffix(job_output_codec(job));
    manifest = tally_manifest(job);
    if (output_commit(&job->output, parts, job->part_count, manifest, err))
        return -1;
    job->committed = true;
    return 0;
}

void job_report(struct job *job, uint64_t worker, Mr__TaskDone *done, uint32_t *changed)
{
    memory_reserve(&job->reported, &job->reported_capacity, job->reported_count + 1,
                   sizeof *job->reported);
    job->reported[job->reported_count++] = (struct job_answer){worker, done, changed};
}

static bool is_of(const Mr__TaskDone *done, const struct sched_attempt *attempt)
{
    return (uint32_t)done->kind == (uint32_t)attempt->kind && done->task == attempt->task &&
           done->attempt == attempt->attempt;
}

Mr__TaskDone *job_reported(const struct job *job, uint64_t worker,
                           const struct sched_attempt *attempt)
{
    for (size_t i = 0; i < job->reported_count; i++)
        if (job->reported[i].worker == worker && is_of(job->reported[i].done, attempt))
            return job->reported[i].done;
    return NULL;
}

/* Takes the attempt's message out of the reported ones; NULL if it is not there. */
static Mr__TaskDone *take_reported(struct job *job, uint64_t worker,
                                   const struct sched_attempt *attempt)
{
    for (size_t i = 0; i < job->reported_count; i++) {
        Mr__TaskDone *done = job->reported[i].done;

        if (job->reported[i].worker == worker && is_of(done, attempt)) {
            free(job->reported[i].changed);
            job->reported[i] = job->reported[--job->reported_count];
            return done;
        }
    }
    return NULL;
}

static Mr__TaskDone **place_of(struct job *job, const struct sched_attempt *attempt)
{
    if (attempt->kind == SCHED_CHECK)
        return &job->check;
    if (attempt->kind == SCHED_SAMPLE)
        return &job->sample;
    if (attempt->kind == SCHED_MAP)
        return attempt->task < job->map_count ? &job->maps[attempt->task] : NULL;
    return attempt->task < job->part_count ? &job->parts[attempt->task] : NULL;
}

bool job_takes_ranges(const struct job *job, const Mr__Ranges *ranges)
{
    struct mr_bytes before = {0};

    if (!ranges || ranges->n_points + 1 != job->plan.parts ||
        mr__ranges__get_packed_size(ranges) > SAMPLE_RANGES_MAX)
        return false;
    for (size_t i = 0; i < ranges->n_points; i++) {
        struct mr_bytes point = {(const char *)ranges->points[i].data, ranges->points[i].len};

        if (i && sort_compare(before, point) > 0)
            return false;
        before = point;
    }
    return true;
}

/* Replaces a field of a message by a copy. */
static void set_bytes(ProtobufCBinaryData *field, ProtobufCBinaryData bytes)
{
    free(field->data);
    field->data = memory_new(bytes.len + 1);
    memcpy(field->data, bytes.len ? bytes.data : (const uint8_t *)"", bytes.len);
    field->len = bytes.len;
}

static void set_holder(Mr__MapOutput *output, struct job_holder holder)
{
    set_bytes(&output->endpoint, holder.endpoint);
    set_bytes(&output->key, holder.key);
}

void job_accept(struct job *job, uint64_t worker, const struct sched_attempt *attempt,
                struct job_holder holder)
{
    Mr__TaskDone *done = take_reported(job, worker, attempt), **place = place_of(job, attempt);

    check(done && place);
    if (*place)
        frame_free(&(*place)->base);
    if (done->output)
        set_holder(done->output, holder);
    *place = done;
    if (attempt->kind == SCHED_MAP && job->former[attempt->task]) {
        frame_free(&job->former[attempt->task]->base);
        job->former[attempt->task] = NULL;
    }
}

void job_refuse(struct job *job, uint64_t worker, const struct sched_attempt *attempt)
{
    Mr__TaskDone *done = take_reported(job, worker, attempt);

    if (done)
        frame_free(&done->base);
}

bool job_claimed(struct job *job, uint64_t worker, const Mr__MapOutput *output)
{
    const Mr__TaskDone *done = output->task < job->map_count ? job->maps[output->task] : NULL;

    if (done && done->attempt == output->attempt && done->output->run_id != output->run_id)
        return false;
    memory_reserve(&job->claims, &job->claim_capacity, job->claim_count + 1,
                   sizeof *job->claims);
    job->claims[job->claim_count++] =
        (struct job_claim){worker, output->task, output->attempt, bytes_text(output->path)};
    return true;
}

/* The path of a claim, which is taken out; NULL if there is none. Caller frees. */
static char *take_claim(struct job *job, uint64_t worker, const struct sched_attempt *attempt)
{
    for (size_t i = 0; i < job->claim_count; i++) {
        struct job_claim claim = job->claims[i];

        if (claim.worker == worker && claim.task == attempt->task &&
            claim.attempt == attempt->attempt) {
            job->claims[i] = job->claims[--job->claim_count];
            return claim.path;
        }
    }
    return NULL;
}

void job_adopt(struct job *job, uint64_t worker, const struct sched_attempt *attempt,
               struct job_holder holder)
{
    cleanup_free char *path = take_claim(job, worker, attempt);
    Mr__TaskDone *done = job->maps[attempt->task];

    if (!path || !done || done->attempt != attempt->attempt)
        return;
    set_bytes(&done->output->path, bytes_of(path));
    set_holder(done->output, holder);
    memory_reserve(&job->moved, &job->moved_capacity, job->moved_count + 1, sizeof *job->moved);
    job->moved[job->moved_count++] = attempt->task;
}

void job_disclaim(struct job *job, uint64_t worker, const struct sched_attempt *attempt)
{
    free(take_claim(job, worker, attempt));
}

/* Its end: more than an honest worker sends, who says how much was dropped above the last
 * output, and may put a backtrace below it. Of all of the job's as much as one answer has room
 * for: more could not be told. */
static char *tail_of(struct job *job, const ProtobufCBinaryData *text)
{
    const size_t max = (size_t)4 * LIMIT_LOG_TAIL;
    ProtobufCBinaryData end = *text;

    if (end.len > max) {
        end.data += end.len - max;
        end.len = max;
    }
    if (job->log_bytes + end.len > LIMIT_LOGS)
        return memory_text("(left out: what was printed before fills the job's logs)\n");
    job->log_bytes += end.len;
    return bytes_text(end);
}

/* A new entry; beyond a number of them the last one is used again and again. */
static struct job_failure *new_failure(struct job *job, const char *worker,
                                       const ProtobufCBinaryData *log_tail)
{
    struct job_failure *failure;

    if (job->failure_count < FAILURES_KEPT) {
        memory_reserve(&job->failures, &job->failure_capacity, job->failure_count + 1,
                       sizeof *job->failures);
        job->failure_count++;
    } else {
        failure_done(&job->failures[FAILURES_KEPT - 1]);
    }
    failure = &job->failures[job->failure_count - 1];
    *failure = (struct job_failure){.log_tail = tail_of(job, log_tail)};
    snprintf(failure->worker, sizeof failure->worker, "%s", worker);
    return failure;
}

struct job_failure *job_failed(struct job *job, const struct sched_attempt *attempt,
                               const char *worker, const Mr__TaskFailed *failed)
{
    static const char *const kinds[] = {[SCHED_CHECK] = "check",
                                        [SCHED_MAP] = "map",
                                        [SCHED_REDUCE] = "reduce",
                                        [SCHED_SAMPLE] = "sample"};
    struct job_failure *failure = new_failure(job, worker, &failed->log_tail);
    enum error_code code = (enum error_code)failed->error->code;

    /* No worker can know that others see more, and none fails of nothing. */
    if (code == ERROR_UNSEEN || code == ERROR_NONE)
        code = ERROR_INTERNAL;
    failure->attempt = *attempt;
    failure->culprit = skips_culprit(job, attempt, failed);
    snprintf(failure->task, sizeof failure->task, "%s-%" PRIu32,
             (unsigned)attempt->kind < SCHED_KINDS ? kinds[attempt->kind] : "?", attempt->task);
    error_set(&failure->error, code, "%.*s", (int)failed->error->text.len,
              (const char *)failed->error->text.data);
    return failure;
}

void job_said(struct job *job, const char *worker, const ProtobufCBinaryData *text)
{
    struct job_failure *said;

    if (job->failure_count == FAILURES_KEPT)
        return;
    said = new_failure(job, worker, text);
    said->attempt = (struct sched_attempt){.job = job->id};
}

struct job_failure *job_cause(const struct job *job, const struct sched_attempt *attempt)
{
    for (size_t i = 0; i < job->failure_count; i++) {
        const struct sched_attempt *at = &job->failures[i].attempt;

        if (at->kind == attempt->kind && at->task == attempt->task &&
            at->attempt == attempt->attempt)
            return &job->failures[i];
    }
    return NULL;
}

bool job_note_worker(uint64_t **set, size_t *count, size_t *capacity, uint64_t worker)
{
    for (size_t i = 0; i < *count; i++)
        if ((*set)[i] == worker)
            return false;
    memory_reserve(set, capacity, *count + 1, sizeof **set);
    (*set)[(*count)++] = worker;
    return true;
}

void job_watch(struct job *job, uint64_t client)
{
    job_note_worker(&job->watchers, &job->watcher_count, &job->watcher_capacity, client);
}

void job_unwatch(struct job *job, uint64_t client)
{
    for (size_t i = 0; i < job->watcher_count; i++)
        if (job->watchers[i] == client)
            job->watchers[i--] = job->watchers[--job->watcher_count];
}

/* Whether the coordinator finds a file as it was planned. */
static bool sees(const struct input_file *file)
{
    struct stat st;

    if (expand_is_range(file->path))
        return true;
    return !stat(file->path, &st) && (uint64_t)st.st_size == file->size &&
           (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec == file->mtime_ns &&
           !access(file->path, R_OK);
}

static bool sees_extents(const struct job *job, const struct extent *extents, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((!i || extents[i].file != extents[i - 1].file) &&
            !sees(&job->plan.files.items[extents[i].file]))
            return false;
    return true;
}

/* Whether it does so with all files of a task. */
static bool sees_input(const struct job *job, const struct sched_attempt *attempt)
{
    const struct split *split;

    if (attempt->kind == SCHED_SAMPLE)
        return sees_extents(job, job->plan.sample, job->plan.sample_count);
    if (attempt->kind != SCHED_MAP || attempt->task >= job->plan.split_count)
        return false;
    split = &job->plan.splits[attempt->task];
    return sees_extents(job, &job->plan.extents[split->first], split->count);
}

void job_judge_sight(struct job *job, const struct sched_attempt *attempt,
                     struct job_failure *failure)
{
    bool input = failure->error.code == ERROR_INPUT;
    bool output = failure->error.code == ERROR_OUTPUT && attempt->kind == SCHED_REDUCE;

    if ((input && sees_input(job, attempt)) ||
        (output && !access(job->output.staging, W_OK | X_OK))) {
        failure->error.code = ERROR_UNSEEN;
        job->unseen = failure->error;
    }
}
