/* Counters: summed over what was accepted, balanced, and written down as JSON. */
#include "tests/lib/cmocka_all.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "coordinator/tally.h"

enum { COUNTERS_MAX = 4 };

#define BYTES(text) ((ProtobufCBinaryData){strlen(text), (uint8_t *)(text)})

/* An accepted task with counters of its own. */
struct task {
    Mr__TaskDone done;
    Mr__Counter counters[COUNTERS_MAX], *pointers[COUNTERS_MAX];
};

/* A job of two maps and two parts, whose object declares the counter "odd". */
struct scene {
    struct job job;
    Mr__TaskDone check;
    Mr__Description description;
    ProtobufCBinaryData declared[1];
    struct task maps[2], parts[2];
    Mr__TaskDone *map_pointers[2], *part_pointers[2];
};

static void count(struct task *task, const char *name, int64_t value)
{
    Mr__Counter *counter = &task->counters[task->done.n_counters];

    assert_true(task->done.n_counters < COUNTERS_MAX);
    mr__counter__init(counter);
    counter->name = BYTES(name);
    counter->value = value;
    task->pointers[task->done.n_counters++] = counter;
}

static struct scene *new_scene(void)
{
    struct scene *scene = memory_zeroed(1, sizeof *scene);

    mr__task_done__init(&scene->check);
    mr__description__init(&scene->description);
    scene->declared[0] = BYTES("odd");
    scene->description.name = BYTES("the job");
    scene->description.counters = scene->declared;
    scene->description.n_counters = 1;
    scene->check.description = &scene->description;
    for (int i = 0; i < 2; i++) {
        mr__task_done__init(&scene->maps[i].done);
        mr__task_done__init(&scene->parts[i].done);
        scene->maps[i].done.counters = scene->maps[i].pointers;
        scene->parts[i].done.counters = scene->parts[i].pointers;
        scene->map_pointers[i] = &scene->maps[i].done;
        scene->part_pointers[i] = &scene->parts[i].done;
    }
    scene->job.check = &scene->check;
    scene->job.maps = scene->map_pointers;
    scene->job.parts = scene->part_pointers;
    scene->job.map_count = scene->job.part_count = 2;
    return scene;
}

static void all_counters_are_there_before_any_task_ran(void **state)
{
    struct scene *scene = new_scene();
    struct tally tally;

    (void)state;
    scene->map_pointers[0] = scene->map_pointers[1] = NULL;
    scene->part_pointers[0] = scene->part_pointers[1] = NULL;
    tally_job(&tally, &scene->job, NULL);
    assert_true(tally.count > 10);
    assert_string_equal(tally.items[0].name, "map_input_records");
    assert_string_equal(tally.items[tally.count - 1].name, "odd");
    for (size_t i = 0; i < tally.count; i++) {
        assert_int_equal(tally.items[i].value, 0);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(tally.items[i].name, tally.items[k].name);
    }
    tally_done(&tally);
    /* And before the object said what it declares. */
    scene->job.check = NULL;
    tally_job(&tally, &scene->job, NULL);
    assert_string_not_equal(tally.items[tally.count - 1].name, "odd");
    tally_done(&tally);
    free(scene);
}

static void counters_add_up_over_tasks(void **state)
{
    struct scene *scene = new_scene();
    struct sched_progress progress = {.failed_attempts = 3, .map_reruns = 1};
    struct tally tally;

    (void)state;
    count(&scene->maps[0], "map_input_records", 10);
    count(&scene->maps[1], "map_input_records", 7);
    count(&scene->maps[1], "odd", -2);
    count(&scene->parts[1], "odd", 5);
    count(&scene->parts[0], "reduce_input_pairs", 99);
    tally_job(&tally, &scene->job, &progress);
    assert_int_equal(tally_value(&tally, "map_input_records"), 17);
    assert_int_equal(tally_value(&tally, "odd"), 3);
    assert_int_equal(tally_value(&tally, "failed_attempts"), 3);
    assert_int_equal(tally_value(&tally, "map_reruns"), 1);
    assert_int_equal(tally_value(&tally, "no such counter"), 0);
    /* What serves the balance alone is not shown. */
    for (size_t i = 0; i < tally.count; i++)
        assert_string_not_equal(tally.items[i].name, "reduce_input_pairs");
    tally_done(&tally);
    free(scene);
}

