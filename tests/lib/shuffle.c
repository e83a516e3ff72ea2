#include "tests/lib/cmocka_all.h"

#include "tests/lib/shuffle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "record/run.h"

uint64_t run_id_of(uint32_t task)
{
    return UINT64_C(0xabcd00000000) + task;
}

void run_make(const char *path, uint32_t task, const struct run_plan *plan)
{
    struct run_shape shape = {plan->parts, RUN_SORTED, 0, run_id_of(task)};
    struct run_builder *builder = run_builder_new(0);
    cleanup_free char *value = memory_zeroed(1, plan->value_size + 1);
    struct rng rng = {task};
    struct run_writer *writer;
    struct error err;
    uint64_t size;

    for (size_t i = 0; i < plan->value_size; i++)
        value[i] = (char)rng_next(&rng);
    assert_int_equal(run_create(path, &shape, &writer, &err), 0);
    for (uint32_t round = 0; round < plan->rounds; round++)
        for (uint32_t part = 0; part < plan->parts; part++) {
            for (size_t i = 0; i < plan->records; i++) {
                char key[40];
                int n = snprintf(key, sizeof key, "%u-%u-%06zu", round, part, i);

                assert_int_equal(run_builder_add(builder, (struct mr_bytes){key, (size_t)n},
                                                 (struct mr_bytes){value, plan->value_size},
                                                 &err),
                                 0);
                if (run_builder_bytes(builder) > 1 << 20)
                    assert_int_equal(run_append(writer, round, part, builder, false, &err), 0);
            }
            run_builder_pairs(builder, plan->records);
            assert_int_equal(run_append(writer, round, part, builder, true, &err), 0);
        }
    assert_int_equal(run_finish(writer, false, &size, &err), 0);
    run_builder_free(builder);
}

static ProtobufCBinaryData copy_of(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)memory_text(text)};
}

void wanted_add(struct wanted *wanted, uint32_t task, uint64_t run_id, const char *path,
                const char *endpoint)
{
    Mr__MapOutput *output;

    memory_reserve(&wanted->outputs, &wanted->capacity, wanted->count + 1,
                   sizeof *wanted->outputs);
    output = &wanted->outputs[wanted->count++];
    mr__map_output__init(output);
    output->task = task;
    output->attempt = 1;
    output->run_id = run_id;
    output->path = copy_of(path);
    output->endpoint = copy_of(endpoint);
}

const Mr__PartWanted *wanted_message(struct wanted *wanted, uint64_t job, uint32_t part)
{
    free(wanted->pointers);
    wanted->pointers = memory_new(wanted->count * sizeof(Mr__MapOutput *));
    for (size_t i = 0; i < wanted->count; i++)
        wanted->pointers[i] = &wanted->outputs[i];
    mr__part_wanted__init(&wanted->message);
    wanted->message.job = job;
    wanted->message.part = part;
    wanted->message.outputs = wanted->pointers;
    wanted->message.n_outputs = wanted->count;
    return &wanted->message;
}

void wanted_done(struct wanted *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        free(wanted->outputs[i].path.data);
        free(wanted->outputs[i].endpoint.data);
    }
    free(wanted->outputs);
    free(wanted->pointers);
    *wanted = (struct wanted){.count = 0};
}

/* Digests cover the bytes: where they are equal and the cursor is content, so are these. */
static void expect_segment(struct run_file *run, const struct run_segment *found,
                           const struct run_segment *expected)
{
    struct run_cursor *cursor = run_cursor_new(run, found);
    struct mr_bytes payload;
    uint32_t records;
    struct error err = {0};
    int result;

    assert_int_equal(found->round, expected->round);
    assert_int_equal(found->part, expected->part);
    assert_int_equal(found->size, expected->size);
    assert_int_equal(found->records, expected->records);
    assert_int_equal(found->pairs, expected->pairs);
    assert_int_equal(found->digest, expected->digest);
    while ((result = run_next_block(cursor, &payload, &records, &err)) > 0)
        ;
    assert_int_equal(result, 0);
    run_cursor_free(cursor);
}

void expect_bundle(const char *path, struct wanted *wanted, uint32_t part)
{
    cleanup_free uint64_t *ids = memory_new(wanted->count * sizeof *ids);
    struct bundle *bundle;
    struct error err = {0};

    for (size_t i = 0; i < wanted->count; i++)
        ids[i] = wanted->outputs[i].run_id;
    assert_int_equal(bundle_open(path, part, bundle_id(ids, wanted->count), &bundle, &err), 0);
    for (size_t i = 0; i < wanted->count; i++) {
        const Mr__MapOutput *output = &wanted->outputs[i];
        cleanup_free char *name =
            memory_format("%.*s", (int)output->path.len, (const char *)output->path.data);
        const struct run_segment *found, *expected;
        size_t count, expected_count;
        struct run_file *run;

        assert_int_equal(run_open(name, output->run_id, &run, &err), 0);
        found = bundle_segments(bundle, output->task, &count);
        expected = run_part(run, part, &expected_count);
        assert_int_equal(count, expected_count);
        for (size_t k = 0; k < count; k++)
            expect_segment(bundle_run(bundle), &found[k], &expected[k]);
        run_close(run);
    }
    bundle_close(bundle);
}
