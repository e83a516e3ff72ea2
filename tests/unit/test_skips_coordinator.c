/* The list of what a job does without: what workers say is checked, what is skipped is told to
 * those attempts alone that meet it, and one too many is told with the first causes. */
#include "tests/lib/cmocka_all.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "coordinator/skips.h"
#include "wire/bytes.h"
#include "wire/culprit.h"
#include "wire/frame.h"

enum { FILES = 3, FILE_SIZE = 1000 };

/* A job of three files that does without two. */
struct scene {
    struct job job;
    Mr__Submit submit;
    Mr__JobSpec spec;
    struct input_file files[FILES];
    struct sched *sched;
};

static struct scene *scene_new(void)
{
    static char *const paths[] = {"/in/a", "/in/b", "/in/c"};
    struct scene *scene = memory_zeroed(1, sizeof *scene);

    mr__submit__init(&scene->submit);
    mr__job_spec__init(&scene->spec);
    scene->spec.skip_bad_records = 2;
    scene->submit.spec = &scene->spec;
    scene->job.id = 7;
    scene->job.submit = &scene->submit;
    for (int i = 0; i < FILES; i++) {
        scene->files[i].path = paths[i];
        scene->files[i].size = FILE_SIZE;
    }
    scene->job.plan.files = (struct input_files){scene->files, FILES, FILES};
    scene->sched = sched_new();
    return scene;
}

static void scene_free(struct scene *scene)
{
    for (size_t i = 0; i < scene->job.failure_count; i++) {
        if (scene->job.failures[i].culprit)
            frame_free(&scene->job.failures[i].culprit->base);
        free(scene->job.failures[i].log_tail);
    }
    free(scene->job.failures);
    skips_done(&scene->job);
    sched_free(scene->sched);
    free(scene);
}

static struct sched_attempt attempt_of(enum sched_kind kind, uint32_t task)
{
    return (struct sched_attempt){7, kind, task, 1};
}

static Mr__Culprit record_at(uint32_t file, uint64_t offset)
{
    Mr__Culprit culprit = MR__CULPRIT__INIT;

    culprit.phase = bytes_of("map");
    culprit.file = file;
    culprit.path = bytes_of("/what/the/worker/says");
    culprit.offset = offset;
    culprit.length = 10;
    return culprit;
}

static Mr__Culprit key_of(const char *phase, const char *key, uint8_t digest[SLOT_DIGEST])
{
    Mr__Culprit culprit = MR__CULPRIT__INIT;

    culprit_digest(key, strlen(key), digest);
    culprit.phase = bytes_of(phase);
    culprit.key = bytes_of(key);
    culprit.key_length = strlen(key);
    culprit.key_digest = (ProtobufCBinaryData){SLOT_DIGEST, digest};
    return culprit;
}

/* Whether what a worker says that an attempt failed on is taken. */
static bool is_taken(struct scene *scene, enum sched_kind kind, Mr__Culprit culprit)
{
    struct sched_attempt attempt = attempt_of(kind, 0);
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Culprit *taken;

    failed.culprit = &culprit;
    taken = skips_culprit(&scene->job, &attempt, &failed);
    if (taken)
        frame_free(&taken->base);
    return taken != NULL;
}

/* An attempt fails on it, and it is skipped from now on. */
static void skip_it(struct scene *scene, enum sched_kind kind, uint32_t task,
                    Mr__Culprit *culprit, const char *why)
{
    struct sched_attempt attempt = attempt_of(kind, task);
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Error error = MR__ERROR__INIT;

    error.code = ERROR_CRASH;
    error.text = bytes_of(why);
    failed.culprit = culprit;
    failed.error = &error;
    job_failed(&scene->job, &attempt, "w1", &failed);
    skips_note(&scene->job, &attempt);
}

