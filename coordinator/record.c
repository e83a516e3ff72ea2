/* Facts become records. Each is packed when the scheduler asks for it: what it tells is known
 * then, though the actions that follow from it are still held back. */
#include "coordinator/record.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "coordinator/core.h"
#include "coordinator/journal.h"
#include "wire/bytes.h"

/* A record in the making, with what it borrows. */
struct draft {
    Mr__Record record;
    Mr__TaskFailed failed;
    Mr__Error error;
    ProtobufCBinaryData *paths;
    uint64_t *sizes, *extents, *sample;
    int64_t *mtimes;
    uint32_t *splits;
};

static void begin(struct draft *draft, enum sched_record type, uint64_t job)
{
    *draft = (struct draft){0};
    mr__record__init(&draft->record);
    draft->record.type = type;
    draft->record.job = job;
}

static void done(struct draft *draft)
{
    free(draft->paths);
    free(draft->sizes);
    free(draft->mtimes);
    free(draft->extents);
    free(draft->sample);
    free(draft->splits);
}

static void set_attempt(Mr__Record *record, const struct sched_attempt *attempt)
{
    record->kind = (Mr__TaskKind)attempt->kind;
    record->task = attempt->task;
    record->attempt = attempt->attempt;
}

static void fill_submitted(struct draft *draft, const struct job *job)
{
    begin(draft, SCHED_RECORD_SUBMITTED, job->id);
    draft->record.submit = job->submit;
    draft->record.time_ms = job->time_ms;
    draft->record.mounted = job->output.mounted;
    draft->record.check = job->check;
}

static uint64_t *flatten(const struct extent *extents, size_t n)
{
    uint64_t *flat = memory_new((3 * n + 1) * sizeof *flat);

    for (size_t i = 0; i < n; i++) {
        flat[3 * i] = extents[i].file;
        flat[3 * i + 1] = extents[i].offset;
        flat[3 * i + 2] = extents[i].length;
    }
    return flat;
}

static void fill_files(struct draft *draft, const struct input_files *files)
{
    size_t n = files->count;

    draft->paths = memory_new((n + 1) * sizeof *draft->paths);
    draft->sizes = memory_new((n + 1) * sizeof *draft->sizes);
    draft->mtimes = memory_new((n + 1) * sizeof *draft->mtimes);
    for (size_t i = 0; i < n; i++) {
        draft->paths[i] = bytes_of(files->items[i].path);
        draft->sizes[i] = files->items[i].size;
        draft->mtimes[i] = files->items[i].mtime_ns;
    }
    draft->record.paths = draft->paths;
    draft->record.sizes = draft->sizes;
    draft->record.mtimes_ns = draft->mtimes;
    draft->record.n_paths = draft->record.n_sizes = draft->record.n_mtimes_ns = n;
}

static void fill_planned(struct draft *draft, const struct job *job)
{
    const struct plan *plan = &job->plan;

    begin(draft, SCHED_RECORD_PLANNED, job->id);
    fill_files(draft, &plan->files);
    draft->extents = flatten(plan->extents, plan->extent_count);
    draft->sample = flatten(plan->sample, plan->sample_count);
    draft->splits = memory_new((3 * plan->split_count + 1) * sizeof *draft->splits);
    for (size_t i = 0; i < plan->split_count; i++) {
        draft->splits[3 * i] = plan->splits[i].first;
        draft->splits[3 * i + 1] = plan->splits[i].count;
        draft->splits[3 * i + 2] = plan->splits[i].part;
    }
    draft->record.parts = plan->parts;
    draft->record.extents = draft->extents;
    draft->record.n_extents = 3 * plan->extent_count;
    draft->record.sample = draft->sample;
    draft->record.n_sample = 3 * plan->sample_count;
    draft->record.splits = draft->splits;
    draft->record.n_splits = 3 * plan->split_count;
    /* Once it has ended nobody is to look at folders again: they are others' by now. */
    draft->record.folder = job->result ? 0 : job->output.folder;
    if (job->output.made && !job->result)
        draft->record.made = bytes_of(job->output.made);
    draft->record.check = job->check;
}

static void fill_accepted(struct draft *draft, const struct job *job, Mr__TaskDone *message)
{
    begin(draft, SCHED_RECORD_ACCEPTED, job->id);
    draft->record.kind = message->kind;
    draft->record.task = message->task;
    draft->record.attempt = message->attempt;
    draft->record.done = message;
}

