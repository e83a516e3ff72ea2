/* What CHECK tasks found: given back for the same question alone. */
#include "tests/lib/cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "coordinator/checked.h"
#include "wire/bytes.h"
#include "wire/frame.h"

/* A submission with one object and one parameter. */
struct question {
    Mr__JobSpec spec;
    Mr__BlobRef blob, *blobs[1];
    Mr__Param param, *params[1];
    char value[16];
};

static void ask(struct question *question, const char *hash, int value)
{
    mr__job_spec__init(&question->spec);
    mr__blob_ref__init(&question->blob);
    mr__param__init(&question->param);
    question->blob.name = bytes_of("job.so");
    question->blob.sha256 = bytes_of(hash);
    snprintf(question->value, sizeof question->value, "%d", value);
    question->param.name = bytes_of("n");
    question->param.value = bytes_of(question->value);
    question->blobs[0] = &question->blob;
    question->params[0] = &question->param;
    question->spec.blobs = question->blobs;
    question->spec.params = question->params;
    question->spec.n_blobs = question->spec.n_params = 1;
}

static void put(struct checked *checked, const char *hash, int value, const char *name)
{
    Mr__Description description = MR__DESCRIPTION__INIT;
    struct question question;

    ask(&question, hash, value);
    description.name = bytes_of(name);
    checked_put(checked, &question.spec, &description);
}

static void expect(const struct checked *checked, const struct question *question,
                   const char *name)
{
    Mr__TaskDone *done = checked_get(checked, &question->spec);

    if (!name) {
        assert_null(done);
        return;
    }
    assert_non_null(done);
    assert_int_equal(done->description->name.len, strlen(name));
    assert_memory_equal(done->description->name.data, name, strlen(name));
    frame_free(&done->base);
}

static void only_what_the_check_looks_at_counts(void **state)
{
    struct checked checked = {0};
    struct question question;

    (void)state;
    put(&checked, "hash a", 1, "first");
    ask(&question, "hash a", 1);
    expect(&checked, &question, "first");
    question.spec.output = bytes_of("/elsewhere");
    question.spec.name = bytes_of("another name");
    question.spec.reducers = 7;
    question.spec.sync = true;
    expect(&checked, &question, "first");
    question.spec.input_format = bytes_of("lines");
    expect(&checked, &question, NULL);
    ask(&question, "hash a", 2);
    expect(&checked, &question, NULL);
    ask(&question, "hash b", 1);
    expect(&checked, &question, NULL);
    question.spec.n_params = 0;
    expect(&checked, &question, NULL);
    checked_done(&checked);
}

static void the_oldest_makes_room(void **state)
{
    struct checked checked = {0};
    struct question question;
    char name[16];

    (void)state;
    for (int i = 0; i < CHECKED_MAX + 10; i++) {
        snprintf(name, sizeof name, "job %d", i);
        put(&checked, "hash", i, name);
        put(&checked, "hash", i, "the same again");
    }
    for (int i = 0; i < CHECKED_MAX + 10; i++) {
        snprintf(name, sizeof name, "job %d", i);
        ask(&question, "hash", i);
        expect(&checked, &question, i < 10 ? NULL : name);
    }
    checked_done(&checked);
    expect(&checked, &question, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_the_check_looks_at_counts),
        cmocka_unit_test(the_oldest_makes_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
