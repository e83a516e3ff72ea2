/* For each line a value of -p bytes=N bytes; in the end how long each value was, and whether
 * all its bytes were there. */
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>

struct params {
    long bytes;
};

static void map(struct mr_task *task, struct mr_bytes line)
{
    size_t size = (size_t)((const struct params *)mr_params(task))->bytes;
    char *value = malloc(size + 1);

    if (!value) {
        mr_fail(task, "no memory for a value");
        return;
    }
    memset(value, 'x', size);
    mr_emit(task, line, ((struct mr_bytes){value, size}));
    free(value);
}

static void reduce(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes value;

    while (mr_next(task, values, &value)) {
        char text[40];
        size_t whole = 0;

        for (size_t i = 0; i < value.len; i++)
            whole += value.ptr[i] == 'x';
        snprintf(text, sizeof text, "%zu %zu", value.len, whole);
        mr_emit(task, key, mr_text(text));
    }
}

static const struct mr_param params[] = {
    MR_PARAM(struct params, bytes, NULL, "length of each value"),
    {0},
};

const struct mr_job mr_job = {
    MR_HEADER,  .name = "long_values", .params = params, .params_size = sizeof(struct params),
    .map = map, .reduce = reduce,
};