static void fill_failed(struct draft *draft, enum sched_record type, const struct job *job,
                        const struct job_failure *failure)
{
    begin(draft, type, job->id);
    set_attempt(&draft->record, &failure->attempt);
    mr__task_failed__init(&draft->failed);
    core_error(&draft->error, &failure->error);
    draft->failed.error = &draft->error;
    draft->failed.culprit = failure->culprit;
    draft->failed.log_tail = bytes_of(failure->log_tail);
    draft->record.failed = &draft->failed;
    draft->record.worker = bytes_of(failure->worker);
}

/* What it failed on is skipped: kept apart from failures, of which not all are. */
static void fill_skipped(struct draft *draft, const struct job *job, const Mr__Skipped *skipped)
{
    begin(draft, SCHED_RECORD_SKIPPED, job->id);
    draft->record.kind = skipped->kind;
    draft->record.task = skipped->task;
    draft->record.attempt = skipped->attempt;
    mr__task_failed__init(&draft->failed);
    draft->failed.error = skipped->error;
    draft->failed.culprit = skipped->culprit;
    draft->record.failed = &draft->failed;
}

static void fill_finished(struct draft *draft, const struct job *job, Mr__Finished *message)
{
    begin(draft, SCHED_RECORD_FINISHED, job->id);
    draft->record.finished = message;
    draft->record.title = bytes_of(job->title);
    draft->record.object = bytes_of(job->object);
    draft->record.time_ms = job->time_ms;
    draft->record.token = job->token;
    draft->record.priority = job->priority + 1;
}

static uint8_t *pack(const struct draft *draft, size_t *ret_size)
{
    size_t size = mr__record__get_packed_size(&draft->record);
    uint8_t *bytes = memory_new(size + 1);

    *ret_size = mr__record__pack(&draft->record, bytes);
    return bytes;
}

int record_check_plan(const struct job *job, struct error *err)
{
    struct draft draft;
    size_t size;

    fill_planned(&draft, job);
    size = mr__record__get_packed_size(&draft.record);
    done(&draft);
    if (size > JOURNAL_RECORD_MAX)
        return error_set(
            err, ERROR_INPUT,
            "the list of %zu input files takes %zu bytes in the journal, the limit "
            "is %d: give it fewer files, or larger ones",
            job->plan.files.count, size, JOURNAL_RECORD_MAX);
    return 0;
}

/* The failure becomes one that counts, and is kept. */
static bool charge(struct draft *draft, struct job *job, const struct sched_action *action)
{
    struct job_failure *failure = job_cause(job, &action->attempt);

    if (!failure)
        return false;
    failure->charged = true;
    fill_failed(draft, SCHED_RECORD_FAILED, job, failure);
    return true;
}

static bool accept(struct coordinator *coordinator, struct draft *draft, const struct job *job,
                   const struct sched_action *action)
{
    const struct member *member = members_find(coordinator, action->worker);
    Mr__TaskDone *message = job_reported(job, action->worker, &action->attempt);

    if (!message)
        return false;
    fill_accepted(draft, job, message);
    if (member)
        draft->record.worker = member->hello->name;
    return true;
}

static void fill(struct coordinator *coordinator, struct draft *draft, struct job *job,
                 const struct sched_action *action)
{
    begin(draft, action->record, job->id);
    set_attempt(&draft->record, &action->attempt);
    switch (action->record) {
    case SCHED_RECORD_SUBMITTED:
        fill_submitted(draft, job);
        break;
    case SCHED_RECORD_PLANNED:
        fill_planned(draft, job);
        break;
    case SCHED_RECORD_ACCEPTED:
        check(accept(coordinator, draft, job, action));
        break;
    case SCHED_RECORD_FAILED:
        /* Of those that are too many to be kept, the code alone. */
        if (!charge(draft, job, action)) {
            draft->record.failed = &draft->failed;
            mr__task_failed__init(&draft->failed);
            mr__error__init(&draft->error);
            draft->error.code = action->code;
            draft->failed.error = &draft->error;
        }
        break;
    case SCHED_RECORD_FINISHED:
        fill_finished(draft, job, job->ending);
        break;
    case SCHED_RECORD_SKIPPED:
        fill_failed(draft, SCHED_RECORD_SKIPPED, job, job_cause(job, &action->attempt));
        break;
    case SCHED_RECORD_LOST:
    case SCHED_RECORD_COMMITTING:
    case SCHED_RECORD_STARTED:
        break;
    }
}

static void append(struct coordinator *coordinator, const struct draft *draft,
                   uint64_t sequence)
{
    size_t size;
    cleanup_free uint8_t *bytes = pack(draft, &size);
    uint64_t number =
        journal_append(coordinator->journal, (struct mr_bytes){(const char *)bytes, size});

    memory_reserve(&coordinator->unsaved, &coordinator->unsaved_capacity,
                   coordinator->unsaved_count + 1, sizeof *coordinator->unsaved);
    coordinator->unsaved[coordinator->unsaved_count++] = (struct unsaved){number, sequence};
    coordinator->totals.journal_records++;
}

