/* One key with all the numbers of the input, which reduce reads twice over: they must come in
 * input order. */
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>

struct params {
    long repeat;
};

static void emit_number(struct mr_task *task, struct mr_bytes line)
{
    const struct params *params = mr_params(task);
    char copy[32] = "";

    memcpy(copy, line.ptr, line.len < sizeof copy - 1 ? line.len : sizeof copy - 1);
    for (long i = 0; i < params->repeat; i++)
        mr_emit(task, mr_text("all"), strtoll(copy, NULL, 10) * params->repeat + i);
}

static void check_order(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    int64_t value, expected = 0, wrong = 0;

    while (mr_next_i64(task, values, &value))
        wrong += value != expected++;
    mr_emit(task, key, expected);
    mr_emit(task, mr_text("wrong"), wrong);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "many_values",
    .value = MR_I64,
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){MR_PARAM(struct params, repeat, "1", "values a line"), {0}},
    .map = emit_number,
    .reduce = check_order,
};