static void counts_balance_or_no_output_is_made(void **state)
{
    struct scene *scene = new_scene();
    struct error err = {0};

    (void)state;
    assert_int_equal(tally_balance(&scene->job, &err), 0);
    scene->job.plan.bytes = 100;
    count(&scene->maps[0], "map_input_bytes", 60);
    count(&scene->maps[1], "map_input_bytes", 40);
    count(&scene->maps[0], "map_output_records", 5);
    count(&scene->maps[1], "map_output_records", 6);
    count(&scene->parts[0], "reduce_input_pairs", 11);
    assert_int_equal(tally_balance(&scene->job, &err), 0);

    scene->parts[0].counters[0].value = 10;
    assert_int_equal(tally_balance(&scene->job, &err), -1);
    assert_int_equal(err.code, ERROR_INTERNAL);
    assert_non_null(strstr(err.text, "maps emitted 11 pairs, reducers received 10 "));
    scene->parts[0].counters[0].value = 11;
    scene->maps[0].counters[0].value = 59;
    assert_int_equal(tally_balance(&scene->job, &err), -1);
    assert_non_null(strstr(err.text, "the input has 100 bytes, maps read 99 "));
    free(scene);
}

/* As mr_count does within a task, and folds do. */
static void counters_wrap_at_64_bits(void **state)
{
    struct scene *scene = new_scene();
    struct error err;
    struct tally tally;

    (void)state;
    count(&scene->maps[0], "odd", INT64_MAX);
    count(&scene->maps[1], "odd", 1);
    count(&scene->maps[0], "map_output_records", INT64_MIN);
    count(&scene->maps[1], "map_output_records", INT64_MIN);
    tally_job(&tally, &scene->job, NULL);
    assert_int_equal(tally_value(&tally, "odd"), INT64_MIN);
    tally_done(&tally);
    assert_int_equal(tally_balance(&scene->job, &err), 0);
    free(scene);
}

static void the_manifest_is_json_of_what_is_the_same_in_every_run(void **state)
{
    struct scene *scene = new_scene();
    json_error_t where;
    json_t *root, *parts, *counters, *part;
    char *text;

    (void)state;
    scene->parts[1].done.part_size = 1234;
    scene->parts[1].done.part_raw_size = 5678;
    scene->parts[1].done.part_records = 56;
    scene->parts[1].done.part_checksum = 0xabc;
    count(&scene->maps[0], "odd", 3);
    count(&scene->maps[0], "spilled_bytes", 4096);
    text = tally_manifest(&scene->job);
    root = json_loads(text, 0, &where);
    if (!root)
        fail_msg("%s", where.text);
    assert_string_equal(json_string_value(json_object_get(root, "job")), "the job");
    assert_int_equal(json_integer_value(json_object_get(root, "marram_manifest")), 1);
    assert_string_equal(json_string_value(json_object_get(root, "codec")), "none");
    parts = json_object_get(root, "parts");
    assert_int_equal(json_array_size(parts), 2);
    part = json_array_get(parts, 1);
    assert_string_equal(json_string_value(json_object_get(part, "name")), "part-00001");
    assert_int_equal(json_integer_value(json_object_get(part, "bytes")), 1234);
    assert_int_equal(json_integer_value(json_object_get(part, "raw_bytes")), 5678);
    assert_int_equal(json_integer_value(json_object_get(part, "records")), 56);
    assert_string_equal(json_string_value(json_object_get(part, "checksum")),
                        "xxh3:0000000000000abc");
    counters = json_object_get(root, "counters");
    assert_int_equal(json_integer_value(json_object_get(counters, "odd")), 3);
    assert_non_null(json_object_get(counters, "map_input_records"));
    /* How much was spilled, and what failed, differs from run to run. */
    assert_null(json_object_get(counters, "spilled_bytes"));
    assert_null(json_object_get(counters, "failed_attempts"));
    json_decref(root);
    free(text);
    free(scene);
}

static void the_manifest_names_compressed_parts_as_they_are(void **state)
{
    static const char *const formats[][3] = {{"text:gzip", "gzip", "part-00001.gz"},
                                             {"raw:zstd", "zstd", "part-00001.zst"},
                                             {"text", "none", "part-00001"},
                                             {"what no worker says", "none", "part-00001"}};

    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        struct scene *scene = new_scene();
        json_t *root, *part;
        char *text;

        scene->description.output_format = BYTES(formats[i][0]);
        text = tally_manifest(&scene->job);
        root = json_loads(text, 0, NULL);
        assert_non_null(root);
        assert_string_equal(json_string_value(json_object_get(root, "codec")), formats[i][1]);
        part = json_array_get(json_object_get(root, "parts"), 1);
        assert_string_equal(json_string_value(json_object_get(part, "name")), formats[i][2]);
        json_decref(root);
        free(text);
        free(scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_counters_are_there_before_any_task_ran),
        cmocka_unit_test(counters_add_up_over_tasks),
        cmocka_unit_test(counts_balance_or_no_output_is_made),
        cmocka_unit_test(counters_wrap_at_64_bits),
        cmocka_unit_test(the_manifest_is_json_of_what_is_the_same_in_every_run),
        cmocka_unit_test(the_manifest_names_compressed_parts_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