void record_persist(struct coordinator *coordinator, const struct sched_action *action)
{
    struct sched_event persisted = {.type = EVENT_PERSISTED, .sequence = action->sequence};
    struct job *job = core_job(coordinator, action->job);
    struct draft draft;

    if (!coordinator->journal) {
        core_post(coordinator, &persisted);
        return;
    }
    check(job);
    fill(coordinator, &draft, job, action);
    append(coordinator, &draft, action->sequence);
    done(&draft);
}

int record_durable(struct coordinator *coordinator, struct error *err)
{
    struct sched_event persisted = {.type = EVENT_PERSISTED};
    uint64_t durable;
    size_t n = 0;

    if (journal_durable(coordinator->journal, &durable, err))
        return error_wrap(err, "what happened cannot be written down any more");
    while (n < coordinator->unsaved_count && coordinator->unsaved[n].number <= durable)
        persisted.sequence = coordinator->unsaved[n++].sequence;
    if (!n)
        return 0;
    coordinator->unsaved_count -= n;
    for (size_t i = 0; i < coordinator->unsaved_count; i++)
        coordinator->unsaved[i] = coordinator->unsaved[n + i];
    core_post(coordinator, &persisted);
    return 0;
}

/* ---- Snapshots ---- */

static void add(struct journal_snapshot *to, struct draft *draft)
{
    size_t size;
    cleanup_free uint8_t *bytes = pack(draft, &size);

    journal_snapshot_add(to, (struct mr_bytes){(const char *)bytes, size});
    done(draft);
}

/* A job that ended has no messages any more: NULL. */
static void add_accepted(struct journal_snapshot *to, const struct job *job,
                         Mr__TaskDone *const *messages, uint32_t n)
{
    struct draft draft;

    for (uint32_t i = 0; messages && i < n; i++)
        if (messages[i]) {
            fill_accepted(&draft, job, messages[i]);
            add(to, &draft);
        }
}

/* What an output held that was lost, and not made again: for comparison. */
static void add_lost(struct journal_snapshot *to, const struct job *job)
{
    struct draft draft;

    add_accepted(to, job, job->former, job->map_count);
    for (uint32_t i = 0; job->former && i < job->map_count; i++)
        if (job->former[i]) {
            fill_accepted(&draft, job, job->former[i]);
            draft.record.type = SCHED_RECORD_LOST;
            draft.record.done = NULL;
            add(to, &draft);
        }
}

static void add_running(const struct coordinator *coordinator, struct journal_snapshot *to,
                        const struct job *job)
{
    struct draft draft;

    fill_submitted(&draft, job);
    draft.record.lives = job->lives;
    /* Those that are told below count again when they are read. */
    draft.record.map_reruns = sched_progress(coordinator->sched, job->id).map_reruns;
    for (uint32_t i = 0; job->maps && i < job->map_count; i++)
        draft.record.map_reruns -= job->former[i] != NULL;
    add(to, &draft);
    if (job->maps || (job->result && job->plan.splits)) {
        fill_planned(&draft, job);
        add(to, &draft);
        add_lost(to, job);
    }
    for (size_t i = 0; i < job->skip_count; i++) {
        fill_skipped(&draft, job, job->skips[i]);
        add(to, &draft);
    }
    for (size_t i = 0; i < job->failure_count; i++)
        if (job->failures[i].charged) {
            fill_failed(&draft, SCHED_RECORD_FAILED, job, &job->failures[i]);
            add(to, &draft);
        }
    add_accepted(to, job, &job->sample, 1);
    add_accepted(to, job, job->maps, job->map_count);
    add_accepted(to, job, job->parts, job->part_count);
    if (job->committing && !job->result) {
        begin(&draft, SCHED_RECORD_COMMITTING, job->id);
        add(to, &draft);
    }
}

static void write_all(void *context, struct journal_snapshot *to)
{
    const struct coordinator *coordinator = context;
    struct draft draft;

    for (size_t i = 0; i < coordinator->job_count; i++) {
        const struct job *job = coordinator->jobs[i];

        /* A job that failed can be replayed. */
        if (!job->result || (job->state == SCHED_FAILED && job->plan.splits))
            add_running(coordinator, to, job);
        if (!job->result)
            continue;
        fill_finished(&draft, job, job->result);
        add(to, &draft);
    }
}

int record_snapshot(struct coordinator *coordinator, struct error *err)
{
    check(!coordinator->unsaved_count);
    return journal_snapshot(coordinator->journal, write_all, coordinator, err);
}
