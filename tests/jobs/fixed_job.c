/* Records of 10 bytes, each printed with where it comes from: its file's number, its offset. */
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>

#ifndef INPUT
#define INPUT MR_LINES
#endif

enum { RECORD = 10 };

struct params {
    const char *crash;
};

static void print(struct mr_task *task, struct mr_bytes text)
{
    const struct params *params = mr_params(task);
    struct mr_source source = mr_source(task);
    uint64_t offset = source.offset;

    if (INPUT == MR_LINES && text.len != RECORD)
        mr_fail(task, "a record of %zu bytes", text.len);
    for (struct mr_bytes record; mr_next_record(&text, RECORD, &record); offset += RECORD) {
        char key[64];
        int n = snprintf(key, sizeof key, "%u %llu", (unsigned)source.file,
                         (unsigned long long)offset);

        if (!memcmp(record.ptr, params->crash, strnlen(params->crash, RECORD)) &&
            *params->crash)
            abort();
        mr_emit(task, ((struct mr_bytes){key, (size_t)n}), record);
    }
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "fixed",
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, crash, "", "how the record begins that crashes"), {0}},
    .input_format = "fixed:10",
    .input = INPUT,
    .map = print,
};
