/* Journals that are whole but absurd: each record has its checksum, and tells what no
 * coordinator can have written after the records before it. They are refused by name; and the
 * same journal without the absurd record is taken up. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "coordinator/core.h"
#include "coordinator/journal.h"
#include "tests/lib/folder.h"
#include "wire/bytes.h"
#include "wire/link.h"

enum { JOB = 7, MAPS = 2, PARTS = 2 };

/* A record and all that it may carry, for a test to spoil. */
struct fact {
    Mr__Record record;
    Mr__Submit submit;
    Mr__JobSpec spec;
    Mr__BlobRef blob, *blobs[1];
    Mr__Param param, *params[1];
    Mr__TaskDone done;
    Mr__Description description;
    Mr__MapOutput output;
    Mr__Ranges ranges;
    Mr__TaskFailed failed;
    Mr__Culprit culprit;
    Mr__Error error;
    Mr__Finished finished;
    ProtobufCBinaryData inputs[1], paths[1], points[1];
    uint64_t sizes[1], extents[6], sample[3];
    int64_t mtimes[1];
    uint32_t splits[6];
    uint8_t hash[32];
};

static void fill_submit(struct fact *f)
{
    mr__submit__init(&f->submit);
    mr__job_spec__init(&f->spec);
    mr__blob_ref__init(&f->blob);
    mr__param__init(&f->param);
    f->blob.name = bytes_of("job.so");
    f->blob.sha256 = (ProtobufCBinaryData){sizeof f->hash, f->hash};
    f->blobs[0] = &f->blob;
    f->spec.blobs = f->blobs;
    f->spec.n_blobs = 1;
    f->param.name = bytes_of("name");
    f->params[0] = &f->param;
    f->spec.params = f->params;
    f->spec.n_params = 1;
    f->inputs[0] = bytes_of("range:100");
    f->spec.inputs = f->inputs;
    f->spec.n_inputs = 1;
    f->spec.output = bytes_of("/none/out");
    f->spec.skip_bad_records = 1;
    f->submit.spec = &f->spec;
}

static void fill_plan(struct fact *f)
{
    f->paths[0] = bytes_of("range:100");
    f->sizes[0] = 800;
    memcpy(f->extents, (uint64_t[]){0, 0, 400, 0, 400, 400}, sizeof f->extents);
    memcpy(f->sample, (uint64_t[]){0, 80, 8}, sizeof f->sample);
    memcpy(f->splits, (uint32_t[]){0, 1, 0, 1, 1, 1}, sizeof f->splits);
    f->record.paths = f->paths;
    f->record.sizes = f->sizes;
    f->record.mtimes_ns = f->mtimes;
    f->record.n_paths = f->record.n_sizes = f->record.n_mtimes_ns = 1;
    f->record.extents = f->extents;
    f->record.n_extents = 6;
    f->record.sample = f->sample;
    f->record.n_sample = 3;
    f->record.splits = f->splits;
    f->record.n_splits = 6;
    f->record.parts = PARTS;
}

static void fill_done(struct fact *f)
{
    mr__task_done__init(&f->done);
    mr__description__init(&f->description);
    mr__map_output__init(&f->output);
    mr__ranges__init(&f->ranges);
    f->output.path = bytes_of("/none/run");
    f->points[0] = bytes_of("k");
    f->ranges.points = f->points;
    f->ranges.n_points = 1;
    f->done.description = &f->description;
    f->done.output = &f->output;
    f->done.ranges = &f->ranges;
    f->done.job = JOB;
    f->done.attempt = 1;
}

static void fill_failed(struct fact *f)
{
    mr__task_failed__init(&f->failed);
    mr__culprit__init(&f->culprit);
    mr__error__init(&f->error);
    f->error.code = ERROR_CRASH;
    f->error.text = bytes_of("it crashed");
    f->culprit.phase = bytes_of("map");
    f->failed.error = &f->error;
    f->failed.culprit = &f->culprit;
}

