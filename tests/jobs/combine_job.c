/* The longest line and the number of lines for each first word: a general reduce, with a
 * combiner of the user. A value is "length count", as text. With `count` the combiner counts,
 * which it may not. */
#include <mr/job.h>
#include <stdio.h>

struct params {
    bool count;
};

static void emit_length(struct mr_task *task, struct mr_bytes line)
{
    struct mr_words words = mr_words_in(line);
    char text[32];
    int n = snprintf(text, sizeof text, "%zu 1", line.len);

    if (mr_next_word(&words))
        mr_emit(task, words.word, ((struct mr_bytes){text, (size_t)n}));
}

static void longest(struct mr_task *task, struct mr_bytes word, struct mr_values *values)
{
    long long most = 0, all = 0;
    struct mr_bytes value;
    char text[64];
    int n;

    while (mr_next(task, values, &value)) {
        long long length = 0, count = 0;
        char copy[64] = "";

        memcpy(copy, value.ptr, value.len < sizeof copy - 1 ? value.len : sizeof copy - 1);
        sscanf(copy, "%lld %lld", &length, &count);
        most = length > most ? length : most;
        all += count;
    }
    n = snprintf(text, sizeof text, "%lld %lld", most, all);
    mr_emit(task, word, ((struct mr_bytes){text, (size_t)n}));
}

static void combine(struct mr_task *task, struct mr_bytes word, struct mr_values *values)
{
    const struct params *params = mr_params(task);

    if (params->count)
        mr_count(task, 0, 1);
    longest(task, word, values);
}

const struct mr_job mr_job = {
    MR_HEADER,
    .name = "combine_job",
    .counters = (const char *const[]){"combined", NULL},
    .params_size = sizeof(struct params),
    .params =
        (const struct mr_param[]){MR_PARAM(struct params, count, "false", "count in combine"),
                                  {0}},
    .map = emit_length,
    .combine = combine,
    .reduce = longest,
};
