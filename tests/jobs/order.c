/* Jobs in total order. As it is: a sort of lines, whole (field=0) or by one field, with the
 * line as the value. With a fold or a reduce (order_fold.c, order_reduce.c): how often each key
 * occurs. The line "BAD" crashes where `bad` is set. */
#include <mr/job.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct params {
    long field;
    bool bad;
    const char *wait;
};

/* Says that it was reached, and waits until the test lets it go. */
static void wait_in(const char *folder)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof path, "%s/sampling", folder);
    file = fopen(path, "w");
    if (file)
        fclose(file);
    snprintf(path, sizeof path, "%s/go", folder);
    while (access(path, F_OK))
        usleep(10000);
}

static void map_line(struct mr_task *task, struct mr_bytes line)
{
    const struct params *params = mr_params(task);
    struct mr_words words = mr_words_in(line);
    struct mr_bytes key = line;

    if (params->bad && line.len == 3 && !memcmp(line.ptr, "BAD", 3))
        abort();
    if (*params->wait)
        wait_in(params->wait);
    if (params->field)
        key.len = 0;
    for (long n = 0; n < params->field && mr_next_word(&words); n++)
        if (n + 1 == params->field)
            key = words.word;
#if defined(FOLD)
    mr_emit(task, key, 1);
#elif defined(REDUCE)
    mr_emit(task, key, line);
#else
    if (params->field)
        mr_emit(task, key, line);
    else
        mr_emit_key(task, key);
#endif
}

#ifdef REDUCE
static void count(struct mr_task *task, struct mr_bytes key, struct mr_values *values)
{
    struct mr_bytes value;
    int64_t n = 0;

    while (mr_next(task, values, &value))
        n++;
    mr_emit(task, key, n);
}
#endif

const struct mr_job mr_job = {
    MR_HEADER,
    .flags = MR_TOTAL_ORDER,
    .name = "order",
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){
            MR_PARAM(struct params, field, "0", "which field is the key; 0: the whole line"),
            MR_PARAM(struct params, bad, "false", "crash at the line BAD"),
            MR_PARAM(struct params, wait, "", "wait in this folder for the file go"),
            {0}},
    .map = map_line,
#if defined(FOLD)
    .fold = MR_SUM_I64,
#elif defined(REDUCE)
    .output = MR_I64,
    .reduce = count,
#endif
};