/* As the coordinator would write it. */
static void fill(struct fact *f, enum sched_record type, Mr__TaskKind kind, uint32_t task)
{
    memset(f, 0, sizeof *f);
    mr__record__init(&f->record);
    f->record.type = type;
    f->record.job = type == SCHED_RECORD_STARTED ? 0 : JOB;
    f->record.kind = kind;
    f->record.task = task;
    f->record.attempt = 1;
    fill_submit(f);
    fill_done(f);
    fill_failed(f);
    mr__finished__init(&f->finished);
    f->finished.state = bytes_of("failed");
    if (type == SCHED_RECORD_SUBMITTED)
        f->record.submit = &f->submit;
    if (type == SCHED_RECORD_PLANNED) {
        fill_plan(f);
        f->record.check = &f->done;
    }
    f->done.kind = kind;
    f->done.task = task;
    if (type == SCHED_RECORD_ACCEPTED)
        f->record.done = &f->done;
    if (type == SCHED_RECORD_FAILED || type == SCHED_RECORD_SKIPPED)
        f->record.failed = &f->failed;
    if (type == SCHED_RECORD_FINISHED)
        f->record.finished = &f->finished;
}

/* ---- A state folder -------------------------------------------------------------------- */

static int take_none(void *context, struct mr_bytes record, struct error *err)
{
    (void)context;
    (void)record;
    (void)err;
    return 0;
}

static void append(struct journal *journal, const struct fact *f)
{
    size_t size = mr__record__get_packed_size(&f->record);
    cleanup_free uint8_t *bytes = memory_new(size + 1);

    mr__record__pack(&f->record, bytes);
    journal_append(journal, (struct mr_bytes){(const char *)bytes, size});
}

/* The facts of an honest life, in order. */
static const struct {
    enum sched_record type;
    Mr__TaskKind kind;
    uint32_t task;
} life[] = {
    {SCHED_RECORD_STARTED, MR__TASK_KIND__CHECK, 0},
    {SCHED_RECORD_SUBMITTED, MR__TASK_KIND__CHECK, 0},
    {SCHED_RECORD_PLANNED, MR__TASK_KIND__CHECK, 0},
    {SCHED_RECORD_ACCEPTED, MR__TASK_KIND__SAMPLE, 0},
    {SCHED_RECORD_ACCEPTED, MR__TASK_KIND__MAP, 0},
    {SCHED_RECORD_FAILED, MR__TASK_KIND__MAP, 1},
    {SCHED_RECORD_SKIPPED, MR__TASK_KIND__MAP, 1},
    {SCHED_RECORD_ACCEPTED, MR__TASK_KIND__MAP, 1},
    {SCHED_RECORD_LOST, MR__TASK_KIND__MAP, 1},
    {SCHED_RECORD_ACCEPTED, MR__TASK_KIND__REDUCE, 0},
    {SCHED_RECORD_ACCEPTED, MR__TASK_KIND__REDUCE, 1},
    {SCHED_RECORD_COMMITTING, MR__TASK_KIND__CHECK, 0},
    {SCHED_RECORD_FINISHED, MR__TASK_KIND__CHECK, 0},
};
enum {
    STARTED,
    SUBMITTED,
    PLANNED,
    SAMPLED,
    MAPPED,
    FAILED,
    SKIPPED,
    MAPPED_1,
    LOST,
    REDUCED,
    REDUCED_1,
    COMMITTING,
    FINISHED,
    LIFE
};

