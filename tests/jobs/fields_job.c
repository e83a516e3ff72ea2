/* Map-only: for each record its offset and its bytes, then the fields user, amount and note, in
 * hexadecimal, "-" for one that is absent. The same by name must be the same. A record that
 * holds `crash` does. */
#define _GNU_SOURCE
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>

struct params {
    const char *crash;
};

static const char *const names[] = {"user", "amount", "note", NULL};

struct text {
    char *bytes;
    size_t used, size;
};

static void put(struct text *text, struct mr_bytes bytes)
{
    static const char digits[] = "0123456789abcdef";
    size_t need = text->used + 2 * bytes.len + 2;

    if (need > text->size)
        text->bytes = realloc(text->bytes, text->size = 2 * need);
    for (size_t i = 0; i < bytes.len; i++) {
        text->bytes[text->used++] = digits[(unsigned char)bytes.ptr[i] >> 4];
        text->bytes[text->used++] = digits[(unsigned char)bytes.ptr[i] & 15];
    }
    if (!bytes.ptr)
        text->bytes[text->used++] = '-';
    text->bytes[text->used++] = ' ';
}

static void setup(struct mr_task *task)
{
    task->state = calloc(1, sizeof(struct text));
}

static void teardown(struct mr_task *task)
{
    struct text *text = task->state;

    free(text->bytes);
    free(text);
}

static void map(struct mr_task *task, struct mr_bytes record)
{
    const struct params *params = mr_params(task);
    struct text *text = task->state;
    char key[40];

    if (*params->crash && memmem(record.ptr, record.len, params->crash, strlen(params->crash)))
        abort();
    text->used = 0;
    put(text, record);
    for (uint32_t i = 0; names[i]; i++) {
        struct mr_bytes field = mr_field(task, i), found;

        if (mr_find_field(task, names[i], &found) != (field.ptr != NULL) ||
            found.len != field.len || (field.len && memcmp(found.ptr, field.ptr, field.len)))
            mr_fail(task, "%s is another one by its name", names[i]);
        put(text, field);
    }
    snprintf(key, sizeof key, "%llu", (unsigned long long)mr_source(task).offset);
    mr_emit(task, mr_text(key), ((struct mr_bytes){text->bytes, text->used - 1}));
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "fields_job",
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){MR_PARAM(struct params, crash, "", "in which record"), {0}},
    .input_format = "csv",
    .input = MR_RECORDS,
    .setup = setup,
    .teardown = teardown,
    .map = map,
    .fields = names,
};