static void what_makes_no_sense_is_not_taken(void **state)
{
    struct scene *scene = scene_new();
    uint8_t digest[SLOT_DIGEST];
    Mr__Culprit culprit;

    (void)state;
    assert_true(is_taken(scene, SCHED_MAP, record_at(2, FILE_SIZE - 1)));
    assert_true(is_taken(scene, SCHED_SAMPLE, record_at(0, 0)));
    assert_false(is_taken(scene, SCHED_REDUCE, record_at(0, 0)));
    assert_false(is_taken(scene, SCHED_MAP, record_at(3, 0)));
    assert_false(is_taken(scene, SCHED_MAP, record_at(0, FILE_SIZE)));
    culprit = record_at(0, UINT64_MAX); /* in the text of a compressed file: who knows */
    culprit.unpacked = true;
    assert_true(is_taken(scene, SCHED_MAP, culprit));
    assert_true(is_taken(scene, SCHED_MAP, key_of("combine", "k", digest)));
    assert_true(is_taken(scene, SCHED_REDUCE, key_of("reduce", "k", digest)));
    assert_false(is_taken(scene, SCHED_MAP, key_of("reduce", "k", digest)));
    assert_false(is_taken(scene, SCHED_REDUCE, key_of("combine", "k", digest)));
    assert_false(is_taken(scene, SCHED_SAMPLE, key_of("combine", "k", digest)));
    assert_false(is_taken(scene, SCHED_MAP, key_of("setup", "k", digest)));
    culprit = key_of("reduce", "k", digest);
    culprit.key_digest.len--;
    assert_false(is_taken(scene, SCHED_REDUCE, culprit));
    culprit = key_of("reduce", "key", digest);
    culprit.key_length = 2;
    assert_false(is_taken(scene, SCHED_REDUCE, culprit));
    scene_free(scene);
}

/* The path is that of the plan, whatever the worker says; how far a search got is for the
 * scheduler alone. */
static void what_is_taken_is_told_as_the_coordinator_knows_it(void **state)
{
    struct scene *scene = scene_new();
    struct sched_attempt attempt = attempt_of(SCHED_MAP, 0);
    Mr__TaskFailed failed = MR__TASK_FAILED__INIT;
    Mr__Culprit culprit = record_at(1, 30), *taken;
    Mr__Place place = MR__PLACE__INIT;
    struct sched_culprit identity;

    (void)state;
    place.file = 1;
    place.offset = 30;
    culprit.sifted = &place;
    failed.culprit = &culprit;
    taken = skips_culprit(&scene->job, &attempt, &failed);
    assert_non_null(taken);
    assert_int_equal(taken->path.len, 5);
    assert_memory_equal(taken->path.data, "/in/b", 5);
    assert_null(taken->sifted);
    identity = skips_identity(taken);
    assert_int_equal(identity.type, CULPRIT_RECORD);
    assert_int_equal(identity.file, 1);
    assert_int_equal(identity.low, 30);
    assert_int_equal(identity.high, 0);
    taken->block = true;
    identity = skips_identity(taken);
    assert_int_equal(identity.type, CULPRIT_BLOCK);
    assert_int_equal(identity.high, 10);
    assert_int_equal(skips_identity(NULL).type, CULPRIT_NONE);
    frame_free(&taken->base);
    assert_true(skips_sifted(&scene->job, &failed).known);
    assert_int_equal(skips_sifted(&scene->job, &failed).offset, 30);
    place.file = FILES;
    assert_false(skips_sifted(&scene->job, &failed).known);
    culprit.sifted = NULL;
    assert_false(skips_sifted(&scene->job, &failed).known);
    failed.culprit = NULL;
    assert_false(skips_sifted(&scene->job, &failed).known);
    scene_free(scene);
}

/* What an attempt of the kind is told that reads bytes [100, 200) of file 1. */
static void expect_told(struct scene *scene, enum sched_kind kind, size_t records, size_t keys)
{
    struct sched_attempt attempt = attempt_of(kind, 0);
    Mr__Assign message = MR__ASSIGN__INIT;
    Mr__Extent extent = MR__EXTENT__INIT, *extents[] = {&extent};
    struct skips_told told;

    extent.file = 1;
    extent.offset = extent.length = 100;
    message.kind = (Mr__TaskKind)kind;
    message.extents = extents;
    message.n_extents = kind == SCHED_REDUCE ? 0 : 1;
    skips_tell(scene->sched, &scene->job, &attempt, &message, &told);
    assert_int_equal(message.n_skip_records, 2 * records);
    assert_int_equal(message.skip_keys.len, SLOT_DIGEST * keys);
    assert_int_equal(message.n_narrow, 0);
    assert_null(message.sift);
    skips_told_done(&told);
}