/* The first `known` facts of a life, and then `last`; NULL: nothing more. */
static int open_with(int known, const struct fact *last, struct error *err)
{
    char *folder = folder_new();
    struct coordinator_options options = {.endpoint = "tcp://127.0.0.1:0",
                                          .state = folder,
                                          .heartbeat_ms = 1000,
                                          .lease_ms = 60000,
                                          .journal = true,
                                          .retained = 10};
    struct coordinator *coordinator;
    struct journal *journal;
    struct fact fact;
    int result;

    assert_int_equal(journal_open(folder, take_none, NULL, &journal, err), 0);
    for (int i = 0; i < known; i++) {
        fill(&fact, life[i].type, life[i].kind, life[i].task);
        append(journal, &fact);
    }
    if (last)
        append(journal, last);
    journal_close(journal);
    options.context = link_context_new();
    result = serve_open(&options, &coordinator, err);
    if (!result)
        serve_close(coordinator);
    link_context_free(options.context);
    folder_remove(folder);
    return result;
}

/* After the first `known` facts of a life this one is refused, by job and with these words. */
static void expect_refusal(int known, const struct fact *last, const char *word)
{
    struct error err = {0};

    if (!open_with(known, last, &err))
        fail_msg("taken: %s", word);
    assert_int_equal(err.code, ERROR_DAMAGE);
    if (!strstr(err.text, word) || !strstr(err.text, "makes no sense here"))
        fail_msg("'%s' does not say '%s'", err.text, word);
}

static void next(struct fact *f, int which)
{
    fill(f, life[which].type, life[which].kind, life[which].task);
}

/* ---- The tests ------------------------------------------------------------------------- */

static void an_honest_life_is_taken_up_wherever_it_ended(void **state)
{
    struct error err = {0};

    (void)state;
    for (int known = 0; known <= LIFE; known++)
        if (open_with(known, NULL, &err))
            fail_msg("after %d: %s", known, err.text);
}

static void what_comes_twice_is_refused(void **state)
{
    struct fact f;

    (void)state;
    next(&f, SUBMITTED);
    expect_refusal(SUBMITTED + 1, &f, "that job was submitted before");
    next(&f, PLANNED);
    expect_refusal(PLANNED + 1, &f, "that job was planned before");
    next(&f, SAMPLED);
    expect_refusal(SAMPLED + 1, &f, "that task was done before");
    next(&f, MAPPED);
    expect_refusal(MAPPED + 1, &f, "that task was done before");
    next(&f, SKIPPED);
    expect_refusal(SKIPPED + 1, &f, "there was nothing to be skipped");
    next(&f, LOST);
    expect_refusal(LOST + 1, &f, "there is no such output to be lost");
    next(&f, COMMITTING);
    expect_refusal(COMMITTING + 1, &f, "its tasks were not done");
    next(&f, FINISHED);
    expect_refusal(FINISHED + 1, &f, "that job ended before");
}

static void what_comes_too_early_is_refused(void **state)
{
    struct fact f;

    (void)state;
    for (int which = PLANNED; which < FINISHED; which++) {
        next(&f, which);
        expect_refusal(SUBMITTED, &f, "there is no such job");
    }
    for (int which = SAMPLED; which < COMMITTING; which++) {
        next(&f, which);
        expect_refusal(PLANNED, &f, which == LOST ? "no such output" : "it has no such task");
    }
    next(&f, REDUCED);
    expect_refusal(SAMPLED, &f, "it was reduced before its parts were known");
    next(&f, COMMITTING);
    expect_refusal(PLANNED, &f, "its tasks were not done");
    expect_refusal(MAPPED, &f, "its maps were not done");
    expect_refusal(REDUCED_1, &f, "its parts were not done");
    next(&f, FINISHED);
    f.finished.state = bytes_of("done");
    expect_refusal(COMMITTING, &f, "it was not done");
}

static void unknown_jobs_tasks_and_types_are_refused(void **state)
{
    struct fact f;

    (void)state;
    for (int which = PLANNED; which < FINISHED; which++) {
        next(&f, which);
        f.record.job = JOB + 1;
        expect_refusal(which, &f, "there is no such job");
        f.record.job = 0;
        expect_refusal(which, &f, "a job without a number");
    }
    for (int which = SAMPLED; which < COMMITTING; which++) {
        next(&f, which);
        f.record.task = f.done.task = 2;
        expect_refusal(which, &f, which == LOST ? "no such output" : "it has no such task");
        f.record.task = f.done.task = UINT32_MAX;
        expect_refusal(which, &f, which == LOST ? "no such output" : "it has no such task");
        next(&f, which);
        f.record.kind = f.done.kind = (Mr__TaskKind)77;
        expect_refusal(which, &f, which == LOST ? "no such output" : "it has no such task");
    }
    next(&f, MAPPED);
    f.record.type = 99;
    expect_refusal(MAPPED, &f, "there is no such type");
}

static void answers_of_other_attempts_are_refused(void **state)
{
    struct fact f;

    (void)state;
    next(&f, MAPPED);
    f.done.task = 1;
    expect_refusal(MAPPED, &f, "the answer of another attempt");
    next(&f, MAPPED);
    f.done.attempt = 2;
    expect_refusal(MAPPED, &f, "the answer of another attempt");
    f.record.attempt = f.done.attempt = UINT32_MAX;
    expect_refusal(MAPPED, &f, "the answer of another attempt");
    f.record.attempt = f.done.attempt = 0;
    expect_refusal(MAPPED, &f, "the answer of another attempt");
    next(&f, MAPPED);
    f.record.done = NULL;
    expect_refusal(MAPPED, &f, "the answer of another attempt");
    next(&f, MAPPED);
    f.done.output = NULL;
    expect_refusal(MAPPED, &f, "a map without an output");
    next(&f, SAMPLED);
    f.done.ranges = NULL;
    expect_refusal(SAMPLED, &f, "its parts cannot begin there");
    next(&f, FAILED);
    f.record.attempt = UINT32_MAX;
    expect_refusal(FAILED, &f, "it has no such task");
}

static void failures_without_a_cause_are_refused(void **state)
{
    struct fact f;

    (void)state;
    next(&f, FAILED);
    f.record.failed = NULL;
    expect_refusal(FAILED, &f, "a failure without a cause");
    next(&f, FAILED);
    f.failed.error = NULL;
    expect_refusal(FAILED, &f, "a failure without a cause");
    next(&f, FAILED);
    f.error.code = ERROR_NONE;
    expect_refusal(FAILED, &f, "a failure without a cause");
    f.error.code = ERROR_CODES;
    expect_refusal(FAILED, &f, "a failure without a cause");
    next(&f, SKIPPED);
    f.failed.culprit = NULL;
    expect_refusal(SKIPPED, &f, "there was nothing to be skipped");
    next(&f, SKIPPED);
    f.culprit.offset = 800; /* behind the end */
    expect_refusal(SKIPPED, &f, "there was nothing to be skipped");
    next(&f, SKIPPED);
    f.culprit.block = true;
    expect_refusal(SKIPPED, &f, "there was nothing to be skipped");
}

static void plans_that_no_input_gives_are_refused(void **state)
{
    struct fact f;

    (void)state;
    next(&f, PLANNED);
    f.record.parts = LIMIT_PARTS + 1;
    expect_refusal(PLANNED, &f, "no such number of parts");
    f.record.parts = 0;
    expect_refusal(PLANNED, &f, "no such number of parts");
    next(&f, PLANNED);
    f.record.n_sizes = 0;
    expect_refusal(PLANNED, &f, "lack sizes");
    next(&f, PLANNED);
    f.paths[0] = bytes_of("relative");
    expect_refusal(PLANNED, &f, "cannot be one");
    next(&f, PLANNED);
    f.extents[0] = 1;
    expect_refusal(PLANNED, &f, "where no file is");
    next(&f, PLANNED);
    f.extents[1] = UINT64_MAX;
    expect_refusal(PLANNED, &f, "where no file is");
    next(&f, PLANNED);
    f.sample[2] = 721;
    expect_refusal(PLANNED, &f, "where no file is");
    next(&f, PLANNED);
    f.record.n_extents = 5;
    expect_refusal(PLANNED, &f, "a piece without an end");
    next(&f, PLANNED);
    f.splits[1] = UINT32_MAX;
    expect_refusal(PLANNED, &f, "outside of the plan");
    next(&f, PLANNED);
    f.splits[2] = PARTS;
    expect_refusal(PLANNED, &f, "outside of the plan");
    next(&f, PLANNED);
    f.record.n_splits = 5;
    expect_refusal(PLANNED, &f, "no such number of map tasks");
    next(&f, PLANNED);
    f.record.check = NULL;
    expect_refusal(PLANNED, &f, "does not describe itself");
    next(&f, PLANNED);
    f.record.made = bytes_of("/elsewhere");
    expect_refusal(PLANNED, &f, "its folders are elsewhere");
    f.record.made = bytes_of("/");
    expect_refusal(PLANNED, &f, "its folders are elsewhere");
}