static void attempts_are_told_what_they_may_meet(void **state)
{
    static const uint32_t offsets[] = {99, 100, 199, 200};
    struct scene *scene = scene_new();
    uint8_t digest[SLOT_DIGEST];
    Mr__Culprit culprit;

    (void)state;
    expect_told(scene, SCHED_MAP, 0, 0);
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        culprit = record_at(1, offsets[i]);
        skip_it(scene, SCHED_MAP, offsets[i], &culprit, "bad");
    }
    culprit = record_at(2, 150);
    skip_it(scene, SCHED_MAP, 2, &culprit, "bad");
    culprit = key_of("combine", "BAD", digest);
    skip_it(scene, SCHED_MAP, 3, &culprit, "bad");
    expect_told(scene, SCHED_MAP, 2, 1); /* 100 and 199 */
    expect_told(scene, SCHED_REDUCE, 0, 1);
    /* A sample reads on behind its extents, and calls neither combine nor reduce. */
    expect_told(scene, SCHED_SAMPLE, 4, 0);
    expect_told(scene, SCHED_CHECK, 2, 0);
    scene_free(scene);
}

static void one_too_many_is_told_with_the_first_causes(void **state)
{
    struct scene *scene = scene_new();
    Mr__Culprit first = record_at(0, 1), second = record_at(0, 2), third = record_at(0, 3);
    struct job_failure failure = {.culprit = &third};
    char *text = NULL;

    (void)state;
    error_set(&failure.error, ERROR_CRASH, "the third");
    skip_it(scene, SCHED_MAP, 1, &first, "the first");
    assert_false(skips_overflowed(&scene->job, &failure, &text));
    skip_it(scene, SCHED_MAP, 2, &second, "the second");
    assert_true(skips_overflowed(&scene->job, &failure, &text));
    assert_string_equal(text, "more than 2 bad records (--skip-bad-records 2): the first; the "
                              "second; and now the third");
    free(text);
    /* But not when it is one of those, or a block, or no record at all. */
    failure.culprit = &second;
    assert_false(skips_overflowed(&scene->job, &failure, &text));
    third.block = true;
    failure.culprit = &third;
    assert_false(skips_overflowed(&scene->job, &failure, &text));
    failure.culprit = NULL;
    assert_false(skips_overflowed(&scene->job, &failure, &text));
    scene_free(scene);
}

/* As the manifest has them: records by place, then keys, whatever the order of discovery. */
static void the_manifest_lists_them_in_one_order(void **state)
{
    struct scene *scene = scene_new();
    uint8_t one[SLOT_DIGEST], other[SLOT_DIGEST];
    Mr__Culprit culprits[] = {key_of("reduce", "b\xff", one), record_at(2, 5), record_at(0, 70),
                              key_of("reduce", "a", other), record_at(0, 9)};
    char text[200] = "";
    json_t *list, *item;
    size_t i;

    (void)state;
    for (uint32_t k = 0; k < 5; k++)
        skip_it(scene, k == 0 || k == 3 ? SCHED_REDUCE : SCHED_MAP, k, &culprits[k], "bad");
    list = skips_json(&scene->job);
    json_array_foreach(list, i, item)
    {
        const char *key = json_string_value(json_object_get(item, "key"));
        size_t used = strlen(text);

        if (key)
            snprintf(text + used, sizeof text - used, "%s ", key);
        else
            snprintf(text + used, sizeof text - used, "%s:%d ",
                     json_string_value(json_object_get(item, "path")),
                     (int)json_integer_value(json_object_get(item, "offset")));
    }
    assert_string_equal(text, "/in/a:9 /in/a:70 /in/c:5 a b? ");
    assert_int_equal(skips_shown(&scene->job), 5);
    json_decref(list);
    scene_free(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_makes_no_sense_is_not_taken),
        cmocka_unit_test(what_is_taken_is_told_as_the_coordinator_knows_it),
        cmocka_unit_test(attempts_are_told_what_they_may_meet),
        cmocka_unit_test(one_too_many_is_told_with_the_first_causes),
        cmocka_unit_test(the_manifest_lists_them_in_one_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