static void submissions_that_are_not_accepted_are_refused(void **state)
{
    struct fact f;

    (void)state;
    next(&f, SUBMITTED);
    f.record.submit = NULL;
    expect_refusal(SUBMITTED, &f, "lacks an object");
    next(&f, SUBMITTED);
    f.spec.output = bytes_of("out");
    expect_refusal(SUBMITTED, &f, "'out' is not an absolute path");
    next(&f, SUBMITTED);
    f.blob.name = bytes_of("");
    expect_refusal(SUBMITTED, &f, "no name or hash");
    next(&f, SUBMITTED);
    f.spec.priority = UINT32_MAX;
    expect_refusal(SUBMITTED, &f, "above the highest");
    next(&f, SUBMITTED);
    f.record.time_ms = INT64_MIN;
    expect_refusal(SUBMITTED, &f, "it is of no time");
    next(&f, SUBMITTED);
    f.record.lives = UINT32_MAX;
    expect_refusal(SUBMITTED, &f, "it is of no time");
    next(&f, SUBMITTED);
    mr__task_done__init(&f.done);
    f.record.check = &f.done;
    expect_refusal(SUBMITTED, &f, "does not describe itself");
}

static void ends_that_cannot_be_told_are_refused(void **state)
{
    cleanup_free char *much = memory_zeroed(1, LIMIT_MESSAGE);
    struct fact f;

    (void)state;
    next(&f, FINISHED);
    f.finished.state = bytes_of("over");
    expect_refusal(FINISHED, &f, "it ended in no way");
    next(&f, FINISHED);
    f.record.finished = NULL;
    expect_refusal(FINISHED, &f, "it ended in no way");
    next(&f, FINISHED);
    f.finished.log_tail = (ProtobufCBinaryData){LIMIT_MESSAGE, (uint8_t *)much};
    expect_refusal(FINISHED, &f, "too long to be told");
    next(&f, FINISHED);
    f.record.title = (ProtobufCBinaryData){LIMIT_MESSAGE, (uint8_t *)much};
    expect_refusal(SUBMITTED, &f, "too long to be told");
    next(&f, FINISHED);
    f.record.priority = UINT32_MAX;
    expect_refusal(SUBMITTED, &f, "no time or priority");
    f.record.priority = 0;
    f.record.time_ms = INT64_MIN;
    expect_refusal(SUBMITTED, &f, "no time or priority");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_life_is_taken_up_wherever_it_ended),
        cmocka_unit_test(what_comes_twice_is_refused),
        cmocka_unit_test(what_comes_too_early_is_refused),
        cmocka_unit_test(unknown_jobs_tasks_and_types_are_refused),
        cmocka_unit_test(answers_of_other_attempts_are_refused),
        cmocka_unit_test(failures_without_a_cause_are_refused),
        cmocka_unit_test(plans_that_no_input_gives_are_refused),
        cmocka_unit_test(submissions_that_are_not_accepted_are_refused),
        cmocka_unit_test(ends_that_cannot_be_told_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
